-- append: assigns seqs and stores messages, several lanes in one call.
-- ARGV[3..6]  most messages and most bytes of a lane, life of a dedup key in
--             ms, number of items
-- per item    slot, lane key, dedup key (0: none), id, expires_ms,
--             collapse key, size, body
-- answers     {'N'} the slot does not serve          {'E'} already expired
--             {'D', 'id|seq|expires_ms'} seen before {'F', expired} full
--             {'A', seq, prev, expired, replaced seq, replaced expires_ms}
local max_count, max_bytes, dedup_ms = tonumber(ARGV[3]), tonumber(ARGV[4]), ARGV[5]
local out = {}

-- Count, bytes, and where the element with this collapse key is (0: nowhere).
local function measure(key, ck)
  local count = redis.call('LLEN', key)
  if count == 0 then return 0, 0, 0, nil end
  local _, first, size = parse(redis.call('LINDEX', key, 0))
  local _, last = parse(redis.call('LINDEX', key, -1))
  if ck ~= '' then
    local all = redis.call('LRANGE', key, 0, -1)
    for i = 1, #all do
      local _, _, _, _, c = parse(all[i])
      if c == ck then return count, last - first + size, i, all end
    end
  end
  return count, last - first + size, 0, nil
end

local function append(a)
  local s, key, dk = tonumber(ARGV[a]), KEYS[tonumber(ARGV[a + 1])], tonumber(ARGV[a + 2])
  if not serves(s) then return {'N'} end
  local seen = dk > 0 and redis.call('GET', KEYS[dk])
  if seen then return {'D', seen} end
  local id, expires, ck = ARGV[a + 3], tonumber(ARGV[a + 4]), ARGV[a + 5]
  local size, body = tonumber(ARGV[a + 6]), ARGV[a + 7]
  if expires <= now_ms then return {'E'} end

  local expired = drop_expired(key)
  local count, bytes, at, all = measure(key, ck)
  local replaced, _, freed, replaced_expires = 0, 0, 0, 0
  if at > 0 then
    replaced, _, freed, replaced_expires = parse(all[at])
    count = count - 1
  end
  if count + 1 > max_count or bytes - freed + size > max_bytes then return {'F', expired} end
  if at > 0 then remove(key, at - 1, all, at) end

  local prev, cum = 0, 0
  local last = redis.call('LINDEX', key, -1)
  if last then prev, cum = parse(last) end
  local seq = math.max(clock[s] + 1, now_us)
  raise(s, seq)
  redis.call('RPUSH', key, element(seq, cum + size, size, expires, ck, body))
  keep_until(key, expires)
  if dk > 0 then
    redis.call('SET', KEYS[dk], id .. '|' .. str(seq) .. '|' .. str(expires), 'PX', dedup_ms)
  end
  return {'A', str(seq), str(prev), expired, str(replaced), str(replaced_expires)}
end

for i = 1, tonumber(ARGV[6]) do out[i] = append(7 + (i - 1) * 8) end
store_clocks()
return out
