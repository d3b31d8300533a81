-- Adds what users have in the hours whose keys are given up in the key before those: of so many whole hours that it is ARGV[1]
-- counts or more. Returns how many hours they were; and, if they were all, the ids of ended sessions whose export is owed: of
-- those that ended from ARGV[2] to ARGV[3], in milliseconds.
local union, hours = KEYS[SHARED + 1], #KEYS - SHARED - 1
local done, counts = 0, 0
while done < hours and counts < tonumber(ARGV[1]) do
  done = done + 1
  local users = redis.call('ZRANGE', KEYS[SHARED + 1 + done], 0, -1, 'WITHSCORES')
  for number = 1, #users, 2 do
    redis.call('ZINCRBY', union, -users[number + 1], users[number]) -- negative: of equals the first by name comes first
  end
  counts = counts + #users / 2
end
redis.call('PEXPIRE', union, 60 * 1000)
return { done, done == hours and unexported(ARGV[2], ARGV[3]) or {} }
