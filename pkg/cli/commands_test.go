package cli

import (
	"slices"
	"strings"
	"testing"
)

const stored = `{"id":"m1","results":[{"device":"d1","seq":7,"state":"stored"}]}`

// TestCommands: what each client command asks of center, prints and exits with.
func TestCommands(t *testing.T) {
	c := startCenter(t, nil)
	for _, tc := range []struct {
		args   string
		answer string   // to the first call; others are not found
		calls  []string // all that are made
		exit   int
		out    string // squeezed; of a failure, a part of standard error
	}{
		{"push --product p --device d1 --text hi --dedup-id i", stored,
			[]string{`POST /v1/push {"product":"p","device":"d1","text":"hi","ttl":"24h0m0s","qos":1,"dedup_id":"i"}`}, 0, "d1 stored 7 m1"},
		{"push --product p --alias alice --json [1] --dedup-id i --ttl 1h", stored,
			[]string{`POST /v1/push {"product":"p","alias":"alice","json":[1],"ttl":"1h0m0s","qos":1,"dedup_id":"i"}`}, 0, "d1 stored 7 m1"},
		{"push --product p --device d1 --device d2 --text hi --qos 0", `{"id":"m1","results":[{"device":"d1","state":"sent"},{"device":"d2","error":{"code":"OFFLINE","message":"away"}}]}`,
			[]string{`POST /v1/push {"product":"p","devices":["d1","d2"],"text":"hi","ttl":"24h0m0s","qos":0}`}, 1, "1 of 2 devices were refused"},
		{"push --product p --device d1 --text hi --dedup-id i --wait 1s", stored,
			[]string{`POST /v1/push {"product":"p","device":"d1","text":"hi","ttl":"24h0m0s","qos":1,"dedup_id":"i","wait":"1s"}`}, 1, "1 of 1 devices did not acknowledge within 1s"},
		{"push --product p --alias nobody --text hi --dedup-id i", `404 {"error":{"code":"NOT_FOUND","field":"alias","message":"no devices"}}`,
			[]string{`POST /v1/push {"product":"p","alias":"nobody","text":"hi","ttl":"24h0m0s","qos":1,"dedup_id":"i"}`}, 1, "longlink push: NOT_FOUND: alias: no devices"},
		{"status d1", `{"devices":[{"device":"d1","state":"online","room":"r1","since":"s","network":"wifi","bindings":[{"product":"p","tags":["t","u"],"pending":2},{"product":"q","tags":[],"pending":0}]}]}`,
			[]string{`POST /v1/devices:query {"devices":["d1"]}`}, 0, "DEVICE STATE ROOM SINCE NETWORK PRODUCT TAGS PENDING\nd1 online r1 s wifi p t,u 2\nd1 online r1 s wifi q - 0"},
		{"status d1", `{"devices":[{"device":"d1","state":"offline","bindings":[]}]}`,
			[]string{`POST /v1/devices:query {"devices":["d1"]}`}, 0, "DEVICE STATE ROOM SINCE NETWORK PRODUCT TAGS PENDING\nd1 offline - - - - - -"},
		{"status --json d1", `{"devices":[{"device":"d1","state":"offline","bindings":[]}]}`,
			[]string{`POST /v1/devices:query {"devices":["d1"]}`}, 0, `{"type":"device","device":"d1","state":"offline","bindings":[]}`},
		{"kick --reason bye d1", `{"state":"kicked"}`, []string{`POST /v1/devices/d1:kick {"reason":"bye"}`}, 0, "d1 kicked"},
		{"kick d1", `409 {"error":{"code":"OFFLINE","message":"away"}}`, []string{`POST /v1/devices/d1:kick {"reason":""}`}, 1, "1 of 1 devices were not kicked"},
		{"recall m1", `{"id":"m1","recalled":1,"targets":2}`, []string{"DELETE /v1/messages/m1"}, 0, "ID RECALLED TARGETS\nm1 1 2"},
		{"recall --json --product p m1", `{"id":"m1","recalled":1,"targets":2}`, []string{"DELETE /v1/messages/m1?product=p"}, 0, `{"type":"recalled","id":"m1","recalled":1,"targets":2}`},
		{"recall m1", `404 {"error":{"code":"NOT_FOUND","message":"gone"}}`, []string{"DELETE /v1/messages/m1"}, 1, "longlink recall: NOT_FOUND: gone"},
		{"alias ls --product p alice", `{"product":"p","alias":"alice","devices":[{"device":"d1","created":"c"}]}`,
			[]string{"GET /v1/aliases/alice?limit=100&product=p"}, 0, "DEVICE SINCE\nd1 c"},
		{"alias ls --product p --json alice", `{"product":"p","alias":"alice","devices":[{"device":"d1","created":"c"}]}`,
			[]string{"GET /v1/aliases/alice?limit=100&product=p"}, 0, `{"type":"member","device":"d1","created":"c"}`},
		{"alias add --product p alice d1", `{"changed":true}`, []string{"PUT /v1/aliases/alice/devices/d1?product=p"}, 0, "d1 added"},
		{"alias add --product p alice d1 --json", `{"changed":true}`, []string{"PUT /v1/aliases/alice/devices/d1?product=p"}, 0, `{"type":"alias","device":"d1","state":"added"}`},
		{"alias add --product p alice d1 d2", `{"changed":true}`, []string{"PUT /v1/aliases/alice/devices/d1?product=p", "PUT /v1/aliases/alice/devices/d2?product=p"}, 1, "1 of 2 devices were not added"},
		{"alias rm --product p alice d1", `{"changed":false}`, []string{"DELETE /v1/aliases/alice/devices/d1?product=p"}, 0, "d1 unchanged"},
		{"services", `{"services":[{"kind":"room","id":"r1","state":"ready","version":"v","addresses":["a:1"],"figures":{"b":2,"a":1.5}},{"kind":"saver","id":"s1","state":"ready","version":"v","rpc":"x:2"}]}`,
			[]string{"GET /v1/services"}, 0, "KIND ID STATE VERSION ADDRESSES LOAD\nroom r1 ready v a:1 a=1.5 b=2\nsaver s1 ready v x:2"},
		{"services --json", `{"services":[{"kind":"saver","id":"s1","state":"ready","version":"v","rpc":"x:2","epoch":3}]}`,
			[]string{"GET /v1/services"}, 0, `{"type":"service","kind":"saver","id":"s1","state":"ready","version":"v","rpc":"x:2","epoch":3}`},
		{"rooms", `{"rooms":[{"id":"r1","state":"held","version":"v","idc":"","addresses":["a:1","a:2"],"capacity":9,"figures":{"connections":2},"started":"s"}]}`,
			[]string{"GET /v1/rooms?limit=100"}, 0, "ID STATE VERSION IDC ADDRESSES CAPACITY STARTED LOAD\nr1 held v - a:1,a:2 9 s connections=2"},
		{"rooms --json", `{"rooms":[{"id":"r1","state":"ready","version":"v"}]}`, []string{"GET /v1/rooms?limit=100"}, 0, `{"type":"room","id":"r1","state":"ready","version":"v"}`},
		{"product ls", `{"products":[{"name":"p","created":"c","key_ids":["k","l"]}]}`, []string{"GET /v1/products?limit=100"}, 0, "NAME CREATED KEYS\np c k,l"},
		{"product ls --json", `{"products":[{"name":"p","created":"c","key_ids":["k"]}]}`, []string{"GET /v1/products?limit=100"}, 0, `{"type":"product","name":"p","created":"c","key_ids":["k"]}`},
		{"product create p", `{"name":"p","api_key":"k","grant_kid":"i","grant_secret":"s"}`, []string{`POST /v1/products {"name":"p"}`}, 0, "product p\napi_key k\ngrant_kid i\ngrant_secret s"},
		{"product create p", `409 {"error":{"code":"ALREADY_EXISTS","message":"there is one"}}`, []string{`POST /v1/products {"name":"p"}`}, 1, "longlink product create: ALREADY_EXISTS: there is one"},
		{"product rotate-key p", `{"name":"p","api_key":"k2"}`, []string{"POST /v1/products/p:rotate-key {}"}, 0, "api_key k2"},
		{"product delete p", `{}`, []string{"DELETE /v1/products/p"}, 0, "deleted p"},
		{"token --device d1 --product p --product q --alias alice --alias q=bob", `{"token":"t"}`,
			[]string{`POST /v1/tokens {"device":"d1","products":["p","q"],"aliases":{"p":"alice","q":"bob"},"ttl":"720h0m0s"}`}, 0, "t"},
		{"token --device d1 --ttl 1h", `{"token":"t"}`, []string{`POST /v1/tokens {"device":"d1","ttl":"1h0m0s"}`}, 0, "t"},
	} {
		t.Run(tc.args, func(t *testing.T) {
			call := strings.Fields(tc.calls[0])
			path, _, _ := strings.Cut(call[1], "?")
			c.mu.Lock()
			c.answers = map[string]string{call[0] + " " + path: tc.answer}
			c.mu.Unlock()
			exit, out, errs := longlink(t, append(strings.Fields(tc.args), c.flags()...)...)
			calls, keys := c.seen()
			if !slices.Equal(calls, tc.calls) {
				t.Errorf("called %q, want %q", calls, tc.calls)
			}
			for _, k := range keys {
				if k != "key" {
					t.Errorf("key %q", k)
				}
			}
			if exit != tc.exit {
				t.Errorf("exit code %d, want %d\n%s%s", exit, tc.exit, out, errs)
			}
			if tc.exit == 0 && squeeze(out) != tc.out || tc.exit != 0 && !strings.Contains(errs, tc.out) {
				t.Errorf("printed\n%s%s\nwant\n%s", out, errs, tc.out)
			}
		})
	}
}

