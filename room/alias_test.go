package room

import (
	"testing"
	"time"

	"longlink/pkg/api"
	"longlink/pkg/code"
	"longlink/pkg/token"
	"longlink/pkg/wire"
)

// withAliases is a token that names products and aliases.
func (w *world) withAliases(device string, aliases map[string]string, products ...string) string {
	s, err := token.Sign(w.dir.secrets.TokenSecrets[0], token.Device{Device: device, Products: products, Aliases: aliases, Expires: time.Now().Add(time.Hour)})
	if err != nil {
		w.t.Fatal(err)
	}
	return s
}

// loadsOf lists the loads of a product.
func (w *world) loadsOf(product string) (all []*api.LoadItem) {
	w.saver.set(func(f *fakeSaver) {
		for _, it := range f.loads {
			if it.Product == product {
				all = append(all, it)
			}
		}
	})
	return all
}

// keptAliases counts the aliases that the connection's lanes still hold.
func (w *world) keptAliases(device string) int {
	c := w.room.devices.get(device)
	n := make(chan int, 1)
	c.loop.post(taskFunc(func(*loop) {
		kept := 0
		for i := range c.lanes {
			if c.lanes[i].alias != nil {
				kept++
			}
		}
		n <- kept
	}))
	return <-n
}

// TestAliasOfTheToken goes with the login load of its product, however late
// that is, until it is answered, and is not kept.
func TestAliasOfTheToken(t *testing.T) {
	w := newWorld(t, nil)
	w.saver.set(func(f *fakeSaver) { f.fail = code.Errorf(code.Unavailable, "away") })
	d := w.dial()
	tok := w.withAliases("dev", map[string]string{"demo": "ada", "news": "bob"}, "demo", "news", "chat")
	d.send(wire.AppendHello(nil, &wire.Hello{Version: 1, Device: "dev", Token: tok, Bindings: []wire.Binding{{Product: "demo"}, {Product: "chat", Tags: []string{"vip"}}}}))
	d.welcome()
	eventually(t, "the load was repeated", func() bool { return len(w.loadsOf("demo")) > 1 })
	d.send(wire.AppendBind(nil, &wire.Binding{Product: "demo", Tags: []string{"beta"}})) // other tags meanwhile
	d.ping()
	if n := w.keptAliases("dev"); n != 1 {
		t.Errorf("%d aliases wait", n)
	}
	w.saver.set(func(f *fakeSaver) { f.fail = nil })
	d.expect(wire.TypeBound)
	d.expect(wire.TypeBound)
	for _, it := range w.loadsOf("demo") {
		if it.Alias != "ada" || !it.Login {
			t.Errorf("load %v", it)
		}
	}
	for _, it := range w.loadsOf("chat") {
		if it.Alias != "" {
			t.Errorf("load %v", it)
		}
	}
	if n := w.keptAliases("dev"); n != 0 {
		t.Errorf("%d aliases are kept", n)
	}
	eventually(t, "register has the tags", func() bool {
		s := w.reg.session("dev")
		return len(s.Bindings[0].Tags) == 1 && s.Bindings[0].Tags[0] == "beta"
	})

	// A later page names none.
	m := w.saver.append("dev", "demo", &api.Message{Payload: []byte("x")})
	if _, err := w.hand("dev", "demo", &api.LaneMessage{Seq: m.Seq, Prev: m.Seq, Message: m.Message}); err != nil {
		t.Fatal(err)
	}
	d.push()
	all := w.loadsOf("demo")
	if last := all[len(all)-1]; last.Login || last.Alias != "" {
		t.Errorf("load %v", last)
	}

	// One that is bound later; taken off before saver was told, and bound again.
	w.saver.set(func(f *fakeSaver) { f.fail = code.Errorf(code.Unavailable, "away") })
	d.send(wire.AppendBind(nil, &wire.Binding{Product: "news"}))
	eventually(t, "it was tried", func() bool { return len(w.loadsOf("news")) > 0 })
	d.send(wire.AppendUnbind(nil, "news"))
	d.bound("news", code.Unbound)
	w.saver.set(func(f *fakeSaver) { f.fail, f.loads = nil, nil })
	d.send(wire.AppendBind(nil, &wire.Binding{Product: "news"}))
	d.bound("news", code.OK)
	if all := w.loadsOf("news"); len(all) != 1 || all[0].Alias != "bob" {
		t.Errorf("loads %v", all)
	}
	// Told: a further bind on this connection leaves the aliases as they are.
	d.send(wire.AppendUnbind(nil, "news"))
	d.bound("news", code.Unbound)
	d.send(wire.AppendBind(nil, &wire.Binding{Product: "news"}))
	d.bound("news", code.OK)
	if all := w.loadsOf("news"); len(all) != 2 || all[1].Alias != "" {
		t.Errorf("loads %v", all)
	}
}

// TestGrantNamesNoAlias: what a product's backend signs says nothing of users.
func TestGrantNamesNoAlias(t *testing.T) {
	w := newWorld(t, nil)
	g, err := token.SignGrant(w.dir.products["chat"].GrantSecrets[0], "chat", "dev", time.Now().Add(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	d := w.dial()
	d.send(wire.AppendHello(nil, &wire.Hello{Version: 1, Device: "dev", Token: w.withAliases("dev", map[string]string{"demo": "ada"}, "demo"),
		Bindings: []wire.Binding{{Product: "demo"}, {Product: "chat", Grant: g}}}))
	d.welcome()
	d.expect(wire.TypeBound)
	d.expect(wire.TypeBound)
	if demo, chat := w.loadsOf("demo"), w.loadsOf("chat"); len(demo) != 1 || demo[0].Alias != "ada" || len(chat) != 1 || chat[0].Alias != "" {
		t.Errorf("loads %v %v", demo, chat)
	}
}
