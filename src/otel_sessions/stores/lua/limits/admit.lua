-- Puts all amounts into their buckets, or none.
local asked, rooms, retries, admitted = {}, {}, {}, true
for bucket in buckets() do
  local number = #asked + 1
  asked[number], rooms[number] = bucket, has_room(bucket)
  if not rooms[number] then
    retries[number] = bucket.strategy.retry(bucket.state, bucket)
    admitted = admitted and not bucket.enforced
  end
end
replies[2] = admitted and '1' or '0'
for number, bucket in ipairs(asked) do
  if admitted then
    put(bucket)
  end
  reply(bucket, rooms[number], retries[number])
end
return table.concat(replies, ' ')
