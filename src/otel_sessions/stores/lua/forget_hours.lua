-- Forgets the sums whose keys are given, and the hours before ARGV[1]. The first ARGV[2] keys are those of a day, and of the
-- hours that are left of it: the day's sums are made anew from these.
local anew = tonumber(ARGV[2])
for number = SHARED + 1 + anew, #KEYS do
  redis.call('UNLINK', KEYS[number])
end
redis.call('ZREMRANGEBYSCORE', HOURS, '-inf', '(' .. ARGV[1])
if anew > 0 then
  add_up_day(KEYS[SHARED + 1], SHARED + 2, SHARED + anew)
end
