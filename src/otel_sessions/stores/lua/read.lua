-- Returns what is stored of each session.
local records = {}
for number = SHARED + 1, #KEYS do
  records[#records + 1] = ask(KEYS[number], 'HGETALL') or {}
end
return records
