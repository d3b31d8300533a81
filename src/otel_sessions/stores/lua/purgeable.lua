-- Returns how many of the sessions ended before the stamp ARGV[1]; those that Redis has let expire are none.
local past = 0
for number = SHARED + 1, #KEYS do
  local ended = ask(KEYS[number], 'HGET', 'z')
  if ended and ended < ARGV[1] then
    past = past + 1
  end
end
return past
