package saver

import (
	"os"
	"path/filepath"
	"testing"

	"longlink/pkg/testenv"
)

// wipeAOF makes a killed Redis forget everything at its next start.
func wipeAOF(t testing.TB, srv *testenv.RedisServer) {
	t.Helper()
	if err := os.RemoveAll(filepath.Join(filepath.Dir(srv.Log()), "appendonlydir")); err != nil {
		t.Fatal(err)
	}
}
