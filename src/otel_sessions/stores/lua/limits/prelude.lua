-- Stands before every script of limits: how a count goes up, and how time takes it down again.
--
-- This is what otel_sessions/_counting/counters.py says, in the same order; one contract suite holds both to it. A bucket
-- is one value: its state and its pace, packed. Times are microseconds, which a Lua number holds exactly.
--
-- KEYS: of each bucket its own, and if it is of a group, three sets of the group: by the share that is used, by the time
-- when nothing of it counts any more, by the time when it will be full. The group that a bucket was of before is known
-- by what is stored: its keys stand on the same node.
-- ARGV: the time or '', then each bucket as JSON: its strategy, the amount, the holder, whether it is enforced, whether
-- it is of a group, and capacity, length, start, step, time to keep and half-life, null where there is none.
-- Replies are one line of numbers, '-' where there is none: the time, whether all was admitted, and for each bucket
-- whether there was room, what is used, when that begins to go down, when there will be room, and the pace.
local now
if ARGV[1] == '' then
  local time = redis.call('TIME')
  now = tonumber(time[1]) * 1000000 + tonumber(time[2])
else
  now = tonumber(ARGV[1])
end

local function text(number)
  return number and string.format('%.17g', number) or '-'
end

local function given(number)
  return number ~= cjson.null and number or nil
end

local function fits(used, amount, capacity)
  if not capacity or amount <= 0 then
    return true
  end
  local total = used + amount
  if total <= capacity then
    return true
  end
  return total % 1 ~= 0 and total - capacity <= capacity * 1e-9
end

local fixed, moving, sliding, slots = {}, {}, {}, {}
local DAY, LONGEST_GRACE = 86400000000, 3600000000

-- For how long a period of the calendar is kept after its end, and after its last use: the clocks of those who begin
-- periods may be behind.
local function grace(bucket)
  return bucket.start and math.min(bucket.length, LONGEST_GRACE) or 0
end

function fixed.advance(state, bucket)
  state[1], state[2] = state[1] or 0, state[2] or 0
  if not bucket.length then
    return
  end
  local start, begins, stale = state[1], bucket.start or now, nil
  if bucket.start then
    stale = begins > start or start - begins > math.max(bucket.length, DAY)
  else
    stale = now >= start + bucket.length or start > now + bucket.length
  end
  if stale then
    state[1], state[2] = begins, 0
  end
end

function fixed.used(state)
  return state[2]
end

function fixed.add(state, bucket)
  if not bucket.length or (not bucket.start and state[2] == 0) then
    state[1] = now
  end
  state[2] = math.max(0, state[2] + bucket.amount)
end

function fixed.resets(state, bucket)
  return bucket.length and state[1] + bucket.length
end

function fixed.retry(state, bucket)
  return fits(0, bucket.amount, bucket.capacity) and fixed.resets(state, bucket) or nil
end

function fixed.expires(state, bucket)
  return state[1] + (bucket.length or bucket.keep)
end

function moving.advance(state, bucket)
  if #state > 0 and state[#state][1] > now + bucket.length then
    for place = #state, 1, -1 do
      state[place] = nil
    end
  end
  local limit, kept, count = now - bucket.length - bucket.step, 0, #state
  local gone = 0
  while gone < count and state[gone + 1][1] <= limit do
    gone = gone + 1
  end
  if gone > 0 then
    for place = 1, count do
      state[place] = state[place + gone]
    end
  end
end

function moving.used(state)
  local total = 0
  for _, entry in ipairs(state) do
    total = total + entry[2]
  end
  return total
end

