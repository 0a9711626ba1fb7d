// Package bench is the load generator: it measures a gateway on this machine
// with clients that speak the real protocol, and, when asked, a bare gnet
// server under the same load in the same run (the floor).
//
// # Processes
//
// The command's own process makes tokens, calls the API, reads CPU clocks and
// memory of the server processes, and adds everything up. Connections live in
// worker processes (the same program, started with a hidden command): one event
// loop each, no goroutine per connection, as many workers as the limit on open
// files asks for. The floor is another such process, so that its CPU is its
// own. A child takes orders as JSON lines on standard input, answers each with
// one line, and ends when its input does: it never outlives the command.
//
//	command ──orders──► worker ──TCP──► room   (or floor)
//	   └──POST /v1/push──► center ───────┘
//
// # What counts
//
// A payload begins with a stamp: run, number, time of the call. A worker counts
// a message as delivered when its seq is above the lane's cursor, as a device
// does, and keeps the set of numbers it has seen; lost and duplicated are
// comparisons of sets, not of sums. Every message is acknowledged, cumulatively
// for what came in one read.
//
// One clock serves both ends, since both are on this machine: the wall clock,
// so a step of it during a run shows in the latencies.
//
// Only loopback addresses are accepted: this is for measuring what one has
// started, not for loading somebody else's service.
package bench
