package testenv

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"syscall"
	"time"
)

// stopGrace is how long Stop waits after SIGTERM before it kills.
const stopGrace = 15 * time.Second

// Command says how to start a child process.
type Command struct {
	Path string   // program: a path, or a name that is looked up in PATH
	Args []string // without the program's name
	Dir  string   // working directory; empty: the caller's
	Env  []string // added to the caller's environment, "KEY=value"
	Log  string   // file that stdout and stderr are appended to
}

// Start starts the process in a process group of its own, with an empty stdin.
func (c Command) Start() (*Process, error) {
	log, err := os.OpenFile(c.Log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	cmd := exec.Command(c.Path, c.Args...)
	cmd.Dir = c.Dir
	cmd.Env = append(os.Environ(), c.Env...)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = childAttributes()
	p := &Process{cmd: cmd, done: make(chan struct{})}
	started := make(chan error, 1)
	go p.run(started)
	if err := <-started; err != nil {
		return nil, err
	}
	return p, nil
}

// Process is a started child. All methods may be called from any goroutine,
// also after the end of the child.
type Process struct {
	cmd  *exec.Cmd
	done chan struct{}
	err  error // how it ended; set before done is closed
}

// run starts the child and waits for it, on one locked thread: the death
// signal that childAttributes asks for is sent when the thread that started
// the child ends, so this thread must live as long as the child.
func (p *Process) run(started chan<- error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	err := p.cmd.Start()
	started <- err
	if err != nil {
		return
	}
	p.err = p.cmd.Wait()
	close(p.done)
}

// Pid is the child's process id and the id of its process group.
func (p *Process) Pid() int { return p.cmd.Process.Pid }

// Done is closed when the child has ended.
func (p *Process) Done() <-chan struct{} { return p.done }

// Wait returns when the child has ended: nil after exit status 0, otherwise
// an error that names the status or signal.
func (p *Process) Wait() error {
	<-p.done
	return p.err
}

// Signal sends a signal to the child alone; a child that has ended is no error.
func (p *Process) Signal(sig os.Signal) error {
	if err := p.cmd.Process.Signal(sig); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	return nil
}

// Kill ends the child and its process group with SIGKILL and returns after
// the child's end; a child that has ended is no error.
func (p *Process) Kill() error {
	select {
	case <-p.done:
		return nil
	default:
	}
	if err := syscall.Kill(-p.Pid(), syscall.SIGKILL); err != nil && !errors.Is(err, syscall.ESRCH) {
		return fmt.Errorf("kill process group %d: %w", p.Pid(), err)
	}
	<-p.done
	return nil
}

// Stop asks the child to end with SIGTERM, kills it after 15 s, and returns
// how it ended: as Wait does, or an error that says it had to be killed.
func (p *Process) Stop() error {
	if err := p.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	grace := time.NewTimer(stopGrace)
	defer grace.Stop()
	select {
	case <-p.done:
		return p.err
	case <-grace.C:
	}
	if err := p.Kill(); err != nil {
		return err
	}
	return fmt.Errorf("process %d did not end within %v of SIGTERM and was killed", p.Pid(), stopGrace)
}
