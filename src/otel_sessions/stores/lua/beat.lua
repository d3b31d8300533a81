-- Notes the heartbeat ARGV[2] of the owner ARGV[1].
redis.call('HSET', OWNERS, ARGV[1], ARGV[2])
refresh()
