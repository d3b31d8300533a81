-- Forgets the ids in ARGV as far as Redis has lost their sessions, or they have ended.
for number, id in ipairs(ARGV) do
  local session = KEYS[SHARED + number]
  if not is_active(session) then
    leave(id)
    if is_lost(session) then
      settle_export(id)
    end
  end
end
