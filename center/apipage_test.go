package center

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"longlink/pkg/api"
)

// pageExample is a curl command of docs/api.md and the answer that it shows.
type pageExample struct {
	command string
	answer  any
}

var exampleForm = regexp.MustCompile("(?s)```sh\n(curl [^`]*?)\n```\n\n```json\n(.*?)\n```")

func pageExamples(t *testing.T) (out []pageExample) {
	t.Helper()
	page, err := os.ReadFile(apiPage)
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range exampleForm.FindAllStringSubmatch(string(page), -1) {
		e := pageExample{command: m[1]}
		if err := json.Unmarshal([]byte(m[2]), &e.answer); err != nil {
			t.Fatalf("%s: %v", m[2], err)
		}
		out = append(out, e)
	}
	// curl -N follows a stream, which has no one answer.
	text := string(page)
	if n := strings.Count(text, "\ncurl ") - strings.Count(text, "\ncurl -sN ") - strings.Count(text, "\ncurl -N "); n != len(out) || n == 0 {
		t.Fatalf("%d examples, %d of them in the form that this test reads", n, len(out))
	}
	return out
}

// words splits a command as the shell would.
func words(t *testing.T, command string, vars map[string]string) (out []string) {
	t.Helper()
	for _, m := range regexp.MustCompile(`'([^']*)'|"([^"]*)"|([^\s'"]+)`).FindAllStringSubmatch(strings.ReplaceAll(command, "\\\n", " "), -1) {
		if m[1] != "" {
			out = append(out, m[1])
			continue
		}
		out = append(out, os.Expand(m[2]+m[3], func(name string) string {
			if vars[name] == "" {
				t.Errorf("%s: there is no $%s", command, name)
			}
			return vars[name]
		}))
	}
	return out
}

// TestAPIPageExamples runs the page's commands, and holds the answers against
// those that it shows: the names of the fields, and what does not differ from
// call to call.
func TestAPIPageExamples(t *testing.T) {
	w := newWorld(t, nil)
	w.reg.online("phone-1", 5, "demo")
	w.room.set(func() {
		w.room.onItem = func(it *api.DeliverItem) { w.saver.ack(it.Device+"/"+it.Product, it.Message.Seq) }
	})
	vars := map[string]string{"KEY": w.keys["demo"], "OPERATOR": w.op, "ID": w.push(`{"product":"demo","device":"away","text":"hi"}`).ID}
	for _, e := range pageExamples(t) {
		method, key, body, target := "", "", "", ""
		list := words(t, e.command, vars)[1:]
		for i := 0; i < len(list); i++ {
			switch list[i] {
			case "-s":
			case "-X":
				i++
				method = list[i]
			case "-H":
				i++
				key = strings.TrimPrefix(list[i], "Authorization: Bearer ")
			case "-d":
				i++
				body = list[i]
			default:
				target += list[i]
			}
		}
		if method == "" {
			method = map[bool]string{true: "POST", false: "GET"}[body != ""]
		}
		u, err := url.Parse(target)
		if err != nil || u.Host != "127.0.0.1:7200" {
			t.Fatalf("%s: %q, %v", e.command, target, err)
		}
		a := w.call(key, method, u.RequestURI(), body)
		var got any
		if err := json.Unmarshal(a.body, &got); err != nil || a.status/100 != 2 {
			t.Errorf("%s: %d %s", e.command, a.status, a.body)
			continue
		}
		alike(t, e.command, "", e.answer, got)
	}
}

// alike compares what the page shows with what came.
func alike(t *testing.T, command, at string, want, got any) {
	t.Helper()
	switch want := want.(type) {
	case map[string]any:
		got, _ := got.(map[string]any)
		if a, b := slices.Sorted(maps.Keys(want)), slices.Sorted(maps.Keys(got)); !slices.Equal(a, b) && at != ".rooms.figures" {
			t.Errorf("%s: the page has %s with %v, the answer with %v", command, at, a, b)
			return
		}
		for name := range want {
			alike(t, command, at+"."+name, want[name], got[name])
		}
	case []any:
		got, _ := got.([]any)
		if len(want) != len(got) && at != ".rooms.addresses" {
			t.Errorf("%s: the page has %d of %s, the answer %d", command, len(want), at, len(got))
		}
		for i := range want {
			if i < len(got) {
				alike(t, command, at, want[i], got[i])
			}
		}
	default:
		name := at[strings.LastIndexByte(at, '.')+1:]
		steady := []string{"changed", "recalled", "targets", "code", "field", "product", "device", "alias"}
		if fmt.Sprintf("%T", want) != fmt.Sprintf("%T", got) || slices.Contains(steady, name) && want != got {
			t.Errorf("%s: the page has %s %v, the answer %v", command, at, want, got)
		}
	}
}
