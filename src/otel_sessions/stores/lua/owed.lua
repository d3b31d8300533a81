-- Returns how many ended sessions there are whose export is owed, and the one that ended first with its time in milliseconds.
return { redis.call('ZCARD', UNEXPORTED), redis.call('ZRANGE', UNEXPORTED, 0, 0, 'WITHSCORES') }
