package keeper

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"longlink/pkg/config"
)

func options(dir string) EmbeddedOptions {
	return EmbeddedOptions{Dir: dir, Client: "127.0.0.1:0", Peer: "127.0.0.1:0"}
}

func TestMemberKeepsItsData(t *testing.T) {
	dir := t.TempDir()
	for i, want := range []int{0, 1} {
		m, err := StartEmbedded(t.Context(), options(dir))
		if err != nil {
			t.Fatal(err)
		}
		w := &world{member: m}
		c := w.connect(t)
		if n := len(c.Directory().Products()); n != want {
			t.Errorf("start %d: %d products", i, n)
		}
		if want == 0 {
			if _, _, err := c.CreateProduct(t.Context(), "shop"); err != nil {
				t.Fatal(err)
			}
		}
		c.Close()
		m.Close()
		m.Close()
	}
}

func TestMemberRun(t *testing.T) {
	m, err := StartEmbedded(t.Context(), options(t.TempDir()))
	if err != nil {
		t.Fatal(err)
	}
	addr := m.Addr()
	p := run(t, m)
	p.end(t)
	if l, err := net.Listen("tcp", addr); err != nil {
		t.Errorf("the port is not free after Run: %v", err)
	} else {
		l.Close()
	}
}

// TestMemberIsQuiet: a plain life writes nothing at info and above.
func TestMemberIsQuiet(t *testing.T) {
	var out bytes.Buffer
	o := options(t.TempDir())
	o.Log = slog.New(slog.NewTextHandler(&out, nil))
	for range 2 {
		m, err := StartEmbedded(t.Context(), o)
		if err != nil {
			t.Fatal(err)
		}
		w := &world{endpoints: []string{m.Addr()}}
		c := w.connect(t)
		if _, err := c.PutSection(t.Context(), "room", "x", AnyRevision); err != nil {
			t.Fatal(err)
		}
		c.Close()
		m.Close()
	}
	if out.Len() > 0 {
		t.Errorf("logged:\n%s", out.String())
	}
}

// TestMemberStopsUnderClients: watches of other processes do not hold the stop up.
// It takes a second; a request that is caught in it, as a busy machine makes it
// happen, waits for etcd's own 5 s.
func TestMemberStopsUnderClients(t *testing.T) {
	m := startMember(t, options(t.TempDir()))
	w := &world{endpoints: []string{m.Addr()}}
	run(t, w.client(t).Announce(room("r1")))
	start := time.Now()
	m.Close()
	if took := time.Since(start); took > 10*time.Second {
		t.Errorf("the stop took %v", took)
	}
}

func TestStartErrorsSayWhatToDo(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	held := t.TempDir()
	m, err := StartEmbedded(t.Context(), options(held))
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		o    EmbeddedOptions
		want []string
	}{
		"client port taken": {EmbeddedOptions{Dir: t.TempDir(), Client: taken.Addr().String(), Peer: "127.0.0.1:0"}, []string{"keeper.listen", taken.Addr().String(), "another"}},
		"peer port taken":   {EmbeddedOptions{Dir: t.TempDir(), Client: "127.0.0.1:0", Peer: taken.Addr().String()}, []string{"keeper.peer_listen", taken.Addr().String(), "another"}},
		"not our address":   {EmbeddedOptions{Dir: t.TempDir(), Client: "192.0.2.1:0", Peer: "127.0.0.1:0"}, []string{"keeper.listen", "192.0.2.1:0"}},
		"directory in use":  {options(held), []string{held, "used by another process", "--data"}},
		"a file":            {options(file), []string{file, "--data"}},
		"below a file":      {options(filepath.Join(file, "etcd")), []string{file, "--data"}},
	} {
		m, err := StartEmbedded(t.Context(), c.o)
		if err == nil {
			m.Close()
			t.Errorf("%s: started", name)
			continue
		}
		for _, w := range c.want {
			if !strings.Contains(err.Error(), w) {
				t.Errorf("%s: %q lacks %q", name, err, w)
			}
		}
	}
}

