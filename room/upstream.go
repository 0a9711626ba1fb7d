package room

import (
	"slices"

	"longlink/pkg/api"
	"longlink/pkg/code"
)

// The order of upstream data, without any I/O.
//
// Per product of a connection one UP is on its way to a coordinator; what comes
// behind it waits, so that the log has the UPs in the order of their coming.
// When one is refused with a code of 1000-3999 the device sends it again, and
// whatever overtook it then would be out of order: so everything behind it is
// refused with the same answer, what waits at once and what comes later, until
// the refused up_id comes again or an UP with FlagFirst says that the device
// has nothing lower to send. A code of 4000-4999 ends its UP alone.

// maxUps is how many UPs of a connection may be unanswered: the protocol's limit.
const maxUps = 64

// upOverhead is what an UP costs the room beside its ext and payload, roughly.
const upOverhead = 512

// upSize is what a waiting UP counts for in bytes.
func upSize(it *api.UpItem) int { return upOverhead + len(it.Ext) + len(it.Payload) }

// upAnswer is what an UPACK says. The zero value: stored.
type upAnswer struct {
	code    code.Code
	retryMS uint32
}

// again is true when the device is to send the UP once more.
func (a upAnswer) again() bool { return a.code != code.OK && a.code.Action() != code.Never }

// upstream is what one connection has of unanswered UPs and of products that
// refuse. It exists only while there is any of either, or lately was.
type upstream struct {
	count int   // unanswered, of all products
	bytes int   // of these
	full  int64 // loop time at which the bucket is full again
	lines []upLine
}

// spend takes an UP's bytes out of the connection's bucket, which holds burst and
// gains rate a second (GCRA, ITU-T I.371). 0: done; else the ms until there are
// enough. An UP larger than the bucket would never pass.
func (u *upstream) spend(size int, rate, burst, now int64) (wait int64) {
	full := max(u.full, now) + int64(size)*1000/rate
	if wait = full - now - burst*1000/rate; wait > 0 {
		return wait
	}
	u.full = full
	return 0
}

// upLine is one product's UPs in the order of their coming.
type upLine struct {
	product string
	flies   bool // one is on its way
	waiting []*api.UpItem
	refused uint64   // up_id that must come again; 0: the line does not refuse
	why     upAnswer // with refused
}

// line finds a product's line, or nil. The pointer is good until open or tidy.
func (u *upstream) line(product string) *upLine {
	for i := range u.lines {
		if u.lines[i].product == product {
			return &u.lines[i]
		}
	}
	return nil
}

// open is line, made when there is none.
func (u *upstream) open(product string) *upLine {
	if ln := u.line(product); ln != nil {
		return ln
	}
	u.lines = append(u.lines, upLine{product: product})
	return &u.lines[len(u.lines)-1]
}

// tidy forgets the lines in which nothing is; true when none is left and the
// bucket is full.
func (u *upstream) tidy(now int64) bool {
	u.lines = slices.DeleteFunc(u.lines, func(ln upLine) bool { return !ln.flies && len(ln.waiting) == 0 && ln.refused == 0 })
	if len(u.lines) == 0 {
		u.lines = nil
	}
	return u.lines == nil && now >= u.full
}

// inOrder judges an UP that comes: false when the line refuses, with why as
// the answer. The one that was refused, or the device's first, ends that.
func (ln *upLine) inOrder(upID uint64, first bool) bool {
	if ln.refused != 0 && upID != ln.refused && !first {
		return false
	}
	ln.refused, ln.why = 0, upAnswer{}
	return true
}

// refuse breaks the line at an UP.
func (ln *upLine) refuse(upID uint64, why upAnswer) { ln.refused, ln.why = upID, why }

// next takes the UP whose turn it is, nil when none waits or one is on its way.
func (ln *upLine) next() *api.UpItem {
	if ln.flies || len(ln.waiting) == 0 {
		return nil
	}
	it := ln.waiting[0]
	ln.waiting = slices.Delete(ln.waiting, 0, 1)
	ln.flies = true
	return it
}
