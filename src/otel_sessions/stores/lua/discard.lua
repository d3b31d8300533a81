-- Removes sessions whatever they are, because nobody can read them.
for number, id in ipairs(ARGV) do
  leave(id)
  settle_export(id)
  redis.call('ZREM', ENDED, id)
  redis.call('UNLINK', KEYS[SHARED + number])
end
