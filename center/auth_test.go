package center

import (
	"strings"
	"testing"
	"time"

	"longlink/pkg/cluster"
	"longlink/pkg/code"
	"longlink/pkg/token"
)

// TestScopes: what a product's key may do, beside the operator's.
func TestScopes(t *testing.T) {
	for _, c := range []struct {
		name         string
		method, path string
		body         string
		operator     int
		product      int // status for demo's key
	}{
		{"push to the own product", "POST", "/v1/push", `{"product":"demo","device":"d1","text":"x"}`, 200, 200},
		{"push to another one", "POST", "/v1/push", `{"product":"shop","device":"d1","text":"x"}`, 200, 403},
		{"push to none", "POST", "/v1/push", `{"product":"nope","device":"d1","text":"x"}`, 404, 403},
		{"device", "GET", "/v1/devices/d1", "", 200, 200},
		{"query", "POST", "/v1/devices:query", `{"devices":["d1"]}`, 200, 200},
		{"kick", "POST", "/v1/devices/d1:kick", "", 200, 200},
		{"push to an alias", "POST", "/v1/push", `{"product":"demo","alias":"ann","text":"x"}`, 200, 200},
		{"push to an alias of another one", "POST", "/v1/push", `{"product":"shop","alias":"ann","text":"x"}`, 200, 403},
		{"add to an alias", "PUT", "/v1/aliases/ann/devices/d1?product=demo", "", 200, 200},
		{"add to an alias of another one", "PUT", "/v1/aliases/ann/devices/d1?product=shop", "", 200, 403},
		{"add to an alias of none", "PUT", "/v1/aliases/ann/devices/d1?product=nope", "", 404, 403},
		{"take out of an alias", "DELETE", "/v1/aliases/ann/devices/d1?product=demo", "", 200, 200},
		{"take out of an alias of another one", "DELETE", "/v1/aliases/ann/devices/d1?product=shop", "", 200, 403},
		{"alias", "GET", "/v1/aliases/ann?product=demo", "", 200, 200},
		{"alias of the key's product", "GET", "/v1/aliases/ann", "", 400, 200},
		{"alias of another one", "GET", "/v1/aliases/ann?product=shop", "", 200, 403},
		{"recall", "DELETE", "/v1/messages/" + messageID("demo", "m"), "", 200, 200},
		{"recall in the own product", "DELETE", "/v1/messages/" + messageID("demo", "m") + "?product=demo", "", 200, 200},
		{"recall in another one", "DELETE", "/v1/messages/" + messageID("shop", "m") + "?product=shop", "", 200, 403},
		{"recall of another one's", "DELETE", "/v1/messages/" + messageID("shop", "m"), "", 200, 404},
		{"rooms", "GET", "/v1/rooms", "", 200, 403},
		{"services", "GET", "/v1/services", "", 200, 403},
		{"products", "GET", "/v1/products", "", 200, 403},
		{"product", "GET", "/v1/products/demo", "", 200, 403},
		{"another product", "GET", "/v1/products/shop", "", 200, 403},
		{"create", "POST", "/v1/products", `{"name":"new"}`, 201, 403},
		{"rotate", "POST", "/v1/products/demo:rotate-key", "", 200, 403},
		{"delete", "DELETE", "/v1/products/shop", "", 204, 403},
		{"token", "POST", "/v1/tokens", `{"device":"d1","products":["demo"]}`, 201, 403},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t, nil)
			for _, p := range []string{"demo", "shop"} {
				w.saver.set(func() { w.saver.alias(p+"/ann", "d1") })
				w.push(`{"product":"` + p + `","device":"d2","text":"x","dedup_id":"m"}`)
			}
			key := w.keys["demo"]
			if a := w.call(key, c.method, c.path, c.body); a.status != c.product {
				t.Errorf("product's key: %d %s", a.status, a.body)
			} else if c.product == 403 {
				a.failed(t, code.PermissionDenied, map[bool]string{true: "product"}[c.path == "/v1/push" || strings.Contains(c.path, "?product=")])
			}
			if a := w.call(w.op, c.method, c.path, c.body); a.status != c.operator {
				t.Errorf("operator's key: %d %s", a.status, a.body)
			}
			for _, bad := range []string{"", "nonsense", key + "x", strings.ToUpper(key)} {
				a := w.call(bad, c.method, c.path, c.body)
				a.failed(t, code.Unauthenticated, "")
				if a.header.Get("WWW-Authenticate") != "Bearer" {
					t.Errorf("headers %v", a.header)
				}
			}
		})
	}
}

