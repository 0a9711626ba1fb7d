-- peek: counts what waits in lanes, and whether one seq is among it.
-- ARGV[3]   number of items
-- per item  slot, lane key, seq
-- answers   {'N'} the slot does not serve   {'O', count, found (0 or 1)}
local out = {}

local function peek(key, wanted)
  local at, len, count, found = 0, redis.call('LLEN', key), 0, 0
  while at < len do
    local chunk = redis.call('LRANGE', key, at, at + 63)
    for i = 1, #chunk do
      local seq, _, _, expires = parse(chunk[i])
      if expires > now_ms then count = count + 1 end
      if seq == wanted then found = 1 end
    end
    at = at + #chunk
  end
  return {'O', count, found}
end

for i = 1, tonumber(ARGV[3]) do
  local a = 4 + (i - 1) * 3
  if serves(tonumber(ARGV[a])) then
    out[i] = peek(KEYS[tonumber(ARGV[a + 1])], tonumber(ARGV[a + 2]))
  else
    out[i] = {'N'}
  end
end
return out
