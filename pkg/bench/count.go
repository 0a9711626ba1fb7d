package bench

import (
	"maps"
	"slices"
	"time"
)

// fleetCount is what a worker has counted so far. Times are Unix ns.
type fleetCount struct {
	Dialed      int            `json:"dialed"`
	Open        int            `json:"open"`      // sockets
	Live        int            `json:"live"`      // logged in and not ended
	LoggedIn    int            `json:"logged_in"` // ever
	Refused     map[string]int `json:"refused"`   // ended before they were logged in, by reason
	Broken      map[string]int `json:"broken"`    // ended after
	Rebinds     int            `json:"rebinds"`
	FirstDial   int64          `json:"first_dial"`
	LastLogin   int64          `json:"last_login"`
	HeartbeatMS uint32         `json:"heartbeat_ms"` // the shortest that a room gave
	Pings       int            `json:"pings"`
	Pongs       int            `json:"pongs"`
	Login       Histogram      `json:"login"` // dial to BOUND

	Delivered     int       `json:"delivered"`   // numbers of this run, each once
	Duplicated    int       `json:"duplicated"`  // consumed again under a new seq
	Redelivered   int       `json:"redelivered"` // written again by the room; the cursor threw them away
	Foreign       int       `json:"foreign"`     // not of this run
	Acks          int       `json:"acks"`        // ACK frames; one may acknowledge several messages
	FirstDelivery int64     `json:"first_delivery"`
	LastDelivery  int64     `json:"last_delivery"`
	Latency       Histogram `json:"latency"` // API call to device
}

func newFleetCount() fleetCount {
	return fleetCount{Refused: map[string]int{}, Broken: map[string]int{}}
}

func (c *fleetCount) dialed(now time.Time) {
	c.Dialed++
	if c.FirstDial == 0 {
		c.FirstDial = now.UnixNano()
	}
}

func (c *fleetCount) granted(heartbeatMS uint32) {
	if heartbeatMS == 0 {
		heartbeatMS = 300_000
	}
	if c.HeartbeatMS == 0 || heartbeatMS < c.HeartbeatMS {
		c.HeartbeatMS = heartbeatMS
	}
}

func (c *fleetCount) delivered(sent, now time.Time) {
	c.Delivered++
	c.LastDelivery = now.UnixNano()
	if c.FirstDelivery == 0 {
		c.FirstDelivery = c.LastDelivery
	}
	c.Latency.Record(now.Sub(sent))
}

func (c *fleetCount) clone() fleetCount {
	d := *c
	d.Refused, d.Broken = maps.Clone(c.Refused), maps.Clone(c.Broken)
	d.Login.counts, d.Latency.counts = slices.Clone(c.Login.counts), slices.Clone(c.Latency.counts)
	return d
}

// merge adds another worker's count.
func (c *fleetCount) merge(o *fleetCount) {
	c.Dialed += o.Dialed
	c.Open += o.Open
	c.Live += o.Live
	c.LoggedIn += o.LoggedIn
	addAll(c.Refused, o.Refused)
	addAll(c.Broken, o.Broken)
	c.Rebinds += o.Rebinds
	c.FirstDial = earliest(c.FirstDial, o.FirstDial)
	c.LastLogin = max(c.LastLogin, o.LastLogin)
	if o.HeartbeatMS != 0 {
		c.granted(o.HeartbeatMS)
	}
	c.Pings += o.Pings
	c.Pongs += o.Pongs
	c.Login.Merge(&o.Login)
	c.Delivered += o.Delivered
	c.Duplicated += o.Duplicated
	c.Redelivered += o.Redelivered
	c.Foreign += o.Foreign
	c.Acks += o.Acks
	c.FirstDelivery = earliest(c.FirstDelivery, o.FirstDelivery)
	c.LastDelivery = max(c.LastDelivery, o.LastDelivery)
	c.Latency.Merge(&o.Latency)
}

// settled is how many devices have either logged in or been given up.
func (c *fleetCount) settled() int { return c.LoggedIn + total(c.Refused) }

func addAll(to, from map[string]int) {
	for k, v := range from {
		to[k] += v
	}
}

func total(m map[string]int) (n int) {
	for _, v := range m {
		n += v
	}
	return n
}

// earliest ignores zeros.
func earliest(a, b int64) int64 {
	if a == 0 || b != 0 && b < a {
		return b
	}
	return a
}
