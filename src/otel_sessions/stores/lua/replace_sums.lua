-- Replaces the sums of the hour ARGV[5], and what its users had, and makes those of its day anew: unless something has
-- changed since ARGV[3] was said of it. The keys are those of the hour, of its users, of the day, and of the day's hours.
-- ARGV[1] and ARGV[2] are when it begins and ends, in milliseconds, ARGV[4] is for how long ended sessions are remembered,
-- ARGV[6] how many arguments come of the sums, and ARGV[7] how many of the users.
local hourly, users, daily = unpack(KEYS, SHARED + 1, SHARED + 3)
if state_of(hourly, users, ARGV[1], ARGV[2]) ~= ARGV[3] then
  return 0
end
redis.call('UNLINK', hourly, users)
local first = 8
local second = first + tonumber(ARGV[6])
for at = first, second - 1, 2 do
  redis.call('HSET', hourly, ARGV[at], ARGV[at + 1])
end
for at = second, second + tonumber(ARGV[7]) - 1, 2 do
  redis.call('ZADD', users, ARGV[at + 1], ARGV[at])
end
add_up_day(daily, SHARED + 4, #KEYS)
if second > first then
  keep_sums(tonumber(ARGV[5]), hourly, daily, users, tonumber(ARGV[4]))
else
  redis.call('ZREM', HOURS, ARGV[5])
end
return 1
