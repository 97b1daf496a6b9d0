-- A room's newest snapshot and the entries after it.
-- KEYS: head, log, snapshot. ARGV: 1 entries and 2 bytes of a page.
local head = head_of(KEYS[1])
if not head then
    return { 'none', redis.call('EXISTS', KEYS[2]) }
end
if not head.is_settled then
    return { 'unsettled', head.mends }
end
local snapshot = redis.call('GET', KEYS[3]) or ''
local entries = page(KEYS[2], head.snapshot + 1, head.seq, tonumber(ARGV[1]), tonumber(ARGV[2]))
return { 'ok', head.epoch, head.seq, head.snapshot, snapshot, entries }
