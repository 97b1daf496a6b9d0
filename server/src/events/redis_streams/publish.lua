-- Appends records of one shard to its stream, for the shard's owner alone.
-- KEYS: the owner's token, the stream. ARGV: our token, the most entries that the stream keeps, and for each record
-- room, epoch, seq, kind, JSON. Answers 1, or 0 where another node has taken the shard.
if redis.call('GET', KEYS[1]) ~= ARGV[1] then
  return 0
end
for at = 3, #ARGV, 5 do
  redis.call('XADD', KEYS[2], 'MAXLEN', '~', ARGV[2], '*', 'room', ARGV[at], 'epoch', ARGV[at + 1],
    'seq', ARGV[at + 2], 'kind', ARGV[at + 3], 'record', ARGV[at + 4])
end
return 1