// TestPartialFailure: what became of each device is on standard output, the
// sentence on standard error.
func TestPartialFailure(t *testing.T) {
	c := startCenter(t, map[string]string{"PUT /v1/aliases/a/devices/d1": `{"changed":true}`, "POST /v1/devices/d1:kick": `{"state":"kicked"}`})
	exit, out, errs := longlink(t, append([]string{"alias", "add", "--product", "p", "a", "d0", "d1"}, c.flags()...)...)
	if exit != 1 || !strings.HasPrefix(out, "d0\tfailed\tNOT_FOUND") || !strings.HasSuffix(out, "\nd1\tadded\n") || strings.Count(errs, "\n") != 1 {
		t.Errorf("%d\n%s%s", exit, out, errs)
	}
	exit, out, _ = longlink(t, append([]string{"alias", "add", "--json", "--product", "p", "a", "d0", "d1"}, c.flags()...)...)
	if o := objects(t, out); exit != 1 || o[0]["state"] != "failed" || o[0]["error"] == "" || o[1]["state"] != "added" {
		t.Errorf("%d\n%s", exit, out)
	}
	exit, out, errs = longlink(t, append([]string{"kick", "d0", "d1"}, c.flags()...)...)
	if exit != 1 || !strings.HasPrefix(out, "d0\tfailed\t") || !strings.HasSuffix(out, "d1\tkicked\n") || strings.Count(errs, "\n") != 1 {
		t.Errorf("%d\n%s%s", exit, out, errs)
	}
}

