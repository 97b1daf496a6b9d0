-- Stores a room's state at a position of its log, unless there is one at least as new.
-- KEYS: head, snapshot. ARGV: 1 epoch, 2 seq, 3 state.
local head = head_of(KEYS[1])
if not head then
    return { 'ok', 0 }
end
if not head.is_settled then
    return { 'unsettled', head.mends }
end
local seq = tonumber(ARGV[2])
local has_one = redis.call('HEXISTS', KEYS[1], 'snapshot') == 1
if head.epoch ~= ARGV[1] or seq > head.seq or (has_one and head.snapshot >= seq) then
    return { 'ok', 0 }
end
redis.call('SET', KEYS[2], ARGV[3])
redis.call('HSET', KEYS[1], 'snapshot', int(seq))
return { 'ok', 1 }