function moving.add(state, bucket)
  local amount = bucket.amount
  if amount < 0 then
    amount = -amount
    for place = #state, 1, -1 do
      local taken = math.min(amount, state[place][2])
      state[place][2] = state[place][2] - taken
      amount = amount - taken
    end
    return
  end
  local at = bucket.step > 0 and now - now % bucket.step or now
  if #state > 0 and state[#state][1] >= at then
    state[#state][2] = state[#state][2] + amount
  elseif amount > 0 then
    state[#state + 1] = { at, amount }
  end
end

function moving.resets(state, bucket)
  return state[1] and state[1][1] + bucket.step + bucket.length
end

function moving.retry(state, bucket)
  if not fits(0, bucket.amount, bucket.capacity) then
    return nil
  end
  local rest = moving.used(state)
  for _, entry in ipairs(state) do
    rest = rest - entry[2]
    if fits(rest, bucket.amount, bucket.capacity) then
      return entry[1] + bucket.step + bucket.length
    end
  end
  return nil
end

function moving.expires(state, bucket)
  local newest = #state > 0 and state[#state][1] or now
  return newest + bucket.step + bucket.length
end

function sliding.advance(state, bucket)
  state[1], state[2], state[3] = state[1] or 0, state[2] or 0, state[3] or 0
  local start = now - now % bucket.length
  if start == state[1] + bucket.length then
    state[1], state[2], state[3] = start, state[3], 0
  elseif start > state[1] or state[1] > start + bucket.length then
    state[1], state[2], state[3] = start, 0, 0
  end
end

function sliding.used(state, bucket)
  local reaches = math.min(bucket.length, math.max(0, state[1] + bucket.length - now))
  return math.floor(state[2] * reaches / bucket.length) + state[3]
end

function sliding.add(state, bucket)
  state[3] = math.max(0, state[3] + bucket.amount)
end

function sliding.resets(state, bucket)
  return state[1] + bucket.length
end

local function shrunk(room, count, length)
  if count == 0 then
    return length
  end
  return math.min(length, math.max(0, math.ceil((room + 1) * length / count) - 1))
end

function sliding.retry(state, bucket)
  if not bucket.capacity or not fits(0, bucket.amount, bucket.capacity) then
    return nil
  end
  local room, over = bucket.capacity - bucket.amount, state[1] + bucket.length
  if state[3] <= room then
    return over - shrunk(room - state[3], state[2], bucket.length)
  end
  return over + bucket.length - shrunk(room, state[3], bucket.length)
end

function sliding.expires(state, bucket)
  return state[1] + 2 * bucket.length
end

function slots.advance(state, bucket)
  local latest = now + bucket.length
  for place = #state, 1, -1 do
    if state[place][2] <= now then
      table.remove(state, place)
    elseif state[place][2] > latest then
      state[place][2] = latest
    end
  end
end

function slots.used(state)
  return #state
end

local function held(state, holder)
  for place, slot in ipairs(state) do
    if slot[1] == holder then
      return place
    end
  end
  return nil
end

function slots.add(state, bucket)
  local place = held(state, bucket.holder)
  if bucket.amount < 0 then
    if place then
      table.remove(state, place)
    end
  elseif bucket.amount > 0 then
    state[place or #state + 1] = { bucket.holder, now + bucket.length }
  end
end

function slots.resets(state)
  local first = nil
  for _, slot in ipairs(state) do
    first = math.min(first or slot[2], slot[2])
  end
  return first
end

function slots.retry(state, bucket)
  return fits(0, 1, bucket.capacity) and slots.resets(state) or nil
end

function slots.expires(state)
  local last = now
  for _, slot in ipairs(state) do
    last = math.max(last, slot[2])
  end
  return last
end

local STRATEGIES = { fixed = fixed, moving = moving, sliding = sliding, slots = slots }

local function has_room(bucket)
  if bucket.strategy == slots and held(bucket.state, bucket.holder) then
    return true
  end
  return fits(bucket.strategy.used(bucket.state, bucket), bucket.amount, bucket.capacity)
end

-- A bucket as it is now, and whether it is of a group. What another strategy has left counts as none.
local function look(key, argument)
  local kind, amount, holder, enforced, grouped, capacity, length, start, step, keep, life = unpack(cjson.decode(argument))
  local bucket = {
    key = key, kind = kind, strategy = STRATEGIES[kind], amount = amount, holder = holder, enforced = enforced,
    capacity = given(capacity), length = given(length), start = given(start), step = step, keep = keep,
    life = given(life), state = {}, pace = nil,
  }
  local stored = redis.call('GET', key)
  if stored then
    local before, state, pace, group = unpack(cmsgpack.unpack(stored))
    if before == kind then
      bucket.state, bucket.pace = state, pace or nil
    end
    bucket.group = group
  end
  bucket.strategy.advance(bucket.state, bucket)
  return bucket, grouped
end

-- The buckets that are asked for, one after the other, each as it is then.
local function buckets()
  local key, at = 1, 1
  return function()
    at = at + 1
    if not ARGV[at] then
      return nil
    end
    local bucket, grouped = look(KEYS[key], ARGV[at])
    key = key + 1
    if grouped then
      bucket.shares, bucket.ends, bucket.fulls = unpack(KEYS, key, key + 2)
      key = key + 3
    end
    return bucket
  end
end

local replies = { text(now), '1' }

local function reply(bucket, room, retry)
  local pace = bucket.pace or {}
  replies[#replies + 1] = table.concat({
    room and '1' or '0', text(bucket.strategy.used(bucket.state, bucket)),
    text(bucket.strategy.resets(bucket.state, bucket)), text(retry), text(pace[1]), text(pace[2]), text(pace[3]),
  }, ' ')
end

local function pack(bucket)
  return cmsgpack.pack({ bucket.kind, bucket.state, bucket.pace or false, bucket.shares or false })
end

local function paced(bucket)
  local known = bucket.pace
  if not known or known[2] > now + bucket.life then
    return { 0, now, now }
  end
  local age = math.max(0, now - known[2])
  return { math.max(0, known[1] * 0.5 ^ (age / bucket.life) + bucket.amount), known[2] + age, known[3] }
end

-- In how many microseconds it will be full, as otel_sessions/_counting/forecast.py says; nil if it will not be.
local function full(bucket, used)
  local known = bucket.pace
  if not known or not bucket.capacity or used >= bucket.capacity then
    return nil
  end
  local watched = now - known[3]
  if watched < 0.25 * bucket.life or known[1] <= 0 then
    return nil
  end
  local rate = known[1] * 0.5 ^ ((now - known[2]) / bucket.life) * math.log(2) / bucket.life / (1 - 0.5 ^ (watched / bucket.life))
  local left = (bucket.capacity - used) / rate
  if not bucket.length then
    return left
  end
  if bucket.kind ~= 'fixed' then
    return rate * bucket.length > bucket.capacity and left or nil
  end
  local rest = math.max(0, fixed.resets(bucket.state, bucket) - now)
  if left <= rest then
    return left
  end
  local anew = bucket.capacity / rate
  return anew <= bucket.length and rest + anew or nil
end

-- Takes a bucket out of a group, whose set of shares is named.
local function leave(shares, key)
  local group = string.sub(shares, 1, -#'shares' - 1)
  for _, set in ipairs({ 'shares', 'ends', 'fulls' }) do
    redis.call('ZREM', group .. set, key)
  end
end

-- Tells the group how a bucket stands. Whether the group did not know it, and in how many microseconds it will be full.
local function rank(bucket, used)
  local share = bucket.capacity > 0 and used / bucket.capacity or (used > 0 and 1 or 0)
  local is_new = redis.call('ZADD', bucket.shares, text(share), bucket.key) == 1
  local left = full(bucket, used)
  if left then
    redis.call('ZADD', bucket.fulls, text(now + left), bucket.key)
  else
    redis.call('ZREM', bucket.fulls, bucket.key)
  end
  return is_new, left
end

-- Puts the amount into its bucket, and writes that down.
local function put(bucket)
  bucket.strategy.add(bucket.state, bucket)
  if bucket.life then
    bucket.pace = paced(bucket)
  end
  local expires = bucket.strategy.expires(bucket.state, bucket)
  local life = math.ceil((math.max(0, expires - now) + grace(bucket)) / 1000)
  if bucket.group and (bucket.group ~= bucket.shares or life < 1) then
    leave(bucket.group, bucket.key)
  end
  if life < 1 then
    redis.call('DEL', bucket.key)
    return
  end
  redis.call('SET', bucket.key, pack(bucket), 'PX', string.format('%.0f', life))
  if not bucket.shares then
    return
  end
  local is_new, left = rank(bucket, bucket.strategy.used(bucket.state, bucket))
  redis.call('ZADD', bucket.ends, text(expires), bucket.key)
  if is_new or left then
    -- Nothing lives for ever, not even where nobody comes any more. What ends together has a group of its own.
    local lives = bucket.start and string.format('%.0f', life) or 366 * 86400 * 1000
    for _, set in ipairs({ bucket.shares, bucket.ends, bucket.fulls }) do
      redis.call('PEXPIRE', set, lives)
    end
  end
  if is_new then
    -- More go than come, also where nobody asks how the group stands.
    for _, key in ipairs(redis.call('ZRANGEBYSCORE', bucket.ends, '-inf', text(now), 'LIMIT', 0, 2)) do
      leave(bucket.shares, key)
    end
  end
end
