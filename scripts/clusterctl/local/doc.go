// Package local runs the distributed shape on this machine: one or more
// instances of each of the seven services, a process each, on one etcd, one
// Redis and one MariaDB.
//
// The command scripts/cluster starts the processes detached, so that they
// outlive it, and finds them again by DIR/cluster.json. A test starts them as
// its own children, which die with it (Launch says which); everything else is
// the same code.
//
// Instance n of every kind has the port base N + 1000·(n-1), so that its ports
// are those of docs/operating.md. DIR holds longlink.yaml, operator.key,
// demo.key and endpoints.json (which client commands read with --data DIR),
// logs/KIND-n.log, and stores/ when the command runs the stores too.
package local
