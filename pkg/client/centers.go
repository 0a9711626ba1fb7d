package client

import (
	"errors"
	"sync/atomic"

	"longlink/pkg/code"
)

// centers are the addresses of one gateway. All calls go to the same one, until
// one of them leaves it.
type centers struct {
	urls []string // set before use
	at   atomic.Uint64
}

// chosen is one of them, and the turn in which it was chosen.
type chosen struct {
	url  string
	turn uint64
}

func (c *centers) current() chosen {
	turn := c.at.Load()
	return chosen{c.urls[turn%uint64(len(c.urls))], turn}
}

// leave moves on from a center, unless another call already has. It is false
// when there is no other one.
func (c *centers) leave(from chosen) bool {
	if len(c.urls) < 2 {
		return false
	}
	c.at.CompareAndSwap(from.turn, from.turn+1)
	return true
}

// elsewhere says whether another center may do better after this error: there
// was no answer, or one that speaks of what the center or its neighbours lack.
func elsewhere(err error) bool {
	var ae *Error
	if !errors.As(err, &ae) {
		return true
	}
	return ae.Cause.Code == code.Unavailable || ae.Cause.Code.Action() == code.OtherAddress
}
