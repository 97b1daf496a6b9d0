-- What every script begins with.

-- Which process of Redis this is. A log whose last entry was written in another process may have lost its end: it is
-- not trusted until it was mended and sealed under a new epoch.
local RUN = string.match(redis.call('INFO', 'server'), 'run_id:(%w+)')

-- Integers below 2^53 as text; the usual conversion rounds.
local function int(number)
    return string.format('%.0f', number)
end

-- Milliseconds of this server's clock.
local function now()
    local time = redis.call('TIME')
    return tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
end

-- The end of a log, or nil where there is none. Epochs stay text: they are only compared.
local function head_of(key)
    local row = redis.call('HMGET', key, 'epoch', 'seq', 'oldest', 'snapshot', 'run')
    if not row[1] then
        return nil
    end
    -- What those who mend it count their time from: this process, or when the log was put back.
    local since = string.match(row[5] or '', '^lost:(%d+)$')
    return {
        mends = since and 'lost:' .. int(math.max(now() - tonumber(since), 0)) or RUN,
        epoch = row[1],
        seq = tonumber(row[2]),
        oldest = tonumber(row[3]),
        snapshot = tonumber(row[4] or 0),
        is_settled = row[5] == RUN,
    }
end

-- Entries from one seq to another, up to the first that is missing or beyond the bounds; at least one, if there is any.
local function page(log, from, last, entries, bytes)
    local found = {}
    while from <= last and #found < entries do
        local count = math.min(entries - #found, 128)
        local rows = redis.call('XRANGE', log, int(from) .. '-0', int(last) .. '-0', 'COUNT', count)
        if #rows == 0 then
            return found
        end
        for _, row in ipairs(rows) do
            local entry = row[2][2]
            local is_next = row[1] == int(from) .. '-0'
            if not is_next or (#entry > bytes and #found > 0) then
                return found
            end
            found[#found + 1] = entry
            bytes = bytes - #entry
            from = from + 1
        end
    end
    return found
end
