-- Forgets those of the sessions that ended before the stamp ARGV[1]. Returns how many they were.
local forgotten = 0
for number = 2, #ARGV do
  local session, id = KEYS[SHARED + number - 1], ARGV[number]
  local ended = ask(session, 'HGET', 'z')
  if not ended or ended < ARGV[1] then
    note_forgotten(let_go(note_of(session, id)))
    -- Unless another one has had its id since it expired, that is active, or whose export is owed.
    if not is_active(session) and redis.call('HEXISTS', DEBTS, id) == 0 and not is_lost(session) then
      forgotten = forgotten + redis.call('DEL', session)
    end
  end
end
return forgotten
