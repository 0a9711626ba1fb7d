package config_test

import (
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"testing"
	"time"

	"longlink/pkg/config"
)

func TestPrecedence(t *testing.T) {
	opts := config.Options{Data: []byte("room:\n  port: 1\n"), Name: "f.yaml"}
	steps := []struct {
		add  func()
		want config.Origin
		port int
	}{
		{func() {}, config.Origin{Key: "room.port", Value: "1", Layer: config.LayerFile, Where: "f.yaml:2:3"}, 1},
		{func() { opts.Live = map[string]string{"room.port": "2"} }, config.Origin{Key: "room.port", Value: "2", Layer: config.LayerKeeper, Where: "keeper room.port"}, 2},
		{func() { opts.Env = []string{"LONGLINK_ROOM_PORT=3"} }, config.Origin{Key: "room.port", Value: "3", Layer: config.LayerEnvironment, Where: "LONGLINK_ROOM_PORT"}, 3},
		{func() { opts.Flags = map[string]string{"room.port": "4"} }, config.Origin{Key: "room.port", Value: "4", Layer: config.LayerFlag, Where: "flag room.port"}, 4},
		{func() { opts.Flags, opts.Env, opts.Live, opts.Data = nil, nil, nil, nil }, config.Origin{Key: "room.port", Value: "7001", Layer: config.LayerDefault}, 7001},
	}
	for _, s := range steps {
		s.add()
		dst := defaults()
		res, err := config.Load(&dst, opts)
		if err != nil {
			t.Fatal(err)
		}
		if got := res.Explain()[0]; got != s.want {
			t.Errorf("got %+v, want %+v", got, s.want)
		}
		if dst.Room.Port != s.port {
			t.Errorf("port %d, want %d", dst.Room.Port, s.port)
		}
	}
}

func TestEnvironment(t *testing.T) {
	dst := defaults()
	_, err := config.Load(&dst, config.Options{Env: []string{
		"LONGLINK_SAVER_REDIS_ADDRS=a:1, b:2",
		"LONGLINK_ROOM_LABELS=idc=b, rack = 7,empty=",
		"LONGLINK_ROOM_HEARTBEAT=1m30s",
		"LONGLINK_ROOM_FRAME=32KiB",
		"LONGLINK_ROOM_TLS=false",
		"LONGLINK_LOG_FORMAT=", // unset
		"LONGLINK_LOG_LEVEL=debug",
		"LONGLINK_ROOM_PORT=1", "LONGLINK_ROOM_PORT=2", // the last one counts
		"LONGLINK_CENTER=http://127.0.0.1:7200", // a client's variables
		"LONGLINK_API_KEY=k", "LONGLINK_DATA=d", "LONGLINK_ROOMS_X=1",
		"LONGLINK_ROOM_NOTHING=", "ROOM_PORT=9", "odd",
	}})
	if err != nil {
		t.Fatal(err)
	}
	want := defaults()
	want.Saver.Redis.Addrs = []string{"a:1", "b:2"}
	want.Room.Labels = map[string]string{"idc": "b", "rack": "7", "empty": ""}
	want.Room.Heartbeat = config.Duration(90 * time.Second)
	want.Room.Frame = 32 << 10
	want.Log.Level = -4
	want.Room.Port = 2
	if !reflect.DeepEqual(dst, want) {
		t.Errorf("got %+v\nwant %+v", dst, want)
	}
}

func TestEnvironmentRefusals(t *testing.T) {
	dst := defaults()
	before := defaults()
	_, err := config.Load(&dst, config.Options{
		Live: map[string]string{"room.prt": "1", "room.port": "-1"},
		Env: []string{
			"LONGLINK_ROOM_PROT=1",
			"LONGLINK_ROOM=1", // no key part: not ours
			"LONGLINK_CENTER_KEY=1",
			"LONGLINK_SAVER_REDIS=a",
			"LONGLINK_ROOM_TLS=yes",
			"LONGLINK_ROOM_NETWORKS=wifi,,5g",
			"LONGLINK_ROOM_LABELS=a",
			"LONGLINK_LOG_SYSLOG_PORT=\xff",
		},
		Flags: map[string]string{"saver.redis": "a", "room.heartbeat": "", "room.labels": "a=1,a=2", "log.formt": "json"},
	})
	wantLines(t, err, []string{
		"keeper room.port: -1 is below the minimum 0",
		"keeper room.prt: unknown key; nearest is room.port",
		"LONGLINK_CENTER_KEY: unknown variable",
		`LONGLINK_LOG_SYSLOG_PORT: log.syslog_port: is not valid UTF-8`,
		`LONGLINK_ROOM_LABELS: room.labels: "a" is no pair; write a map as k=v,k2=v2`,
		"LONGLINK_ROOM_NETWORKS: room.networks: has an empty element; write a list as a,b,c",
		"LONGLINK_ROOM_PROT: unknown variable; nearest is LONGLINK_ROOM_PORT",
		`LONGLINK_ROOM_TLS: room.tls: wants true or false, got "yes"`,
		"LONGLINK_SAVER_REDIS: unknown variable; nearest is LONGLINK_SAVER_REDIS_LOW",
		"flag log.formt: unknown key; nearest is log.format",
		`flag room.heartbeat: wants a duration such as 25s or 1m30s, got ""`,
		`flag room.labels: "a" is given twice`,
		"flag saver.redis: is a section; set its keys one by one; nearest is saver.redis.low",
	})
	if !reflect.DeepEqual(dst, before) {
		t.Error("a refused load changed the struct")
	}
}

