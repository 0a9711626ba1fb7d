package bench

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
	"unsafe"
)

// cpuOf is the CPU time, user and system, of all threads that a process ever
// had: what utime + stime of /proc/PID/stat say, in ns instead of ticks of
// 10 ms. The id of another process's clock is made as clock_getcpuclockid(3)
// makes it.
func cpuOf(pid int) (time.Duration, error) {
	const schedClock = 2
	var ts syscall.Timespec
	if _, _, errno := syscall.Syscall(syscall.SYS_CLOCK_GETTIME, uintptr(^pid<<3|schedClock), uintptr(unsafe.Pointer(&ts)), 0); errno != 0 {
		return 0, fmt.Errorf("process %d has no CPU clock: %w; has it ended?", pid, errno)
	}
	return time.Duration(ts.Nano()), nil
}

// residentOf is the resident memory of a process in bytes. What the kernel
// holds for sockets is not in it.
func residentOf(pid int) (int64, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", pid))
	if err != nil {
		return 0, err
	}
	f := strings.Fields(string(b))
	if len(f) < 2 {
		return 0, fmt.Errorf("/proc/%d/statm cannot be read", pid)
	}
	pages, err := strconv.ParseInt(f[1], 10, 64)
	return pages * int64(os.Getpagesize()), err
}

// listenersOf finds for each address the process that listens on it: the
// socket's inode in /proc/net/tcp, then the process that holds it open. What
// is not found, or belongs to another user, is left out.
func listenersOf(addrs []netip.AddrPort) (map[netip.AddrPort]int, error) {
	inodes := map[string][]netip.AddrPort{}
	for _, table := range []string{"/proc/net/tcp", "/proc/net/tcp6"} {
		b, err := os.ReadFile(table)
		if err != nil {
			continue // no IPv6
		}
		for s := bufio.NewScanner(bytes.NewReader(b)); s.Scan(); {
			f := strings.Fields(s.Text())
			if len(f) < 10 || f[3] != "0A" { // LISTEN
				continue
			}
			local, ok := kernelAddr(f[1])
			if !ok {
				continue
			}
			for _, a := range addrs {
				if local == a || local.Port() == a.Port() && local.Addr().IsUnspecified() {
					inodes["socket:["+f[9]+"]"] = append(inodes["socket:["+f[9]+"]"], a)
				}
			}
		}
	}
	found := map[netip.AddrPort]int{}
	fds, err := filepath.Glob("/proc/[0-9]*/fd/*")
	if err != nil {
		return nil, err
	}
	for _, fd := range fds {
		target, err := os.Readlink(fd)
		if err != nil || inodes[target] == nil {
			continue
		}
		pid, err := strconv.Atoi(strings.Split(fd, "/")[2])
		if err != nil {
			continue
		}
		for _, a := range inodes[target] {
			found[a] = pid
		}
	}
	return found, nil
}

// kernelAddr reads the address form of /proc/net/tcp: each 32-bit word in the
// machine's byte order, in hex (here: little-endian), a colon, the port.
func kernelAddr(s string) (netip.AddrPort, bool) {
	host, port, ok := strings.Cut(s, ":")
	b, err := hex.DecodeString(host)
	p, perr := strconv.ParseUint(port, 16, 16)
	if !ok || err != nil || perr != nil || len(b)%4 != 0 {
		return netip.AddrPort{}, false
	}
	for i := 0; i < len(b); i += 4 {
		b[i], b[i+1], b[i+2], b[i+3] = b[i+3], b[i+2], b[i+1], b[i]
	}
	a, ok := netip.AddrFromSlice(b)
	return netip.AddrPortFrom(a.Unmap(), uint16(p)), ok
}
