-- Moves what ARGV[1] owes to ARGV[3]. Returns the ids, to the caller who did it, and to nobody else.
local dead, beat, owner, token = unpack(ARGV)
if redis.call('HGET', OWNERS, dead) ~= beat then
  -- The answer to whoever did it may have been lost.
  local taken = redis.call('HGET', TAKEN, dead)
  local by, ids = unpack(taken and cmsgpack.unpack(taken) or {})
  return by == token and ids or {}
end
local ids = seconds_of(OWED, dead)
redis.call('HDEL', OWNERS, dead)
for _, id in ipairs(ids) do
  settle(id)
  owe(owner, id, beat)
end
if redis.call('HLEN', TAKEN) >= 1000 then
  redis.call('DEL', TAKEN)
end
redis.call('HSET', TAKEN, dead, cmsgpack.pack({ token, ids }))
refresh()
redis.call('PEXPIRE', TAKEN, 86400 * 1000)
return ids
