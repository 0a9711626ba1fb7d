// Package coordinator carries what is asynchronous between devices and the
// products' own servers: kicks, and the upstream data of devices into the log
// that the ledger keeps of them. Presence events answer UNIMPLEMENTED until
// their queue exists.
//
// # What it promises
//
// A kick is passed to the owners of the devices' slots, all owners at once, and
// every device gets its own result: one that fails never hides another's. A
// repeated kick does no harm.
//
// Upstream data is answered OK only when a saver has committed it. What comes
// one after the other is passed on one after the other; a room sends at most one
// item of a (connection, product) at a time, so the log has them in order. The
// seq is made in the ledger, under a lock of the device's partition: any
// coordinator may serve any partition, and rooms choose one by partition so
// that batches are large.
//
// # Limits and what happens at them
//
//	bytes on their way to savers  upstream_bytes    RATE_LIMITED
//	of these, of one product      half of them      HOLD
//	items queued for one saver    4096              RATE_LIMITED
//	time for the savers' answer   call_timeout      DEADLINE
//
// # How it dies
//
// It keeps nothing. A kick that was on its way when it died is answered
// UNAVAILABLE to center, whose caller repeats it; upstream data is answered
// UNAVAILABLE to the room and by it to the device, which sends it again under
// the same up_id, so that it is stored once.
package coordinator
