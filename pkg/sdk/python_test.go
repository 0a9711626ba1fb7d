package sdk

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"longlink/pkg/code"
	"longlink/pkg/wire"
)

const script = "../../scripts/device.py"

// python is a running scripts/device.py and the objects that it prints.
type python struct {
	t      *testing.T
	cmd    *exec.Cmd
	events chan map[string]any
	stderr strings.Builder
}

func startPython(t *testing.T, args ...string) *python {
	t.Helper()
	exe, err := exec.LookPath("python3")
	if err != nil {
		t.Fatalf("python3 is needed for the reference device: install it (apt-get install python3): %v", err)
	}
	p := &python{t: t, cmd: exec.Command(exe, append([]string{script}, args...)...), events: make(chan map[string]any, 1024)}
	p.cmd.Env = append(os.Environ(), "PYTHONDONTWRITEBYTECODE=1")
	p.cmd.Stderr = &p.stderr
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	read := make(chan struct{})
	go func() {
		defer close(read)
		defer close(p.events)
		for lines := bufio.NewScanner(out); lines.Scan(); {
			var e map[string]any
			d := json.NewDecoder(strings.NewReader(lines.Text()))
			d.UseNumber()
			if err := d.Decode(&e); err != nil {
				t.Errorf("the device printed %q: %v", lines.Text(), err)
			}
			p.events <- e
		}
	}()
	t.Cleanup(func() {
		if p.cmd.ProcessState == nil {
			_ = p.cmd.Process.Kill() // its end is awaited below
			<-read
			_ = p.cmd.Wait()
		}
		if t.Failed() {
			t.Logf("device.py wrote on stderr:\n%s", p.stderr.String())
		}
	})
	return p
}

// event is the next object; it must be of the type.
func (p *python) event(typ string) map[string]any {
	p.t.Helper()
	e := take(p.t, p.events, typ+" event")
	if e["type"] != typ {
		p.t.Fatalf("got %v, want %s", e, typ)
	}
	return e
}

// exit waits for the end and returns the status.
func (p *python) exit() int {
	p.t.Helper()
	for {
		if e := take(p.t, p.events, "end of output"); e == nil {
			break
		}
	}
	_ = p.cmd.Wait() // the status is looked at instead
	return p.cmd.ProcessState.ExitCode()
}

// The device that was written from docs/protocol.md alone: dead address, login,
// order, duplicates, acks, heartbeat, unknown frames, break, restart, SIGTERM.
func TestPythonDevice(t *testing.T) {
	room, conns := listen(t)
	dead, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	dead.Close()
	url, queries := dispatch(t, dead.Addr().String(), room)
	state := filepath.Join(t.TempDir(), "state.json")
	args := []string{"--dispatcher", url, "--device", "py-1", "--token", "tok", "--product", "p", "--product", "q", "--state", state}
	p := startPython(t, args...)

	r := take(t, conns, "connection")
	if q := take(t, queries, "query"); !strings.HasPrefix(q, "device=py-1&transport=tcp") {
		t.Errorf("query %s", q)
	}
	h := r.hello()
	if h.Version != 1 || h.Device != "py-1" || h.Token != "tok" || len(h.Bindings) != 2 || h.Bindings[0].Product != "p" {
		t.Fatalf("HELLO %+v", h)
	}
	r.send([]byte{0x77, 2, 1, 2}) // a frame of the future
	r.welcome(wire.Welcome{Session: 42, HeartbeatMS: 400})
	r.bound("p", 0)
	r.send(wire.AppendBound(nil, &wire.Bound{Product: "q", Code: code.Unavailable, RetryMS: 50}))
	if b, err := wire.ParseBinding(r.expect(wire.TypeBind).body); err != nil || b.Product != "q" {
		t.Fatalf("%+v, %v", b, err)
	}
	r.bound("q", 70)
	if e := p.event("connected"); e["room"] != "room-1" || e["session"] != json.Number("42") || e["device"] != "py-1" {
		t.Fatalf("%v", e)
	}

	const seq = 1_790_000_000_123_456
	r.push("p", seq, seq+1, seq, seq+1)
	for i := range uint64(2) {
		if e := p.event("message"); e["seq"] != json.Number(fmt.Sprint(seq+i)) || e["text"] != "hi" || e["product"] != "p" || e["id"] != "id" || e["broadcast"] != false {
			t.Fatalf("%v", e)
		}
	}
	acked := uint64(0)
	for acked < seq+1 {
		switch f := r.next(); f.t {
		case wire.TypeAck:
			a, err := wire.ParseAck(f.body)
			if err != nil {
				t.Fatal(err)
			}
			acked = a.Seq
		case wire.TypePing:
			r.send(wire.PongFrame)
		default:
			t.Fatalf("got %s", f.t)
		}
	}
	if b, err := os.ReadFile(state); err != nil || !strings.Contains(string(b), fmt.Sprint(seq+1)) {
		t.Fatalf("acknowledged, and the state is %s, %v", b, err)
	}
	ext := wire.AppendData(nil, "k", "v")
	big := strings.Repeat("x", 60<<10)
	r.send(wire.AppendPush(nil, &wire.Push{Flags: wire.FlagJSON, Product: []byte("q"), Seq: 71, ID: []byte("j"), Ext: ext, Payload: []byte(`{"a":[1,2]}`)}))
	r.send(wire.AppendPush(nil, &wire.Push{Product: []byte("q"), Seq: 72, ID: []byte("b"), Payload: []byte{0, 255}}))
	r.send(wire.AppendPush(nil, &wire.Push{Flags: wire.FlagText, Product: []byte("q"), ID: []byte("big"), Payload: []byte(big)})) // qos 0
	if e := p.event("message"); fmt.Sprint(e["json"]) != "map[a:[1 2]]" || fmt.Sprint(e["data"]) != "map[k:v]" {
		t.Fatalf("%v", e)
	}
	if e := p.event("message"); e["payload"] != "AP8=" {
		t.Fatalf("%v", e)
	}
	if e := p.event("message"); e["text"] != big || e["seq"] != json.Number("0") {
		t.Fatalf("seq %v", e["seq"])
	}
	for { // by and by it is quiet for the interval
		if f := r.next(); f.t == wire.TypePing {
			break
		}
	}
	r.send(wire.PingFrame)
	r.expect(wire.TypePong)

	r.close()
	if e := p.event("disconnected"); e["code"] != "UNAVAILABLE" {
		t.Fatalf("%v", e)
	}
	r = take(t, conns, "second connection")
	h = r.hello()
	if h.Epoch != 42 || h.Bindings[0].Cursor != seq+1 || h.Bindings[1].Cursor != 72 {
		t.Fatalf("HELLO %+v", h)
	}
	r.welcome(wire.Welcome{})
	r.bound("p", seq-5) // a cut
	r.bound("q", 72)
	p.event("connected")
	r.push("p", seq-1)
	p.event("message")
	r.ackUpTo(seq - 1)
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if b := r.bye(); b.Code != code.OK {
		t.Errorf("BYE %s", b.Code)
	}
	if status := p.exit(); status != 0 {
		t.Errorf("exit status %d after SIGTERM", status)
	}

	p = startPython(t, append(args, "--count-messages", "2")...)
	r = take(t, conns, "connection of the next process")
	if h := r.login(); h.Bindings[0].Cursor != seq-1 {
		t.Fatalf("cursor %d after the restart", h.Bindings[0].Cursor)
	}
	p.event("connected")
	r.push("p", seq, seq+1, seq+2)
	r.ackUpTo(seq + 1)
	if status := p.exit(); status != 0 {
		t.Errorf("exit status %d after two messages", status)
	}
	r.bye()
}

