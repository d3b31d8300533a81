-- Stands before every script: the names of the keys, and what several scripts do.
--
-- A session is one hash, so that Redis can lose it only as a whole:
--   b  its beginning (JSON)            l  stamp of its last activity
--   c  token of the call that made it  p  what its deadline is made of: idle ms, latest end in ms, life in ms
--   d1, d2, ...  deltas (JSON)         q  number of the last delta
--   w:<writer>  number of the writer's last merge, and of its delta
--   t  older deltas, folded into one   g  how often that was done, h  how many fields call for the next time
--   e  status, reason and time of its end (JSON), z  stamp of that time
--   k  token of the call that ended it y  its key, once it has ended
--   n  that it is in the sums of its hour, and whose it is there, if anybody's
-- A stamp is a time in nanoseconds as 20 digits: it is compared as text, for a Lua number would round it.
local FORMAT = '2'
local META, ACTIVE, COUNTS, DUE, HELD, USERS, PREVIOUS = unpack(KEYS, 1, 7)
local ENDED, EXPIRING, OWNERS, DEBTS, OWED, TAKEN, USER_COUNTS, HOURS, UNEXPORTED, ENDED_USERS = unpack(KEYS, 8, 17)
local SHARED = 17 -- the keys of single sessions come after those
local BACKSTOP = 366 * 86400 * 1000

local found = redis.call('HGET', META, 'format')
if found and found ~= FORMAT then
  return redis.error_reply('OTHERFORMAT ' .. found)
end

-- What may be absent is sent as '', or with '=' before it.
local function optional(argument)
  if argument ~= '' then
    return string.sub(argument, 2)
  end
  return nil
end

local function now_ms()
  local time = redis.call('TIME')
  return tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
end

-- Nothing lives for ever, not even where nobody comes any more.
local function refresh()
  redis.call('HSETNX', META, 'format', FORMAT)
  for number = 1, SHARED do
    redis.call('PEXPIRE', KEYS[number], BACKSTOP)
  end
end

-- Asks the hash of a session. A key that somebody has made something else is a session that is lost, and the others that are
-- asked with it are not: nil.
local function ask(session, command, ...)
  local found = redis.pcall(command, session, ...)
  if type(found) ~= 'table' or not found.err then
    return found
  elseif string.find(found.err, 'WRONGTYPE', 1, true) then
    return nil
  end
  return redis.call(command, session, ...) -- raises it
end

local function is_active(session)
  return ask(session, 'HEXISTS', 'b') == 1 and redis.call('HEXISTS', session, 'e') == 0
end

-- Whether nothing is left of a session.
local function is_lost(session)
  return redis.call('TYPE', session).ok ~= 'hash'
end

-- Members of a sorted set of pairs: all of one `first` stand together, whatever characters there are.
local function pair(first, second)
  return #first .. ':' .. first .. second
end

