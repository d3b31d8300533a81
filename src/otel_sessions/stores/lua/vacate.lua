-- Frees the key ARGV[2] if the session ARGV[1], which holds it, is not active.
if not is_active(KEYS[SHARED + 1]) then
  leave(ARGV[1])
  if redis.call('HGET', HELD, ARGV[2]) == ARGV[1] then
    redis.call('HDEL', HELD, ARGV[2])
  end
end
