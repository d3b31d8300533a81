-- Ends a session. Returns what is stored of it, to the caller who ended it, and to nobody else.
--
-- If nobody owes its export it is in the sums from now on; the keys of those are given as in exported.lua. What it adds comes from
-- ARGV[15] on, as it was when ARGV[12] to ARGV[14] were read of it: if it has changed since, 0 is returned, and nothing done.
local session, hourly, daily, users = unpack(KEYS, SHARED + 1, SHARED + 4)
local id, token, status, ended = unpack(ARGV, 1, 4)
local idle_since, owner, delta = optional(ARGV[5]), optional(ARGV[6]), optional(ARGV[7])
local writer, replaced = ARGV[8], tonumber(ARGV[9])
local retention, longest = tonumber(ARGV[10]), tonumber(ARGV[11])

if not is_active(session) then
  -- The answer to whoever ended it may have been lost.
  return ask(session, 'HGET', 'k') == token and redis.call('HGETALL', session) or nil
end
if idle_since and redis.call('HGET', session, 'l') > idle_since then
  return nil
end
if not owner then
  for number, held in ipairs(redis.call('HMGET', session, 'c', 'q', 'g')) do
    if (held or '') ~= ARGV[11 + number] then
      return 0
    end
  end
end
redis.call('HSET', session, 'e', status, 'z', ended, 'k', token)
if delta then
  local written = replaced and redis.call('HGET', session, 'w:' .. writer)
  local number, place = string.match(written or '', '^(%d+):(%d+)$')
  if number and tonumber(number) >= replaced then
    redis.call('HDEL', session, 'd' .. place)
  end
  redis.call('HSET', session, 'd' .. redis.call('HINCRBY', session, 'q', 1), delta)
end
local key = leave(id)
if key then
  redis.call('HSET', session, 'y', key)
  redis.call('HSET', PREVIOUS, key, id)
end
settle(id)
if owner then
  owe_export(owner, id, ended)
  redis.call('PEXPIRE', session, longest)
else
  count_in(session, hourly, daily, users, 15, retention)
  remember(session, id, retention)
end
refresh()
return redis.call('HGETALL', session)
