-- remove: takes single messages out of their lanes.
-- ARGV[3]   number of items
-- per item  slot, lane key, seq
-- answers   {'N'} the slot does not serve   {'O', removed (0 or 1)}
local out = {}

-- A lane is in order of seq: the element is found by halving.
local function find(key, wanted)
  local from, to = 0, redis.call('LLEN', key) - 1
  while from <= to do
    local at = math.floor((from + to) / 2)
    local seq = parse(redis.call('LINDEX', key, at))
    if seq == wanted then return at end
    if seq < wanted then from = at + 1 else to = at - 1 end
  end
  return nil
end

for i = 1, tonumber(ARGV[3]) do
  local a = 4 + (i - 1) * 3
  local s, key, seq = tonumber(ARGV[a]), KEYS[tonumber(ARGV[a + 1])], tonumber(ARGV[a + 2])
  if serves(s) then
    local at = find(key, seq)
    if at then remove(key, at, redis.call('LRANGE', key, at, -1), 1) end
    out[i] = {'O', at and 1 or 0}
  else
    out[i] = {'N'}
  end
end
return out
