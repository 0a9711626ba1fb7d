// Package app is the wiring: which services run in this process, in which
// order, over which network. It is the only package that imports the services.
//
// The one difference between the embedded gateway and the distributed shape is
// decided here once (Options.Embedded): where etcd, Redis and the ledger are,
// and whether the services meet over TCP or in-process.
package app
