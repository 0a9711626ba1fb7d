package cli

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/alecthomas/kong"

	"longlink/pkg/cluster"
	"longlink/pkg/datadir"
)

// TestWrongUsage: exit code 2, one sentence on standard error that names what is
// wrong, nothing on standard output, no call made.
func TestWrongUsage(t *testing.T) {
	c := startCenter(t, nil)
	for _, tc := range []struct {
		args string
		want string
	}{
		{"", "expected one of"},
		{"sreve", "sreve"},
		{"broadcast", "broadcast"},
		{"services --colour", "--colour"},
		{"push --product p --text x", "--device, or an --alias"},
		{"push --product p --device d", "--text, --json or --file"},
		{"push --device d --text x", "--product"},
		{"push --product p --device d --alias a --text x", "--alias"},
		{"push --product p --device d --text x --json 1", "--json"},
		{"push --product p --device d --json {", "--json is not valid"},
		{"push --product p --device d --file /nowhere/at/all", "--file"},
		{"push --product p --device d --text x --qos 2", "--qos"},
		{"push --product p --device d --text x --ttl soon", "--ttl"},
		{"trace", "message-id"},
		{"trace a b", "unexpected argument b"},
		{"recall", "message-id"},
		{"alias", "expected one of"},
		{"alias ls", "--product"},
		{"alias ls alice", "--product"},
		{"alias add --product p alice", "device"},
		{"alias rm --product p", "alias"},
		{"events", "--product"},
		{"events --product p --since=-1s", "--since must not be negative"},
		{"events --product p --since yesterday", "--since"},
		{"status", "device"},
		{"kick", "device"},
		{"token", "--device, or --explain"},
		{"token --device d --alias a", "--alias needs a --product"},
		{"token --device d --product p --alias a --alias b", "one alias in a product"},
		{"token --device d --product p --alias p=a --alias p=b", "one alias in a product"},
		{"token --explain a.b", "three parts"},
		{"token --explain a.b.c", "header cannot be read"},
		{"completion", "<shell>"},
		{"completion tcsh", "bash"},
		{"device --id d --send report", "KIND=TEXT"},
		{"device --id d --send =text", "KIND=TEXT"},
		{"device --id d --tag q/t", "--tag q/t"},
		{"device --id d --network 6g", "--network"},
		{"serve rooom", "room"},
		{"serve room room", "twice"},
		{"serve --port-base 70000", "port"},
		{"config check", "file"},
		{"bench unicast --connections none", "--connections"},
	} {
		t.Run(tc.args, func(t *testing.T) {
			args := strings.Fields(tc.args)
			if len(args) > 1 && slices.Contains([]string{"push", "trace", "recall", "alias", "events", "status", "kick", "token"}, args[0]) {
				args = append(args, c.flags()...)
			}
			exit, out, errs := longlink(t, args...)
			if exit != 2 || out != "" || !strings.Contains(errs, tc.want) || strings.Count(errs, "\n") != 1 || !strings.HasPrefix(errs, "longlink") {
				t.Errorf("exit code %d\n%s%s", exit, out, errs)
			}
		})
	}
	if calls, _ := c.seen(); len(calls) > 0 {
		t.Errorf("called %q", calls)
	}
}

// TestEveryCommandHelps: --help of every command exits 0 and has an example, and
// no command is without a line in its parent's.
func TestEveryCommandHelps(t *testing.T) {
	var r root
	k, err := kong.New(&r, kong.Name("longlink"))
	if err != nil {
		t.Fatal(err)
	}
	commands := 0
	for _, p := range wordsOf(k.Model.Node) {
		exit, out, _ := longlink(t, append(strings.Fields(p.path), "--help")...)
		if exit != 0 || !strings.Contains(out, "Usage: longlink") {
			t.Errorf("%s --help: exit code %d\n%s", p.path, exit, out)
		}
		leaf := !slices.ContainsFunc(p.words, func(w word) bool { return w.help != "" && !strings.HasPrefix(w.text, "-") })
		if leaf && !strings.Contains(out, "    longlink "+p.path) {
			t.Errorf("%s --help has no example\n%s", p.path, out)
		}
		if leaf {
			commands++
		}
	}
	if commands < 20 {
		t.Errorf("only %d commands were found", commands)
	}
	serve := k.Model.Children[0].Positional[0].Tag.Get("complete")
	var kinds []string
	for _, k := range cluster.Kinds {
		kinds = append(kinds, string(k))
	}
	if serve != strings.Join(kinds, ",") {
		t.Errorf("serve completes %s", serve)
	}
}

