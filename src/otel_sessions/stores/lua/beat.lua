-- Notes the heartbeat ARGV[2] of the owner ARGV[1].
redis.call('HSET', OWNERS, ARGV[1], ARGV[2])
trim(100) -- also where no session ends any more
refresh()
