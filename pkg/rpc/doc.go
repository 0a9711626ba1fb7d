// Package rpc is how the services reach each other: one Network with two forms,
// TCP between processes and in-process channels inside one, under the same
// generated gRPC interfaces, interceptors, deadlines and batches.
//
// Hot calls go through a Caller: per destination a bounded queue, a few workers
// with one bidi stream each, natural batches, and per item a request id, the
// remaining time and its own result code. Rare calls are plain unary ones over
// Peers.Conn.
//
// An instance of the view that does not answer is known (refusals.go): where any
// instance of the kind serves, calls go to another one (send.go, serving.go); one
// that the view only holds is not waited for.
package rpc
