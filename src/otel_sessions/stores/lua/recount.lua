-- Returns the sums of an hour, whose key is given with that of what its users had; what tells whether either has changed since,
-- or how many sessions are remembered that ended in it, from ARGV[1] to ARGV[2], in milliseconds; and before when some have
-- been forgotten.
local hourly, users = KEYS[SHARED + 1], KEYS[SHARED + 2]
return {
  redis.call('HGETALL', hourly),
  state_of(hourly, users, ARGV[1], ARGV[2]),
  redis.call('HGET', META, 'forgotten') or '-1',
}
