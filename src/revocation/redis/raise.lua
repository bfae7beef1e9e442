-- Raises the cutoff of KEYS[1] and returns what is stored: the latest of the given cutoff, the time
-- of this server and the stored cutoff + 1, kept for the longer of both lifetimes.
--
-- ARGV: the cutoff and the lifetime. For a session, KEYS[2], that ends the other ones of its user,
-- KEYS[1], also the stamp of the session: if the session is revoked, stores nothing and returns
-- nil.
--
-- An entry without a time to live keeps none, and one beyond 2^53 stays as it is, since Lua cannot
-- add to it. An entry that is not a timestamp is replaced; a session cannot replace it.

local function read(key)
    local text = redis.pcall('GET', key)
    if type(text) == 'table' and not text.err:find('WRONGTYPE') then redis.call('GET', key) end
    if not text then return 0 end
    local cutoff = type(text) == 'string' and text:match('^%d+$') and tonumber(text)
    return cutoff and cutoff <= 2^64 and cutoff, text
end

local cutoff, keep_for, stamp = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local stored, text = read(KEYS[1])

if stamp then
    local session = read(KEYS[2])
    if not stored or not session then return 'unreadable' end
    if math.max(stored, session) >= stamp then return false end
    cutoff = math.max(cutoff, stamp)
end
if stored and stored >= 2^53 then return text end

local time = redis.call('TIME')
cutoff = math.max(cutoff, time[1] * 1000 + math.floor(time[2] / 1000))
local left = -2
if stored and text then
    cutoff = math.max(cutoff, stored + 1)
    left = redis.call('PTTL', KEYS[1])
end
text = string.format('%.0f', cutoff)
if left == -1 then
    redis.call('SET', KEYS[1], text)
else
    keep_for = string.format('%.0f', math.max(keep_for, left))
    redis.call('SET', KEYS[1], text, 'PX', keep_for)
end
return text
