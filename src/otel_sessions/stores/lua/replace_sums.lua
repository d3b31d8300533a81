-- Replaces the sums of the hour ARGV[5], and what its users had, and makes those of its day anew: unless something has
-- changed since ARGV[3] was said of it, or not all ARGV[6] users are there that were put aside. The keys are those of the hour,
-- of its users, of those put aside, of the day, and of the day's hours.
-- ARGV[1] and ARGV[2] are when it begins and ends, in milliseconds, ARGV[4] is for how long ended sessions are remembered;
-- from ARGV[7] on come the sums.
local hourly, users, staged, daily = unpack(KEYS, SHARED + 1, SHARED + 4)
if state_of(hourly, users, ARGV[1], ARGV[2]) ~= ARGV[3] or redis.call('ZCARD', staged) ~= tonumber(ARGV[6]) then
  redis.call('UNLINK', staged)
  return 0
end
redis.call('UNLINK', hourly, users)
for at = 7, #ARGV, 2 do
  redis.call('HSET', hourly, ARGV[at], ARGV[at + 1])
end
if tonumber(ARGV[6]) > 0 then
  redis.call('RENAME', staged, users)
end
add_up_day(daily, SHARED + 5, #KEYS)
if #ARGV > 6 then
  keep_sums(tonumber(ARGV[5]), hourly, daily, users, tonumber(ARGV[4]))
else
  drop_hours(tonumber(ARGV[5]), tonumber(ARGV[5]))
end
return 1
