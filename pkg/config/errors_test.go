package config_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"longlink/pkg/config"
)

// TestRefusals shows a file and every line that Load answers.
func TestRefusals(t *testing.T) {
	for _, c := range []struct {
		name, file string
		want       []string
	}{
		{"unknown key", "room:\n  prot: 1\n", []string{"f.yaml:2:3: room.prot: unknown key; nearest is room.port"}},
		{"unknown key, case and dashes", "room:\n  Max-Connections: 1\n", []string{"f.yaml:2:3: room.Max-Connections: unknown key; nearest is room.max_connections"}},
		{"unknown nested key", "saver:\n  redis:\n    adrs: [a]\n", []string{"f.yaml:3:5: saver.redis.adrs: unknown key; nearest is saver.redis.addrs"}},
		{"unknown section", "log: {format: json}\nromm:\n  port: 1\n", []string{"f.yaml:2:1: romm: unknown key; nearest is room"}},
		{"right key, wrong section", "room:\n  dsn: x\n", []string{"f.yaml:2:3: room.dsn: unknown key; nearest is saver.dsn"}},
		{"key at the top", "heartbeat: 5s\n", []string{"f.yaml:1:1: heartbeat: unknown key; nearest is room.heartbeat"}},
		{"key in an empty section", "center:\n  frame: 1\n", []string{"f.yaml:2:3: center.frame: unknown key; nearest is room.frame"}},
		{"key with odd characters", "room:\n  \"po\\nrt\": 1\n", []string{`f.yaml:2:3: room."po\nrt": unknown key; nearest is room.port`}},

		{"duplicate key", "room:\n  port: 1\n  tls: false\n  port: 2\n", []string{"f.yaml:4:3: room.port: is set twice; first on line 2"}},
		{"duplicate section", "room:\n  port: 1\n\nroom:\n  port: 2\n", []string{"f.yaml:4:1: room: is set twice; first on line 1"}},
		{"duplicate in a map", "room:\n  labels:\n    a: 1\n    a: 2\n", []string{"f.yaml:4:5: room.labels.a: is set twice; first on line 3"}},

		{"section is a list", "room: [1]\n", []string{"f.yaml:1:7: room: wants a section of keys, got a list"}},
		{"file is a list", "- room\n", []string{"f.yaml:1:1: wants a section of keys, got a list"}},
		{"int is a string", "room:\n  port: \"1\"\n", []string{`f.yaml:2:9: room.port: wants an integer, got a string "1"`}},
		{"int is a number", "room:\n  port: 1.5\n", []string{"f.yaml:2:9: room.port: wants an integer, got a number"}},
		{"int is octal", "room:\n  port: 0700\n", []string{`f.yaml:2:9: room.port: wants an integer, got "0700"`}},
		{"int is nothing", "room:\n  port:\n", []string{"f.yaml:2:8: room.port: wants an integer, got nothing"}},
		{"bool is yes", "room:\n  tls: yes\n", []string{`f.yaml:2:8: room.tls: wants true or false, got a string "yes"`}},
		{"string is a boolean", "log:\n  syslog_port: true\n", []string{"f.yaml:2:16: log.syslog_port: wants a string, got a boolean; quote it"}},
		{"list is a string", "saver:\n  redis:\n    addrs: a\n", []string{`f.yaml:3:12: saver.redis.addrs: wants a list of strings, got a string; write [a, b], or [] for none`}},
		{"list element", "saver:\n  redis:\n    addrs:\n      - a\n      - [b]\n      - null\n", []string{
			"f.yaml:5:9: saver.redis.addrs: wants strings inside, got a list",
			"f.yaml:6:9: saver.redis.addrs: wants strings inside, got nothing; quote it"}},
		{"map is a list", "room:\n  labels: [a]\n", []string{"f.yaml:2:11: room.labels: wants a map of strings, got a list"}},
		{"strange tag", "room:\n  port: !port 1\n", []string{"f.yaml:2:9: room.port: wants an integer, got a value with the tag !port"}},
		{"key is a list", "room:\n  [a]: 1\n", []string{"f.yaml:2:3: room: a key is a plain name, not a list"}},
		{"alias", "room:\n  port: &p 1\nlog:\n  syslog_port: *p\n", []string{"f.yaml:4:16: log.syslog_port: wants a string, got an alias (aliases are not read; write the value out)"}},
		{"merge", "room: &r\n  port: 1\nlog:\n  <<: *r\n", []string{"f.yaml:4:3: log.<<: merge keys are not read; write the keys out"}},

		{"too small", "room:\n  max_connections: 0\n", []string{"f.yaml:2:20: room.max_connections: 0 is below the minimum 1"}},
		{"too large", "room:\n  port: 65536\n", []string{"f.yaml:2:9: room.port: 65536 is above the maximum 65535"}},
		{"too large for the type", "room:\n  max_connections: 4294967296\n", []string{"f.yaml:2:20: room.max_connections: 4294967296 is outside of what uint32 can hold"}},
		{"negative unsigned", "room:\n  max_connections: -1\n", []string{"f.yaml:2:20: room.max_connections: -1 is outside of what uint32 can hold"}},
		{"duration bounds", "room:\n  heartbeat: 90m\n", []string{"f.yaml:2:14: room.heartbeat: 1h30m is above the maximum 1h"}},
		{"duration without unit", "room:\n  heartbeat: 25\n", []string{"f.yaml:2:14: room.heartbeat: 25 has no unit; write 25s, or use ms, m or h"}},
		{"duration in days", "room:\n  heartbeat: 30d\n", []string{"f.yaml:2:14: room.heartbeat: 30d: the largest unit is the hour; write a day as 24h"}},
		{"size bounds", "room:\n  frame: 2MiB\n", []string{"f.yaml:2:10: room.frame: 2MiB is above the maximum 1MiB"}},
		{"size unit", "room:\n  frame: 64KB\n", []string{`f.yaml:2:10: room.frame: "64KB": unknown unit; write KiB (units are binary: 1KiB is 1024B)`}},
		{"not a finite number", "room:\n  share: .nan\n", []string{`f.yaml:2:10: room.share: wants a number, got ".nan"`}},
		{"text type", "room:\n  advertise: home\n", []string{`f.yaml:2:14: room.advertise: ParseAddr("home"): unable to parse IP`}},
		{"oneof", "log:\n  format: jsn\n", []string{`f.yaml:2:11: log.format: "jsn" is not one of text, json; nearest is json`}},
		{"oneof in a list", "room:\n  networks: [wifi, 6g]\n", []string{`f.yaml:2:13: room.networks: "6g" is not one of wifi, 5g, 4g, wired; nearest is 5g`}},
		{"required", "saver:\n  redis:\n    addrs: []\n", []string{"f.yaml:3:5: saver.redis.addrs: is required; set it in the file or with LONGLINK_SAVER_REDIS_ADDRS"}},
		{"cross-field check", "saver:\n  redis:\n    high: 3\n    low: 4\n", []string{"f.yaml:4:5: saver.redis.low: must not be above saver.redis.high"}},
		{"check of the whole", "room:\n  tls: true\n", []string{"tls needs a ledger", "f.yaml:2:3: room.tls: needs saver.dsn"}},
		{"no cross-field check over a refused value", "saver:\n  redis:\n    low: 20\n    high: many\n", []string{`f.yaml:4:11: saver.redis.high: wants an integer, got a string "many"`}},
		{"secret", "saver:\n  dsn: [hunter2]\n", []string{"f.yaml:2:8: saver.dsn: wants a string, got a list"}},

		{"syntax: indentation", "room:\n  port: 1\n tls: true\n", []string{"f.yaml:3: not YAML: did not find expected key"}},
		{"syntax: tab", "# a\nroom:\n\tport: 1\n", []string{"f.yaml:3: not YAML: found character that cannot start any token"}},
		{"syntax: open bracket", "log: {}\nroom:\n  networks: [wifi,\n  port: 1\nsaver:\n", []string{"f.yaml:3: not YAML: did not find expected ',' or ']'"}},
		{"syntax: two colons", "room:\n\n\n  port: tls: 1\n", []string{"f.yaml:4: not YAML: mapping values are not allowed in this context"}},
		{"syntax: list in a mapping", "log: {}\n- room\n", []string{"f.yaml:2: not YAML: did not find expected key"}},
		{"syntax: not UTF-8", "log: {}\nroom: {}\nsaver: \xff\n", []string{"f.yaml:3: not YAML: invalid leading UTF-8 octet"}},
		{"syntax: unknown anchor", "log: {}\nroom: *x\n", []string{"f.yaml:2: not YAML: unknown anchor 'x' referenced"}},
		{"second document", "room:\n  port: 1\n---\nlog: {}\n", []string{"f.yaml:4:1: a second document starts; a configuration is one"}},

		{"all at once, in order", "room:\n  prot: 1\n  port: x\nlog:\n  format: xml\nsafer: {}\n", []string{
			"f.yaml:2:3: room.prot: unknown key; nearest is room.port",
			`f.yaml:3:9: room.port: wants an integer, got a string "x"`,
			`f.yaml:5:11: log.format: "xml" is not one of text, json; nearest is text`,
			"f.yaml:6:1: safer: unknown key; nearest is saver"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			dst := defaults()
			_, err := config.Load(&dst, config.Options{Data: []byte(c.file), Name: "f.yaml"})
			wantLines(t, err, c.want)
		})
	}
}

