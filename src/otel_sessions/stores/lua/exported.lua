-- Nobody owes these sessions any more; from now on they are remembered for ARGV[1] milliseconds, and are in the sums.
-- Of each there is its id, and what it adds to the sums; and three keys: its own, and those of its hour and its day.
local retention = tonumber(ARGV[1])
local at, number = 2, SHARED
while at <= #ARGV do
  local session, tally, day = unpack(KEYS, number + 1, number + 3)
  local id = ARGV[at]
  if redis.call('HEXISTS', session, 'e') == 1 then
    if redis.call('HEXISTS', DEBTS, id) == 1 then
      settle(id)
      remember(session, id, retention)
    end
  elseif redis.call('EXISTS', session) == 0 then
    settle(id)
  end
  at = count_in(session, tally, day, at + 1, retention)
  number = number + 3
end
