package register

import (
	"sync"
	"sync/atomic"

	"longlink/pkg/slot"
)

// store holds the sessions in one shard per slot. A shard's lock guards its
// map and is never held over anything that blocks.
type store struct {
	limit  int64
	count  atomic.Int64
	shards [slot.Count]shard
}

type shard struct {
	mu       sync.Mutex
	sessions map[string]*session // nil while empty
}

// get finds a session.
func (st *store) get(device string) *session {
	sh := &st.shards[slot.Of(device)]
	sh.mu.Lock()
	defer sh.mu.Unlock()
	return sh.sessions[device]
}

// put keeps n if it is the same session as the one kept or beats it, or if dead
// says that the kept one's room has ended. It returns who holds the session now
// and the one that lost its place to n. winner nil: the store is full.
func (st *store) put(device string, n *session, dead func(*session) bool) (winner, displaced *session) {
	sh := &st.shards[slot.Of(device)]
	sh.mu.Lock()
	defer sh.mu.Unlock()
	old := sh.sessions[device]
	switch {
	case old == nil:
		if st.count.Add(1) > st.limit {
			st.count.Add(-1)
			return nil, nil
		}
		if sh.sessions == nil {
			sh.sessions = make(map[string]*session)
		}
	case n.same(old):
		if n.overtaken(old) {
			return old, nil
		}
		old = nil
	case !n.beats(old) && !dead(old):
		return old, nil
	}
	sh.sessions[device] = n
	return n, old
}

// delete removes the session if it is the one given, and returns who holds it
// after that.
func (st *store) delete(device string, gone *session) (winner *session) {
	sh := &st.shards[slot.Of(device)]
	sh.mu.Lock()
	defer sh.mu.Unlock()
	old := sh.sessions[device]
	if old == nil || !old.same(gone) {
		return old
	}
	sh.remove(st, device)
	return nil
}

func (sh *shard) remove(st *store, device string) {
	delete(sh.sessions, device)
	st.count.Add(-1)
	if len(sh.sessions) == 0 {
		sh.sessions = nil
	}
}

// clear forgets a slot.
func (st *store) clear(s int) {
	sh := &st.shards[s]
	sh.mu.Lock()
	defer sh.mu.Unlock()
	st.count.Add(-int64(len(sh.sessions)))
	sh.sessions = nil
}

// deleteIf removes from every slot what old says, slot by slot.
func (st *store) deleteIf(old func(s *session) bool) (removed int) {
	for i := range st.shards {
		sh := &st.shards[i]
		sh.mu.Lock()
		for device, s := range sh.sessions {
			if old(s) {
				sh.remove(st, device)
				removed++
			}
		}
		sh.mu.Unlock()
	}
	return removed
}
