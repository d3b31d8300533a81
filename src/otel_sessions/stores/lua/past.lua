-- Returns ARGV[3] ids of ended sessions, after the first ARGV[2], that ended at ARGV[1] or before, in milliseconds.
return redis.call('ZRANGEBYSCORE', ENDED, '-inf', ARGV[1], 'LIMIT', ARGV[2], ARGV[3])
