-- Returns how many sessions of each kind are active.
return redis.call('HGETALL', COUNTS)
