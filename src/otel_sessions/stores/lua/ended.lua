-- Returns ARGV[2] ids of ended sessions whose export nobody owes, after the first ARGV[1], the latest end first.
return redis.call('ZREVRANGE', ENDED, ARGV[1], ARGV[1] + ARGV[2] - 1)
