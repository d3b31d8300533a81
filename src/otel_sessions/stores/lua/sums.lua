-- Returns what is in the sums whose keys are given, and the ids of ended sessions whose export is owed.
local sums, ids = {}, {}
for number = SHARED + 1, #KEYS do
  sums[#sums + 1] = redis.call('HGETALL', KEYS[number])
end
for _, id in ipairs(redis.call('HKEYS', DEBTS)) do
  if redis.call('HEXISTS', ACTIVE, id) == 0 then
    ids[#ids + 1] = id
  end
end
return { sums, ids }
