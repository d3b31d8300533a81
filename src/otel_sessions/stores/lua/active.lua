-- Returns the ids of the active sessions, or of those in which the user was seen.
local user = optional(ARGV[1])
if user then
  return seconds_of(USERS, user)
end
return redis.call('HKEYS', ACTIVE)
