// Package cluster holds the nouns by which instances know each other: the
// instance, the view of all of them at one revision, and who owns a slot.
// Keeper fills it; everybody reads it.
package cluster

import "context"

// Kind is a service's name.
type Kind string

// The seven kinds.
const (
	Dispatcher  Kind = "dispatcher"
	Room        Kind = "room"
	Register    Kind = "register"
	Coordinator Kind = "coordinator"
	Saver       Kind = "saver"
	Center      Kind = "center"
	Keeper      Kind = "keeper"
)

// Kinds lists the seven in the order in which one process starts them.
var Kinds = []Kind{Keeper, Saver, Register, Coordinator, Center, Room, Dispatcher}

// State is what an instance says of itself.
type State string

// States of an instance.
const (
	Ready    State = "ready"
	Draining State = "draining"
)

// Instance is one running service as its registry key describes it.
type Instance struct {
	Kind      Kind     `json:"kind"`
	ID        string   `json:"id"`                  // stable over restarts
	Epoch     uint64   `json:"epoch"`               // one per process life; the higher is the living one
	State     State    `json:"state"`               // ready or draining
	Version   string   `json:"version"`             // of the program
	RPC       string   `json:"rpc"`                 // address for the other services
	Addresses []string `json:"addresses,omitempty"` // for outsiders: a room's TCP ports, center's and dispatcher's HTTP
	Ops       string   `json:"ops,omitempty"`       // /metrics and health
	IDC       string   `json:"idc,omitempty"`
	Capacity  int      `json:"capacity,omitempty"` // connections a room is configured for
	StartedMS int64    `json:"started_ms"`

	// Held: the registry lacks the instance, and the view keeps its last state
	// because too many of its kind vanished at once. pkg/rpc skips a held
	// instance that refuses connections.
	Held bool `json:"-"`
	// Entered is the registry's revision at which the instance came in, 0 where
	// there is none. Another one under the same epoch: it was away in between,
	// also for who has not seen the view without it.
	Entered int64 `json:"-"`
}

// Views is where the current view comes from. Implementations are safe for use
// by many goroutines.
type Views interface {
	// View is the current one, never nil.
	View() *View
	// Changed returns a channel that is closed when a newer view than the given
	// one is there.
	Changed(than *View) <-chan struct{}
}

// Relister is a Views that can be asked to look again. One whose source tells
// it of every change may still be behind for a while, or for good, without
// knowing it.
type Relister interface {
	// Relist returns when the view holds all that had happened when it was
	// called; an error says that this was not reached within half a second or
	// until ctx ended. However many ask, the source is asked a few times a
	// second at most, and after an error a second passes before it is again.
	Relist(ctx context.Context) error
}

// Relist asks views to look again. Those that cannot are as new as they get,
// which is no error.
func Relist(ctx context.Context, views Views) error {
	if r, ok := views.(Relister); ok {
		return r.Relist(ctx)
	}
	return nil
}
