-- Returns the sums of a day, and of its hours, whose keys are given; and how many of those from ARGV[1] to ARGV[2] had any.
local sums = {}
for number = SHARED + 1, #KEYS do
  sums[#sums + 1] = redis.call('HGETALL', KEYS[number])
end
return { sums, redis.call('ZCOUNT', HOURS, ARGV[1], ARGV[2]) }
