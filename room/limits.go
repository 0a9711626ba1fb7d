package room

import "syscall"

// capacity is how many connections the room takes: what is configured, and
// always below the process's limit on open files, with headroom for what else
// the process opens (stores, other services, logs) and for a connection's
// second descriptor while it is enrolled.
func capacity(configured int) int64 {
	const most = 10_000_000
	limit := int64(most)
	var r syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &r); err == nil && r.Cur < most {
		n := int64(r.Cur)
		limit = max(n-max(n/10, min(512, n/2)), 1)
	}
	if configured > 0 {
		return min(int64(configured), limit)
	}
	return limit
}
