package room

import "time"

// network is what the device says it is on.
type network uint8

const (
	unknownNetwork network = iota
	wifi
	wired
	cellular5g
	cellular4g
	cellular3g
	cellular2g
)

var networkNames = [...]string{"", "wifi", "wired", "5g", "4g", "3g", "2g"}

func (n network) String() string { return networkNames[n] }

// parseNetwork takes a word it does not know for no word.
func parseNetwork(s string) network {
	for i, name := range networkNames {
		if s == name {
			return network(i)
		}
	}
	return unknownNetwork
}

// interval is the heartbeat for a device that wishes for wishMS (0: no wish),
// with the bounds it may choose from later; all in ms.
func (h HeartbeatConfig) interval(n network, wishMS uint32) (ms, least, most uint32) {
	usual, longest := h.Cellular, h.Cellular
	if n == wifi || n == wired {
		usual, longest = h.Wifi, max(h.Wifi, h.WifiMax)
	}
	ms = uint32(time.Duration(usual).Milliseconds())
	most = uint32(time.Duration(longest).Milliseconds())
	least = min(uint32(time.Duration(h.Min).Milliseconds()), most)
	if wishMS > 0 {
		ms = min(max(wishMS, least), most)
	}
	return ms, least, most
}
