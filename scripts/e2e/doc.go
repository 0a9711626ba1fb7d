// Package e2e runs the gateway as its users do, as processes, in both shapes:
// one process on embedded stores, and seven processes on real Redis, MariaDB
// and etcd. The same test body runs over both.
package e2e
