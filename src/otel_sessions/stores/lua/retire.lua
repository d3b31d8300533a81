-- Forgets the owner ARGV[1].
redis.call('HDEL', OWNERS, ARGV[1])
