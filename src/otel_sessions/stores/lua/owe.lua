-- Stores a record that is over already. Returns 1 if ARGV[2] owes it, 0 if there was another one.
local session = KEYS[SHARED + 1]
local id, owner, beginning, last, totals, status, ended = unpack(ARGV, 1, 7)

if redis.call('EXISTS', session) == 1 then
  local over = redis.call('HEXISTS', session, 'e') == 1
  return over and redis.call('HGET', DEBTS, id) == owner and 1 or 0
end
redis.call('HSET', session, 'b', beginning, 'l', last, 't', totals, 'e', status, 'z', ended)
owe_export(owner, id, ended)
redis.call('PEXPIRE', session, tonumber(ARGV[8]))
refresh()
return 1
