-- finish: lets rebuilt slots serve this run. Clock and gen are set together,
-- after everything else, and never while the gen already names this run.
-- ARGV[2+i]  highest seq of the i-th slot in the ledger
-- answers    per slot 'S' when it already serves, else 'O'
local out = {}
for i = 1, slots do
  if serves(i) then
    out[i] = 'S'
  else
    redis.call('SET', KEYS[2 * i - 1], str(math.max(clock[i] or 0, tonumber(ARGV[2 + i]))))
    redis.call('SET', KEYS[2 * i], run)
    out[i] = 'O'
  end
end
return out
