-- ack: removes what the devices have consumed.
-- ARGV[3]   number of items
-- per item  slot, lane key, cursor
-- answers   {'N'} the slot does not serve   {'O', cursor cut to the clock}
local out = {}
for i = 1, tonumber(ARGV[3]) do
  local a = 4 + (i - 1) * 3
  local s, key = tonumber(ARGV[a]), KEYS[tonumber(ARGV[a + 1])]
  if serves(s) then
    local cursor = math.min(tonumber(ARGV[a + 2]), clock[s])
    trim(key, cursor)
    out[i] = {'O', str(cursor)}
  else
    out[i] = {'N'}
  end
end
return out
