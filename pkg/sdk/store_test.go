package sdk

import (
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"longlink/pkg/code"
	"longlink/pkg/wire"
)

// gateStore is a store whose Save waits for the gate or fails.
type gateStore struct {
	*MemoryStore
	mu    sync.Mutex
	gate  chan struct{} // Save receives from it when set
	fails int
	saves []uint64 // cursor of p by Save
}

func (g *gateStore) Save(device string, s State) error {
	g.mu.Lock()
	gate := g.gate
	fail := g.fails > 0
	if fail {
		g.fails--
	}
	g.mu.Unlock()
	if gate != nil {
		<-gate
	}
	if fail {
		return errors.New("disk full")
	}
	g.mu.Lock()
	g.saves = append(g.saves, s.Products["p"].Seq)
	g.mu.Unlock()
	return g.MemoryStore.Save(device, s)
}

func (g *gateStore) shut(gate chan struct{}) {
	g.mu.Lock()
	g.gate = gate
	g.mu.Unlock()
}

func TestCursorIsStoredBeforeTheAckLeaves(t *testing.T) {
	g := &gateStore{MemoryStore: NewMemoryStore()}
	inBubble(t, func(_ *world, c *Config) { c.Store = g }, func(t *testing.T, w *world) {
		r := w.accept()
		r.login()
		synctest.Wait()
		gate := make(chan struct{})
		g.shut(gate)
		r.push("p", 1, 2, 3)
		if got := w.seqs(); len(got) != 3 {
			t.Fatalf("handled %v", got)
		}
		r.send(wire.PingFrame) // makes the device write
		r.expect(wire.TypePong)
		r.quiet(time.Minute) // consumed, but the store has not said so
		g.shut(nil)
		close(gate)
		r.ackUpTo(3)
		if s := must(g.Load("d1")); s.Products["p"].Seq != 3 {
			t.Fatalf("stored %d", s.Products["p"].Seq)
		}
		g.mu.Lock()
		defer g.mu.Unlock()
		if n := len(g.saves); n > 4 {
			t.Fatalf("%d saves for three messages that came together: %v", n, g.saves)
		}
	})
}

// The process is killed after the handler returned and before the cursor is
// stored: the successor asks for the message again. After the store it does not.
func TestKillAroundTheStore(t *testing.T) {
	for _, stored := range []bool{false, true} {
		g := &gateStore{MemoryStore: NewMemoryStore()}
		var disk State
		inBubble(t, func(_ *world, c *Config) { c.Store = g }, func(t *testing.T, w *world) {
			r := w.accept()
			r.login()
			synctest.Wait()
			gate := make(chan struct{})
			if !stored {
				g.shut(gate)
			}
			r.push("p", 7)
			synctest.Wait()
			disk = must(g.Load("d1")) // what a successor would find
			g.shut(nil)
			close(gate)
		})
		next := NewMemoryStore()
		if err := next.Save("d1", disk); err != nil {
			t.Fatal(err)
		}
		inBubble(t, func(_ *world, c *Config) { c.Store = next }, func(t *testing.T, w *world) {
			r := w.accept()
			want := uint64(0)
			if stored {
				want = 7
			}
			if h := r.login(); h.Bindings[0].Cursor != want {
				t.Fatalf("stored %v: cursor %d", stored, h.Bindings[0].Cursor)
			}
			r.push("p", 7, 8)
			r.ackUpTo(8)
			if got := w.seqs(); stored != slices.Equal(got, []uint64{8}) {
				t.Fatalf("stored %v: handled %v", stored, got)
			}
		})
	}
}

func TestStoreFailureHoldsAcksAndIsRetried(t *testing.T) {
	g := &gateStore{MemoryStore: NewMemoryStore()}
	inBubble(t, func(_ *world, c *Config) { c.Store = g }, func(t *testing.T, w *world) {
		r := w.accept()
		r.login()
		synctest.Wait()
		g.mu.Lock()
		g.fails = 3
		g.mu.Unlock()
		start := time.Now()
		r.push("p", 1)
		r.ackUpTo(1)
		if n := w.client.Stats().StoreErrors; n != 3 || time.Since(start) == 0 {
			t.Fatalf("%d store errors in %s", n, time.Since(start))
		}
	})
}

