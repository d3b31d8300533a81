-- Puts aside what some users had in an hour, until all are together that replace_sums puts in its place: under a key that is
-- given, for ARGV[1] milliseconds, after which whoever began it has gone. Users and counts come in turn from ARGV[2] on.
local staged = KEYS[SHARED + 1]
for at = 2, #ARGV, 2 do
  redis.call('ZADD', staged, ARGV[at + 1], ARGV[at])
end
redis.call('PEXPIRE', staged, ARGV[1])
