package center

import (
	"encoding/base64"
	"fmt"
	"strings"
	"testing"

	"longlink/pkg/code"
)

// TestBadInput: every wrong request is answered with the code that says whose
// fault it is and the field that is wrong, and does nothing.
func TestBadInput(t *testing.T) {
	w := newWorld(t, nil)
	push := func(fields string) string { return `{"product":"demo","device":"d1","text":"hi"` + fields + `}` }
	targets := func(fields string) string { return `{"product":"demo","text":"hi"` + fields + `}` }
	payload := func(fields string) string { return `{"product":"demo","device":"d1"` + fields + `}` }
	many := strings.Repeat(`"d",`, maxDevices) + `"d"`
	data := func(n int) string {
		var b []string
		for i := range n {
			b = append(b, fmt.Sprintf(`"k%d":"v"`, i))
		}
		return strings.Join(b, ",")
	}
	long := strings.Repeat("x", 65)
	large := strings.Repeat("x", maxPayload+1)
	for _, c := range []struct {
		name         string
		method, path string
		body         string
		code         code.Code
		field        string
	}{
		{"empty", "POST", "/v1/push", "", code.Malformed, ""},
		{"blank", "POST", "/v1/push", " \n", code.Malformed, ""},
		{"garbage", "POST", "/v1/push", "\x00\x01", code.Malformed, ""},
		{"not UTF-8", "POST", "/v1/push", "{\"product\":\"\xff\"}", code.Malformed, ""},
		{"a list", "POST", "/v1/push", "[]", code.Malformed, ""},
		{"null", "POST", "/v1/push", "null", code.Malformed, ""},
		{"half an object", "POST", "/v1/push", `{"product":"demo"`, code.Malformed, ""},
		{"no value", "POST", "/v1/push", `{"product":}`, code.Malformed, ""},
		{"something behind", "POST", "/v1/push", push("") + `{}`, code.Malformed, ""},
		{"too long", "POST", "/v1/push", push(`,"x":"` + strings.Repeat("x", 1<<20) + `"`), code.PayloadTooLarge, ""},
		{"unknown field", "POST", "/v1/push", push(`,"colour":1`), code.InvalidArgument, "colour"},
		{"unknown field, long", "POST", "/v1/push", push(`,"` + strings.Repeat("c", 100) + `":1`), code.InvalidArgument, strings.Repeat("c", 61) + "..."},
		{"other case", "POST", "/v1/push", push(`,"Qos":1`), code.InvalidArgument, "Qos"},
		{"twice", "POST", "/v1/push", push(`,"text":"ho"`), code.InvalidArgument, "text"},
		{"wrong type", "POST", "/v1/push", push(`,"dedup_id":1`), code.InvalidArgument, "dedup_id"},

		{"no product", "POST", "/v1/push", `{"device":"d1","text":"hi"}`, code.InvalidArgument, "product"},
		{"bad product", "POST", "/v1/push", `{"product":"de mo","device":"d1","text":"hi"}`, code.InvalidArgument, "product"},
		{"unknown product", "POST", "/v1/push", `{"product":"nope","device":"d1","text":"hi"}`, code.UnknownProduct, "product"},

		{"no target", "POST", "/v1/push", targets(""), code.InvalidArgument, "device"},
		{"empty targets", "POST", "/v1/push", targets(`,"device":"","devices":[],"alias":""`), code.InvalidArgument, "device"},
		{"two targets", "POST", "/v1/push", targets(`,"device":"d","devices":["e"]`), code.InvalidArgument, "devices"},
		{"device and alias", "POST", "/v1/push", targets(`,"device":"d","alias":"a"`), code.InvalidArgument, "alias"},
		{"alias of nobody", "POST", "/v1/push", targets(`,"alias":"a"`), code.NotFound, "alias"},
		{"bad alias of a push", "POST", "/v1/push", targets(`,"alias":"a/b"`), code.InvalidArgument, "alias"},
		{"long alias of a push", "POST", "/v1/push", targets(`,"alias":"` + long + `"`), code.InvalidArgument, "alias"},
		{"alias as list", "POST", "/v1/push", targets(`,"alias":["a"]`), code.InvalidArgument, "alias"},
		{"alias, and the message is wrong", "POST", "/v1/push", payload(`,"alias":"a"`), code.InvalidArgument, "alias"},
		{"alias of nobody, long ttl", "POST", "/v1/push", targets(`,"alias":"a","ttl":"721h"`), code.InvalidArgument, "ttl"},
		{"bad device", "POST", "/v1/push", targets(`,"device":"a/b"`), code.InvalidArgument, "device"},
		{"long device", "POST", "/v1/push", targets(`,"device":"` + long + `"`), code.InvalidArgument, "device"},
		{"too many", "POST", "/v1/push", targets(`,"devices":[` + many + `]`), code.TooManyTargets, "devices"},
		{"devices as text", "POST", "/v1/push", targets(`,"devices":"d"`), code.InvalidArgument, "devices"},

		{"no payload", "POST", "/v1/push", payload(""), code.InvalidArgument, "text"},
		{"null text", "POST", "/v1/push", payload(`,"text":null`), code.InvalidArgument, "text"},
		{"text and json", "POST", "/v1/push", payload(`,"text":"x","json":{}`), code.InvalidArgument, "json"},
		{"text and payload", "POST", "/v1/push", payload(`,"text":"x","payload":"eA=="`), code.InvalidArgument, "payload"},
		{"bad base64", "POST", "/v1/push", payload(`,"payload":"%%%"`), code.InvalidArgument, "payload"},
		{"base64 without padding", "POST", "/v1/push", payload(`,"payload":"eA"`), code.InvalidArgument, "payload"},
		{"payload as number", "POST", "/v1/push", payload(`,"payload":7`), code.InvalidArgument, "payload"},
		{"large text", "POST", "/v1/push", payload(`,"text":"` + large + `"`), code.PayloadTooLarge, "text"},
		{"large json", "POST", "/v1/push", payload(`,"json":"` + large + `"`), code.PayloadTooLarge, "json"},
		{"large payload", "POST", "/v1/push", payload(`,"payload":"` + base64.StdEncoding.EncodeToString([]byte(large)) + `"`), code.PayloadTooLarge, "payload"},

		{"data as list", "POST", "/v1/push", push(`,"data":["a"]`), code.InvalidArgument, "data"},
		{"data of numbers", "POST", "/v1/push", push(`,"data":{"a":1}`), code.InvalidArgument, "data"},
		{"data of null", "POST", "/v1/push", push(`,"data":{"a":null}`), code.InvalidArgument, "data"},
		{"data twice", "POST", "/v1/push", push(`,"data":{"a":"1","a":"2"}`), code.InvalidArgument, "data"},
		{"data without key", "POST", "/v1/push", push(`,"data":{"":"1"}`), code.InvalidArgument, "data"},
		{"data, many", "POST", "/v1/push", push(`,"data":{` + data(maxDataEntries+1) + `}`), code.InvalidArgument, "data"},
		{"data, large", "POST", "/v1/push", push(`,"data":{"k":"` + strings.Repeat("v", maxDataBytes) + `"}`), code.InvalidArgument, "data"},

		{"ttl as number", "POST", "/v1/push", push(`,"ttl":60`), code.InvalidArgument, "ttl"},
		{"ttl without unit", "POST", "/v1/push", push(`,"ttl":"60"`), code.InvalidArgument, "ttl"},
		{"ttl 0", "POST", "/v1/push", push(`,"ttl":"0s"`), code.InvalidArgument, "ttl"},
		{"ttl tiny", "POST", "/v1/push", push(`,"ttl":"10ms"`), code.InvalidArgument, "ttl"},
		{"ttl negative", "POST", "/v1/push", push(`,"ttl":"-1h"`), code.InvalidArgument, "ttl"},
		{"ttl too long", "POST", "/v1/push", push(`,"ttl":"720h1s"`), code.InvalidArgument, "ttl"},
		{"qos 2", "POST", "/v1/push", push(`,"qos":2`), code.InvalidArgument, "qos"},
		{"qos -1", "POST", "/v1/push", push(`,"qos":-1`), code.InvalidArgument, "qos"},
		{"qos half", "POST", "/v1/push", push(`,"qos":0.5`), code.InvalidArgument, "qos"},
		{"wait too long", "POST", "/v1/push", push(`,"wait":"61s"`), code.InvalidArgument, "wait"},
		{"wait negative", "POST", "/v1/push", push(`,"wait":"-1s"`), code.InvalidArgument, "wait"},
		{"bad dedup", "POST", "/v1/push", push(`,"dedup_id":"a b"`), code.InvalidArgument, "dedup_id"},
		{"bad collapse", "POST", "/v1/push", push(`,"collapse_key":"` + long + `"`), code.InvalidArgument, "collapse_key"},
		{"qos 0 and wait", "POST", "/v1/push", push(`,"qos":0,"wait":"1s"`), code.InvalidArgument, "wait"},
		{"qos 0 and dedup", "POST", "/v1/push", push(`,"qos":0,"dedup_id":"x"`), code.InvalidArgument, "dedup_id"},
		{"qos 0 and collapse", "POST", "/v1/push", push(`,"qos":0,"collapse_key":"x"`), code.InvalidArgument, "collapse_key"},

		{"bad device in path", "GET", "/v1/devices/a%20b", "", code.InvalidArgument, "device"},
		{"slash in path", "GET", "/v1/devices/a%2Fb", "", code.InvalidArgument, "device"},
		{"no devices", "POST", "/v1/devices:query", `{"devices":[]}`, code.InvalidArgument, "devices"},
		{"too many devices", "POST", "/v1/devices:query", `{"devices":[` + many + `]}`, code.TooManyTargets, "devices"},
		{"a bad one", "POST", "/v1/devices:query", `{"devices":["d","a b"]}`, code.InvalidArgument, "devices"},
		{"long reason", "POST", "/v1/devices/d1:kick", `{"reason":"` + strings.Repeat("x", maxReason+1) + `"}`, code.InvalidArgument, "reason"},
		{"kick, unknown field", "POST", "/v1/devices/d1:kick", `{"why":"x"}`, code.InvalidArgument, "why"},
		{"kick of a bad id", "POST", "/v1/devices/a%20b:kick", "", code.InvalidArgument, "device"},
		{"unknown verb", "POST", "/v1/devices/d1:dance", "", code.NotFound, ""},
		{"no verb", "POST", "/v1/devices/d1", "", code.InvalidArgument, "method"},
		{"wrong method", "GET", "/v1/push", "", code.InvalidArgument, "method"},
		{"wrong method of a verb", "GET", "/v1/devices/d1:kick", "", code.InvalidArgument, "method"},
		{"unknown path", "GET", "/v1/nothing", "", code.NotFound, ""},
		{"root", "GET", "/", "", code.NotFound, ""},

		{"alias without product", "PUT", "/v1/aliases/a/devices/d", "", code.InvalidArgument, "product"},
		{"alias of a bad product", "PUT", "/v1/aliases/a/devices/d?product=a%20b", "", code.InvalidArgument, "product"},
		{"alias of an unknown product", "PUT", "/v1/aliases/a/devices/d?product=nope", "", code.UnknownProduct, "product"},
		{"alias, two products", "PUT", "/v1/aliases/a/devices/d?product=demo&product=shop", "", code.InvalidArgument, "product"},
		{"alias with a body", "PUT", "/v1/aliases/a/devices/d?product=demo", `{"device":"d"}`, code.InvalidArgument, "device"},
		{"alias with half a body", "PUT", "/v1/aliases/a/devices/d?product=demo", `{`, code.Malformed, ""},
		{"alias of other letters", "PUT", "/v1/aliases/%C3%A4/devices/d?product=demo", "", code.InvalidArgument, "alias"},
		{"alias, not UTF-8", "PUT", "/v1/aliases/%FF/devices/d?product=demo", "", code.InvalidArgument, "alias"},
		{"alias with a slash", "PUT", "/v1/aliases/a%2Fb/devices/d?product=demo", "", code.InvalidArgument, "alias"},
		{"alias with a verb", "GET", "/v1/aliases/a:b?product=demo", "", code.InvalidArgument, "alias"},
		{"long alias", "PUT", "/v1/aliases/" + long + "/devices/d?product=demo", "", code.InvalidArgument, "alias"},
		{"alias, long device", "DELETE", "/v1/aliases/a/devices/" + long + "?product=demo", "", code.InvalidArgument, "device"},
		{"alias, wrong method", "POST", "/v1/aliases/a/devices/d?product=demo", "", code.InvalidArgument, "method"},
		{"alias, unknown parameter", "PUT", "/v1/aliases/a/devices/d?product=demo&tag=x", "", code.InvalidArgument, "tag"},
		{"alias without device", "PUT", "/v1/aliases/a?product=demo", "", code.InvalidArgument, "method"},
		{"list of an alias without product", "GET", "/v1/aliases/a", "", code.InvalidArgument, "product"},
		{"list of a bad alias", "GET", "/v1/aliases/a%20b?product=demo", "", code.InvalidArgument, "alias"},
		{"list of an alias, limit 0", "GET", "/v1/aliases/a?product=demo&limit=0", "", code.InvalidArgument, "limit"},
		{"list of an alias, limit too high", "GET", "/v1/aliases/a?product=demo&limit=1001", "", code.InvalidArgument, "limit"},
		{"list of an alias, huge limit", "GET", "/v1/aliases/a?product=demo&limit=99999999999999999999", "", code.InvalidArgument, "limit"},
		{"list of an alias, negative limit", "GET", "/v1/aliases/a?product=demo&limit=-1", "", code.InvalidArgument, "limit"},
		{"list of an alias, bad cursor", "GET", "/v1/aliases/a?product=demo&cursor=%00", "", code.InvalidArgument, "cursor"},
		{"list of an alias, long cursor", "GET", "/v1/aliases/a?product=demo&cursor=" + long, "", code.InvalidArgument, "cursor"},
		{"recall of a bad id", "DELETE", "/v1/messages/a%20b", "", code.InvalidArgument, "id"},
		{"recall of a long id", "DELETE", "/v1/messages/" + long, "", code.InvalidArgument, "id"},
		{"recall of nothing", "DELETE", "/v1/messages/x", "", code.NotFound, "id"},
		{"recall in a bad product", "DELETE", "/v1/messages/x?product=a%20b", "", code.InvalidArgument, "product"},
		{"recall in an unknown product", "DELETE", "/v1/messages/x?product=nope", "", code.UnknownProduct, "product"},
		{"recall with a body", "DELETE", "/v1/messages/x", `{"product":"demo"}`, code.InvalidArgument, "product"},
		{"recall with a verb", "DELETE", "/v1/messages/x:now", "", code.NotFound, ""},
		{"message by a wrong method", "POST", "/v1/messages/x", "", code.InvalidArgument, "method"},
		{"rooms, limit of words", "GET", "/v1/rooms?limit=all", "", code.InvalidArgument, "limit"},
		{"rooms, limit too high", "GET", "/v1/rooms?limit=1001", "", code.InvalidArgument, "limit"},
		{"rooms, bad cursor", "GET", "/v1/rooms?cursor=a%2Fb", "", code.InvalidArgument, "cursor"},

		{"services of no kind", "GET", "/v1/services?kind=x", "", code.InvalidArgument, "kind"},
		{"unknown parameter", "GET", "/v1/services?sort=x", "", code.InvalidArgument, "sort"},
		{"parameter twice", "GET", "/v1/services?kind=room&kind=room", "", code.InvalidArgument, "kind"},
		{"bad query", "GET", "/v1/services?kind=%zz", "", code.Malformed, ""},
		{"limit 0", "GET", "/v1/products?limit=0", "", code.InvalidArgument, "limit"},
		{"limit too high", "GET", "/v1/products?limit=1001", "", code.InvalidArgument, "limit"},
		{"limit of words", "GET", "/v1/products?limit=all", "", code.InvalidArgument, "limit"},
		{"bad cursor", "GET", "/v1/products?cursor=a%20b", "", code.InvalidArgument, "cursor"},
		{"product without name", "POST", "/v1/products", `{}`, code.InvalidArgument, "name"},
		{"product of a bad name", "POST", "/v1/products", `{"name":"a b"}`, code.InvalidArgument, "name"},
		{"product that exists", "POST", "/v1/products", `{"name":"demo"}`, code.AlreadyExists, ""},
		{"unknown product, get", "GET", "/v1/products/nope", "", code.UnknownProduct, "name"},
		{"unknown product, delete", "DELETE", "/v1/products/nope", "", code.UnknownProduct, "product"},
		{"unknown product, rotate", "POST", "/v1/products/nope:rotate-key", "", code.UnknownProduct, "product"},
		{"rotate with a body", "POST", "/v1/products/demo:rotate-key", `{"now":true}`, code.InvalidArgument, "now"},

		{"token without device", "POST", "/v1/tokens", `{"products":["demo"]}`, code.InvalidArgument, "device"},
		{"token of an unknown product", "POST", "/v1/tokens", `{"device":"d","products":["nope"]}`, code.UnknownProduct, "products"},
		{"alias of another product", "POST", "/v1/tokens", `{"device":"d","products":["demo"],"aliases":{"shop":"a"}}`, code.InvalidArgument, "aliases"},
		{"bad alias", "POST", "/v1/tokens", `{"device":"d","products":["demo"],"aliases":{"demo":"a b"}}`, code.InvalidArgument, "aliases"},
		{"token for ever", "POST", "/v1/tokens", `{"device":"d","products":["demo"],"ttl":"99999h"}`, code.InvalidArgument, "ttl"},
		{"token for no time", "POST", "/v1/tokens", `{"device":"d","products":["demo"],"ttl":"0s"}`, code.InvalidArgument, "ttl"},
		{"token of many products", "POST", "/v1/tokens", `{"device":"d","products":[` + strings.Repeat(`"demo",`, maxTokenBinds) + `"demo"]}`, code.InvalidArgument, "products"},
	} {
		t.Run(c.name, func(t *testing.T) {
			a := w.call(w.op, c.method, c.path, c.body)
			a.failed(t, c.code, c.field)
			if c.field == "method" && a.status != 405 {
				t.Errorf("status %d, want 405", a.status)
			}
			if a.header.Get("Content-Type") != "application/json" || a.header.Get("X-Request-Id") == "" {
				t.Errorf("headers %v", a.header)
			}
		})
	}
	if len(w.saver.lanes) != 0 || len(w.room.items()) != 0 || len(w.coord.got) != 0 || len(w.saver.aliases.devices) != 0 {
		t.Error("a refused request did something")
	}
}

// TestUnknownQueryParametersAreRefused by every call, which names those that it
// knows; a wrong key is told first.
func TestUnknownQueryParametersAreRefused(t *testing.T) {
	w := newWorld(t, nil)
	for path, m := range w.center.server.routes() {
		path = pathName.ReplaceAllString(path, "demo")
		for method, rt := range m {
			method, verb, _ := strings.Cut(method, " ")
			for name, field := range map[string]string{"colour": "colour", "Limit": "Limit", "": "", strings.Repeat("c", 100): strings.Repeat("c", 61) + "..."} {
				e := w.call(w.op, method, path+verb+"?"+name+"=x", "").failed(t, code.InvalidArgument, field)
				for _, known := range rt.query {
					if !strings.Contains(e.Message, known) {
						t.Errorf("%s %s: %q does not name %s", method, path, e.Message, known)
					}
				}
			}
			w.call("", method, path+verb+"?colour=x", "").failed(t, code.Unauthenticated, "")
		}
	}
}
