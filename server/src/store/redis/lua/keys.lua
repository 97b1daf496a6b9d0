-- Writes one key that belongs to no room's log. A command that the key does not take is left out.
-- KEYS: the key. ARGV: for each command its name, how many arguments, and these.
local at = 1
while at <= #ARGV do
    local name, count = ARGV[at], tonumber(ARGV[at + 1])
    redis.pcall(name, KEYS[1], unpack(ARGV, at + 2, at + 1 + count))
    at = at + 2 + count
end
return { 'ok' }
