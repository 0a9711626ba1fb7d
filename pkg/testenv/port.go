package testenv

import (
	"fmt"
	"math/rand/v2"
	"net"
)

// Ports are taken from here, below the range that Linux, by default, takes
// the ports of outgoing connections from (32768-60999): so no passing
// connection can hold a server's port while the server is killed and not yet
// started again.
const (
	firstPort = 18000
	lastPort  = 32767
)

// FreePort returns a TCP port of 127.0.0.1 on which nothing listens now. It is
// chosen at random, so test processes that run side by side do not meet.
func FreePort() (int, error) {
	var last error
	for range 100 {
		port := firstPort + rand.IntN(lastPort-firstPort+1)
		l, err := net.Listen("tcp4", loopback(port))
		if err != nil {
			last = err
			continue
		}
		return port, l.Close()
	}
	return 0, fmt.Errorf("no free TCP port between %d and %d: %w", firstPort, lastPort, last)
}

func loopback(port int) string { return fmt.Sprintf("127.0.0.1:%d", port) }
