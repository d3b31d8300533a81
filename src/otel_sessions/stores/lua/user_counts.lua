-- Returns how many sessions users have in the hours whose keys are given: of so many whole hours that it is ARGV[1] counts or
-- more. First how many hours they were, which is none if the first has more users than that; then users and counts, in turn, as
-- JSON; and, if they were all and it is asked for, the ids of ended sessions whose export is owed: of those that ended from
-- ARGV[2] to ARGV[3], in milliseconds.
local done, counts, found, most = 0, 0, {}, tonumber(ARGV[1])
while SHARED + done < #KEYS and counts < most do
  local key = KEYS[SHARED + done + 1]
  if redis.call('ZCARD', key) > most then
    break
  end
  done = done + 1
  local users = redis.call('ZRANGE', key, 0, -1, 'WITHSCORES')
  if #users > 0 then -- or it would be written as an object
    found[#found + 1] = cjson.encode(users)
  end
  counts = counts + #users / 2
end
return { done, found, ARGV[2] and SHARED + done == #KEYS and unexported(ARGV[2], ARGV[3]) or {} }
