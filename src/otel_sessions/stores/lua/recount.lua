-- Returns the sums of the hour ARGV[3], whose key is given with that of what its users had; what tells whether either has changed
-- since, or how many sessions are remembered that ended in it, from ARGV[1] to ARGV[2], in milliseconds; and before when some
-- have been forgotten. Of sums that are not in the index nobody learns who asks for them: they are none.
local hourly, users = KEYS[SHARED + 1], KEYS[SHARED + 2]
return {
  redis.call('ZSCORE', HOURS, ARGV[3]) and redis.call('HGETALL', hourly) or {},
  state_of(hourly, users, ARGV[1], ARGV[2]),
  redis.call('HGET', META, 'forgotten') or '-1',
}
