//go:build unix && !linux

package testenv

import "syscall"

// childAttributes gives a child a process group of its own. Only Linux can
// kill a child when its parent dies.
func childAttributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true}
}
