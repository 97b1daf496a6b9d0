-- Forgets the oldest entries of a log, as far as the snapshot covers them.
-- KEYS: head, log. ARGV: 1 epoch and 2 seq before which, 3 how many at most.
local head = head_of(KEYS[1])
if not head then
    return { 'ok', 0 }
end
if not head.is_settled then
    return { 'unsettled', head.mends }
end
local before = math.min(tonumber(ARGV[2]), head.snapshot + 1, head.oldest + tonumber(ARGV[3]))
if head.epoch ~= ARGV[1] or before <= head.oldest then
    return { 'ok', head.oldest }
end
redis.call('XTRIM', KEYS[2], 'MINID', int(before) .. '-0')
redis.call('HSET', KEYS[1], 'oldest', int(before))
return { 'ok', before }
