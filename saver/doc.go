// Package saver owns the messages: the lanes of devices in Redis, and the
// ledger in MySQL or SQLite that remembers every accepted message.
//
// It promises: an append is answered after the message is in Redis and in the
// ledger; the order of a lane is the order of its seqs; a message leaves its
// lane acknowledged, expired, recalled, replaced or dead-lettered, and in no
// other way. What cannot be known is answered UNKNOWN.
//
// An append goes (append.go): script, group commit, a look at the slots' gen on
// the same connection, answer. Acks trim the lane at once and reach the ledger
// behind it (cursors.go). A slot whose gen does not name the Redis process
// behind the connection is rebuilt from the ledger before it serves
// (rebuild.go).
//
// What center could not deliver, the sweep does (sweep.go): every lane stays in a
// bounded table (unsettled.go) until an ack, a room or a register settles it.
//
// What devices send goes to the log of their partition in the ledger alone
// (upstream.go), and is answered after the commit; it is read in the order of
// seq, in which it becomes visible (upstream_read.go).
//
// How it dies: a saver that is killed leaves nothing half done that a retry
// with the same dedup_id or the next rebuild does not mend; at worst the ledger
// misses the acks of the last moments, which the devices' own cursors bring
// back, and whoever has its slots next learns from the ledger what was not
// delivered (inherit.go). While Redis is away everything is answered UNAVAILABLE; while the
// ledger is away appends are UNKNOWN, loads and acks go on.
//
// Package lane holds what is done in Redis, package ledger what is done in SQL.
package saver
