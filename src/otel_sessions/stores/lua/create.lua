-- Stores a session. Returns nothing, or the id that holds the key, or in a list what is stored under the id.
local session = KEYS[SHARED + 1]
local id, token, beginning, last, kind = unpack(ARGV, 1, 5)
local key, user, owner = optional(ARGV[6]), optional(ARGV[7]), optional(ARGV[8])
local idle, latest, life = tonumber(ARGV[9]), tonumber(ARGV[10]), tonumber(ARGV[11])

local holder = key and redis.call('HGET', HELD, key)
if holder and holder ~= id then
  return holder
end
if redis.call('EXISTS', session) == 1 then
  if redis.call('HGET', session, 'c') == token then
    return nil
  end
  return { redis.call('HGETALL', session) }
end
local timing = cmsgpack.pack({ idle or false, latest or false, life })
redis.call('HSET', session, 'b', beginning, 'l', last, 'c', token, 'p', timing)
leave(id) -- if Redis has lost the session that had this id
redis.call('HSET', ACTIVE, id, cmsgpack.pack({ kind, key or false, { user }, user or false, false }))
redis.call('HINCRBY', COUNTS, kind, 1)
if key then
  redis.call('HSET', HELD, key, id)
end
if user then
  redis.call('ZADD', USERS, 0, pair(user, id))
  count_user(user, 1)
end
if owner then
  owe(owner, id, last)
end
postpone(session, id, last, timing)
refresh()
return nil
