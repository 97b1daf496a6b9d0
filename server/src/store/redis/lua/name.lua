-- Lets a name stand for a room, and takes away the one that did before. A name that stands for another room stays.
-- KEYS: the hash of names. ARGV: 1 room, 2 the old name, 3 the new one.
if redis.call('TYPE', KEYS[1]).ok ~= 'hash' then
    redis.call('DEL', KEYS[1])
end
if ARGV[2] ~= ARGV[3] and redis.call('HGET', KEYS[1], ARGV[2]) == ARGV[1] then
    redis.call('HDEL', KEYS[1], ARGV[2])
end
if ARGV[3] ~= '' then
    redis.call('HSETNX', KEYS[1], ARGV[3], ARGV[1])
end
return { 'ok' }
