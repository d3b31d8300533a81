-- Returns the ARGV[1] users who are most frequent in the days whose keys come after a spare one, how many there are, and how
-- often each of the other arguments is there.
local union, days = KEYS[SHARED + 1], {}
for number = SHARED + 2, #KEYS do
  days[#days + 1] = KEYS[number]
end
if #days == 0 then
  return { {}, 0, {} }
end
local weights = {}
for number = 1, #days do
  weights[number] = -1 -- so that of equals the first by name comes first
end
local command = { 'ZUNIONSTORE', union, #days }
for _, day in ipairs(days) do
  command[#command + 1] = day
end
command[#command + 1] = 'WEIGHTS'
for _, weight in ipairs(weights) do
  command[#command + 1] = weight
end
redis.call(unpack(command))
local most = {}
if tonumber(ARGV[1]) > 0 then -- or -1, which is the last, would stand for all
  most = redis.call('ZRANGE', union, 0, ARGV[1] - 1, 'WITHSCORES')
end
local scores = {}
for number = 2, #ARGV do
  scores[number - 1] = redis.call('ZSCORE', union, ARGV[number]) or '0'
end
local all = redis.call('ZCARD', union)
redis.call('DEL', union)
return { most, all, scores }
