package saver

import (
	"testing"

	"go.uber.org/goleak"

	"longlink/pkg/testenv"
)

// stores are the servers that the tests share.
var stores testenv.Shared

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(stores.Around(m))
}
