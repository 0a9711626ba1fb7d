package e2e

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// commands runs the client commands as a user types them, with what they print.
// A $NAME in a line is what an earlier one printed.
func commands(t *testing.T, s *Site) {
	dir := t.TempDir()
	file := filepath.Join(dir, "body.bin")
	if err := os.WriteFile(file, []byte{0, 1, 2, 255}, 0o600); err != nil {
		t.Fatal(err)
	}
	product(t, s, "desk")
	d := s.Device(t, "lamp-1", "--product", "desk", "--tag", "desk/hall", "--send", "desk/report=a=b, c", "--send", "hello=there")
	d.Start()
	d.AwaitConnected()
	d.Await("stored", 2)

	known := map[string]string{"FILE": file, "TOKEN": strings.TrimSpace(s.must(t, "token", "--device", "lamp-2", "--product", "desk", "--alias", "desk=carol", "--ttl", "1h"))}
	const ms = `\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z`
	for _, c := range []struct {
		line string // words; _ is a space in one
		exit string // empty: done; else a part of "exit N: text"
		want string // pattern of the whole standard output
		save string // name for the first group of the pattern
	}{
		{line: "push --product desk --device lamp-1 --text good_morning --wait 10s", want: `lamp-1\tacked\t\d+\t(\S+)\n`, save: "ID"},
		{line: "push --product desk --device lamp-1 --json {\"n\":1} --collapse-key k --ttl 1h", want: `lamp-1\t(sent|stored)\t\d+\t\S+\n`},
		{line: "push --product desk --device lamp-1 --file $FILE --dedup-id once", want: `lamp-1\t(?:sent|stored)\t\d+\t(\S+)\n`, save: "ONCE"},
		{line: "push --product desk --device lamp-1 --file $FILE --dedup-id once", want: `lamp-1\t(?:sent|stored)\t\d+\t$ONCE\n`},
		{line: "push --product desk --device lamp-1 --device lamp-2 --text both", want: `lamp-1\t\w+\t\d+\t(\S+)\nlamp-2\tstored\t\d+\t\S+\n`},
		{line: "push --product desk --device lamp-1 --text now --qos 0", want: `lamp-1\tsent\t0\t\S+\n`},
		{line: "push --product desk --device lamp-2 --text now --qos 0", exit: "exit 1: longlink push: OFFLINE"},
		{line: "push --product desk --device lamp-2 --text x --wait 100ms", exit: "exit 1: longlink push: 1 of 1 devices did not acknowledge", want: `lamp-2\tstored\t\d+\t\S+\n`},
		{line: "push --product nowhere --device lamp-1 --text x", exit: "exit 1: longlink push: UNKNOWN_PRODUCT"},
		{line: "push --product desk --device lamp$1 --text x", exit: "exit 1: longlink push: INVALID_ARGUMENT: device"},
		{line: "push --product desk --alias nobody --text x", exit: "exit 1: longlink push: NOT_FOUND: alias"},
		{line: "push --product desk --device lamp-1 --alias a --text x", exit: "exit 2: longlink: "},
		{line: "status lamp-1 lamp-2", want: `DEVICE .*\nlamp-1 +online +room-\S+ +` + ms + ` +wifi +desk +hall +0\nlamp-2 +offline .*\n`},
		{line: "status --json lamp-1", want: `\{"type":"device","device":"lamp-1","state":"online",.*"bindings":\[\{"product":"desk","tags":\["hall"\],"pending":0\}\]\}\n`},
		{line: "trace $ID", want: `PRODUCT .*\ndesk +lamp-1 +(?:acked|stored) +\d+ +` + ms + ` +` + ms + `\n\nTIME .*\n(?:.*\n)*.* acknowledged .*\n(?:.*\n)*`},
		{line: "recall $ID", want: `ID +RECALLED +TARGETS\n$ID +\d +1\n`},
		{line: "alias add --product desk carol lamp-1 lamp-2", want: "lamp-1\tadded\nlamp-2\tadded\n"},
		{line: "alias ls --product desk carol", want: `DEVICE +SINCE\nlamp-1 +` + ms + `\nlamp-2 +` + ms + `\n`},
		{line: "alias rm --product desk carol lamp-2", want: "lamp-2\tremoved\n"},
		{line: "push --product desk --alias carol --text hi --wait 10s", want: `lamp-1\tacked\t\d+\t\S+\n`},
		{line: "services", want: `KIND .*\n(?:[a-z]+ +\S+ +ready .*\n){7,}`},
		{line: "services --json", want: `(?:\{"type":"service","kind":"[a-z]+","id":.*\}\n){7,}`},
		{line: "rooms", want: `ID .*\n(?:room-\S+ +ready .*connections=\d+.*\n)+`},
		{line: "rooms --json", want: `(?:\{"type":"room","id":"room-.*\}\n)+`},
		{line: "product create kiosk", want: "product\tkiosk\napi_key\tll_\\S+\ngrant_kid\t\\S+\ngrant_secret\t\\S+\n"},
		{line: "product create kiosk", exit: "exit 1: longlink product create: ALREADY_EXISTS"},
		{line: "product ls", want: `NAME .*\n(?:.*\n)*kiosk +` + ms + ` +\S+\n(?:.*\n)*`},
		{line: "product ls --json", want: `(?:\{"type":"product","name":.*\}\n)+`},
		{line: "product rotate-key kiosk", want: "api_key\tll_\\S+\n"},
		{line: "product delete kiosk", want: "deleted\tkiosk\n"},
		{line: "product delete kiosk", exit: "exit 1: longlink product delete: "},
		{line: "token --explain $TOKEN", want: `header \{(?:.*\n)*.*"desk": "carol"(?:.*\n)*valid until .*\n.*\n`},
		{line: "token --device lamp-1 --product nowhere", exit: "exit 1: longlink token: UNKNOWN_PRODUCT"},
		{line: "kick nobody-1", exit: "exit 1: longlink kick: 1 of 1 devices were not kicked", want: `nobody-1\tfailed\tOFFLINE.*\n`},
		{line: "kick lamp-1 --reason enough", want: "lamp-1\tkicked\n"},
		{line: "events --product nowhere", exit: "exit 1: longlink events: UNKNOWN_PRODUCT"},
		{line: "drain room-1", exit: "exit 2: longlink: "},
	} {
		var args []string
		for _, w := range strings.Fields(c.line) {
			args = append(args, expand(strings.ReplaceAll(w, "_", " "), known))
		}
		out, err := s.CLI(args...)
		if c.exit == "" && err != nil || c.exit != "" && (err == nil || !strings.HasPrefix(err.Error(), c.exit)) {
			t.Errorf("longlink %s: %v, want %q\n%s", c.line, err, c.exit, out)
			continue
		}
		if c.exit != "" && strings.Count(err.Error(), "\n") != 1 {
			t.Errorf("longlink %s: not one sentence: %v", c.line, err)
		}
		m := regexp.MustCompile(`^` + expand(c.want, known) + `$`).FindStringSubmatch(out)
		if m == nil {
			t.Errorf("longlink %s printed\n%s\nwant\n%s", c.line, out, c.want)
		} else if c.save != "" {
			known[c.save] = m[1]
		}
	}
	d.Stop()

	got := d.Messages()
	if len(got) < 4 || got[0].Text != "good morning" {
		t.Errorf("the device received %+v", got)
	}
	var kinds []string
	for _, l := range d.Lines() {
		if l.Type == "stored" {
			kinds = append(kinds, l.Product+"/"+l.Kind)
		}
	}
	if strings.Join(kinds, " ") != "desk/report desk/hello" {
		t.Errorf("it sent %q", kinds)
	}
}

// expand puts what is known in the place of its $NAME.
func expand(s string, known map[string]string) string {
	for name, value := range known {
		s = strings.ReplaceAll(s, "$"+name, value)
	}
	return s
}

// readLines are the whole lines of a file that may still grow.
func readLines(name string) ([]string, error) {
	b, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	lines := strings.Split(string(b), "\n")
	return lines[:len(lines)-1], nil
}
