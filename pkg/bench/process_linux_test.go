package bench

import (
	"net"
	"net/netip"
	"os"
	"testing"
	"time"
)

func TestOwnProcessIsMeasured(t *testing.T) {
	pid := os.Getpid()
	before, err := cpuOf(pid)
	if err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(20 * time.Millisecond); time.Now().Before(end); {
	}
	after, err := cpuOf(pid)
	if err != nil || after <= before {
		t.Errorf("CPU %s, then %s: %v", before, after, err)
	}
	if rss, err := residentOf(pid); err != nil || rss < 1<<20 {
		t.Errorf("resident %d: %v", rss, err)
	}
	if _, err := cpuOf(1 << 22); err == nil {
		t.Error("a process that cannot exist has a CPU clock")
	}
}

func TestListenerIsFound(t *testing.T) {
	for _, host := range []string{"127.0.0.1:0", "0.0.0.0:0", "[::]:0"} {
		lis, err := net.Listen("tcp", host)
		if err != nil {
			t.Logf("%s cannot be listened on here: %v", host, err)
			continue
		}
		port := lis.Addr().(*net.TCPAddr).AddrPort().Port()
		want := netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), port)
		other := netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), 1)
		found, err := listenersOf([]netip.AddrPort{want, other})
		if err != nil || found[want] != os.Getpid() || found[other] == os.Getpid() {
			t.Errorf("%s: %v %v, want %d", host, found, err, os.Getpid())
		}
		if err := lis.Close(); err != nil {
			t.Error(err)
		}
	}
}
