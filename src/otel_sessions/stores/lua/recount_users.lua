-- Returns how many sessions users had in the hour whose key is given: those that stand from ARGV[1] to ARGV[2] among them.
return redis.call('ZRANGE', KEYS[SHARED + 1], ARGV[1], ARGV[2], 'WITHSCORES')
