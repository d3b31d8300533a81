-- Returns ARGV[2] ids of ended sessions whose export nobody owes, after the first ARGV[1], the latest end first; of those
-- that ended from ARGV[3] to ARGV[4], in milliseconds.
return redis.call('ZREVRANGEBYSCORE', ENDED, ARGV[4], ARGV[3], 'LIMIT', ARGV[1], ARGV[2])
