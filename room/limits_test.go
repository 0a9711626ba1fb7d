package room

import (
	"fmt"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"longlink/pkg/code"
	"longlink/pkg/config"
)

func TestLoginsPerAddress(t *testing.T) {
	reg := prometheus.NewRegistry()
	a, err := newAddresses(AddressConfig{LoginsPerSecond: 2, LoginBurst: 3, Remembered: 2, Exempt: []string{"10.9.0.0/16", "192.0.2.7"}}, reg)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Unix(1_800_000_000, 0)
	times := func(n int, addr string) (ok int) {
		for range n {
			reason, retry := a.admit(limitOf(net.TCPAddrFromAddrPort(netip.AddrPortFrom(netip.MustParseAddr(addr), 1))), now)
			switch {
			case reason == "":
				ok++
			case reason != refusedLogin || retry < time.Second || retry > 5*time.Second:
				t.Errorf("%s is refused for %q, to come back in %v", addr, reason, retry)
			}
		}
		return ok
	}
	for _, c := range []struct {
		pass time.Duration
		n    int
		addr string
		want int
	}{
		{0, 10, "10.0.0.1", 3},
		{0, 10, "10.0.0.2", 3}, // has a bucket of its own
		{time.Second, 10, "10.0.0.1", 2},
		{0, 10, "::ffff:10.0.0.1", 0}, // the same one, as a dual-stack socket shows it
		{0, 100, "10.9.1.2", 100},     // exempt
		{0, 100, "192.0.2.7", 100},
		{0, 2, "2001:db8::1", 2},      // takes the place of 10.0.0.2
		{0, 9, "2001:db8::ffff:2", 1}, // the same /64
		{0, 1, "10.0.0.1", 0},         // was not forgotten
		{time.Hour, 9, "10.0.0.1", 3}, // no more than a burst after a long silence
	} {
		now = now.Add(c.pass)
		if got := times(c.n, c.addr); got != c.want {
			t.Errorf("%d logins of %s after %v: %d, want %d", c.n, c.addr, c.pass, got, c.want)
		}
	}
	if len(a.logins) != 2 || a.order.Len() != 2 {
		t.Errorf("%d addresses are remembered", len(a.logins))
	}
	if reason, _ := a.admit(limitOf(&net.UnixAddr{}), now); reason != "" {
		t.Error("a peer without an address is refused")
	}
}

func TestAddressLimitsOff(t *testing.T) {
	a, err := newAddresses(AddressConfig{LoginBurst: 1, Remembered: 1}, prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	for range 100 {
		if reason, _ := a.admit(netip.MustParseAddr("10.0.0.1"), time.Now()); reason != "" {
			t.Fatal("0 is no limit")
		}
	}
	if len(a.logins) != 0 {
		t.Error("what is not limited is remembered")
	}
}

// from connects from a loopback address of its own.
func (w *world) from(addr string, listener int) *device {
	w.t.Helper()
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(addr)}}
	c, err := d.Dial("tcp", w.room.Addresses()[listener])
	if err != nil {
		w.t.Fatal(err)
	}
	return newDevice(w.t, c)
}

func TestLoginRateIsToldWithAHint(t *testing.T) {
	w := newWorld(t, func(c *Config) {
		c.Address = AddressConfig{LoginsPerSecond: 0.001, LoginBurst: 2, Remembered: 10}
	})
	for n := range 2 {
		d := w.from("127.0.0.5", n)
		d.hello(w, fmt.Sprintf("d%d", n))
		d.welcome()
	}
	third := w.from("127.0.0.5", 1) // one bucket for all listeners
	if bye := third.bye(code.RateLimited); bye.RetryMS < 900_000 {
		t.Errorf("%+v", bye)
	}
	other := w.from("127.0.0.6", 0)
	other.hello(w, "other")
	other.welcome()
	if n := w.metric("longlink_room_refused_total", refusedLogin); n != 1 {
		t.Errorf("%v refusals are counted", n)
	}
	if n := w.metric("longlink_room_closes_total", "RATE_LIMITED"); n != 1 {
		t.Errorf("%v closes are counted", n)
	}
	if n := w.room.connections.Load(); n != 3 {
		t.Errorf("%d connections are held", n)
	}
}

func TestConnectionsPerAddress(t *testing.T) {
	w := newWorld(t, func(c *Config) {
		c.Address = AddressConfig{Connections: 2, LoginBurst: 1, Remembered: 1}
	})
	var held []*device
	for n := range 2 {
		d := w.from("127.0.0.5", n)
		d.hello(w, fmt.Sprintf("d%d", n))
		d.welcome()
		held = append(held, d)
	}
	third := w.from("127.0.0.5", 0)
	if bye := third.bye(code.RateLimited); bye.RetryMS < 10_000 {
		t.Errorf("%+v", bye)
	}
	other := w.from("127.0.0.6", 0)
	other.hello(w, "other")
	other.welcome()
	if n := w.metric("longlink_room_refused_total", refusedOpen); n != 1 {
		t.Errorf("%v refusals are counted", n)
	}
	held[0].Close()
	eventually(t, "the place is free", func() bool { return w.room.connections.Load() == 2 })
	again := w.from("127.0.0.5", 1)
	again.hello(w, "again")
	again.welcome()
	for _, d := range []*device{held[1], other, again} {
		d.Close()
	}
	limits := w.room.acceptors[0].limits
	eventually(t, "nothing is remembered of who is gone", func() bool {
		limits.mu.Lock()
		defer limits.mu.Unlock()
		return len(limits.open) == 0
	})
}

func TestFullRoomIsCounted(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.MaxConnections = 1 })
	w.login("d")
	w.dial().bye(code.ServerFull)
	if n := w.metric("longlink_room_refused_total", refusedFull); n != 1 {
		t.Errorf("%v refusals are counted", n)
	}
}

func TestBadExemptNetwork(t *testing.T) {
	all := struct {
		Room Config `yaml:"room"`
	}{DefaultConfig()}
	_, err := config.Load(&all, config.Options{Env: []string{"LONGLINK_ROOM_ADDRESS_EXEMPT=10.0.0.0/8,carrier"}})
	if err == nil || !strings.Contains(err.Error(), "room.address.exempt") || !strings.Contains(err.Error(), "carrier") {
		t.Errorf("%v", err)
	}
}

func BenchmarkAdmit(b *testing.B) {
	a, err := newAddresses(DefaultConfig().Address, prometheus.NewRegistry())
	if err != nil {
		b.Fatal(err)
	}
	now := time.Now()
	for i := 0; b.Loop(); i++ {
		a.admit(netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}), now)
	}
}
