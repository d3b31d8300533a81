-- Returns when the first of the remembered sessions ended, if any did, and the time, both in milliseconds.
return { redis.call('ZRANGE', ENDED, 0, 0, 'WITHSCORES'), now_ms() }
