-- Returns the id that held the key ARGV[1] before.
return redis.call('HGET', PREVIOUS, ARGV[1])
