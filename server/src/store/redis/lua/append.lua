-- Appends a batch to a room's log and writes everything that goes with it, or says where the log is.
--
-- KEYS: head, log, row, amended, and then the readable keys.
-- ARGV: 1 epoch and 2 seq at which the log must end; 3 'append', or 'mend' for a batch that had been acknowledged by
-- another process; 4 until when the room's mark holds, 5 '1' if others wait for replicas, 6 channel of hints and 7 what
-- is said there, 8 entries and 9 bytes of a page; 10 'keep' or 'set' and 11 the room's row; 12 how many entries,
-- 13 amended and 14 commands follow.
local expected = tonumber(ARGV[2])
local head = head_of(KEYS[1])
if not head then
    return { 'none' }
end
local is_mending = ARGV[3] == 'mend'
if not head.is_settled and not is_mending then
    return { 'unsettled', head.mends }
end
if head.epoch ~= ARGV[1] or head.seq ~= expected or (head.is_settled and is_mending) then
    local missing = {}
    if head.epoch == ARGV[1] and expected + 1 >= head.oldest then
        missing = page(KEYS[2], expected + 1, head.seq, tonumber(ARGV[8]), tonumber(ARGV[9]))
    end
    if ARGV[5] == '1' then
        -- WAIT waits for what this connection has written: now that is at least what was read.
        redis.call('HINCRBY', KEYS[1], 'touched', 1)
    end
    return { 'conflict', head.epoch, head.seq, missing }
end
local valid_until = tonumber(ARGV[4])
if valid_until > 0 and now() > valid_until then
    return { 'late' }
end
local amended = tonumber(ARGV[13])
if amended > 0 then
    -- A script that fails halfway is not undone, so that what could fail is asked before.
    local kind = redis.call('TYPE', KEYS[4]).ok
    if kind ~= 'none' and kind ~= 'zset' then
        return redis.error_reply('WRONGTYPE ' .. KEYS[4])
    end
end

local at = 15
local seq = expected
for _ = 1, tonumber(ARGV[12]) do
    seq = seq + 1
    redis.call('XADD', KEYS[2], int(seq) .. '-0', 'e', ARGV[at])
    at = at + 1
end
redis.call('HSET', KEYS[1], 'seq', int(seq))
if ARGV[10] == 'set' then
    if ARGV[11] == '' then
        redis.call('DEL', KEYS[3])
    else
        redis.call('SET', KEYS[3], ARGV[11])
    end
end
for _ = 1, amended do
    redis.call('ZREMRANGEBYSCORE', KEYS[4], ARGV[at], ARGV[at])
    redis.call('ZADD', KEYS[4], ARGV[at], ARGV[at] .. ':' .. ARGV[at + 1])
    at = at + 2
end

-- Readable keys are projections: one that is damaged is left out and counted.
local failed = 0
for _ = 1, tonumber(ARGV[14]) do
    local name, key, count = ARGV[at], KEYS[tonumber(ARGV[at + 1])], tonumber(ARGV[at + 2])
    local done = redis.pcall(name, key, unpack(ARGV, at + 3, at + 2 + count))
    if type(done) == 'table' and done.err then
        failed = failed + 1
    end
    at = at + 3 + count
end
if ARGV[6] ~= '' then
    redis.call('PUBLISH', ARGV[6], ARGV[7] .. ' ' .. head.epoch .. ' ' .. int(seq))
end
return { 'done', head.epoch, seq, failed }