func TestConnectedWaitsForTheStore(t *testing.T) {
	g := &gateStore{MemoryStore: NewMemoryStore()}
	inBubble(t, func(_ *world, c *Config) { c.Store = g }, func(t *testing.T, w *world) {
		gate := make(chan struct{})
		g.shut(gate)
		w.accept().login()
		if got := w.log(); len(got) != 0 {
			t.Fatalf("events %v before the cursor is stored", got)
		}
		g.shut(nil)
		close(gate)
		if got := w.log(); !slices.Equal(got, []string{"connected"}) {
			t.Fatalf("events %v", got)
		}
	})
}

// What the handler finished during the stop is saved by Run itself.
func TestLastSaveAtStop(t *testing.T) {
	g := &gateStore{MemoryStore: NewMemoryStore()}
	inBubble(t, func(_ *world, c *Config) { c.Store = g }, func(t *testing.T, w *world) {
		r := w.accept()
		r.login()
		synctest.Wait()
		gate := make(chan struct{})
		g.shut(gate)
		r.push("p", 1) // its Save hangs
		synctest.Wait()
		r.push("p", 2) // waits for the next Save
		synctest.Wait()
		w.cancel()
		synctest.Wait()
		g.shut(nil)
		close(gate)
		if err := <-w.result; err != nil {
			t.Fatal(err)
		}
		w.result <- nil
		if s := must(g.Load("d1")); s.Products["p"].Seq != 2 {
			t.Fatalf("stored %d", s.Products["p"].Seq)
		}
	})
}

func TestFileStore(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "devices")
	f := NewFileStore(dir)
	if s, err := f.Load("d1"); err != nil || len(s.Products) != 0 {
		t.Fatalf("%+v, %v", s, err)
	}
	want := State{
		Epoch: 1_790_000_000_123, Resume: []byte{1, 2},
		Products:  map[string]Cursor{"p": {Seq: 1_790_000_000_123_456, HasBase: true, Base: 3, Seen: map[uint16]uint64{7: 9}}},
		Addresses: map[string][]string{"wifi": {"a:1", "b:2"}},
	}
	for range 2 {
		if err := f.Save("d1", want); err != nil {
			t.Fatal(err)
		}
	}
	got, err := f.Load("d1")
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Fatalf("got %+v, %v", got, err)
	}
	names, err := os.ReadDir(dir)
	if err != nil || len(names) != 1 || names[0].Name() != "d1.json" {
		t.Fatalf("%v, %v", names, err)
	}
	if err := os.WriteFile(filepath.Join(dir, "d1.json"), []byte(`{"epo`), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := f.Load("d1"); err == nil || !strings.Contains(err.Error(), "damaged") {
		t.Fatalf("a damaged state: %v", err)
	}
	if err := f.Save("../x", State{}); err == nil {
		t.Fatal("a device name left the directory")
	}
}

func TestBackoff(t *testing.T) {
	b := Backoff{}.or(defaultBackoff)
	for n, want := range map[int]time.Duration{1: 500 * time.Millisecond, 2: time.Second, 4: 4 * time.Second, 8: time.Minute, 1000: time.Minute} {
		if d := b.delay(n, 0); d != want {
			t.Errorf("delay(%d) = %s, want %s", n, d, want)
		}
		if d := b.delay(n, 0.999999); d < want/2-time.Millisecond {
			t.Errorf("delay(%d) with full jitter = %s", n, d)
		}
	}
	if d := (Backoff{Base: 1, Max: 1, Jitter: 7}).or(defaultBackoff); d.Base < time.Millisecond || d.Jitter != 0.5 {
		t.Errorf("%+v", d)
	}
	if h := hint(code.Code(2999), 0); h != time.Second {
		t.Errorf("an unknown retry-after code pauses %s", h)
	}
	if h := hint(code.Replaced, ^uint32(0)); h != maxHint {
		t.Errorf("a hint of weeks pauses %s", h)
	}
}
