package datadir

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestKeyIsMadeOnce(t *testing.T) {
	d := Dir(t.TempDir())
	n := 0
	newKey := func() string { n++; return fmt.Sprint("key-", n) }
	a, err := d.EnsureKey("operator", newKey)
	if err != nil {
		t.Fatal(err)
	}
	b, err := d.EnsureKey("operator", newKey)
	if err != nil || a != b || a != "key-1" {
		t.Errorf("%q then %q, %v", a, b, err)
	}
	if st, _ := os.Stat(filepath.Join(string(d), "operator.key")); st.Mode().Perm() != 0o600 {
		t.Errorf("mode %v", st.Mode())
	}
}

func TestPrepareNamesWhatToDo(t *testing.T) {
	file := filepath.Join(t.TempDir(), "occupied")
	if err := os.WriteFile(file, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	err := Dir(filepath.Join(file, "data")).Prepare()
	if err == nil || !strings.Contains(err.Error(), "--data") || !strings.Contains(err.Error(), file) {
		t.Errorf("got %v", err)
	}
}

func TestEndpoints(t *testing.T) {
	d := Dir(t.TempDir())
	if _, err := d.Endpoints(); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("before any start: %v", err)
	}
	want := Endpoints{PID: 7, Center: "http://127.0.0.1:7200", Rooms: []string{"127.0.0.1:7001"}}
	if err := d.WriteEndpoints(want); err != nil {
		t.Fatal(err)
	}
	got, err := d.Endpoints()
	if err != nil || got.Center != want.Center || got.Rooms[0] != want.Rooms[0] {
		t.Errorf("%+v, %v", got, err)
	}
	if all := got.AllCenters(); !slices.Equal(all, []string{want.Center}) {
		t.Errorf("of one center: %v", all)
	}
	want.Centers, want.Dispatchers = []string{"a", "b"}, []string{"c", "d"}
	if err := d.WriteEndpoints(want); err != nil {
		t.Fatal(err)
	}
	if got, err := d.Endpoints(); err != nil || !slices.Equal(got.AllCenters(), want.Centers) || !slices.Equal(got.AllDispatchers(), want.Dispatchers) {
		t.Errorf("%+v, %v", got, err)
	}
}
