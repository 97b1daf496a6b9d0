-- Appends a command to its stream, unless too many are there. KEYS: the stream. ARGV: the most entries, room, JSON.
-- Answers 1, or 0 where the stream is full.
if redis.call('XLEN', KEYS[1]) >= tonumber(ARGV[1]) then
  return 0
end
redis.call('XADD', KEYS[1], '*', 'room', ARGV[2], 'command', ARGV[3])
return 1
