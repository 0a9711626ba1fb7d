package center

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"longlink/pkg/api"
	"longlink/pkg/cluster"
	"longlink/pkg/code"
	"longlink/pkg/config"
	"longlink/pkg/token"
	"longlink/pkg/wire"
)

func TestDevices(t *testing.T) {
	w := newWorld(t, nil)
	w.reg.online("on", 5, "demo")
	w.push(`{"product":"demo","device":"off","text":"x"}`)
	var out struct{ Devices []deviceAnswer }
	w.call(w.op, "POST", "/v1/devices:query", `{"devices":["off","on","never"]}`).into(t, &out)
	got := fmt.Sprintf("%+v", out.Devices)
	want := "[{Device:off State:offline Room: Since: Network: Client: Session:0 Bindings:[{Product:demo Tags:[] Pending:1}]} " +
		"{Device:on State:online Room:room-1 Since:2023-11-14T22:13:20.000Z Network:wifi Client:sdk/1 Session:5 Bindings:[{Product:demo Tags:[t-demo] Pending:0}]} " +
		"{Device:never State:offline Room: Since: Network: Client: Session:0 Bindings:[]}]"
	if got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestDeviceIsUnknownWhileRegisterCannotSay(t *testing.T) {
	w := newWorld(t, nil)
	w.reg.online("d1", 5, "demo")
	state := func() string {
		t.Helper()
		var d deviceAnswer
		w.call(w.op, "GET", "/v1/devices/d1", "").into(t, &d)
		return d.State
	}
	for _, c := range []code.Code{code.NotReady, code.WrongOwner} {
		w.reg.set(func() { w.reg.always = code.Errorf(c, "x") })
		if s := state(); s != "unknown" {
			t.Errorf("%v: %s", c, s)
		}
	}
	v := w.views.View()
	saver := v.Kind(cluster.Saver)[0]
	w.views.Set(cluster.NewView(2, []cluster.Instance{saver}))
	if s := state(); s != "unknown" {
		t.Errorf("without a register: %s", s)
	}
	w.saver.set(func() { w.saver.down = code.Errorf(code.Unavailable, "redis is away") })
	w.call(w.op, "GET", "/v1/devices/d1", "").failed(t, code.Unavailable, "")
}

func TestKick(t *testing.T) {
	w := newWorld(t, nil)
	w.coord.fail = []*code.Error{code.Errorf(code.NotReady, "x"), code.Errorf(code.WrongOwner, "x")}
	var out struct{ State string }
	w.call(w.op, "POST", "/v1/devices/d1:kick", `{"reason":"maintenance"}`).into(t, &out)
	r := w.coord.got[2]
	if out.State != "kicked" || r.Product != "" || code.Code(r.Code) != code.Kicked || r.Message != "maintenance" || r.Devices[0] != "d1" {
		t.Errorf("%+v, the coordinator was told %v", out, r)
	}
	w.call(w.keys["demo"], "POST", "/v1/devices/d1:kick", "").into(t, &out)
	if out.State != "unbound" {
		t.Errorf("%+v", out)
	}
	w.coord.fail = []*code.Error{code.Errorf(code.Offline, "the device is not connected")}
	w.call(w.op, "POST", "/v1/devices/d1:kick", "").failed(t, code.Offline, "")
}

func TestServices(t *testing.T) {
	w := newWorld(t, nil)
	var out struct {
		Revision uint64
		Services []serviceAnswer
	}
	w.call(w.op, "GET", "/v1/services", "").into(t, &out)
	if out.Revision != 9 || len(out.Services) != 1 || out.Services[0].Figures["connections"] != 3 || out.Services[0].Started == "" {
		t.Errorf("from keeper: %+v", out)
	}
	w.keeper.fail = errors.New("no")
	w.call(w.op, "GET", "/v1/services?kind=saver", "").into(t, &out)
	if out.Revision != 1 || len(out.Services) != 1 || out.Services[0].ID != "saver-1" || out.Services[0].State != "ready" {
		t.Errorf("from the own view: %+v", out)
	}
}

func TestProducts(t *testing.T) {
	w := newWorld(t, nil)
	var k productKeyAnswer
	a := w.call(w.op, "POST", "/v1/products", `{"name":"new"}`)
	a.into(t, &k)
	if a.status != 201 || k.Name != "new" || k.GrantSecret == "" || k.GrantKID == "" {
		t.Errorf("%d %+v", a.status, k)
	}
	var pushed pushAnswer
	w.call(k.APIKey, "POST", "/v1/push", `{"product":"new","device":"d","text":"x"}`).into(t, &pushed)
	var names []string
	for path := "/v1/products?limit=2"; ; {
		var page productsAnswer
		w.call(w.op, "GET", path, "").into(t, &page)
		for _, p := range page.Products {
			names = append(names, p.Name)
			if len(p.KeyIDs) != 1 || p.Created == "" {
				t.Errorf("%+v", p)
			}
		}
		if page.NextCursor == "" {
			break
		}
		path = "/v1/products?limit=2&cursor=" + page.NextCursor
	}
	if strings.Join(names, " ") != "demo new shop" {
		t.Errorf("listed %v", names)
	}
	var p productAnswer
	w.call(w.op, "GET", "/v1/products/demo", "").into(t, &p)
	if p.Name != "demo" || p.KeyIDs[0] == w.keys["demo"] {
		t.Errorf("%+v", p)
	}
	if a := w.call(w.op, "DELETE", "/v1/products/new", ""); a.status != 204 || len(a.body) != 0 {
		t.Errorf("%d %s", a.status, a.body)
	}
}

func TestTokens(t *testing.T) {
	w := newWorld(t, nil)
	var out tokenAnswer
	w.call(w.op, "POST", "/v1/tokens", `{"device":"d1","products":["demo","shop"],"aliases":{"demo":"ann"},"ttl":"1h"}`).into(t, &out)
	d, err := token.Verify(w.dir.secrets.TokenSecrets, out.Token, time.Now())
	if err != nil || d.Device != "d1" || len(d.Products) != 2 || d.Aliases["demo"] != "ann" || time.Until(d.Expires) > time.Hour {
		t.Errorf("%+v, %v", d, err)
	}
	if expires, err := time.Parse(time.RFC3339, out.Expires); err != nil || !expires.Equal(d.Expires) {
		t.Errorf("expires %s, the token says %s", out.Expires, d.Expires)
	}
	w.call(w.op, "POST", "/v1/tokens", `{"device":"d1"}`).into(t, &out) // every product by grants
	w.dir.secrets.TokenSecrets = nil
	w.call(w.op, "POST", "/v1/tokens", `{"device":"d1"}`).failed(t, code.Unavailable, "")
}

func TestRequestID(t *testing.T) {
	w := newWorld(t, nil)
	for given, kept := range map[string]bool{"abc-1": true, "": false, "a b": false, strings.Repeat("x", 65): false} {
		req, _ := http.NewRequest("POST", w.url+"/v1/push", strings.NewReader(`{"product":"demo","device":"d1","text":"x"}`))
		req.Header.Set("Authorization", "Bearer "+w.op)
		req.Header.Set("X-Request-Id", given)
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		id := res.Header.Get("X-Request-Id")
		if (id == given) != kept || !wire.ValidName(id) {
			t.Errorf("given %q, answered %q", given, id)
		}
		w.saver.mu.Lock()
		if last := w.saver.metas[len(w.saver.metas)-1]; last != id {
			t.Errorf("saver was told %q, the caller %q", last, id)
		}
		w.saver.mu.Unlock()
	}
}

func TestRequestsAreBounded(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.MaxRequests = 1 })
	hold := make(chan struct{})
	w.saver.set(func() { w.saver.hold = hold })
	body := `{"product":"demo","device":"d1","text":"x"}`
	first := make(chan pushAnswer, 1)
	go func() { first <- w.push(body) }()
	w.await("the first request", func() bool { n, _ := w.center.server.budget.used(); return n == 1 })
	w.call(w.op, "GET", "/v1/devices/d1", "").failed(t, code.RateLimited, "")
	close(hold)
	<-first
	w.push(body)
	if n := metric(t, w.proms, "longlink_center_requests_total", "get_device", "RATE_LIMITED"); n != 1 {
		t.Errorf("%v are counted", n)
	}
	if n := metric(t, w.proms, "longlink_center_requests_total", "push", "OK"); n != 2 {
		t.Errorf("%v are counted", n)
	}
	if n := metric(t, w.proms, "longlink_center_push_seconds", "stored"); n != 2 {
		t.Errorf("%v pushes have been timed", n)
	}
}

