-- Returns the format, the time in seconds and microseconds, and what the server says of its memory, if it does.
local time = redis.call('TIME')
local memory = redis.pcall('INFO', 'memory')
return { FORMAT, time[1], time[2], type(memory) == 'string' and memory or '' }
