// Package register is the global session store: where is this device. It holds
// sessions in memory, partitioned by slot; keeper's view says which slots this
// instance owns, and the rooms, which are the truth, tell it their sessions.
//
// # What it promises
//
//   - Of two sessions of one device the one with the higher epoch is kept, ties
//     go to the higher room id; the answer names the winner and the loser's room
//     is told to evict (session.go, store.go, evict.go).
//   - A late disconnect never erases a newer session: DELETE removes only the
//     room, room epoch and epoch that it names.
//   - "Not found" is OFFLINE only when it is certain. While a slot that this
//     instance has gained is not refilled by every room that was there, it is
//     NOT_READY; for a slot that it does not own it is WRONG_OWNER (slots.go,
//     guests.go). Before that is answered to a caller with a newer view, this
//     instance looks again (agree.go).
//   - Sessions of a room that has left the view are hidden, not deleted, for
//     hide_for; if the room returns with the same epoch they count again
//     (rooms.go, sweep.go).
//
// # Limits and what happens at them
//
//	sessions        max_sessions    a new device's PUT is answered RATE_LIMITED
//	evictions       evict_queue     dropped and counted: the loser stays connected,
//	                                without messages, until its room tells again
//	Refilled        refill_wait     NOT_READY when the own view stays behind
//	looking again   500 ms          the answer stands as it is
//
// # How it dies
//
// It keeps nothing on disk. Killed, its slots move to other registers, or come
// back to it under a new epoch, and rooms push the sessions of moved slots
// again; until they have, the slots are warming.
package register
