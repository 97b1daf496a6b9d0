-- Ends the epoch of a log that another process of Redis has written, which may have lost its end: the same entries go
-- on under a new epoch, and nobody takes the old one for it. Followers go on from where they were.
-- KEYS: head. ARGV: 1 the new epoch; 2 channel of hints and 3 what is said there.
local head = head_of(KEYS[1])
if not head then
    return { 'none' }
end
local ended = redis.call('HGET', KEYS[1], 'ended') or ''
if head.is_settled then
    return { 'settled', head.epoch, head.seq, ended }
end
local fields = redis.call('HGETALL', KEYS[1])
for i = 1, #fields, 2 do
    local epoch, seq = string.match(fields[i + 1], '^(%d+):(%d+)$')
    if string.sub(fields[i], 1, 7) == 'cursor:' and epoch == head.epoch then
        redis.call('HSET', KEYS[1], fields[i], ARGV[1] .. ':' .. int(math.min(tonumber(seq), head.seq)))
    end
end
-- The newest first, and a few of them: whoever comes with an older epoch begins anew in any case.
ended = head.epoch .. ':' .. int(head.seq) .. ' ' .. ended
local kept, count = '', 0
for epoch in string.gmatch(ended, '%S+') do
    count = count + 1
    if count <= 8 then
        kept = kept .. epoch .. ' '
    end
end
redis.call('HSET', KEYS[1], 'epoch', ARGV[1], 'run', RUN, 'ended', kept)
if ARGV[2] ~= '' then
    redis.call('PUBLISH', ARGV[2], ARGV[3] .. ' ' .. ARGV[1] .. ' ' .. int(head.seq))
end
return { 'sealed', ARGV[1], head.seq, kept }
