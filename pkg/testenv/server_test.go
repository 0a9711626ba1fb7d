package testenv_test

import (
	"bufio"
	"context"
	"database/sql"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"longlink/pkg/testenv"
)

// The servers are asked by hand: the clients of Redis and etcd have their
// homes in other packages.

func redis(t *testing.T, addr, command string) string {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprintf(conn, "%s\r\n", command)
	r := bufio.NewReader(conn)
	line, err := r.ReadString('\n')
	if err == nil && strings.HasPrefix(line, "$") && line != "$-1\r\n" {
		line, err = r.ReadString('\n')
	}
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(line)
}

func restart(t *testing.T, s *testenv.Server, end func() error) {
	t.Helper()
	before := s.Pid()
	if err := s.Start(); err == nil {
		t.Error("a second Start of a running server was no error")
	}
	if err := end(); err != nil {
		t.Logf("it ended with: %v", err)
	}
	if err := s.Start(); err != nil {
		t.Fatal(err)
	}
	if s.Pid() == before {
		t.Error("the process is the same after Start")
	}
}

func TestRedis(t *testing.T) {
	rdb := testenv.Redis(t, testenv.AOF())
	if got := redis(t, rdb.Addr, "SET k v1"); got != "+OK" {
		t.Fatalf("SET: %s", got)
	}
	restart(t, rdb.Server, rdb.Kill)
	if got := redis(t, rdb.Addr, "GET k"); got != "v1" {
		t.Errorf("with AOF, after Kill and Start, the key holds %q", got)
	}
	restart(t, rdb.Server, rdb.Stop)
	if got := redis(t, rdb.Addr, "GET k"); got != "v1" {
		t.Errorf("with AOF, after Stop and Start, the key holds %q", got)
	}
}

func TestRedisForgetsWithoutAOF(t *testing.T) {
	rdb := testenv.Redis(t, testenv.Args("--maxmemory-policy", "noeviction"))
	if got := redis(t, rdb.Addr, "SET k v1"); got != "+OK" {
		t.Fatalf("SET: %s", got)
	}
	restart(t, rdb.Server, rdb.Stop)
	if got := redis(t, rdb.Addr, "GET k"); got != "$-1" {
		t.Errorf("without AOF, after Stop and Start, the key holds %q", got)
	}
}

func TestMariaDB(t *testing.T) {
	my := testenv.MariaDB(t)
	dsn, other := my.NewDatabase(t), my.NewDatabase(t)
	if dsn == other {
		t.Fatalf("two databases have one DSN: %s", dsn)
	}
	query(t, dsn, "CREATE TABLE rows_ (k VARCHAR(20) PRIMARY KEY)")
	query(t, dsn, "INSERT INTO rows_ VALUES ('käse')")
	restart(t, my.Server, my.Kill)
	if got := query(t, dsn, "SELECT k FROM rows_"); got != "käse" {
		t.Errorf("after Kill and Start the row holds %q", got)
	}
	if got := query(t, dsn, "SELECT @@innodb_flush_log_at_trx_commit"); got != "1" {
		t.Errorf("innodb_flush_log_at_trx_commit is %s", got)
	}
	if got := query(t, dsn, "SELECT @@collation_database"); got != "utf8mb4_unicode_ci" {
		t.Errorf("collation_database is %s", got)
	}
	restart(t, my.Server, my.Stop)
	if got := query(t, other, "SELECT COUNT(*) FROM information_schema.tables WHERE table_schema = DATABASE()"); got != "0" {
		t.Errorf("the other database has %s tables", got)
	}
}

func query(t *testing.T, dsn, statement string) string {
	t.Helper()
	db, err := sql.Open("mysql", dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	rows, err := db.QueryContext(t.Context(), statement)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	var got string
	for rows.Next() {
		if err := rows.Scan(&got); err != nil {
			t.Fatal(err)
		}
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return got
}

func TestEtcd(t *testing.T) {
	kv := testenv.Etcd(t)
	// "k" and "v1" in base64, as etcd's JSON wants.
	etcd(t, kv, "put", `{"key":"aw==","value":"djE="}`)
	restart(t, kv.Server, kv.Kill)
	if got := etcd(t, kv, "range", `{"key":"aw=="}`); !strings.Contains(got, `"djE="`) {
		t.Errorf("after Kill and Start the key is answered with %s", got)
	}
	restart(t, kv.Server, kv.Stop)
	if got := etcd(t, kv, "range", `{"key":"aw=="}`); !strings.Contains(got, `"djE="`) {
		t.Errorf("after Stop and Start the key is answered with %s", got)
	}
}

func etcd(t *testing.T, kv *testenv.EtcdServer, call, body string) string {
	t.Helper()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	req, err := http.NewRequestWithContext(context.Background(), http.MethodPost, kv.Endpoints[0]+"/v3/kv/"+call, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("%s: %s %s %v", call, resp.Status, answer, err)
	}
	return string(answer)
}

func TestShared(t *testing.T) {
	rdb, my, kv := stores.Redis(t), stores.MariaDB(t), stores.Etcd(t)
	if again := stores.Redis(t); again.Pid() != rdb.Pid() {
		t.Error("Redis was started twice")
	}
	if again := stores.MariaDB(t); again.NewDatabase(t) == my.NewDatabase(t) {
		t.Error("two tests would share a database")
	}
	if again := stores.Etcd(t); again.Pid() != kv.Pid() {
		t.Error("etcd was started twice")
	}
}

// A server that cannot start says so at once, with its own words.
func TestStartFails(t *testing.T) {
	_, err := testenv.StartRedis(t.TempDir(), testenv.Args("--no-such-setting", "1"))
	if err == nil || !strings.Contains(err.Error(), "no-such-setting") {
		t.Errorf("StartRedis: %v", err)
	}
}
