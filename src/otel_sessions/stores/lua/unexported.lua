-- Returns the ids of the ended sessions whose export is owed, the latest end first; of those that ended from ARGV[1] to ARGV[2],
-- in milliseconds.
return unexported(ARGV[1], ARGV[2])
