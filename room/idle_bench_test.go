package room

import (
	"fmt"
	"net/netip"
	"runtime"
	"syscall"
	"testing"

	"longlink/pkg/api"
	"longlink/pkg/wire"
)

// BenchmarkIdleConnection reports the room's heap per logged-in connection with
// one product. The devices are bare sockets, which cost the heap nothing.
//
//	go test -run '^$' -bench IdleConnection -benchtime 1x ./room
func BenchmarkIdleConnection(b *testing.B) {
	const devices = 2000
	for range b.N {
		w := newWorld(b, nil)
		addr := netip.MustParseAddrPort(w.room.Addresses()[0])
		w.bare(addr, "warm-up")
		w.forget()
		before := heap()
		fds := make([]int, devices)
		for i := range fds {
			fds[i] = w.bare(addr, fmt.Sprintf("device-%08d", i))
		}
		eventually(b, "all sessions are loaded", func() bool {
			w.saver.mu.Lock()
			defer w.saver.mu.Unlock()
			return len(w.saver.loads) >= devices
		})
		w.forget()
		b.ReportMetric(float64(heap()-before)/devices, "heapB/conn")
		for _, fd := range fds {
			_ = syscall.Close(fd)
		}
		w.stop()
	}
}

// bare logs a device in over a socket without any Go object behind it.
func (w *world) bare(addr netip.AddrPort, id string) int {
	w.t.Helper()
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err == nil {
		err = syscall.Connect(fd, &syscall.SockaddrInet4{Port: int(addr.Port()), Addr: addr.Addr().As4()})
	}
	if err == nil {
		_, err = syscall.Write(fd, wire.AppendHello(nil, &wire.Hello{Version: wire.Version, Device: id, Token: w.token(id, "demo"),
			Bindings: []wire.Binding{{Product: "demo"}}, Network: "wifi", Client: "bench/1"}))
	}
	if err != nil {
		w.t.Fatal(err)
	}
	eventually(w.t, "WELCOME", func() bool { return w.reg.session(id) != nil })
	return fd
}

// forget empties what the fakes remember.
func (w *world) forget() {
	w.reg.set(func(f *fakeRegister) { f.sessions, f.puts = map[string]*api.Session{}, nil })
	w.saver.set(func(f *fakeSaver) { f.loads, f.lanes = nil, map[string][]*api.LaneMessage{} })
}

func heap() uint64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
