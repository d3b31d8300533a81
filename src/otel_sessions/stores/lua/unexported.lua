-- Returns the ids of the ended sessions whose export is owed.
return unexported()
