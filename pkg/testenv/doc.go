// Package testenv starts real servers (Redis, MariaDB, etcd) as child
// processes, on 127.0.0.1, on free ports, with data in directories that are
// thrown away, for tests and for the commands under scripts/.
//
// In a test:
//
//	rdb := testenv.Redis(t, testenv.AOF())     // rdb.Addr
//	db := testenv.MariaDB(t).NewDatabase(t)    // a DSN
//	kv := testenv.Etcd(t)                      // kv.Endpoints
//
// The server ends with the test, and the end of its log is shown when the test
// failed. Kill (SIGKILL), Stop (SIGTERM) and Start work on the same port and
// data as often as a test likes. A package whose tests can share a server
// keeps one Shared and gives every test its own database or key prefix:
//
//	var stores testenv.Shared
//
//	func TestMain(m *testing.M) { goleak.VerifyTestMain(stores.Around(m)) }
//
//	func TestLedger(t *testing.T) { dsn := stores.MariaDB(t).NewDatabase(t) }
//
// Where a server's program is not installed, the test fails with the line that
// installs it when CI=true or LONGLINK_TEST_STORES=required, and is skipped
// with that line otherwise. scripts/test requires all of them.
//
// Without a testing.TB: StartRedis, StartMariaDB, StartEtcd and Command.Start.
//
// A child never outlives the process that started it on Linux, even if that is
// killed: the kernel kills the child (PR_SET_PDEATHSIG). Each running child
// costs one goroutine; a leak check that runs while a server is up passes
// goleak.IgnoreAnyFunction("longlink/pkg/testenv.(*Process).run").
package testenv
