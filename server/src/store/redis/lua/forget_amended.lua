-- Forgets what has become of entries, as far as it is still what the caller means.
-- KEYS: head, amended. ARGV: 1 epoch, and then seqs and messages, one after the other.
local head = head_of(KEYS[1])
if not head or head.epoch ~= ARGV[1] then
    return { 'ok' }
end
for i = 2, #ARGV, 2 do
    redis.call('ZREM', KEYS[2], ARGV[i] .. ':' .. ARGV[i + 1])
end
return { 'ok' }
