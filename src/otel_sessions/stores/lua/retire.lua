-- Forgets the owner ARGV[1], unless it owes something.
if #seconds_of(OWED, ARGV[1]) == 0 then
  redis.call('HDEL', OWNERS, ARGV[1])
end
