-- Returns the ARGV[1] users who are most frequent in the days whose keys come after a spare one, how many there are, and how
-- often each of the other arguments is there.
local union, days = KEYS[SHARED + 1], #KEYS - SHARED - 1
if days == 0 then
  return { {}, 0, {} }
end
local command = { 'ZUNIONSTORE', union, days }
for number = 1, days do
  command[3 + number] = KEYS[SHARED + 1 + number]
  command[4 + days + number] = -1 -- the weight: of equals the first by name comes first
end
command[4 + days] = 'WEIGHTS'
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
