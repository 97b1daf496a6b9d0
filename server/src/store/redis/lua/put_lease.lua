-- Leaves a node's note beside a room for a while.
-- KEYS: leases. ARGV: 1 node, 2 milliseconds, 3 note.
local time, lasts = now(), 0
local rows = redis.call('HGETALL', KEYS[1])
for i = 1, #rows, 2 do
    local ends = tonumber(string.match(rows[i + 1], '^%d+'))
    if ends <= time then
        redis.call('HDEL', KEYS[1], rows[i])
    elseif rows[i] ~= ARGV[1] then
        lasts = math.max(lasts, ends)
    end
end
if ARGV[2] == '0' then
    redis.call('HDEL', KEYS[1], ARGV[1])
else
    local ends = time + tonumber(ARGV[2])
    redis.call('HSET', KEYS[1], ARGV[1], int(ends) .. ':' .. ARGV[3])
    lasts = math.max(lasts, ends)
end
if lasts > 0 then
    redis.call('PEXPIREAT', KEYS[1], int(lasts))
end
return { 'ok' }
