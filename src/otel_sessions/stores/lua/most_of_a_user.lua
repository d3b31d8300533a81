-- Returns how many sessions are active of the user who has most of them.
return redis.call('ZREVRANGE', USER_COUNTS, 0, 0, 'WITHSCORES')[2] or 0
