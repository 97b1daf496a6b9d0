-- Takes a room off a worklist, unless a node may still be about to append on the strength of its mark.
--
-- It is asked twice: whether the last mark has ended, and, after the room's head was looked at in its own slot, to take
-- the room off if there has been no other mark since. An append in between would have needed one.
--
-- KEYS: worklist, marks. ARGV: 1 room; 2 milliseconds by which clocks of servers may differ; 3 nothing at first, and
-- then what was answered.
local mark = redis.call('HGET', KEYS[2], ARGV[1]) or '0'
if tonumber(mark) + tonumber(ARGV[2]) >= now() then
    return { 'ok', 0, mark }
end
if ARGV[3] == '' then
    return { 'ok', 1, mark }
end
if ARGV[3] ~= mark then
    return { 'ok', 0, mark }
end
redis.call('ZREM', KEYS[1], ARGV[1])
redis.call('HDEL', KEYS[2], ARGV[1])
return { 'ok', 1, mark }
