-- insert: merges ledger rows into lanes while their slot is rebuilt. The same
-- call may come twice, and from two savers at once.
-- ARGV[3]   number of lanes
-- per lane  slot, lane key, ledger cursor, number of rows; then per row, in
--           order of seq: verb, seq, expires_ms, collapse key, size, body,
--           dedup key (0: none), dedup value, life of the dedup key in ms
-- verbs     '+' the message waits: insert it, in place of an older one with its
--               collapse key
--           'x' the message is gone: remove it, and older ones with its key
--           'd' only its dedup key is wanted
-- answers   per lane 'S' when the slot already serves this run: nothing was
--           touched; else 'O'
local out = {}
local row_args = 9

local function remember(a)
  local dk = tonumber(ARGV[a + 6])
  if dk == 0 then return end
  local have = redis.call('GET', KEYS[dk])
  if have then
    local seq = tonumber(string.match(have, '|(%d+)|'))
    if seq and seq >= tonumber(ARGV[a + 1]) then return end
  end
  redis.call('SET', KEYS[dk], ARGV[a + 7], 'PX', ARGV[a + 8])
end

-- True when every row is a plain message behind the lane's tail.
local function only_behind(key, cursor, a, n)
  local tail = 0
  local first = redis.call('LINDEX', key, 0)
  if first then
    if parse(first) <= cursor then return false end
    tail = parse(redis.call('LINDEX', key, -1))
  end
  for i = 0, n - 1 do
    local r = a + i * row_args
    if ARGV[r] ~= 'd' then
      local seq = tonumber(ARGV[r + 1])
      if ARGV[r] ~= '+' or ARGV[r + 3] ~= '' or seq <= tail or seq <= cursor then return false end
      tail = seq
    end
  end
  return true
end

local function push_behind(key, a, n)
  local cum = 0
  local last = redis.call('LINDEX', key, -1)
  if last then cum = select(2, parse(last)) end
  for i = 0, n - 1 do
    local r = a + i * row_args
    if ARGV[r] == '+' then
      local size, expires = tonumber(ARGV[r + 4]), tonumber(ARGV[r + 2])
      cum = cum + size
      redis.call('RPUSH', key, element(tonumber(ARGV[r + 1]), cum, size, expires, '', ARGV[r + 5]))
      keep_until(key, expires)
    end
  end
end

-- Applies one row to the lane's messages by seq and by collapse key.
local function apply(by_seq, by_key, r)
  local verb, seq, ck = ARGV[r], tonumber(ARGV[r + 1]), ARGV[r + 3]
  if ck ~= '' then
    local other = by_key[ck]
    if other and other < seq then
      by_seq[other], by_key[ck] = nil, nil
    elseif other and other > seq then
      by_seq[seq] = nil
      return
    end
  end
  if verb == 'x' then
    by_seq[seq] = nil
    if ck ~= '' and by_key[ck] == seq then by_key[ck] = nil end
  elseif verb == '+' and not by_seq[seq] then
    by_seq[seq] = {seq, tonumber(ARGV[r + 4]), tonumber(ARGV[r + 2]), ck, ARGV[r + 5]}
    if ck ~= '' then by_key[ck] = seq end
  end
end

local function merge(key, cursor, a, n)
  local by_seq, by_key = {}, {}
  local all = redis.call('LRANGE', key, 0, -1)
  for i = 1, #all do
    local seq, _, size, expires, ck, body = parse(all[i])
    by_seq[seq] = {seq, size, expires, ck, string.sub(all[i], body)}
    if ck ~= '' then by_key[ck] = seq end
  end
  for i = 0, n - 1 do
    local r = a + i * row_args
    if ARGV[r] ~= 'd' then apply(by_seq, by_key, r) end
  end
  local order = {}
  for seq in pairs(by_seq) do
    if seq > cursor then order[#order + 1] = seq end
  end
  table.sort(order)
  redis.call('DEL', key)
  local cum, latest = 0, 0
  for i = 1, #order do
    local m = by_seq[order[i]]
    cum = cum + m[2]
    latest = math.max(latest, m[3])
    redis.call('RPUSH', key, element(m[1], cum, m[2], m[3], m[4], m[5]))
  end
  if #order > 0 then keep_until(key, latest) end
end

local a = 4
for i = 1, tonumber(ARGV[3]) do
  local s, key = tonumber(ARGV[a]), KEYS[tonumber(ARGV[a + 1])]
  local cursor, n = tonumber(ARGV[a + 2]), tonumber(ARGV[a + 3])
  a = a + 4
  if serves(s) then
    out[i] = 'S'
  else
    if only_behind(key, cursor, a, n) then push_behind(key, a, n) else merge(key, cursor, a, n) end
    for j = 0, n - 1 do remember(a + j * row_args) end
    out[i] = 'O'
  end
  a = a + n * row_args
end
return out
