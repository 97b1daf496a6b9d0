-- Starts a room's log right after a snapshot, unless there is a log.
-- KEYS: head, log, row, snapshot. ARGV: 1 epoch, 2 seq, 3 state, 4 row.
if head_of(KEYS[1]) then
    return { 'ok', 0 }
end
if redis.call('EXISTS', KEYS[2]) == 1 then
    return { 'headless' }
end
redis.call('SET', KEYS[4], ARGV[3])
if ARGV[4] ~= '' then
    redis.call('SET', KEYS[3], ARGV[4])
end
-- Whatever log was here before ended at this seq: the state has everything up to there.
redis.call('HSET', KEYS[1], 'epoch', ARGV[1], 'seq', ARGV[2], 'oldest', int(tonumber(ARGV[2]) + 1), 'snapshot', ARGV[2],
    'run', RUN, 'ended', '0:' .. ARGV[2])
return { 'ok', 1 }
