-- Returns what is in the sums whose keys are given, and the ids of ended sessions whose export is owed.
local sums = {}
for number = SHARED + 1, #KEYS do
  sums[#sums + 1] = redis.call('HGETALL', KEYS[number])
end
return { sums, unexported() }
