-- Puts each amount into its bucket, if there is room: all for themselves.
for bucket in buckets() do
  local room = has_room(bucket) or not bucket.enforced
  if room then
    put(bucket)
  end
  reply(bucket, room, nil)
end
return table.concat(replies, ' ')
