-- Takes connections out of a room's list whose node is gone.
-- KEYS: the list. ARGV: the nodes that are there.
local alive = {}
for _, node in ipairs(ARGV) do
    alive[node] = true
end
if redis.call('TYPE', KEYS[1]).ok == 'zset' then
    for _, conn in ipairs(redis.call('ZRANGE', KEYS[1], 0, -1)) do
        if not alive[string.match(conn, '^(.*):[^:]*$') or conn] then
            redis.call('ZREM', KEYS[1], conn)
        end
    end
end
return { 'ok' }
