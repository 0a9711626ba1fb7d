package e2e

import (
	"errors"
	"testing"
	"time"
)

// TestFeatures: one embedded gateway, and everything that its users can type or
// call. TestCluster does the same, where it is cheap, to two of each service.
func TestFeatures(t *testing.T) {
	g := Embedded(t, binary)
	t.Logf("ready after %s", brief(g.Start()))
	s := g.Site()
	refilled(t, s)
	t.Run("every call", func(t *testing.T) { everyCall(t, s) })
	features(t, s)
	t.Run("upstream", func(t *testing.T) {
		upstream(t, s, func() {
			g.Kill()
			t.Logf("everything was killed and is ready after %s", brief(g.Start()))
		})
	})
	t.Run("examples", func(t *testing.T) { examples(t, g) })
	g.Stop()
}

// refilled waits until a device that nobody has seen is known to be offline: the
// register has been told every session.
func refilled(t *testing.T, s *Site) {
	t.Helper()
	api := s.API(t, "")
	await(t, "the register to be refilled", 20*time.Second, func() error {
		d, err := api.Device(t.Context(), "nobody-0")
		if err == nil && d.State != "offline" {
			err = errors.New("it is " + d.State)
		}
		return err
	})
}

// features do not disturb each other nor anybody else.
func features(t *testing.T, s *Site) {
	t.Run("commands", func(t *testing.T) { commands(t, s) })
	t.Run("aliases", func(t *testing.T) { aliases(t, s) })
	t.Run("recall", func(t *testing.T) { recall(t, s) })
	t.Run("trace", func(t *testing.T) { trace(t, s) })
	t.Run("gRPC", func(t *testing.T) { overGRPC(t, s) })
}
