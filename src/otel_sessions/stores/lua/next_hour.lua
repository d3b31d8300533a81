-- Returns the first hour from ARGV[1] on that has sums, and the session that ended first from ARGV[2] on, in milliseconds, with
-- when that was; if there are such.
return {
  redis.call('ZRANGEBYSCORE', HOURS, ARGV[1], '+inf', 'LIMIT', 0, 1),
  redis.call('ZRANGEBYSCORE', ENDED, ARGV[2], '+inf', 'WITHSCORES', 'LIMIT', 0, 1),
}