func TestLaterLayersDoNotHideABadFile(t *testing.T) {
	dst := defaults()
	_, err := config.Load(&dst, config.Options{
		Data: []byte("room: {port: x}\n"), Name: "f.yaml", Flags: map[string]string{"room.port": "1"},
	})
	wantLines(t, err, []string{`f.yaml:1:14: room.port: wants an integer, got a string "x"`})
}

func TestExplain(t *testing.T) {
	path := filepath.Join(t.TempDir(), "c.yaml")
	if err := os.WriteFile(path, []byte("saver:\n  dsn: hunter2\nroom:\n  networks:\n    - 4g\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	dst := defaults()
	res, err := config.Load(&dst, config.Options{File: path})
	if err != nil {
		t.Fatal(err)
	}
	got := res.Explain()
	var keys []string
	for _, o := range got {
		keys = append(keys, o.Key)
	}
	want := []string{
		"room.port", "room.max_connections", "room.heartbeat", "room.frame", "room.share", "room.tls",
		"room.networks", "room.labels", "room.advertise",
		"saver.redis.addrs", "saver.redis.low", "saver.redis.high", "saver.dsn",
		"log.level", "log.format", "log.syslog_port",
	}
	if !slices.Equal(keys, want) {
		t.Errorf("keys %v", keys)
	}
	for _, o := range []config.Origin{
		{Key: "room.heartbeat", Value: "25s", Layer: config.LayerDefault, Live: true},
		{Key: "room.networks", Value: "4g", Layer: config.LayerFile, Where: path + ":4:3"},
		{Key: "room.labels", Value: "idc=a", Layer: config.LayerDefault},
		{Key: "saver.dsn", Value: "***", Layer: config.LayerFile, Where: path + ":2:3"},
	} {
		if !slices.Contains(got, o) {
			t.Errorf("%+v is not in %+v", o, got)
		}
	}
}

func TestEmptyFiles(t *testing.T) {
	for _, file := range []string{"", "# nothing\n", "---\n", "{}", "room:\n  # port: 1\n", "\ufeffroom: {}\r\n"} {
		dst := defaults()
		if _, err := config.Load(&dst, config.Options{Data: []byte(file), Name: "f.yaml"}); err != nil {
			t.Errorf("%q: %v", file, err)
		} else if !reflect.DeepEqual(dst, defaults()) {
			t.Errorf("%q changed the defaults", file)
		}
	}
}

func TestBadDefaultsAreFound(t *testing.T) {
	dst := defaults()
	dst.Log.Format = ""
	dst.Room.MaxConnections = 0
	_, err := config.Load(&dst, config.Options{})
	wantLines(t, err, []string{
		"room.max_connections: the default 0 is below the minimum 1",
		`log.format: the default "" is not one of text, json; nearest is text`,
	})
}

func TestStructsThatAreNoSchema(t *testing.T) {
	type section[T any] struct {
		S T `yaml:"s"`
	}
	for name, dst := range map[string]any{
		"no pointer": defaults(),
		"nil":        (*sample)(nil),
		"key at the top": &struct {
			A int `yaml:"a"`
		}{},
		"no name": &struct{ A struct{} }{},
		"bad name": &struct {
			A struct{} `yaml:"A-b"`
		}{},
		"pointer": &section[struct {
			A *int `yaml:"a"`
		}]{},
		"raw duration": &section[struct {
			A time.Duration `yaml:"a"`
		}]{},
		"list of ints": &section[struct {
			A []int `yaml:"a"`
		}]{},
		"two names": &section[struct {
			A int `yaml:"a"`
			B int `yaml:"a"`
		}]{},
		"one variable": &section[struct {
			A struct {
				B int `yaml:"b"`
			} `yaml:"a"`
			C int `yaml:"a_b"`
		}]{},
		"bad bound": &section[struct {
			A int `yaml:"a" min:"x"`
		}]{},
		"bound of a string": &section[struct {
			A string `yaml:"a" max:"1"`
		}]{},
		"oneof of an integer": &section[struct {
			A int `yaml:"a" oneof:"1 2"`
		}]{},
		"live is not true": &section[struct {
			A int `yaml:"a" live:"yes"`
		}]{},
	} {
		_, err := config.Load(dst, config.Options{})
		var all *config.Errors
		if err == nil || errors.As(err, &all) {
			t.Errorf("%s: got %v, want an error about the program", name, err)
		}
	}
}

func TestSecretsStayOutOfErrors(t *testing.T) {
	type keys struct {
		Token struct {
			Secret config.Size `yaml:"secret" secret:"true" max:"1KiB"`
		} `yaml:"token"`
	}
	for _, v := range []string{"hunter2", "4242KiB"} {
		var dst keys
		_, err := config.Load(&dst, config.Options{Env: []string{"LONGLINK_TOKEN_SECRET=" + v}})
		wantLines(t, err, []string{"LONGLINK_TOKEN_SECRET: token.secret: wants a size such as 64KiB within its limits (the value is secret and not shown)"})
	}
}
