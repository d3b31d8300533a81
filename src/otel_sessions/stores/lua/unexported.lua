-- Returns the ids of the ended sessions whose export is owed.
local ids = {}
for _, id in ipairs(redis.call('HKEYS', DEBTS)) do
  if redis.call('HEXISTS', ACTIVE, id) == 0 then
    ids[#ids + 1] = id
  end
end
return ids