// What ends a connection, and how long the device stays away.
func TestPythonDeviceEndings(t *testing.T) {
	room, conns := listen(t)
	url, _ := dispatch(t, room)
	p := startPython(t, "--dispatcher", url, "--device", "py-2", "--token", "tok", "--product", "p")
	for _, c := range []struct {
		send []byte
		want string // in the event
		bye  code.Code
	}{
		{wire.AppendBye(nil, &wire.Bye{Code: code.Kicked, RetryMS: 20}), "KICKED", 0},
		{wire.AppendBye(nil, &wire.Bye{Code: code.Shutdown, RetryMS: 20}), "SHUTDOWN", 0},
		{wire.AppendBye(nil, &wire.Bye{Code: 2999, RetryMS: 20}), "CODE_2999", 0},
		{[]byte{8, 0xff, 0xff, 0xff}, "FRAME_TOO_LARGE", code.FrameTooLarge},
		{[]byte{8, 0xff, 0xff, 0x7f}, "FRAME_TOO_LARGE", code.FrameTooLarge},
		{[]byte{8, 3, 0, 1, 'p'}, "MALFORMED", code.Malformed},
		{wire.AppendWelcome(nil, &wire.Welcome{Version: 1}), "PROTOCOL_ERROR", code.ProtocolError},
	} {
		r := take(t, conns, "connection")
		r.login()
		p.event("connected")
		r.send(c.send)
		if e := p.event("disconnected"); e["code"] != c.want {
			t.Errorf("%x: %v", c.send, e)
		}
		if c.bye != 0 {
			if b := r.bye(); b.Code != c.bye {
				t.Errorf("%x: BYE %s", c.send, b.Code)
			}
		}
		r.close()
	}
	r := take(t, conns, "connection")
	r.hello()
	r.sayBye(code.Banned, 0)
	p.event("disconnected")
	if status := p.exit(); status != 1 {
		t.Errorf("exit status %d after BANNED", status)
	}
}

func TestPythonDeviceKnowsTheCodes(t *testing.T) {
	b, err := os.ReadFile(script)
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range code.Table {
		if entry := fmt.Sprintf("%d: %q", row.Code, row.Name); strings.Contains(string(b), entry) != row.Wire {
			t.Errorf("%s is on the wire: %v, in the script's NAMES: %v", entry, row.Wire, !row.Wire)
		}
		if row.Wire && row.RetryMS != 0 && row.RetryMS != 1000 && !strings.Contains(string(b), fmt.Sprintf("%d: %d", row.Code, row.RetryMS)) {
			t.Errorf("the script's HINTS lack %s: %d", row.Name, row.RetryMS)
		}
	}
}
