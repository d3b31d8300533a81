-- Forgets what `unite` has added up.
redis.call('UNLINK', KEYS[SHARED + 1])