// TestWhereTheGatewayIs: flags, then what a named directory holds, then the
// environment, then ./data.
func TestWhereTheGatewayIs(t *testing.T) {
	local, remote, flag := "http://127.0.0.1:1", "http://127.0.0.1:2", "http://127.0.0.1:3"
	full := dataDir(t, local, map[string]string{"operator": "local-op", "demo": "local-demo"})
	empty := filepath.Join(full, "nothing-here")
	two := dataDir(t, "", map[string]string{"operator": "local-op"})
	if err := datadir.Dir(two).WriteEndpoints(datadir.Endpoints{Center: local, Centers: []string{local, remote}}); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		name        string
		target      target
		center, key string // environment
		cwd         string
		file        string // key file wanted
		urls, with  string
		fails       string
	}{
		{name: "all flags", target: target{Center: []string{flag}, APIKey: "k", Data: full}, center: remote, key: "e", file: "demo", urls: flag, with: "k"},
		{name: "two centers", target: target{Center: []string{flag, remote}, APIKey: "k"}, file: operator, urls: flag + " " + remote, with: "k"},
		{name: "named directory before the environment", target: target{Data: full}, center: remote, key: "e", file: "demo", urls: local, with: "local-demo"},
		{name: "directory of a gateway with two centers", target: target{Data: two}, file: operator, urls: local + " " + remote, with: "local-op"},
		{name: "named directory without a gateway", target: target{Data: empty}, center: remote, key: "e", file: "demo", urls: remote, with: "e"},
		{name: "a center's address and a directory's key", target: target{Center: []string{flag}, Data: full}, file: operator, urls: flag, with: "local-op"},
		{name: "environment", center: remote + ", " + local, key: "e", cwd: full, file: operator, urls: remote + " " + local, with: "e"},
		{name: "here", cwd: filepath.Dir(full), file: "demo", fails: "no gateway has run in data"},
		{name: "product without a key of its own", target: target{Data: full}, file: "shop", urls: local, with: "local-op"},
		{name: "no key", target: target{Center: []string{flag}, Data: empty}, file: operator, fails: "no API key"},
		{name: "nothing", target: target{Data: empty}, file: operator, fails: "no gateway has run in " + empty},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Setenv("LONGLINK_CENTER", tc.center)
			t.Setenv("LONGLINK_API_KEY", tc.key)
			if tc.cwd != "" {
				t.Chdir(tc.cwd)
			}
			urls, key, err := tc.target.resolve(tc.file)
			if tc.fails != "" {
				if err == nil || !strings.Contains(err.Error(), tc.fails) {
					t.Errorf("%v %s %v", urls, key, err)
				}
				return
			}
			if err != nil || strings.Join(urls, " ") != tc.urls || key != tc.with {
				t.Errorf("%v with %s, %v; want %s with %s", urls, key, err, tc.urls, tc.with)
			}
		})
	}
	t.Run("a bad address", func(t *testing.T) {
		exit, _, errs := longlink(t, "services", "--center", "127.0.0.1:7200", "--api-key", "k")
		if exit != 2 || !strings.Contains(errs, "is not a URL such as http://") {
			t.Errorf("%d %s", exit, errs)
		}
	})
	t.Run("the second center answers", func(t *testing.T) {
		c := startCenter(t, map[string]string{"GET /v1/services": `{"services":[]}`})
		if exit, _, errs := longlink(t, "services", "--center", local+","+c.url, "--api-key", "k"); exit != 0 {
			t.Errorf("%d %s", exit, errs)
		}
	})
}
