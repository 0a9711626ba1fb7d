// Package coordinator carries what is asynchronous between devices and the
// products' own servers. At present that is the kick; upstream data and
// presence events answer UNIMPLEMENTED until their queues exist.
//
// # What it promises
//
// A kick is passed to the owners of the devices' slots, all owners at once, and
// every device gets its own result: one that fails never hides another's. A
// repeated kick does no harm.
//
// # How it dies
//
// It keeps nothing. A kick that was on its way when it died is answered
// UNAVAILABLE to center, whose caller repeats it.
package coordinator
