package room

import (
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"longlink/pkg/api"
	"longlink/pkg/code"
	"longlink/pkg/wire"
)

func TestTooManyLoginsAreBusy(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.AuthWorkers, c.AuthQueue = 1, 1 })
	opened := make(chan struct{})
	wait := func() { <-opened }
	w.dir.hook.Store(&wait)
	first, second := w.dial(), w.dial()
	first.hello(w, "first")
	eventually(t, "the worker has taken the first", func() bool { return len(w.room.auth.queue) == 0 && w.room.connections.Load() == 2 })
	first.ping() // also while the token is being checked
	second.hello(w, "second")
	eventually(t, "the second waits", func() bool { return len(w.room.auth.queue) == 1 })
	third := w.dial()
	third.hello(w, "third")
	if m := third.bye(code.Busy); m.RetryMS < code.Busy.Row().RetryMS {
		t.Errorf("%+v", m)
	}
	close(opened)
	first.welcome()
	second.welcome()

	fault := func() { panic("no secrets today") }
	w.dir.hook.Store(&fault)
	unlucky := w.dial()
	unlucky.hello(w, "unlucky")
	unlucky.bye(code.Internal)
	w.dir.hook.Store(nil)
	w.login("lucky").ping()
	if got := w.metric("longlink_room_logins_total", "BUSY"); got != 1 {
		t.Errorf("%v logins were told BUSY", got)
	}
}

// TestAcceptSurvivesWantOfDescriptors takes the process's descriptors away for
// a moment.
func TestAcceptSurvivesWantOfDescriptors(t *testing.T) {
	w := newWorld(t, nil)
	d := w.login("before")
	var was syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &was); err != nil {
		t.Fatal(err)
	}
	open, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	highest := 0
	for _, e := range open {
		n := 0
		for _, b := range []byte(e.Name()) {
			n = 10*n + int(b-'0')
		}
		highest = max(highest, n)
	}
	// Fill the gaps, so that only the device's own socket fits.
	var fill []int
	restore := func() {
		for _, fd := range fill {
			_ = syscall.Close(fd)
		}
		fill = nil
		if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &was); err != nil {
			t.Fatal(err)
		}
	}
	defer restore()
	tight := was
	tight.Cur = uint64(highest + 1)
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &tight); err != nil {
		t.Fatal(err)
	}
	for {
		fd, err := syscall.Dup(0)
		if err != nil {
			break
		}
		fill = append(fill, fd)
	}
	if len(fill) == 0 {
		t.Fatal("no descriptor was free")
	}
	_ = syscall.Close(fill[len(fill)-1])
	fill = fill[:len(fill)-1]
	late := w.dial()
	eventually(t, "accepting paused", func() bool { return w.metric("longlink_room_accept_pauses_total") > 0 })
	d.ping()
	restore()
	late.hello(w, "late")
	if _, _, ok := late.frame(); !ok {
		// Something else gave a descriptor back, which was enough to accept it, and
		// not for gnet's duplicate.
		w.login("late")
	}
	eventually(t, "both are counted", func() bool { return w.room.connections.Load() == 2 })
}

// TestStopIsBounded: a register that hangs does not hold the stop up.
func TestStopIsBounded(t *testing.T) {
	w := newWorld(t, nil)
	d := w.login("dev", wire.Binding{Product: "demo"})
	go d.frameUntilEnd()
	w.reg.mu.Lock()
	began := time.Now()
	w.stop()
	took := time.Since(began)
	w.reg.mu.Unlock()
	if took > 2*time.Second {
		t.Errorf("took %v", took)
	}
}

// TestUnregisterIsRepeated: a session that ends while register is away is
// removed when it is back.
func TestUnregisterIsRepeated(t *testing.T) {
	w := newWorld(t, nil)
	d := w.login("dev")
	eventually(t, "registered", func() bool { return w.reg.session("dev") != nil })
	w.reg.set(func(f *fakeRegister) { f.fail = code.Errorf(code.Unavailable, "away") })
	_ = d.Close()
	eventually(t, "the DELETE failed", func() bool {
		w.room.goners.mu.Lock()
		defer w.room.goners.mu.Unlock()
		return len(w.room.goners.wait) > 0
	})
	w.reg.set(func(f *fakeRegister) { f.fail = nil })
	eventually(t, "unregistered", func() bool { return w.reg.session("dev") == nil })
}

// TestFloodIsServedInTurns: a device that sends as fast as it can costs another
// one nothing, and gets every answer.
func TestFloodIsServedInTurns(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.Loops = 1 })
	flood, other := w.login("flood"), w.login("other")
	const pings = 100_000
	go func() {
		chunk := []byte(strings.Repeat(string(wire.PingFrame), 1000))
		for range pings / 1000 {
			if _, err := flood.Write(chunk); err != nil {
				return
			}
		}
	}()
	for range 20 {
		other.ping()
	}
	for range pings {
		flood.expect(wire.TypePong)
	}
}

func TestLoopQueue(t *testing.T) {
	r, _, _ := idleRoom(t)
	r.cfg.LoopQueue = 3
	l := r.newLoop(fakeLoop{}, 0)
	var ran []int
	note := func(n int) task { return taskFunc(func(*loop) { ran = append(ran, n) }) }
	l.offer(note(1))
	l.offer(taskFunc(func(l *loop) { l.post(note(4)); panic("a task without connection") }))
	l.offer(note(3))
	if l.offer(note(9)) {
		t.Error("a full queue took an offer")
	}
	_ = l.Run(t.Context())
	select {
	case <-l.again:
	default:
		t.Error("no wake-up for what was posted during the turn")
	}
	_ = l.Run(t.Context())
	if len(ran) != 3 || ran[0] != 1 || ran[1] != 3 || ran[2] != 4 {
		t.Errorf("ran %v", ran)
	}
	l.stop()
	if l.post(note(5)) {
		t.Error("a stopped loop took a task")
	}
}

func TestMetricNames(t *testing.T) {
	w := newWorld(t, nil)
	m := w.saver.append("dev", "demo", &api.Message{Payload: []byte("x")})
	d := w.login("dev", wire.Binding{Product: "demo"})
	d.push()
	d.ack("demo", m.Seq)
	m = w.saver.append("dev", "demo", &api.Message{AcceptedMs: time.Now().UnixMilli()})
	if _, err := w.hand("dev", "demo", m); err != nil {
		t.Fatal(err)
	}
	d.push()
	for name, want := range map[string]float64{
		"longlink_room_connections": 1, "longlink_room_sessions": 1, "longlink_room_outbound_bytes": 0, "longlink_room_parked_sessions": 0,
		"longlink_room_logins_total": 1, "longlink_room_deliveries_total": 2, "longlink_delivery_seconds": 1, "longlink_ack_seconds": 1,
	} {
		if got := w.metric(name); got != want {
			t.Errorf("%s is %v, want %v", name, got, want)
		}
	}
	w.stop()
	if got := w.metric("longlink_room_closes_total", "SHUTDOWN"); got != 1 {
		t.Errorf("closes: %v", got)
	}
}
