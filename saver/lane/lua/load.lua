-- load: reads a page of each lane; at login the cursor that the device brought
-- is an ack.
-- ARGV[3]   number of items
-- per item  slot, lane key, after, login (0 or 1), most messages, most bytes
-- answers   {'N'} the slot does not serve
--           {'O', clock, tail, more, cursor, expired, prev, element, ...}
local out = {}

-- A cursor from the future is cut to the clock. One within a minute of now is
-- believed: it is from a Redis that was lost, and the clock follows it.
local function settle(s, cursor)
  if cursor <= clock[s] then return cursor end
  if cursor <= now_us + 60000000 then raise(s, cursor) end
  return math.min(cursor, clock[s])
end

local function load(a)
  local s, key, after = tonumber(ARGV[a]), KEYS[tonumber(ARGV[a + 1])], tonumber(ARGV[a + 2])
  local max_count, max_bytes = tonumber(ARGV[a + 4]), tonumber(ARGV[a + 5])
  if not serves(s) then return {'N'} end
  if ARGV[a + 3] == '1' then
    after = settle(s, after)
    trim(key, after)
  end
  local expired = drop_expired(key)
  local tail = 0
  local last = redis.call('LINDEX', key, -1)
  if last then tail = parse(last) end

  local page = {'O', str(clock[s]), str(tail), 0, str(after), expired}
  local at, count, bytes, prev, len = 0, 0, 0, 0, redis.call('LLEN', key)
  while at < len do
    local chunk = redis.call('LRANGE', key, at, at + 31)
    for i = 1, #chunk do
      local seq, _, size, expires = parse(chunk[i])
      if seq > after and expires > now_ms then
        if count > 0 and (count >= max_count or bytes + size > max_bytes) then
          page[4] = 1
          return page
        end
        page[#page + 1] = str(prev)
        page[#page + 1] = chunk[i]
        count, bytes = count + 1, bytes + size
      end
      if seq <= after or expires > now_ms then prev = seq end
    end
    at = at + #chunk
  end
  return page
end

for i = 1, tonumber(ARGV[3]) do out[i] = load(4 + (i - 1) * 6) end
store_clocks()
return out
