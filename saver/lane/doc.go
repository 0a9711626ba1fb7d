// Package lane keeps the lanes of devices in Redis: lists that scripts append
// to, read, trim and rebuild, many lanes in one call.
//
// Everything of a slot (its clock, its gen, its lanes and their dedup keys)
// shares a hash tag with 15 neighbouring slots, so one script may touch all of
// it on one node:
//
//	ll:{TT}:c:SLOT                    clock: the highest seq handed out
//	ll:{TT}:g:SLOT                    gen: the Redis run that serves the slot
//	ll:{TT}:l:PRODUCT/DEVICE          lane: a list, one element per message
//	ll:{TT}:d:PRODUCT/DEVICE/DEDUPID  id|seq|expires_ms of the first push
//
// TT is the tag, two hex digits; SLOT is decimal. An element is
//
//	seq|cum|size|expires_ms|collapse_key|body
//
// in decimal, where body is the api.Message in protobuf, size its length and
// cum the running sum of sizes: a lane's bytes are last.cum - first.cum +
// first.size. docs/storage.md holds the same for people.
//
// A Conn knows the run id of the process it speaks to, and every script answers
// "not ready" for a slot whose gen is another: an empty Redis, an old copy and
// a promoted replica are all noticed before they serve.
package lane
