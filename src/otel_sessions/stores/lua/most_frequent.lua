-- Returns the ARGV[1] users who are most frequent in what `unite` has added up, and how many there are.
local union = KEYS[SHARED + 1]
return { redis.call('ZRANGE', union, 0, ARGV[1] - 1, 'WITHSCORES'), redis.call('ZCARD', union) }
