package sdk

import (
	"context"
	"errors"
	"slices"
	"time"
)

// maxGroup bounds the addresses kept, and the failed ones reported.
const maxGroup = 16

// addressBook picks the next address: the last good one, then the rest of its
// group, then a new group from the dispatcher, which hears what failed. Without
// an answer the old group goes round again. Owned by the connect goroutine.
type addressBook struct {
	ask func(ctx context.Context, failed []string) (*answer, error) // nil: no dispatcher

	group  []string
	stale  time.Time // ask again rather than use the group from here on
	good   string    // tried first
	tried  map[string]bool
	failed []string // since the last login, oldest first
}

func newAddressBook(cached, fixed []string, ask func(context.Context, []string) (*answer, error)) *addressBook {
	b := &addressBook{ask: ask, tried: map[string]bool{}}
	if len(cached) > 0 {
		b.good = cached[0]
	}
	for _, a := range append(slices.Clone(cached), fixed...) {
		if validAddress(a) && !slices.Contains(b.group, a) && len(b.group) < maxGroup {
			b.group = append(b.group, a)
		}
	}
	return b
}

// next returns an address and, when the dispatcher was asked, its answer.
func (b *addressBook) next(ctx context.Context) (string, *answer, error) {
	addr := b.untried()
	if addr != "" && (addr == b.good || b.ask == nil || time.Now().Before(b.stale)) {
		return addr, nil, nil
	}
	var ans *answer
	var err error
	if b.ask != nil {
		if ans, err = b.ask(ctx, b.failed); err == nil {
			b.group, b.stale = ans.group, time.Now().Add(ans.ttl)
			if !slices.Contains(b.group, b.good) {
				b.good = ""
			}
			clear(b.tried)
			return b.untried(), ans, nil
		}
	}
	if addr == "" {
		clear(b.tried)
		addr = b.untried()
	}
	if addr == "" {
		if err == nil {
			err = errors.New("no address is known")
		}
		return "", nil, err
	}
	return addr, nil, nil
}

func (b *addressBook) untried() string {
	if b.good != "" && !b.tried[b.good] {
		return b.good
	}
	for _, a := range b.group {
		if !b.tried[a] {
			return a
		}
	}
	return ""
}

// fail sets an address aside.
func (b *addressBook) fail(addr string) {
	b.tried[addr] = true
	b.failed = slices.DeleteFunc(b.failed, func(a string) bool { return a == addr })
	if b.failed = append(b.failed, addr); len(b.failed) > maxGroup {
		b.failed = b.failed[1:]
	}
}

// succeed notes a login.
func (b *addressBook) succeed(addr string) {
	b.good = addr
	b.failed = nil
	clear(b.tried)
}

// move takes a REDIRECT's group over and sets the address that sent it aside.
func (b *addressBook) move(from string, group []string) {
	clear(b.tried)
	b.good = ""
	var valid []string
	for _, a := range group {
		if validAddress(a) && !slices.Contains(valid, a) && len(valid) < maxGroup {
			valid = append(valid, a)
		}
	}
	b.group, b.stale = valid, time.Now().Add(time.Minute)
	if !slices.Contains(valid, from) {
		b.fail(from)
	}
}
