// Package trace remembers what happened to messages: each instance holds the
// last steps it took in a ring of fixed size, and answers for a message by
// looking through it. center asks every instance and joins the answers with
// what the ledger knows, which is never forgotten before the message's day.
//
// # What it promises
//
// A step costs one short lock and no allocation. The ring never grows; the
// oldest steps are overwritten, so that a busy instance remembers seconds and a
// quiet one days. Nothing is kept over a restart. Looking through a ring costs
// nobody who writes more than the copy of one segment.
package trace
