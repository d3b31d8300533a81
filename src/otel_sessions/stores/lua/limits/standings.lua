-- How one group of buckets stands. KEYS: its three sets. ARGV: the time or '', where the bands begin, how many of those
-- that will be full first are named.
local shares, ends, fulls = unpack(KEYS)
local warning, critical, most = ARGV[2], ARGV[3], tonumber(ARGV[4])

-- Those that hold nothing any more go, a few at a time: no call is slow.
for _, key in ipairs(redis.call('ZRANGEBYSCORE', ends, '-inf', text(now), 'LIMIT', 0, 1000)) do
  leave(shares, key)
end

local highest = redis.call('ZREVRANGE', shares, 0, 0, 'WITHSCORES')[2] or '0'
local below = redis.call('ZCOUNT', shares, '(0', '(' .. warning)
local warned = redis.call('ZCOUNT', shares, warning, '(' .. critical)
local nearly = redis.call('ZCOUNT', shares, critical, '(1')
local exhausted = redis.call('ZCOUNT', shares, '1', '+inf')
return { text(now), highest, below, warned, nearly, exhausted, redis.call('ZRANGE', fulls, 0, most - 1) }
