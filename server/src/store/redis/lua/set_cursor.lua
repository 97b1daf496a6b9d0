-- Notes how far a follower has come in a room, never backwards.
-- KEYS: head. ARGV: 1 follower, 2 epoch, 3 seq.
local head = head_of(KEYS[1])
if not head then
    return { 'ok', 0 }
end
if not head.is_settled then
    return { 'unsettled', head.mends }
end
local field = 'cursor:' .. ARGV[1]
local epoch, seq = string.match(redis.call('HGET', KEYS[1], field) or '', '^(%d+):(%d+)$')
local is_back = epoch == ARGV[2] and tonumber(seq) > tonumber(ARGV[3])
if head.epoch ~= ARGV[2] or tonumber(ARGV[3]) > head.seq or is_back then
    return { 'ok', 0 }
end
redis.call('HSET', KEYS[1], field, ARGV[2] .. ':' .. ARGV[3])
return { 'ok', 1 }
