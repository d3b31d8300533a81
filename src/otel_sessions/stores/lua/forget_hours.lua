-- Forgets the sums whose keys are given, and takes their hours, from ARGV[2] on, out of the index. The first ARGV[1] keys are
-- those of a day, and of the hours that are left of it: the day's sums are made anew from these.
local anew = tonumber(ARGV[1])
for number = SHARED + 1 + anew, #KEYS do
  redis.call('UNLINK', KEYS[number])
end
for at = 2, #ARGV do
  drop_hours(tonumber(ARGV[at]), tonumber(ARGV[at]))
end
if anew > 0 then
  add_up_day(KEYS[SHARED + 1], SHARED + 2, SHARED + anew)
end
