-- How buckets stand, without putting anything in.
local replies = {}
for bucket in buckets() do
  replies[#replies + 1] = reply(bucket, true, nil)
end
return { text(now), 1, replies }
