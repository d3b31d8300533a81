-- Removes sessions whatever they are, because nobody can read them.
for number, id in ipairs(ARGV) do
  local session = KEYS[SHARED + number]
  leave(id)
  settle_export(id)
  let_go(note_of(session, id))
  redis.call('ZREM', ENDED, id) -- whenever it ended
  redis.call('UNLINK', session)
end
