package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"longlink/pkg/testenv"
)

// Line is one line that a device process prints.
type Line struct {
	Type    string `json:"type"`
	Device  string `json:"device"`
	Product string `json:"product"`
	ID      string `json:"id"`
	Seq     uint64 `json:"seq"`
	Text    string `json:"text"`
	Code    string `json:"code"`
	Kind    string `json:"kind"`
}

// Device is a device in a process of its own: the Go one of the CLI or the one
// in Python.
type Device struct {
	t    testing.TB
	cmd  testenv.Command
	run  *testenv.Process
	from int // lines of earlier runs
}

// GoDevice is `longlink device` with a state directory of its own.
func (g *Gateway) GoDevice(t testing.TB, id string, args ...string) *Device {
	return newDevice(t, g.binary, id, append(append([]string{"--dispatcher", g.Dispatcher()}, args...), g.Flags...)...)
}

func newDevice(t testing.TB, binary, id string, args ...string) *Device {
	args = append([]string{"device", "--id", id, "--json"}, args...)
	return &Device{t: t, cmd: testenv.Command{Path: binary, Args: args, Log: filepath.Join(t.TempDir(), id+".out")}}
}

// PythonDevice is scripts/device.py.
func (g *Gateway) PythonDevice(t testing.TB, id, token, product string) *Device {
	dir := t.TempDir()
	return &Device{t: t, cmd: testenv.Command{Path: "python3", Log: filepath.Join(dir, id+".out"), Args: []string{
		"../device.py", "--dispatcher", g.Dispatcher(), "--device", id, "--token", token, "--product", product, "--state", filepath.Join(dir, "state.json")}}}
}

// Start starts the process; lines of earlier runs are no longer seen.
func (d *Device) Start() {
	d.t.Helper()
	d.from += len(d.Lines())
	var err error
	if d.run, err = d.cmd.Start(); err != nil {
		d.t.Fatal(err)
	}
	d.t.Cleanup(func() { d.run.Kill() })
}

// Stop ends it with SIGTERM and wants exit code 0.
func (d *Device) Stop() {
	d.t.Helper()
	if err := d.run.Signal(syscall.SIGTERM); err != nil {
		d.t.Fatal(err)
	}
	if err := d.run.Wait(); err != nil {
		d.t.Errorf("device after SIGTERM: %v\n%s", err, tail(d.cmd.Log))
	}
}

// Kill ends it with SIGKILL.
func (d *Device) Kill() { d.run.Kill() }

// Lines is what this run has printed so far.
func (d *Device) Lines() []Line {
	b, err := os.ReadFile(d.cmd.Log)
	if err != nil {
		return nil
	}
	var out []Line
	for _, raw := range bytes.Split(b, []byte("\n")) {
		var l Line
		if json.Unmarshal(raw, &l) == nil && l.Type != "" {
			out = append(out, l)
		}
	}
	return out[min(d.from, len(out)):]
}

// Messages are the message lines among Lines.
func (d *Device) Messages() (out []Line) {
	for _, l := range d.Lines() {
		if l.Type == "message" {
			out = append(out, l)
		}
	}
	return out
}

// AwaitConnected waits for a connected line of this run.
func (d *Device) AwaitConnected() {
	d.t.Helper()
	d.Await("connected", 1)
}

// Await waits for n lines of a type in this run.
func (d *Device) Await(kind string, n int) {
	d.t.Helper()
	await(d.t, fmt.Sprintf("%d lines %q", n, kind), 30*time.Second, func() error {
		got := 0
		for _, l := range d.Lines() {
			if l.Type == kind {
				got++
			}
		}
		if got < n {
			return fmt.Errorf("%d came\n%s", got, tail(d.cmd.Log))
		}
		return nil
	})
}

// AwaitMessages waits for n messages of this run.
func (d *Device) AwaitMessages(n int) []Line {
	d.t.Helper()
	d.Await("message", n)
	return d.Messages()
}
