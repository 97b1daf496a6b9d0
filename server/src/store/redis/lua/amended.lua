-- What has become of entries.
-- KEYS: head, amended. ARGV: 1 epoch, 2 first seq, 3 seq before which, 4 rows at most.
local head = head_of(KEYS[1])
if not head or head.epoch ~= ARGV[1] then
    return { 'ok', {} }
end
return { 'ok', redis.call('ZRANGEBYSCORE', KEYS[2], ARGV[2], '(' .. ARGV[3], 'LIMIT', 0, ARGV[4]) }
