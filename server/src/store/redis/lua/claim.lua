-- Opens a log under an epoch unless there is one, and says which epoch is in force.
-- KEYS: head, log. ARGV: 1 epoch.
local head = head_of(KEYS[1])
if head then
    return { 'ok', head.epoch }
end
if redis.call('EXISTS', KEYS[2]) == 1 then
    return { 'headless' }
end
redis.call('HSET', KEYS[1], 'epoch', ARGV[1], 'seq', '0', 'oldest', '1', 'run', RUN)
return { 'ok', ARGV[1] }