// TestUnwritableDirectory runs as another user when this one may write
// everywhere.
func TestUnwritableDirectory(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	if err := os.Mkdir(dir, 0o500); err != nil {
		t.Fatal(err)
	}
	if os.Geteuid() != 0 {
		_, err := StartEmbedded(t.Context(), options(dir))
		if !errors.Is(err, fs.ErrPermission) || !strings.Contains(err.Error(), "cannot be written") {
			t.Errorf("%v", err)
		}
		return
	}
	// root may write anywhere but in a file system of the kernel's own.
	_, err := StartEmbedded(t.Context(), options("/proc/longlink"))
	if err == nil || !strings.Contains(err.Error(), "cannot be made") || !strings.Contains(err.Error(), "--data") {
		t.Errorf("%v", err)
	}
}

// TestDamagedDataIsAnError tries in a process of its own: etcd's panic leaves
// goroutines behind.
func TestDamagedDataIsAnError(t *testing.T) {
	if dir := os.Getenv("LONGLINK_TEST_DAMAGED"); dir != "" {
		_, err := StartEmbedded(t.Context(), options(dir))
		os.Stdout.WriteString(err.Error())
		os.Exit(0)
	}
	dir := t.TempDir()
	m, err := StartEmbedded(t.Context(), options(dir))
	if err != nil {
		t.Fatal(err)
	}
	m.Close()
	wal, err := filepath.Glob(filepath.Join(dir, "member", "wal", "*.wal"))
	if err != nil || len(wal) == 0 {
		t.Fatal(wal, err)
	}
	if err := os.WriteFile(wal[0], []byte("damage"), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(os.Args[0], "-test.run=^TestDamagedDataIsAnError$")
	cmd.Env = append(os.Environ(), "LONGLINK_TEST_DAMAGED="+dir)
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "etcd cannot use its data in "+dir) {
		t.Errorf("%v: %s", err, out)
	}
}

func TestConnectErrors(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	dead := l.Addr().String()
	l.Close()
	cfg := DefaultConfig()
	if _, err := Connect(t.Context(), cfg, Options{}); err == nil || !strings.Contains(err.Error(), "keeper.endpoints is empty") {
		t.Errorf("%v", err)
	}
	cfg.Endpoints = []string{dead}
	cfg.ConnectTimeout = config.Duration(300 * time.Millisecond)
	start := time.Now()
	if _, err := Connect(t.Context(), cfg, Options{}); err == nil || !strings.Contains(err.Error(), "keeper.endpoints") || !strings.Contains(err.Error(), dead) {
		t.Errorf("%v", err)
	}
	if took := time.Since(start); took > 5*time.Second {
		t.Errorf("gave up after %v", took)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Connect(ctx, cfg, Options{}); err == nil {
		t.Error("connected with an ended context")
	}
}

// TestLockSurvivesNobody: the lock on a directory ends with the process that
// held it, however it ended.
func TestLockSurvivesNobody(t *testing.T) {
	if dir := os.Getenv("LONGLINK_TEST_LOCK"); dir != "" {
		if _, err := lockDir(dir); err != nil {
			os.Exit(3)
		}
		os.Exit(0) // without a release
	}
	dir := t.TempDir()
	again := func() error {
		cmd := exec.Command(os.Args[0], "-test.run=^TestLockSurvivesNobody$")
		cmd.Env = append(os.Environ(), "LONGLINK_TEST_LOCK="+dir)
		return cmd.Run()
	}
	if err := again(); err != nil {
		t.Fatal(err)
	}
	f, err := lockDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var exit *exec.ExitError
	if err := again(); !errors.As(err, &exit) || exit.ExitCode() != 3 {
		t.Errorf("another process got the lock: %v", err)
	}
}
