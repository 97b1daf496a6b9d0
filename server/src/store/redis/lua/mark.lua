-- Notes that a room is about to be written to: in the directory's index and on every follower's worklist, which lie in
-- another slot than the room. The append is done only while the mark holds, so that nothing is ever forgotten.
-- KEYS: index, and then a worklist and its marks for each follower. ARGV: 1 room, 2 '1' if it has a row, 3 how many
-- milliseconds it holds.
local ends = now() + tonumber(ARGV[3])
if ARGV[2] == '1' then
    redis.call('ZADD', KEYS[1], 0, ARGV[1])
end
for i = 2, #KEYS, 2 do
    redis.call('ZADD', KEYS[i], 0, ARGV[1])
    redis.call('HSET', KEYS[i + 1], ARGV[1], int(ends))
end
return { 'ok', ends }
