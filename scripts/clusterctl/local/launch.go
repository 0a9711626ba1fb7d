package local

import (
	"fmt"
	"os"
	"os/exec"
	"syscall"

	"longlink/pkg/testenv"
)

// Launch starts a command and notes in the process how to find it again.
type Launch func(*Process, testenv.Command) error

// Child starts processes that die with this program.
func Child(p *Process, c testenv.Command) error {
	run, err := c.Start()
	if err != nil {
		return fmt.Errorf("start %s: %w", p.Name(), err)
	}
	p.child, p.PID = run, run.Pid()
	p.Born, _ = birth(p.PID)
	return nil
}

// Detached starts processes in a session of their own: they outlive this
// program and its terminal.
func Detached(p *Process, c testenv.Command) error {
	log, err := os.OpenFile(c.Log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	cmd := exec.Command(c.Path, c.Args...)
	cmd.Dir = c.Dir
	cmd.Env = append(os.Environ(), c.Env...)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start %s: %w", p.Name(), err)
	}
	p.child, p.PID = nil, cmd.Process.Pid
	p.Born, _ = birth(p.PID)
	return cmd.Process.Release()
}
