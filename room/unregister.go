package room

import (
	"sync"

	"longlink/pkg/api"
	"longlink/pkg/code"
)

// Limits of what waits to be repeated. A DELETE that is lost costs little: the
// owner learns by `gone` at the next delivery.
const (
	maxGoners       = 65536
	gonerAttempts   = 8
	gonersPerSecond = 4096 // what a batcher's queue takes
)

// goner is a session that has ended and that register may still believe in.
type goner struct {
	device   string
	epoch    uint64
	number   uint64
	attempts uint8
	at       int64 // loop time of the next attempt
}

// unregistrar tells register of ended sessions and repeats what failed. Safe
// for use by many goroutines.
type unregistrar struct {
	room *Room
	mu   sync.Mutex
	wait []goner // guarded by mu
}

func newUnregistrar(r *Room) *unregistrar { return &unregistrar{room: r} }

// unregister removes the session of that epoch and no other.
func (u *unregistrar) unregister(device string, epoch, number uint64) {
	u.send(goner{device: device, epoch: epoch, number: number})
}

func (u *unregistrar) send(g goner) {
	r := u.room
	item := &api.SessionItem{Meta: &api.Meta{}, Op: api.SessionItem_OP_DELETE, Session: &api.Session{
		Device: g.device, Room: r.self.ID, RoomEpoch: r.self.Epoch, Conn: g.number, Epoch: g.epoch}}
	s, key := slotOf(g.device)
	r.calls.add()
	r.update.ToOwner(s, key, r.deadline(), item, func(_ *api.SessionResult, err *code.Error) {
		if err != nil && err.Code.Action() != code.Never {
			u.again(g, err)
		}
		r.calls.done()
	})
}

func (u *unregistrar) again(g goner, err *code.Error) {
	g.at = u.room.now() + u.room.backoff(g.attempts, err.Retry)
	g.attempts++
	u.mu.Lock()
	defer u.mu.Unlock()
	if g.attempts >= gonerAttempts || len(u.wait) >= maxGoners {
		u.room.metrics.drop(code.DropQueueFull)
		return
	}
	u.wait = append(u.wait, g)
}

// retry repeats what is due; called at every tick.
func (u *unregistrar) retry() {
	now := u.room.now()
	var due []goner
	u.mu.Lock()
	keep := u.wait[:0]
	for _, g := range u.wait {
		if g.at <= now && len(due) < gonersPerSecond {
			due = append(due, g)
		} else {
			keep = append(keep, g)
		}
	}
	clear(u.wait[len(keep):])
	u.wait = keep
	u.mu.Unlock()
	for _, g := range due {
		u.send(g)
	}
}