-- The members, each without the prefix that all of them have.
local function without(prefix, members)
  for number, member in ipairs(members) do
    members[number] = string.sub(member, #prefix + 1)
  end
  return members
end

local function seconds_of(set, first)
  local prefix = pair(first, '')
  return without(prefix, redis.call('ZRANGEBYLEX', set, '[' .. prefix, '(' .. prefix .. '\255'))
end

-- The milliseconds of a stamp.
local function ms_of(stamp)
  return tonumber(string.sub(stamp, 1, -7))
end

local function postpone(session, id, last, timing)
  local idle, at, life = unpack(cmsgpack.unpack(timing))
  if idle then
    local by_idle = ms_of(last) + idle
    at = at and math.min(at, by_idle) or by_idle
  end
  if at then
    redis.call('ZADD', DUE, at, id)
  end
  redis.call('PEXPIRE', session, life)
end

-- Who owes has a heartbeat, so that it is missed when it is gone: `sign` if there is none.
local function owe(owner, id, sign)
  redis.call('HSETNX', OWNERS, owner, (string.gsub(sign, '^0+(%d)', '%1')))
  redis.call('HSET', DEBTS, id, owner)
  redis.call('ZADD', OWED, 0, pair(owner, id))
end

local function settle(id)
  local owner = redis.call('HGET', DEBTS, id)
  if owner then
    redis.call('HDEL', DEBTS, id)
    redis.call('ZREM', OWED, pair(owner, id))
  end
end

-- Of what is owed, the export of a session that has ended stands by the time of its end, too.
local function owe_export(owner, id, ended)
  owe(owner, id, ended)
  redis.call('ZADD', UNEXPORTED, ms_of(ended), id)
end

local function settle_export(id)
  settle(id)
  redis.call('ZREM', UNEXPORTED, id)
end

-- Counts active sessions more or less of a user.
local function count_user(user, change)
  if user and tonumber(redis.call('ZINCRBY', USER_COUNTS, change, user)) <= 0 then
    redis.call('ZREM', USER_COUNTS, user)
  end
end

-- Takes a session out of the indexes of active ones; returns its key.
local function leave(id)
  local label = redis.call('HGET', ACTIVE, id)
  redis.call('ZREM', DUE, id)
  if not label then
    return nil
  end
  local kind, key, users, counted = unpack(cmsgpack.unpack(label))
  redis.call('HDEL', ACTIVE, id)
  if key and redis.call('HGET', HELD, key) == id then
    redis.call('HDEL', HELD, key)
  end
  for _, user in ipairs(users) do
    redis.call('ZREM', USERS, pair(user, id))
  end
  count_user(counted, -1)
  if redis.call('HINCRBY', COUNTS, kind, -1) <= 0 then
    redis.call('HDEL', COUNTS, kind)
  end
  return key or nil
end

-- What is noted of an ended session, so that its traces can be found when Redis has let it expire.
local function note_of(session, id)
  local ended, key, user = unpack(ask(session, 'HMGET', 'z', 'y', 'n') or {})
  return cmsgpack.pack({ id, ended or false, key or false, optional(user or '') or false })
end

-- Takes an ended session out of all indexes, by what is noted of it. Returns where it stood among the ended ones, if it did.
local function let_go(note)
  local id, ended, key, user = unpack(cmsgpack.unpack(note))
  redis.call('ZREM', EXPIRING, note)
  if user and ended then
    redis.call('ZREM', ENDED_USERS, pair(user, ended .. id))
  end
  local at = redis.call('ZSCORE', ENDED, id)
  if at and ended and tonumber(at) ~= ms_of(ended) then
    return nil -- another one has had its id since
  end
  redis.call('ZREM', ENDED, id)
  if key and redis.call('HGET', PREVIOUS, key) == id then
    redis.call('HDEL', PREVIOUS, key)
  end
  return at
end

-- Notes that a session has been forgotten which stood there among the ended ones: of what ended before it some may be gone.
local function note_forgotten(at)
  if at and tonumber(at) > tonumber(redis.call('HGET', META, 'forgotten') or '-1') then
    redis.call('HSET', META, 'forgotten', at)
  end
end

-- Takes the hours that have sums out of the index, from one to another of the same day; with the last one of the day goes what
-- is noted of it.
local function drop_hours(first, last)
  redis.call('ZREMRANGEBYSCORE', HOURS, first, last)
  local day = math.floor(first / 24)
  if redis.call('ZCOUNT', HOURS, day * 24, day * 24 + 23) == 0 then
    redis.call('ZREM', EXPIRING, cmsgpack.pack(day))
  end
end

-- Lets go of what is known of sessions, and of days, that have expired since; of so many at most that no call is slow. Returns
-- how many they were. Who wants them to be remembered for less time than those who ended them does not take them away from
-- these.
local function trim(most)
  local expired = redis.call('ZRANGEBYSCORE', EXPIRING, '-inf', now_ms(), 'LIMIT', 0, most)
  for _, note in ipairs(expired) do
    local day = cmsgpack.unpack(note)
    if type(day) == 'number' then
      drop_hours(day * 24, day * 24 + 23)
    else
      note_forgotten(let_go(note))
    end
  end
  return #expired
end

-- Keeps an ended session, which nobody owes, for `retention` milliseconds from now. It has been counted in before: that says
-- whose it is.
local function remember(session, id, retention)
  local ended, user = unpack(redis.call('HMGET', session, 'z', 'n'))
  redis.call('PEXPIRE', session, retention)
  redis.call('ZADD', ENDED, ms_of(ended), id)
  if user and user ~= '' then
    redis.call('ZADD', ENDED_USERS, 0, pair(optional(user), ended .. id))
  end
  redis.call('ZADD', EXPIRING, now_ms() + retention, note_of(session, id))
  trim(10)
end

-- Whether one text comes before another by its bytes, as Redis orders them; Lua would go by the language of the server.
local function is_before(one, other)
  for at = 1, math.min(#one, #other) do
    local left, right = string.byte(one, at), string.byte(other, at)
    if left ~= right then
      return left < right
    end
  end
  return #one < #other
end

-- How many members of a sorted set stand before a place, and whether one stands there. If it has gone since somebody saw it,
-- the place is looked for by halves among those of the same score.
local function rank_of(set, score, member)
  local found = redis.call('ZSCORE', set, member)
  if found and tonumber(found) == tonumber(score) then
    return redis.call('ZRANK', set, member), true
  end
  local low, high = redis.call('ZCOUNT', set, '-inf', '(' .. score), redis.call('ZCOUNT', set, '-inf', score)
  while low < high do
    local middle = math.floor((low + high) / 2)
    if is_before(redis.call('ZRANGE', set, middle, middle)[1], member) then
      low = middle + 1
    else
      high = middle
    end
  end
  return low, false
end

-- The ids of the ended sessions whose export is owed, of those that ended between two times in milliseconds; the latest first.
local function unexported(since, til)
  return redis.call('ZREVRANGEBYSCORE', UNEXPORTED, til, since)
end

-- Adds a whole number to a sum. Where that cannot be, as it has a fraction or would have more than 64 bits, it becomes one
-- that need not be whole: nothing that a session adds may keep the others from being counted.
local function add(tally, field, amount)
  local added = redis.pcall('HINCRBY', tally, field, amount)
  if type(added) == 'table' and added.err then
    redis.call('HINCRBYFLOAT', tally, field, amount)
  end
end

-- Of the texts that come under a field of a sum, the greatest stays.
local function keep_greatest(tally, field, text)
  local held = redis.call('HGET', tally, field)
  if not held or held < text then
    redis.call('HSET', tally, field, text)
  end
end

-- For how many milliseconds sums are kept: as long as anybody here wants sessions to be remembered, and nine days at least.
-- Hours and days are compared with those of a day and of a week before.
local function kept_sums(life)
  local longest = tonumber(redis.call('HGET', META, 'kept') or 9 * 86400 * 1000)
  if life > longest then
    longest = life
    redis.call('HSET', META, 'kept', string.format('%d', longest))
  end
  return longest
end

local function keep_for(key, life)
  if redis.call('PTTL', key) < life then
    redis.call('PEXPIRE', key, string.format('%d', life))
  end
end

-- Keeps the sums of an hour, and those of its day, if they are there. The index has the hours of a day for as long as there are
-- sums of the day. That goes by the clock of Redis: those of the machines that end sessions may be wrong by days.
local function keep_sums(hour, hourly, daily, users, life)
  local kept = kept_sums(life)
  keep_for(hourly, kept)
  keep_for(daily, kept + 86400 * 1000)
  keep_for(users, life)
  redis.call('ZADD', HOURS, hour, hour)
  redis.call('ZADD', EXPIRING, now_ms() + redis.call('PTTL', daily), cmsgpack.pack(math.floor(hour / 24)))
end

-- Makes the sums of a day anew from those of its hours, whose keys come from `first` to `last`.
local function add_up_day(daily, first, last)
  redis.call('UNLINK', daily)
  for number = first, last do
    local held = redis.call('HGETALL', KEYS[number])
    for at = 1, #held, 2 do
      local field, value = held[at], held[at + 1]
      if string.find(field, '^[^\n]*\nlongest$') then
        keep_greatest(daily, field, value)
      else
        add(daily, field, value)
      end
    end
  end
  keep_for(daily, kept_sums(0) + 86400 * 1000)
end

-- Counts an ended session into the sums of its hour and its day, and its user into those of the hour; once, however often
-- it is tried.
-- From ARGV[at] on stand the hour, the user, how many arguments come of each kind, and those: fields and what is added, as
-- whole numbers or as others, or the text that stays if it is the greatest. Returns where the next arguments stand.
local function count_in(session, hourly, daily, users, at, life)
  local hour, user, whole, part, greatest = unpack(ARGV, at, at + 4)
  local first = at + 5
  local second = first + tonumber(whole)
  local third = second + tonumber(part)
  local next = third + tonumber(greatest)
  if next == first or ask(session, 'HEXISTS', 'e') ~= 1 or redis.call('HSETNX', session, 'n', user) == 0 then
    return next
  end
  for _, tally in ipairs({ hourly, daily }) do
    for number = first, second - 1, 2 do
      add(tally, ARGV[number], ARGV[number + 1])
    end
    for number = second, third - 1, 2 do
      redis.call('HINCRBYFLOAT', tally, ARGV[number], ARGV[number + 1])
    end
    for number = third, next - 1, 2 do
      keep_greatest(tally, ARGV[number], ARGV[number + 1])
    end
  end
  if optional(user) then
    redis.call('ZINCRBY', users, 1, optional(user))
  end
  keep_sums(hour, hourly, daily, users, life)
  return next
end

-- What changes with the sums of an hour, with what its users had, or with how many sessions are remembered of it. Whatever
-- counts a user counts a session, too: of very many users it is enough to know how many there are.
local function state_of(hourly, users, since, til)
  local parts = {}
  local held = redis.call('HGETALL', hourly)
  for at = 1, #held, 2 do
    parts[#parts + 1] = pair(held[at], held[at + 1])
  end
  table.sort(parts)
  parts[#parts + 1] = redis.call('ZCARD', users)
  parts[#parts + 1] = redis.call('ZCOUNT', ENDED, since, til)
  return redis.sha1hex(table.concat(parts, '\n'))
end