// TestPanicCostsOneRequest: its text stays in the log.
func TestPanicCostsOneRequest(t *testing.T) {
	w := newWorld(t, nil)
	w.center.server.products = panicking{}
	e := w.call(w.op, "POST", "/v1/products", `{"name":"new"}`).failed(t, code.Internal, "")
	if strings.Contains(e.Message, "secret words") {
		t.Errorf("the answer tells %q", e.Message)
	}
	w.push(`{"product":"demo","device":"d1","text":"x"}`)
}

type panicking struct{ Products }

func (panicking) CreateProduct(context.Context, string) (*cluster.Product, string, error) {
	panic("secret words")
}

func TestListenErrorNamesTheKey(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	c := &Center{server: &server{cfg: Config{Listen: l.Addr().String()}}}
	if err := c.Listen(); err == nil || !strings.Contains(err.Error(), "center.listen") || !strings.Contains(err.Error(), l.Addr().String()) {
		t.Errorf("%v", err)
	}
}

func TestCheckNeedsSaverAndRegister(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.CallTimeout = config.Duration(200 * time.Millisecond) })
	if err := w.center.Check(t.Context()); err != nil {
		t.Error(err)
	}
	w.views.Set(cluster.NewView(2, nil))
	if w.center.Check(t.Context()) == nil {
		t.Error("ready alone")
	}
	w.call(w.op, "POST", "/v1/push", `{"product":"demo","device":"d1","text":"x"}`).failed(t, code.Unavailable, "")
	w.call(w.op, "POST", "/v1/devices/d1:kick", "").failed(t, code.Unavailable, "")
}

func TestMethodsNeedAPrincipal(t *testing.T) {
	w := newWorld(t, nil)
	s := w.center.server
	for name, call := range map[string]func() error{
		"Push":         func() error { _, err := s.Push(t.Context(), &api.PushRequest{Product: "demo"}); return err },
		"GetDevice":    func() error { _, err := s.GetDevice(t.Context(), &api.GetDeviceRequest{Device: "d"}); return err },
		"KickDevice":   func() error { _, err := s.KickDevice(t.Context(), &api.KickDeviceRequest{Device: "d"}); return err },
		"ListServices": func() error { _, err := s.ListServices(t.Context(), &api.ServicesRequest{}); return err },
		"CreateToken":  func() error { _, err := s.CreateToken(t.Context(), &api.CreateTokenRequest{}); return err },
	} {
		var e *code.Error
		if err := call(); !errors.As(err, &e) || e.Code != code.Unauthenticated {
			t.Errorf("%s: %v", name, err)
		}
	}
}
