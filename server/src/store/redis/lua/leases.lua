-- The notes beside a room that still hold: node, note and the milliseconds that are left, one after the other.
-- KEYS: leases.
local time, held = now(), {}
local rows = redis.call('HGETALL', KEYS[1])
for i = 1, #rows, 2 do
    local ends, note = string.match(rows[i + 1], '^(%d+):(.*)$')
    local left = tonumber(ends) - time
    if left > 0 then
        held[#held + 1] = rows[i]
        held[#held + 1] = note
        held[#held + 1] = left
    end
end
return { 'ok', held }
