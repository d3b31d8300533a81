-- Returns the ids of the ended sessions whose export is owed, the latest end first, each with when it ended; of those that did so
-- from ARGV[1] to ARGV[2]. All times are in milliseconds.
return redis.call('ZREVRANGEBYSCORE', UNEXPORTED, ARGV[2], ARGV[1], 'WITHSCORES')
