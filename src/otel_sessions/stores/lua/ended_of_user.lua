-- Returns ARGV[1] ended sessions of the user ARGV[2] whose export nobody owes, the latest end first, each as the stamp of its end
-- and, at once, its id: that ended at the stamp ARGV[3] or later, and stand behind ARGV[4], which is a stamp, or such a place.
local prefix = pair(ARGV[2], '')
local latest, first = '(' .. prefix .. ARGV[4], '[' .. prefix .. ARGV[3]
return without(prefix, redis.call('ZREVRANGEBYLEX', ENDED_USERS, latest, first, 'LIMIT', 0, ARGV[1]))
