package testenv

import "syscall"

// childAttributes gives a child a process group of its own, so that a signal
// from the terminal reaches the caller alone, and a SIGKILL from the kernel
// when the thread that started it ends.
func childAttributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}
