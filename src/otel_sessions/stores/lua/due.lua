-- Returns the ids of the sessions whose deadline is at ARGV[1] or before, in milliseconds.
return redis.call('ZRANGEBYSCORE', DUE, '-inf', ARGV[1])
