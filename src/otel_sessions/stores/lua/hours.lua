-- Returns the hours from ARGV[1] to ARGV[2] that have sums.
return redis.call('ZRANGEBYSCORE', HOURS, ARGV[1], ARGV[2])