func wantLines(t *testing.T, err error, want []string) {
	t.Helper()
	var all *config.Errors
	if !errors.As(err, &all) {
		t.Fatalf("got %v, want *Errors", err)
	}
	if got := all.Error(); got != strings.Join(want, "\n") {
		t.Errorf("got\n%s\nwant\n%s", got, strings.Join(want, "\n"))
	}
}

func TestSyntaxErrorStillShowsTheOtherLayers(t *testing.T) {
	dst := defaults()
	_, err := config.Load(&dst, config.Options{Data: []byte("room: ["), Name: "f.yaml", Flags: map[string]string{"room.port": "x"}})
	wantLines(t, err, []string{
		"f.yaml:1: not YAML: did not find expected node content",
		`flag room.port: wants an integer, got "x"`,
	})
}

func TestFileThatCannotBeRead(t *testing.T) {
	dst := defaults()
	dir := t.TempDir()
	if _, err := config.Load(&dst, config.Options{File: filepath.Join(dir, "none.yaml")}); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v", err)
	}
	if _, err := config.Load(&dst, config.Options{File: dir}); err == nil {
		t.Error("a directory was read as a file")
	}
	big := filepath.Join(dir, "big.yaml")
	if err := os.WriteFile(big, make([]byte, 2<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := config.Load(&dst, config.Options{File: big}); err == nil || !strings.Contains(err.Error(), "larger than 1MiB") {
		t.Errorf("got %v", err)
	}
}

func TestSyntaxErrorsInLongFiles(t *testing.T) {
	before := "room: {}\n" + strings.Repeat("# a line of some length that says nothing\n", 20_000)
	for _, c := range []struct{ end, want string }{
		{"\tport: 1\n", "f.yaml:20002: not YAML: found character that cannot start any token"},
		{"log:\n  format: \xff\n", "f.yaml:20003: not YAML: invalid leading UTF-8 octet"},
		{"log:\n  format: \"text\n" + before, "f.yaml:20003: not YAML: found unexpected end of stream"}, // where it starts, as the parser says
	} {
		dst := defaults()
		_, err := config.Load(&dst, config.Options{Data: []byte((before + c.end)[:min(len(before+c.end), 1<<20)]), Name: "f.yaml"})
		wantLines(t, err, []string{c.want})
	}
}
