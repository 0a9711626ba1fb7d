// Package center is the API for the business side and the operators. REST
// (http.go, routes.go, bodies.go) is a thin door with structs of its own over
// the methods of api.CenterServer, which server implements; gRPC (grpc.go)
// stands beside it on the same port, behind the same keys and limits, and
// openapi.yaml describes REST. Center holds nothing: messages go to saver, sessions are asked of
// register, connections are the rooms', products and keys are keeper's.
//
// # What it promises
//
//   - A push is answered when the message is stored. Locating the device and
//     delivering to its room follow, and outlive the answer and the caller by
//     at most deliver_deadline (push.go, deliver.go).
//   - An answer never claims more than is known: "unknown" errors say that the
//     message may still be delivered, and that the same dedup_id makes a
//     repetition safe.
//   - With a product's key a call sees and touches only that product's side of
//     a device (auth.go).
//   - One bad device never fails its neighbours in a push, one bad message
//     never its neighbours in a batch.
//   - The messages of a batch for one device and product are stored in their
//     order (lane.go).
//   - Who follows events (events.go) gets each at least once, those of a device
//     in order, also from another center behind the cursor that came last. The
//     cursor is a seq for each of the log's partitions; center keeps nothing.
//
// # Limits and what happens at them
//
//	requests at once     max_requests                 RATE_LIMITED
//	requests of a key    key_rate, off by default     RATE_LIMITED, with a hint
//	pushes in flight     max_in_flight, ..._bytes     RATE_LIMITED, with a hint
//	queue to a service   the callers' limits          RATE_LIMITED for that device
//	body, gRPC message   max_body                     PAYLOAD_TOO_LARGE
//	body of a batch      16 MiB                       PAYLOAD_TOO_LARGE
//	bodies of batches    max_in_flight_bytes          RATE_LIMITED
//	of one product's keys   3/4 of either           RATE_LIMITED
//	messages of a batch  1,000                        TOO_MANY_TARGETS
//	devices of an alias  1,000 a push                 TOO_MANY_TARGETS
//	aliases of a batch   max_in_flight devices        RATE_LIMITED
//	followers of events  events.max_followers, ...    RATE_LIMITED, with a hint
//	a reader that is stuck   30 s                     its stream ends
//	steps of a trace     4,000                        the newest are left out
//	payload, devices, ttl, wait, data: limits.go      the code that names the field
//
// All of them, with what each is answered with, are the last table of
// docs/api.md.
//
// # How it dies
//
// Killed, pushes that were not answered are unknown to their callers, who
// repeat them at another center with the same dedup_id. Messages that were
// stored and not yet delivered stay in their lanes. Told to stop, it answers
// what it has begun, at most stop_grace long, and ends the followers of events.
package center
