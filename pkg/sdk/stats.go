package sdk

import "sync/atomic"

// Stats are counts since New. Every drop has a name here.
type Stats struct {
	Connects       uint64 // WELCOMEs
	Received       uint64 // PUSH frames
	Handled        uint64 // messages that the handler took
	HandlerErrors  uint64 // calls that returned an error or panicked
	Acked          uint64 // ACK frames written; one may stand for many messages
	Duplicates     uint64 // dropped: the cursor or the queue has them
	DroppedQoS0    uint64 // dropped: qos 0 with a full queue or a failed handler
	DroppedUnbound uint64 // dropped: a product that is not on this connection
	DroppedFull    uint64 // broadcasts dropped for a full queue; they come again
	Ups            uint64 // UP frames written; what is sent again counts again
	UpsStored      uint64 // Sends that the server stored
	UpsRefused     uint64 // Sends that the server refused for good
	UpsHeld        uint64 // refusals that pass: a product's upstream waited
	StoreErrors    uint64 // failed Saves; acknowledgements wait for the next
}

type counters struct {
	connects, received, handled, handlerErrors, acked,
	duplicates, droppedQoS0, droppedUnbound, droppedFull, storeErrors,
	ups, upsStored, upsRefused, upsHeld atomic.Uint64
}

// Stats may be called at any time.
func (c *Client) Stats() Stats {
	n := &c.count
	return Stats{
		Connects: n.connects.Load(), Received: n.received.Load(), Handled: n.handled.Load(),
		HandlerErrors: n.handlerErrors.Load(), Acked: n.acked.Load(), Duplicates: n.duplicates.Load(),
		DroppedQoS0: n.droppedQoS0.Load(), DroppedUnbound: n.droppedUnbound.Load(),
		DroppedFull: n.droppedFull.Load(), StoreErrors: n.storeErrors.Load(),
		Ups: n.ups.Load(), UpsStored: n.upsStored.Load(), UpsRefused: n.upsRefused.Load(), UpsHeld: n.upsHeld.Load(),
	}
}
