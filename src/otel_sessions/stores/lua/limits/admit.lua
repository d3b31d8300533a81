-- Puts all amounts into their buckets, or none.
local asked, rooms, retries, admitted = {}, {}, {}, 1
for bucket in buckets() do
  local number = #asked + 1
  asked[number], rooms[number] = bucket, has_room(bucket)
  if not rooms[number] then
    retries[number] = bucket.strategy.retry(bucket.state, bucket)
    if bucket.enforced then
      admitted = 0
    end
  end
end
local replies = {}
for number, bucket in ipairs(asked) do
  if admitted == 1 then
    put(bucket)
  end
  replies[number] = reply(bucket, rooms[number], retries[number])
end
return { text(now), admitted, replies }
