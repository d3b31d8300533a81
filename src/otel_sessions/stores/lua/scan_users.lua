-- Returns some of what users had in the hour whose key is given, about ARGV[2] of them, as JSON: users and counts, in turn; and
-- where to go on, which is ARGV[1] the next time, '0' at first and when that was all. Some may come twice.
local cursor, users = unpack(redis.call('ZSCAN', KEYS[SHARED + 1], ARGV[1], 'COUNT', ARGV[2]))
return { cursor, #users > 0 and cjson.encode(users) or '[]' }
