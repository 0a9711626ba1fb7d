package room

import (
	"math/rand/v2"
	"time"

	"longlink/pkg/code"
	"longlink/pkg/wire"
)

// supported are the features this version of the room announces.
const supported = wire.FeatureUpstream

// onHello hands the HELLO to the workers. ParseHello copies, so that gnet's
// buffer is free again.
func (c *conn) onHello(body []byte) {
	hello, err := wire.ParseHello(body)
	if err != nil {
		c.refuse(err)
		return
	}
	c.state = stateAuth
	c.due = c.loop.now + authPatience
	c.armAt(c.due)
	if !c.loop.room.auth.submit(authJob{c: c, hello: &hello}) {
		c.refuse(code.Errorf(code.Busy, "too many logins at once").WithRetry(busyRetry()))
	}
}

// authPatience is how long a HELLO may wait for its check, in ms; a device
// gives up about then.
const authPatience = 10_000

// busyRetry spreads the devices that are told BUSY.
func busyRetry() time.Duration {
	least := time.Duration(code.Busy.Row().RetryMS) * time.Millisecond
	return least + rand.N(2*least)
}

// refuse ends a connection that is not logged in.
func (c *conn) refuse(err *code.Error) {
	c.loop.room.metrics.logins.WithLabelValues(err.Code.String()).Inc()
	c.byeError(err)
}

// login takes the workers' answer: the session begins, WELCOME leaves at once,
// BOUND for what is refused too; register and load follow.
func (c *conn) login(d *authDone) {
	r := c.loop.room
	switch {
	case d.err != nil:
		c.refuse(d.err)
		return
	case r.stopping.Load():
		c.refuse(&code.Error{Code: code.Shutdown, Retry: time.Duration(r.comeBack()) * time.Millisecond})
		return
	}
	hello := d.job.hello
	old := r.devices.claim(c, hello.Device, hello.Epoch, time.Now())
	c.state = stateLive
	c.since = time.Now().UnixMilli()
	c.due = 0
	c.profile = c.loop.share(hello)
	r.sessions.Add(1)
	r.metrics.logins.WithLabelValues(code.OK.String()).Inc()

	beat, least, most := r.cfg.Heartbeat.interval(c.profile.network, hello.HeartbeatMS)
	c.heartbeat = beat
	b := c.gather()
	b.b = wire.AppendWelcome(b.b, &wire.Welcome{
		Version: min(hello.Version, wire.Version), Features: hello.Features & supported,
		Session: c.epoch, Room: r.self.ID,
		HeartbeatMS: beat, HeartbeatMinMS: least, HeartbeatMaxMS: most,
		MaxFrame: uint32(r.cfg.MaxFrame), Window: uint32(r.cfg.LaneWindow),
	})
	good := 0
	for i := range d.admissions {
		if d.admissions[i].err == nil {
			good++
		}
	}
	c.lanes = make([]lane, 0, good)
	for i := range d.admissions {
		if a := &d.admissions[i]; a.err != nil {
			c.bound(a.product, a.err)
		} else {
			c.addLane(a)
		}
	}
	for _, p := range d.claims {
		if c.lane(p.product) == nil {
			c.allowed = append(c.allowed, p)
		}
	}
	c.note("logged in", code.OK)
	c.reg.wanted = 1 // also without any product: the device is to be found
	c.register()
	c.visitLive(c.loop.now) // arms the heartbeat
	if old != nil {
		// After register was asked: the new session's PUT goes ahead of the old
		// one's DELETE.
		old.loop.post(taskFunc(func(l *loop) {
			defer l.guard(old)
			old.bye(code.Replaced, 0, "the device logged in on another connection")
		}))
	}
}

// endSession ends what login began: the device table forgets the connection,
// register is told, the last acks leave.
func (c *conn) endSession() {
	if c.state != stateLive {
		return
	}
	r := c.loop.room
	r.sessions.Add(-1)
	r.devices.drop(c)
	for i := range c.lanes {
		c.endLane(&c.lanes[i])
	}
	c.lanes, c.allowed = nil, nil
	c.dropUps()
	r.goners.unregister(c.device, c.epoch, c.number)
}

// share returns one profile for equal ones, of which there are few; the table
// is emptied when devices make up many.
func (l *loop) share(h *wire.Hello) *profile {
	p := profile{client: h.Client[:min(len(h.Client), maxClient)], network: parseNetwork(h.Network)}
	if shared, ok := l.profiles[p]; ok {
		return shared
	}
	if len(l.profiles) >= 1024 {
		clear(l.profiles)
	}
	l.profiles[p] = &p
	return &p
}

// maxClient is how much of a client's name is kept.
const maxClient = 128
