-- Writes readable keys of a room anew, if its log ends where they were made of.
-- KEYS: head, and then the readable keys. ARGV: 1 epoch and 2 seq of the log's end, 3 how many commands follow.
local head = head_of(KEYS[1])
if not head then
    return { 'ok', 0 }
end
if not head.is_settled then
    return { 'unsettled', RUN }
end
if head.epoch ~= ARGV[1] or head.seq ~= tonumber(ARGV[2]) then
    return { 'ok', 0 }
end
local at = 4
for _ = 1, tonumber(ARGV[3]) do
    local name, key, count = ARGV[at], KEYS[tonumber(ARGV[at + 1])], tonumber(ARGV[at + 2])
    redis.pcall(name, key, unpack(ARGV, at + 3, at + 2 + count))
    at = at + 3 + count
end
return { 'ok', 1 }
