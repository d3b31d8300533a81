-- Returns ARGV[2] ids of ended sessions whose export nobody owes, after the first ARGV[1], the latest end first, each with when
-- it ended; of those that did so from ARGV[3] to ARGV[4]. All times are in milliseconds.
-- By rank, which Redis finds as quickly however many stand before; of a range by score it would walk past all of them.
local later = redis.call('ZCARD', ENDED) - redis.call('ZCOUNT', ENDED, '-inf', ARGV[4])
local number = redis.call('ZCOUNT', ENDED, ARGV[3], ARGV[4])
local first, last = tonumber(ARGV[1]), math.min(ARGV[1] + ARGV[2], number) - 1
return first <= last and redis.call('ZREVRANGE', ENDED, later + first, later + last, 'WITHSCORES') or {}
