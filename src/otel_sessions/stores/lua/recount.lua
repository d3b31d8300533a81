-- Returns the sums of an hour, and what its users had, whose keys are given; what tells whether it has changed since: that and
-- how many sessions are remembered that ended in it, from ARGV[1] to ARGV[2], in milliseconds; and before when some have been
-- forgotten.
local hourly, users = KEYS[SHARED + 1], KEYS[SHARED + 2]
return {
  redis.call('HGETALL', hourly),
  redis.call('ZRANGE', users, 0, -1, 'WITHSCORES'),
  state_of(hourly, users, ARGV[1], ARGV[2]),
  redis.call('HGET', META, 'forgotten') or '-1',
}
