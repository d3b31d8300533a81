-- Nobody owes these sessions any more; from now on they are remembered for ARGV[1] milliseconds.
for number = 2, #ARGV do
  local session, id = KEYS[SHARED + number - 1], ARGV[number]
  if redis.call('HEXISTS', session, 'e') == 1 then
    if redis.call('HEXISTS', DEBTS, id) == 1 then
      settle(id)
      remember(session, id, tonumber(ARGV[1]))
    end
  elseif redis.call('EXISTS', session) == 0 then
    settle(id)
  end
end
