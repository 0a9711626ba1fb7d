package config_test

import (
	"errors"
	"reflect"
	"strings"
	"testing"

	"longlink/pkg/config"
)

// FuzzLoad: whatever the file, the variable and the flag hold, Load answers
// with *Errors of one line each and an untouched struct, or with a struct that
// it writes and reads again without a change.
func FuzzLoad(f *testing.F) {
	f.Add(config.Annotated(defaults()), "LONGLINK_ROOM_PORT=1", "room.port", "2")
	for _, file := range []string{
		"", "room:\n  prot: 1\n", "room: [", "room: &a [*a]\n", "a: &a\n  <<: *a\n", "? [x]\n: y\n", "--- a\n--- b\n", "room: {port: 1, port: 2}\n",
		"room:\n\tport: 1", "\"\\", "%YAML 1.1\n---\n", "{a: {b: {c: }}}", "room: !!binary aGk=\n", "\xff\xfe", "|\n  x\n", "room:\n  labels: {1: 2, ~: x, <<: y}\n",
		"saver: {redis: {addrs: [a, 1, 0x1, 2001-01-01]}}\n", "room: {share: 1e309, frame: 1.5, heartbeat: 0}",
	} {
		f.Add([]byte(file), "LONGLINK_ROOM_LABELS=a=b,c", "saver.redis.addrs", ",")
	}
	f.Fuzz(func(t *testing.T, file []byte, variable, key, value string) {
		dst := defaults()
		_, err := config.Load(&dst, config.Options{
			Data: file, Name: "f.yaml", Env: []string{variable}, Flags: map[string]string{key: value}, Live: map[string]string{value: key},
		})
		var all *config.Errors
		if errors.As(err, &all) {
			for _, e := range all.Fields {
				if strings.ContainsAny(e.Error(), "\r\n") {
					t.Errorf("more than one line: %q", e.Error())
				}
				if e.Place.Layer == config.LayerFile && e.Place.Line < 1 {
					t.Errorf("no line: %v", e)
				}
			}
			if !reflect.DeepEqual(dst, defaults()) {
				t.Error("a refused load changed the struct")
			}
			return
		}
		if err != nil {
			t.Fatalf("not *Errors: %v", err)
		}
		again := dst
		if _, err := config.Load(&again, config.Options{Data: config.Annotated(dst), Name: "annotated"}); err != nil || !reflect.DeepEqual(again, dst) {
			t.Errorf("%v\n%s", err, config.Annotated(dst))
		}
	})
}