// TestAProductSeesItsOwnSideOnly of a device that two products share.
func TestAProductSeesItsOwnSideOnly(t *testing.T) {
	w := newWorld(t, nil)
	w.reg.online("d1", 5, "demo", "shop")
	w.reg.online("d2", 6, "shop")
	w.push(`{"product":"demo","device":"d1","text":"x"}`)
	w.push(`{"product":"shop","device":"d1","text":"x"}`)
	w.push(`{"product":"demo","device":"d2","text":"x"}`)
	get := func(key, device string) (d deviceAnswer) {
		t.Helper()
		w.call(key, "GET", "/v1/devices/"+device, "").into(t, &d)
		return d
	}
	if d := get(w.op, "d1"); len(d.Bindings) != 2 || d.State != "online" || d.Room != "room-1" {
		t.Errorf("operator: %+v", d)
	}
	d := get(w.keys["demo"], "d1")
	if len(d.Bindings) != 1 || d.Bindings[0].Product != "demo" || d.Bindings[0].Pending != 1 || d.State != "online" || d.Network != "wifi" || d.Since == "" {
		t.Errorf("demo: %+v", d)
	}
	d = get(w.keys["demo"], "d2") // connected for shop only: that is not demo's to know
	if d.State != "offline" || d.Room != "" || d.Since != "" || d.Network != "" || d.Client != "" || d.Session != 0 ||
		len(d.Bindings) != 1 || d.Bindings[0].Product != "demo" || d.Bindings[0].Pending != 1 {
		t.Errorf("demo of shop's device: %+v", d)
	}
	w.call(w.keys["demo"], "POST", "/v1/devices/d1:kick", "").into(t, &struct{}{})
	if r := w.coord.got[0]; r.Product != "demo" || code.Code(r.Code) != code.Unbound {
		t.Errorf("the coordinator was told %v", r)
	}
}

func TestKeysFollowTheDirectory(t *testing.T) {
	w := newWorld(t, nil)
	old := w.keys["demo"]
	get := func(key string) int { return w.call(key, "GET", "/v1/devices/d1", "").status }
	if s := get(old); s != 200 {
		t.Fatal(s)
	}
	var k productKeyAnswer
	w.call(w.op, "POST", "/v1/products/demo:rotate-key", "").into(t, &k)
	if get(old) != 401 || get(k.APIKey) != 200 {
		t.Error("after the rotation: the old key works or the new one does not")
	}
	w.call(w.op, "DELETE", "/v1/products/demo", "")
	if get(k.APIKey) != 401 {
		t.Error("the key of a deleted product works")
	}
}

func TestIdentify(t *testing.T) {
	now := time.Now()
	key, h := token.NewKey(now)
	h.ExpiresMS = now.Add(time.Minute).UnixMilli()
	dir := &fakeProducts{all: map[string]*cluster.Product{"demo": {Name: "demo", Keys: []cluster.KeyHash{h}}}}
	k := newKeyring(dir)
	for header, want := range map[string]bool{
		"Bearer " + key: true, "bearer  " + key: true, "BEARER " + key + " ": true,
		"": false, "Bearer": false, "Bearer ": false, key: false, "Basic " + key: false, "Bearer x": false,
	} {
		if p, err := k.identify(header, now); (err == nil) != want || want && p.product != "demo" {
			t.Errorf("%q: %+v, %v", header, p, err)
		}
	}
	if _, err := k.identify("Bearer "+key, now.Add(time.Hour)); err == nil {
		t.Error("an expired key works")
	}
}
