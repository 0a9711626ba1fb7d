package room

import (
	"sync"
	"time"

	"longlink/pkg/slot"
)

const deviceShards = 64

// deviceTable finds the connection of a device: at most one. Safe for use by
// many goroutines.
type deviceTable struct {
	shards [deviceShards]struct {
		sync.Mutex
		m map[string]*conn
	}
}

func newDeviceTable() *deviceTable {
	t := &deviceTable{}
	for i := range t.shards {
		t.shards[i].m = map[string]*conn{}
	}
	return t
}

func (t *deviceTable) shard(device string) *struct {
	sync.Mutex
	m map[string]*conn
} {
	return &t.shards[slot.Key(device)%deviceShards]
}

// claim makes c the device's connection under a new epoch and returns the one
// it displaces, or nil. brought is the highest epoch that the device ever got.
func (t *deviceTable) claim(c *conn, device string, brought uint64, now time.Time) (old *conn) {
	s := t.shard(device)
	s.Lock()
	defer s.Unlock()
	old = s.m[device]
	c.device, c.epoch = device, nextEpoch(uint64(now.UnixMilli()), brought)
	if old != nil {
		c.epoch = max(c.epoch, old.epoch+1)
	}
	s.m[device] = c
	return old
}

// get is the device's connection, or nil.
func (t *deviceTable) get(device string) *conn {
	s := t.shard(device)
	s.Lock()
	defer s.Unlock()
	return s.m[device]
}

// drop removes c unless a newer connection has taken its place.
func (t *deviceTable) drop(c *conn) {
	s := t.shard(c.device)
	s.Lock()
	defer s.Unlock()
	if s.m[c.device] == c {
		delete(s.m, c.device)
	}
}

// snapshot lists the connections for which want is true.
func (t *deviceTable) snapshot(want func(*conn) bool) (all []*conn) {
	for i := range t.shards {
		s := &t.shards[i]
		s.Lock()
		for _, c := range s.m {
			if want(c) {
				all = append(all, c)
			}
		}
		s.Unlock()
	}
	return all
}

// nextEpoch compares across rooms: the room's clock in ms, or one more than
// what the device brought. The brought one is cut to a minute ahead of now, so
// that a made-up epoch cannot lock the device's real owner out for long.
func nextEpoch(nowMS, brought uint64) uint64 {
	return max(nowMS, min(brought, nowMS+60_000)+1)
}
