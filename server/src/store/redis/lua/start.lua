-- Starts a room's log right after a snapshot, unless there is a log.
-- KEYS: head, log, row, snapshot. ARGV: 1 epoch, 2 seq, 3 state, 4 row, 5 '1' for a log that was lost, of which
-- others may have more: it is unsettled.
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
redis.call('HSET', KEYS[1], 'epoch', ARGV[1], 'seq', ARGV[2], 'oldest', int(tonumber(ARGV[2]) + 1), 'snapshot', ARGV[2])
if ARGV[5] == '1' then
    redis.call('HSET', KEYS[1], 'run', 'lost:' .. int(now()))
else
    -- Whatever log was here before ended at this seq: the state has everything up to there.
    redis.call('HSET', KEYS[1], 'run', RUN, 'ended', '0:' .. ARGV[2])
end
return { 'ok', 1 }
