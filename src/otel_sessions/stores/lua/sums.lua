-- Returns what is in the sums whose keys are given, and the ids of ended sessions whose export is owed; of those that ended
-- from ARGV[1] to ARGV[2], in milliseconds.
local sums = {}
for number = SHARED + 1, #KEYS do
  sums[#sums + 1] = redis.call('HGETALL', KEYS[number])
end
return { sums, unexported(ARGV[1], ARGV[2]) }
