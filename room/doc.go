// Package room holds the devices' connections. It owns, per connection, who is
// logged in, which products are bound, and per bound product how far the lane
// was acknowledged, sent and known; everything else belongs to other services
// and is asked for: sessions are told to register, messages come from saver.
//
// # Who runs what
//
// A gnet engine without listeners gives the event loops; the room's own
// acceptor (acceptor.go) feeds it. All state of a connection belongs to its
// loop: frames (read.go), timers (wheel.go) and results of other services
// reach it there, the latter through one queue per loop (loop.go). What leaves
// for another service goes through a bounded batcher (pkg/rpc); its answer
// comes back as a task of the loop and names the connection and the lane's
// generation it was asked for, so that a late one is dropped. Tokens are
// checked by a small pool of workers (auth.go). A connection that is idle has
// no goroutine, no timer of the runtime and no buffer.
//
// # What it promises
//
//   - One session per device; a newer login replaces the older one (login.go).
//   - Login is register, then load (session.go, load.go).
//   - The one rule for gaps, windows and paging is lane.go, free of I/O.
//   - Upstream data leaves in the order of its coming, per product of a
//     connection, and every UP is answered (upstream.go, up.go).
//   - A device that reads slowly, floods, sends garbage or is silent costs only
//     its own connection: see the limits in config.go, and slow.go.
//   - A panic in a handler costs the connection that was being handled.
//
// # Limits and what happens at them
//
//	connections        max_connections     BYE SERVER_FULL from the acceptor
//	token checks       auth_queue          BYE BUSY; BIND: BOUND BUSY, also when
//	                                       8 of one device are being checked
//	inbound frame      max_hello/max_frame BYE FRAME_TOO_LARGE
//	inbound per turn   16 KiB per device   the next device's turn comes first
//	lane in flight     lane_window, window_bytes: the lane waits for ACK
//	outbound buffer    outbound_limit/2: pushes wait; outbound_limit, or no
//	                   progress for slow_timeout: BYE SLOW_CONSUMER
//	deliveries queued  loop_queue          answered UNAVAILABLE
//	calls to services  one register, one load and one ack per lane in flight;
//	                   a full batcher is a failure, retried with back-off
//	upstream           one UP per product on its way; 64 unanswered and
//	                   upstream.max_bytes per connection, upstream.total_bytes
//	                   in all, and upstream.bytes_per_second of a connection in
//	                   the long run: UPACK RATE_LIMITED
//	unregistrations    65,536 waiting      dropped; the owner learns by `gone`
//
// # How it dies
//
// Killed, its sessions are found gone by register and devices connect
// elsewhere; messages were never only here. Told to stop, it says BYE SHUTDOWN
// with a jittered hint, sends the last acks, unregisters, and ends within two
// seconds (stop.go).
package room
