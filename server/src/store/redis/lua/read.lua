-- A page of a room's log.
-- KEYS: head, log. ARGV: 1 epoch and 2 seq from which on, 3 entries and 4 bytes of the page.
local head = head_of(KEYS[1])
if not head then
    return { 'none' }
end
if not head.is_settled then
    return { 'unsettled', head.mends }
end
local from = math.max(tonumber(ARGV[2]), head.oldest)
local entries = {}
if head.epoch == ARGV[1] then
    entries = page(KEYS[2], from, head.seq, tonumber(ARGV[3]), tonumber(ARGV[4]))
end
return { 'ok', head.epoch, head.seq, from, entries }
