package testenv_test

import (
	"fmt"
	"os"
	"testing"

	"go.uber.org/goleak"

	"longlink/pkg/testenv"
)

// parentEnv makes the test binary the parent of a server instead: it starts
// one in the directory named, prints its pid and waits to be killed.
const parentEnv = "LONGLINK_TESTENV_PARENT"

// stores is what TestShared starts; Around ends it before leaks are looked for.
var stores testenv.Shared

func TestMain(m *testing.M) {
	if dir := os.Getenv(parentEnv); dir != "" {
		rdb, err := testenv.StartRedis(dir)
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		fmt.Println(rdb.Pid())
		select {}
	}
	goleak.VerifyTestMain(stores.Around(m))
}
