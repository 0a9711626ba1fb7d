-- Shared by every script that serves lanes; it is put in front of each.
--
-- KEYS[2i-1], KEYS[2i]  clock and gen of the i-th slot, for i = 1..ARGV[2];
--                       behind them the lanes and dedup keys, named by index
-- ARGV[1]               run id of the Redis process behind this connection
-- ARGV[2]               number of slots
--
-- A seq is a number of microseconds: it is exact in a Lua number until 2255,
-- but only '%.0f' prints it whole. Everything given to redis.call is a string.

local function str(n) return string.format('%.0f', n) end

local time = redis.call('TIME')
local now_us = tonumber(time[1]) * 1000000 + tonumber(time[2])
local now_ms = math.floor(now_us / 1000)

local run = ARGV[1]
local slots = tonumber(ARGV[2])
local clock, gen, raised = {}, {}, {}
if slots > 0 then
  local got = redis.call('MGET', unpack(KEYS, 1, 2 * slots))
  for i = 1, slots do
    clock[i] = tonumber(got[2 * i - 1] or '')
    gen[i] = got[2 * i]
  end
end

-- A slot serves only when its gen names this run.
local function serves(i) return gen[i] == run and clock[i] ~= nil end

local function raise(i, seq)
  clock[i] = seq
  raised[i] = true
end

local function store_clocks()
  for i in pairs(raised) do redis.call('SET', KEYS[2 * i - 1], str(clock[i])) end
end

-- seq, cum, size, expires_ms, collapse key, and where the body starts.
local function parse(e)
  local seq, cum, size, expires, ck, at =
    string.match(e, '^(%d+)|(%d+)|(%d+)|(%d+)|([^|]*)|()')
  return tonumber(seq), tonumber(cum), tonumber(size), tonumber(expires), ck, at
end

local function element(seq, cum, size, expires, ck, body)
  return table.concat({str(seq), str(cum), str(size), str(expires), ck, body}, '|')
end

-- Removes the heads that a cursor has passed.
local function trim(key, cursor)
  while true do
    local e = redis.call('LINDEX', key, 0)
    if not e or parse(e) > cursor then return end
    redis.call('LPOP', key)
  end
end

-- Removes the heads whose time is over and counts them.
local function drop_expired(key)
  local n = 0
  while true do
    local e = redis.call('LINDEX', key, 0)
    if not e then return n end
    local _, _, _, expires = parse(e)
    if expires > now_ms then return n end
    redis.call('LPOP', key)
    n = n + 1
  end
end

-- The key lives a minute longer than the last of its messages.
local function keep_until(key, expires)
  local left = redis.call('PTTL', key)
  if left < 0 or now_ms + left < expires + 60000 then
    redis.call('PEXPIREAT', key, str(expires + 60000))
  end
end

-- Takes the element at list index `at` out. some[i] is that element, and behind it
-- are all that follow: their running sums are set right as they move up. Sums
-- count only from the head on, so nothing follows from taking the head itself.
local function remove(key, at, some, i)
  if at == 0 then
    redis.call('LPOP', key)
    return
  end
  local _, _, gone = parse(some[i])
  for j = i + 1, #some do
    local seq, cum, size, expires, ck, body = parse(some[j])
    redis.call('LSET', key, at + j - i - 1, element(seq, cum - gone, size, expires, ck, string.sub(some[j], body)))
  end
  redis.call('RPOP', key)
end
