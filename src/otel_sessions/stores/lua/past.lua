-- Returns ARGV[2] ids of ended sessions whose export nobody owes, the earliest end first, each with when it ended; of those that
-- ended at ARGV[1] or before, and stand behind the place ARGV[3], ARGV[4] if it is given. All times are in milliseconds.
-- By rank, as in ended.lua.
local first = 0
if ARGV[4] then
  local rank, is_there = rank_of(ENDED, ARGV[3], ARGV[4])
  first = is_there and rank + 1 or rank
end
local last = math.min(first + tonumber(ARGV[2]), redis.call('ZCOUNT', ENDED, '-inf', ARGV[1])) - 1
return first <= last and redis.call('ZRANGE', ENDED, first, last, 'WITHSCORES') or {}
