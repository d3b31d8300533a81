-- Returns the id that holds the key ARGV[1].
return redis.call('HGET', HELD, ARGV[1])
