-- Forgets those of the sessions that ended before the stamp ARGV[1]. Returns how many they were.
local forgotten = 0
for number = 2, #ARGV do
  local session, id = KEYS[SHARED + number - 1], ARGV[number]
  local ended, key = unpack(ask(session, 'HMGET', 'z', 'y') or {})
  if not ended or ended < ARGV[1] then
    if not is_lost(session) then
      forgotten = forgotten + redis.call('DEL', session)
    end
    note_forgotten(id)
    redis.call('ZREM', ENDED, id)
    if key and redis.call('HGET', PREVIOUS, key) == id then
      redis.call('HDEL', PREVIOUS, key)
    end
  end
end
return forgotten
