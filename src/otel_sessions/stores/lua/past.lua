-- Returns ARGV[3] ids of ended sessions, after the first ARGV[2], that ended at ARGV[1] or before, in milliseconds.
-- By rank, as in ended.lua.
local first, last = tonumber(ARGV[2]), math.min(ARGV[2] + ARGV[3], redis.call('ZCOUNT', ENDED, '-inf', ARGV[1])) - 1
return first <= last and redis.call('ZRANGE', ENDED, first, last) or {}
