-- Puts sums in the place of the deltas they were made of, unless somebody else has done so meanwhile.
local slack, at = tonumber(ARGV[1]), 1
for number = SHARED + 1, #KEYS do
  local session = KEYS[number]
  local times, sums, fields = ARGV[at + 1], ARGV[at + 2], tonumber(ARGV[at + 3])
  if is_active(session) and (redis.call('HGET', session, 'g') or '0') == times then
    for field = at + 4, at + 3 + fields do
      redis.call('HDEL', session, ARGV[field])
    end
    redis.call('HSET', session, 't', sums, 'g', tonumber(times) + 1)
    redis.call('HSET', session, 'h', redis.call('HLEN', session) + 1 + slack)
  end
  at = at + 3 + fields
end
