-- Returns how often each of the users in ARGV is in what `unite` has added up.
local scores = {}
for number, user in ipairs(ARGV) do
  scores[number] = redis.call('ZSCORE', KEYS[SHARED + 1], user) or '0'
end
return scores
