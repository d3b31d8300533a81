-- Adds deltas. Returns the numbers of the sessions that are not active, and those with many deltas: number, content.
--
-- A merge that was given up by its writer may arrive late, and after its repetition. So merges are numbered, and a
-- repetition says from which number on it takes the place of what it repeats.
local writer, merge = ARGV[1], tonumber(ARGV[2])
local slack = tonumber(ARGV[3])
local missing, long = {}, {}

-- A session is in the index under every user it had, and counts for one: whom the latest delta says, or else the first
-- that says any.
local function add_user(id, user, is_latest)
  local label = redis.call('HGET', ACTIVE, id)
  if not label then
    return
  end
  local kind, key, users, counted, is_told = unpack(cmsgpack.unpack(label))
  if redis.call('ZADD', USERS, 0, pair(user, id)) == 1 then
    users[#users + 1] = user
  end
  if counted ~= user and (is_latest or not is_told) then
    count_user(counted, -1)
    count_user(user, 1)
    counted = user
  end
  redis.call('HSET', ACTIVE, id, cmsgpack.pack({ kind, key, users, counted, true }))
end

-- Whether the session is active; then `delta` is part of it.
local function add(session, id, replaced, last, user, delta)
  local stored = ask(session, 'HMGET', 'l', 'e', 'p', 'w:' .. writer) or {}
  local before, ended, timing, written = unpack(stored)
  if not before or ended then
    return false
  end
  if written then
    local number, place = string.match(written, '^(%d+):(%d+)$')
    if merge <= tonumber(number) then
      return true
    end
    if replaced ~= '' and tonumber(number) >= tonumber(replaced) then
      redis.call('HDEL', session, 'd' .. place)
    end
  end
  local place = redis.call('HINCRBY', session, 'q', 1)
  local latest = last > before and last or before
  redis.call('HSET', session, 'd' .. place, delta, 'w:' .. writer, ARGV[2] .. ':' .. place, 'l', latest)
  postpone(session, id, latest, timing)
  if user then
    add_user(id, user, last >= before)
  end
  return true
end

for number = 1, #KEYS - SHARED do
  local session, at = KEYS[SHARED + number], 3 + (number - 1) * 5
  local id, replaced, last, user, delta = unpack(ARGV, at + 1, at + 5)
  if not add(session, id, replaced, last, optional(user), delta) then
    missing[#missing + 1] = number
  elseif redis.call('HLEN', session) > tonumber(redis.call('HGET', session, 'h') or slack) then
    long[#long + 1] = { number, redis.call('HGETALL', session) }
  end
end
return { missing, long }
