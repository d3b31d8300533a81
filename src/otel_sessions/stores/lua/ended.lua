-- Returns ARGV[2] ids of ended sessions, the latest end first, each with when it ended: of those whose export is owed, if ARGV[1]
-- is 'owed', or of the others; that ended from ARGV[3] to ARGV[4], and stand behind the place ARGV[5], ARGV[6] if it is given.
-- All times are in milliseconds.
-- By rank, which Redis finds as quickly however many stand before; of a range by score it would walk past all of them.
local set = ARGV[1] == 'owed' and UNEXPORTED or ENDED
local first
if ARGV[6] then
  first = redis.call('ZCARD', set) - rank_of(set, ARGV[5], ARGV[6])
else
  first = redis.call('ZCARD', set) - redis.call('ZCOUNT', set, '-inf', ARGV[4])
end
local last = math.min(first + tonumber(ARGV[2]), redis.call('ZCOUNT', set, ARGV[3], '+inf')) - 1
return first <= last and redis.call('ZREVRANGE', set, first, last, 'WITHSCORES') or {}
