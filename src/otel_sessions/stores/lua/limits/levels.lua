-- How buckets stand, without putting anything in.
for bucket in buckets() do
  reply(bucket, true, nil)
end
return table.concat(replies, ' ')
