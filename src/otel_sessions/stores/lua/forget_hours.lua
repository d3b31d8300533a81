-- Forgets the sums whose keys are given, and the hours before ARGV[1]. The first ARGV[2] keys are those of a day, and of the
-- hours that are left of it: the day's sums are made anew from these.
local anew = tonumber(ARGV[2])
for number = SHARED + 1 + anew, #KEYS do
  redis.call('UNLINK', KEYS[number])
end
redis.call('ZREMRANGEBYSCORE', HOURS, '-inf', '(' .. ARGV[1])
if anew == 0 then
  return
end
local daily = KEYS[SHARED + 1]
local life = redis.call('PTTL', daily)
redis.call('UNLINK', daily)
for number = SHARED + 2, SHARED + anew do
  local held = redis.call('HGETALL', KEYS[number])
  for at = 1, #held, 2 do
    local field, value = held[at], held[at + 1]
    if string.find(field, '^[^\n]*\nlongest$') then
      keep_greatest(daily, field, value)
    else
      add(daily, field, value)
    end
  end
end
if life > 0 then
  redis.call('PEXPIRE', daily, life)
end
