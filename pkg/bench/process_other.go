//go:build !linux

package bench

import (
	"errors"
	"net/netip"
	"time"
)

var errLinuxOnly = errors.New("CPU and memory of other processes are measured on Linux only")

func cpuOf(int) (time.Duration, error) { return 0, errLinuxOnly }

func residentOf(int) (int64, error) { return 0, errLinuxOnly }

func listenersOf([]netip.AddrPort) (map[netip.AddrPort]int, error) { return nil, errLinuxOnly }
