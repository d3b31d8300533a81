-- Returns what is stored of each session.
local records = {}
for number = SHARED + 1, #KEYS do
  records[#records + 1] = redis.call('HGETALL', KEYS[number])
end
return records
