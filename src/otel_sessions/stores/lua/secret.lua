-- Returns the deployment's secret: ARGV[1], if there is none yet.
redis.call('HSETNX', META, 'secret', ARGV[1])
refresh()
return redis.call('HGET', META, 'secret')
