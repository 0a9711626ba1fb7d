package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"sync"
	"time"

	"longlink/pkg/lifecycle"
)

// Roles of a child process.
const (
	RoleWorker = "worker"
	RoleFloor  = "floor"
)

// order is one line to a child.
type order struct {
	Op      string       `json:"op"`
	Devices []credential `json:"devices,omitempty"`
	Fleet   *fleetSpec   `json:"fleet,omitempty"`
	Load    *floorLoad   `json:"load,omitempty"`
	Run     uint64       `json:"run,omitempty"`
}

// Orders. A worker takes devices, connect, count, seen and leave; a floor
// listen, load and count.
const (
	opDevices = "devices"
	opConnect = "connect"
	opCount   = "count"
	opSeen    = "seen"
	opLeave   = "leave"
	opListen  = "listen"
	opLoad    = "load"
)

// answer is the one line that follows each order.
type answer struct {
	Error string      `json:"error,omitempty"`
	Addr  string      `json:"addr,omitempty"`
	Fleet *fleetCount `json:"fleet,omitempty"`
	Floor *floorCount `json:"floor,omitempty"`
	Seen  numbers     `json:"seen,omitempty"`
}

// Child is the whole life of a child process: it carries out orders from in
// until in ends. It takes no other sign to stop, so that a signal to the
// terminal's process group ends the command first and the children with it.
func Child(role string, in io.Reader, out io.Writer) error {
	var handle func(order) (answer, error)
	var end func() error
	switch role {
	case RoleWorker:
		f := newFleet()
		handle, end = f.handle, f.close
	case RoleFloor:
		f := newFloor()
		handle, end = f.handle, f.close
	default:
		return fmt.Errorf("no role %q", role)
	}
	dec, enc := json.NewDecoder(in), json.NewEncoder(out)
	for {
		var o order
		if err := dec.Decode(&o); err != nil {
			if errors.Is(err, io.EOF) {
				err = nil
			}
			return errors.Join(err, end())
		}
		a, err := handle(o)
		if err != nil {
			a = answer{Error: err.Error()}
		}
		if err := enc.Encode(a); err != nil {
			return errors.Join(err, end())
		}
	}
}

// childGrace is what a child may take to end after its input has.
const childGrace = 5 * time.Second

// child is the command's side.
type child struct {
	name   string
	cmd    *exec.Cmd
	in     io.WriteCloser
	dec    *json.Decoder
	stderr bytes.Buffer // of os/exec's goroutine until Wait returns

	mu sync.Mutex // one order at a time
}

// startChild runs command with role appended; it is killed when ctx ends.
func startChild(ctx context.Context, command []string, role, name string) (*child, error) {
	c := &child{name: name, cmd: exec.CommandContext(ctx, command[0], append(command[1:len(command):len(command)], role)...)}
	c.cmd.WaitDelay = childGrace
	c.cmd.Env = os.Environ()
	c.cmd.Stderr = &c.stderr
	in, err := c.cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := c.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := c.cmd.Start(); err != nil {
		return nil, fmt.Errorf("%s does not start: %w", name, err)
	}
	c.in, c.dec = in, json.NewDecoder(out)
	return c, nil
}

func (c *child) pid() int { return c.cmd.Process.Pid }

// ask sends an order and waits for its answer.
func (c *child) ask(o order) (answer, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	var a answer
	err := json.NewEncoder(c.in).Encode(o)
	if err == nil {
		err = c.dec.Decode(&a)
	}
	if err != nil {
		return a, fmt.Errorf("%s is gone: %w", c.name, err)
	}
	if a.Error != "" {
		return a, fmt.Errorf("%s: %s", c.name, a.Error)
	}
	return a, nil
}

// end closes the child's input and waits for it; one that does not end by
// itself is killed.
func (c *child) end() error {
	_ = c.in.Close() // a child that is gone has closed it
	kill := time.AfterFunc(childGrace, func() { _ = c.cmd.Process.Kill() })
	defer kill.Stop()
	if err := c.cmd.Wait(); err != nil {
		return fmt.Errorf("%s: %w: %s", c.name, err, bytes.TrimSpace(c.stderr.Bytes()))
	}
	return nil
}

// each asks all children at once, with an order of its own for each, and hands
// the answers over in the order of the children.
func each(children []*child, say func(i int) order, take func(i int, a answer)) error {
	type asked struct {
		a   answer
		err error
	}
	answers := make([]asked, len(children))
	group := lifecycle.NewGroup(context.Background(), nil, nil)
	for i, c := range children {
		group.Go("bench ask", func(context.Context) error {
			answers[i].a, answers[i].err = c.ask(say(i))
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	for i, r := range answers {
		if r.err != nil {
			return r.err
		}
		if take != nil {
			take(i, r.a)
		}
	}
	return nil
}
