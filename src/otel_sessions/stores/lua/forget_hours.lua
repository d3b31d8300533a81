-- Forgets the sums whose keys are given, and the hours before ARGV[1].
for number = SHARED + 1, #KEYS do
  redis.call('DEL', KEYS[number])
end
redis.call('ZREMRANGEBYSCORE', HOURS, '-inf', '(' .. ARGV[1])
