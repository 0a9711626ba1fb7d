package center

import (
	"strings"
	"testing"
	"time"

	"longlink/pkg/api"
	"longlink/pkg/token"
)

// TestSecretsAreNotLogged: no key, token, secret or payload is in any line,
// down to debug, whatever the call comes to.
func TestSecretsAreNotLogged(t *testing.T) {
	w := newWorld(t, nil)
	w.reg.online("on", 5, "demo")
	center := api.NewCenterClient(w.dial())
	payload := "words-of-a-message"
	secrets := []string{payload, w.op, w.keys["demo"], w.keys["shop"], "not-a-key", w.dir.secrets.TokenSecrets[0].Secret}
	for _, key := range []string{w.op, w.keys["demo"], w.op + "not-a-key", "not-a-key"} {
		for _, c := range doorCalls() {
			if c.method == "DELETE" {
				continue
			}
			body := strings.ReplaceAll(c.body, "hi", payload)
			w.call(key, c.method, c.path, body)
			if c.path != "/v1/products" { // which exists now
				_, _ = c.rpc(withKey(t.Context(), key), center) // the answers are other tests' matter
			}
			for _, p := range w.dir.Products() {
				for _, g := range p.GrantSecrets {
					secrets = append(secrets, g.Secret)
				}
			}
		}
	}
	var k productKeyAnswer
	w.call(w.op, "POST", "/v1/products", `{"name":"fresh"}`).into(t, &k)
	secrets = append(secrets, k.APIKey, k.GrantSecret)
	w.call(w.op, "POST", "/v1/products/demo:rotate-key", "").into(t, &k)
	var tok tokenAnswer
	w.call(w.op, "POST", "/v1/tokens", `{"device":"d"}`).into(t, &tok)
	w.call(tok.Token, "GET", "/v1/devices/d", "") // a device's token is no key
	log := w.log.String()
	for _, s := range append(secrets, k.APIKey, tok.Token, token.HashOf(w.op)) {
		if at := strings.Index(log, s); at >= 0 {
			t.Errorf("logged: %.200s", log[max(0, at-100):])
		}
	}
	if !strings.Contains(log, "call=push_batch") {
		t.Error("calls are not logged")
	}
}

// TestKeysAreKeptAsHashes, and are no shorter in the log than tells them apart.
func TestKeysAreKeptAsHashes(t *testing.T) {
	w := newWorld(t, nil)
	d := newKeyring(w.dir)
	if _, err := d.identify("Bearer "+w.keys["demo"], time.Now()); err != nil {
		t.Fatal(err)
	}
	for hash := range d.found {
		if hash != token.HashOf(w.keys["demo"]) || strings.Contains(hash, w.keys["demo"]) {
			t.Errorf("the keyring remembers %q", hash)
		}
	}
	for _, h := range w.dir.all["demo"].Keys {
		if h.Hash != token.HashOf(w.keys["demo"]) || len(h.ID) >= len(w.keys["demo"])/2 {
			t.Errorf("stored %+v", h)
		}
	}
}