// TestTrace: the targets, then the steps, then who was silent.
func TestTrace(t *testing.T) {
	const answer = `{"id":"m1","targets":[{"product":"p","device":"d1","seq":7,"state":"acked","accepted":"a","expires":"e"}],
		"events":[{"time":"t1","stage":"accepted","node":"center-1","product":"p","device":"d1"},
		{"time":"t2","stage":"located","node":"center-1","device":"d1","code":"OFFLINE","detail":"no\u001b[2Jroom"},
		{"time":"t3","stage":"acknowledged","node":"room-1","device":"d1","seq":7}]%s}`
	c := startCenter(t, map[string]string{"GET /v1/messages/m1/trace": strings.Replace(answer, "%s", `,"silent":["room-2","room-3"]`, 1)})
	exit, out, errs := longlink(t, append([]string{"trace", "m1", "--product", "p"}, c.flags()...)...)
	want := "PRODUCT DEVICE STATE SEQ ACCEPTED EXPIRES\np d1 acked 7 a e\n\nTIME STAGE NODE DEVICE DETAIL\nt1 accepted center-1 d1 -\n" +
		`t2 located center-1 d1 OFFLINE no\x1b[2Jroom` + "\nt3 acknowledged room-1 d1 -\n\nNo answer from room-2, room-3: steps may be missing."
	if exit != 0 || squeeze(out) != want {
		t.Errorf("%d %s\n%s", exit, errs, squeeze(out))
	}
	if calls, _ := c.seen(); calls[0] != "GET /v1/messages/m1/trace?product=p" {
		t.Errorf("called %q", calls)
	}
	_, out, _ = longlink(t, append([]string{"trace", "m1", "--json"}, c.flags()...)...)
	var types []any
	for _, o := range objects(t, out) {
		types = append(types, o["type"])
	}
	if !slices.Equal(types, []any{"target", "event", "event", "event", "silent"}) {
		t.Errorf("types %v\n%s", types, out)
	}
	c = startCenter(t, map[string]string{"GET /v1/messages/m1/trace": strings.Replace(answer, "%s", "", 1)})
	if _, out, _ = longlink(t, append([]string{"trace", "m1"}, c.flags()...)...); strings.Contains(out, "No answer") {
		t.Errorf("%s", out)
	}
}
