package config_test

import (
	"bytes"
	"reflect"
	"strings"
	"testing"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
	"pgregory.net/rapid"

	"longlink/pkg/config"
)

func TestAnnotated(t *testing.T) {
	type small struct {
		Room struct {
			Port   int               `yaml:"port" doc:"A rather long sentence about the port that a room listens on, which goes on until the line has to break.\n\nA second paragraph." min:"1" max:"65535"`
			Beat   config.Duration   `yaml:"beat" min:"1s" live:"true"`
			Frame  config.Size       `yaml:"frame" doc:"Largest frame." max:"1MiB"`
			Level  string            `yaml:"level" oneof:"text json"`
			Secret string            `yaml:"secret" doc:"Signs tokens." secret:"true" required:"true"`
			Other  string            `yaml:"other" secret:"true"`
			Hosts  []string          `yaml:"hosts"`
			None   []string          `yaml:"none"`
			Labels map[string]string `yaml:"labels"`
			Nested struct {
				On bool `yaml:"on"`
			} `yaml:"nested" doc:"Deeper."`
		} `yaml:"room" doc:"Holds connections."`
		Log struct{} `yaml:"log"`
	}
	var v small
	v.Room.Port, v.Room.Beat, v.Room.Frame, v.Room.Level, v.Room.Secret = 7001, 60e9, 4096, "text", "hunter2"
	v.Room.Hosts = []string{"a:1", "*"}
	v.Room.Labels = map[string]string{"z": "yes", "a": ""}
	want := `# Holds connections.
room:
  # A rather long sentence about the port that a room listens on, which goes on until the
  # line has to break.
  #
  # A second paragraph. (1 to 65535)
  port: 7001
  # (at least 1s; live)
  beat: 1m
  # Largest frame. (at most 1MiB)
  frame: 4KiB
  # (one of text, json)
  level: text
  # Signs tokens. (required; secret)
  # secret: not shown
  # (secret)
  other: ""
  hosts:
    - a:1
    - '*'
  none: []
  labels:
    a: ""
    z: "yes"
  # Deeper.
  nested:
    on: false

log: {}
`
	got := string(config.Annotated(v))
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	loaded := v
	if _, err := config.Load(&loaded, config.Options{Data: []byte(got), Name: "annotated"}); err != nil || !reflect.DeepEqual(loaded, v) {
		t.Errorf("read back as %+v, %v", loaded, err)
	}
	if p := config.Annotated(&v); !bytes.Equal(p, []byte(got)) {
		t.Error("a pointer is written otherwise")
	}
}

// TestAnnotatedRoundTrip reads what was written over other values, so that every
// key has to come from the file.
func TestAnnotatedRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.OneOf(rapid.String(), rapid.SampledFrom([]string{
			"yes", "null", "~", "1", "0x1f", "1e3", ".inf", "<<", "2001-01-01", "a: b", "# c", " lead", "trail ", "a\nb\n", "\t", "'", `"`, "\\", "*a", "&a", "!t", "%", "@", "`", "---", "...", "-", "?", "\u2028", "\ufeff", "\x00", "=", "1:30",
			strings.Repeat("long words ", 30),
		})).Filter(utf8.ValidString)
		v := defaults()
		v.Room.Port = rapid.IntRange(0, 65535).Draw(t, "port")
		v.Room.Share = rapid.Float64Range(0, 1).Draw(t, "share")
		v.Room.TLS = rapid.Bool().Draw(t, "tls")
		v.Room.Networks = rapid.SliceOf(rapid.SampledFrom([]string{"wifi", "5g", "4g", "wired"})).Draw(t, "networks")
		v.Room.Labels = rapid.MapOf(text, text).Draw(t, "labels")
		v.Room.Heartbeat = config.Duration(rapid.Int64Range(1e9, 3600e9).Draw(t, "heartbeat"))
		v.Room.Frame = config.Size(rapid.Int64Range(64, 1<<20).Draw(t, "frame"))
		v.Saver.Redis.Addrs = rapid.SliceOfN(text, 1, 5).Draw(t, "addrs")
		v.Log.Port = text.Draw(t, "text")
		v.Saver.DSN = "set" // a secret: not in the file

		file := config.Annotated(v)
		got := defaults()
		got.Room.Networks, got.Room.Labels, got.Saver.Redis.Addrs, got.Saver.DSN = []string{}, map[string]string{}, nil, "set"
		if _, err := config.Load(&got, config.Options{Data: file, Name: "annotated"}); err != nil {
			t.Fatalf("%v\n%s", err, file)
		}
		if !reflect.DeepEqual(got, v) {
			t.Fatalf("got %+v\nwant %+v\n%s", got, v, file)
		}
		// Another reader of YAML takes the strings for the same ones.
		var other struct {
			Log struct {
				Port any `yaml:"syslog_port"`
			}
		}
		if err := yaml.Unmarshal(file, &other); err != nil || other.Log.Port != v.Log.Port {
			t.Fatalf("plain YAML reads %#v, %v", other.Log.Port, err)
		}
	})
}

func TestAnnotatedKeepsItsWidth(t *testing.T) {
	type wide struct {
		Room struct {
			Port int `yaml:"port" doc:"ééééé ééééé ééééé ééééé ééééé ééééé ééééé ééééé ééééé ééééé ééééé ééééé ééééé ééééé ééééé ééééé ééééé"`
		} `yaml:"room"`
	}
	for line := range strings.Lines(string(config.Annotated(wide{}))) {
		if n := utf8.RuneCountInString(strings.TrimSuffix(line, "\n")); n > 90 {
			t.Errorf("%d columns: %s", n, line)
		}
	}
}

func TestAnnotatedRefusesWhatIsNoConfiguration(t *testing.T) {
	for _, v := range []any{nil, 7, struct{ A int }{}} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%T was written", v)
				}
			}()
			config.Annotated(v)
		}()
	}
}
