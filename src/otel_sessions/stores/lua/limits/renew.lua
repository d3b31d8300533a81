-- Puts each amount into its bucket, if there is room: all for themselves.
local replies = {}
for bucket in buckets() do
  local room = has_room(bucket)
  if room then
    put(bucket)
  end
  replies[#replies + 1] = reply(bucket, room, nil)
end
return { text(now), 1, replies }
