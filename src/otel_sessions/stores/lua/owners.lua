-- Returns every owner and its last heartbeat.
return redis.call('HGETALL', OWNERS)
