-- Lets go of what is known of ARGV[1] sessions at most that have expired. Returns how many they were.
return trim(tonumber(ARGV[1]))
