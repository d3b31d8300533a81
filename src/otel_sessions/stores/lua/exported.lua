-- Nobody owes these sessions any more; from now on they are remembered for ARGV[1] milliseconds, and are in the sums.
-- Of each there is its id, and what it adds to the sums; and four keys: its own, and those of the sums of its hour, of its
-- day, and of the users of its hour.
local retention = tonumber(ARGV[1])
local at, number = 2, SHARED
while at <= #ARGV do
  local session, hourly, daily, users = unpack(KEYS, number + 1, number + 4)
  local id = ARGV[at]
  at = count_in(session, hourly, daily, users, at + 1, retention)
  number = number + 4
  if ask(session, 'HEXISTS', 'e') == 1 then
    if redis.call('HEXISTS', DEBTS, id) == 1 then
      remember(session, id, retention)
    end
    settle_export(id)
  elseif is_lost(session) then
    settle_export(id)
  end
end
