-- How one group of buckets stands. KEYS: its three sets. ARGV: the time or '', where the bands begin, how many of those
-- that will be full first are named, one of its buckets as JSON, how many are looked at.
local shares, ends, fulls = unpack(KEYS)
local warning, critical, most = ARGV[2], ARGV[3], tonumber(ARGV[4])

-- Those that hold nothing any more go, a few at a time: no call is slow.
for _, key in ipairs(redis.call('ZRANGEBYSCORE', ends, '-inf', text(now), 'LIMIT', 0, 1000)) do
  leave(shares, key)
end

-- Where the window moves, use leaves while nobody writes that down. What is written is never too little, so whichever is
-- the highest is among those that look it.
if cjson.decode(ARGV[5])[1] ~= 'fixed' then
  for _, key in ipairs(redis.call('ZREVRANGEBYSCORE', shares, '+inf', '(0', 'LIMIT', 0, ARGV[6])) do
    local bucket = look(key, ARGV[5])
    bucket.shares, bucket.fulls = shares, fulls
    rank(bucket, bucket.strategy.used(bucket.state, bucket))
  end
end

local highest = redis.call('ZREVRANGE', shares, 0, 0, 'WITHSCORES')[2] or '0'
local below = redis.call('ZCOUNT', shares, '(0', '(' .. warning)
local warned = redis.call('ZCOUNT', shares, warning, '(' .. critical)
local nearly = redis.call('ZCOUNT', shares, critical, '(1')
local exhausted = redis.call('ZCOUNT', shares, '1', '+inf')
return { text(now), highest, below, warned, nearly, exhausted, redis.call('ZRANGE', fulls, 0, most - 1) }
