package keeper

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"longlink/pkg/cluster"
	"longlink/pkg/code"
	"longlink/pkg/token"
)

func codeOf(err error) code.Code {
	var e *code.Error
	if errors.As(err, &e) {
		return e.Code
	}
	return code.OK
}

// match is whether a key works for a product of the client's directory.
func match(c *Client, product, key string, at time.Time) bool {
	p, ok := c.Directory().Product(product)
	if !ok {
		return false
	}
	_, ok = token.MatchKey(p.Keys, key, at)
	return ok
}

func TestProducts(t *testing.T) {
	worlds(t, func(t *testing.T, w *world) {
		a, b := w.client(t), w.client(t)
		p, key, err := a.CreateProduct(t.Context(), "shop")
		if err != nil || len(p.GrantSecrets) != 1 || p.Incarnation == 0 || p.Revision == 0 {
			t.Fatalf("%+v, %v", p, err)
		}
		if !match(a, "shop", key, time.Now()) {
			t.Error("the writer does not read its own write")
		}
		eventually(t, "the other client has it", func() bool { return match(b, "shop", key, time.Now()) })
		if _, _, err := b.CreateProduct(t.Context(), "shop"); codeOf(err) != code.AlreadyExists {
			t.Errorf("created twice: %v", err)
		}
		for _, bad := range []string{"", "a/b", "ü", string(make([]byte, 65))} {
			if _, _, err := a.CreateProduct(t.Context(), bad); codeOf(err) != code.InvalidArgument {
				t.Errorf("%q: %v", bad, err)
			}
		}
		_, key2, err := a.RotateKey(t.Context(), "shop", false)
		if err != nil || !match(a, "shop", key2, time.Now()) || !match(a, "shop", key, time.Now()) {
			t.Errorf("after a rotation both keys work: %v", err)
		}
		if match(a, "shop", key, time.Now().Add(25*time.Hour)) || !match(a, "shop", key2, time.Now().Add(25*time.Hour)) {
			t.Error("the old key must end after a day, the new one not")
		}
		_, key3, err := a.RotateKey(t.Context(), "shop", true)
		if err != nil || !match(a, "shop", key3, time.Now()) || match(a, "shop", key, time.Now()) || match(a, "shop", key2, time.Now()) {
			t.Errorf("after a rotation without overlap only the new key works: %v", err)
		}
		if err := b.DeleteProduct(t.Context(), "shop"); err != nil {
			t.Error(err)
		}
		if _, ok := b.Directory().Product("shop"); ok || len(b.Directory().Products()) != 0 {
			t.Error("deleted and still there")
		}
		for name, err := range map[string]error{
			"delete": a.DeleteProduct(t.Context(), "shop"),
			"rotate": func() error { _, _, err := a.RotateKey(t.Context(), "shop", false); return err }(),
		} {
			if codeOf(err) != code.UnknownProduct {
				t.Errorf("%s of an unknown product: %v", name, err)
			}
		}
		// Its messages may still be in lanes: nobody else may get the name.
		if _, _, err := a.CreateProduct(t.Context(), "shop"); codeOf(err) != code.FailedPrecondition {
			t.Errorf("made again at once: %v", err)
		}
		long := encode(deletedProduct{time.Now().Add(-deletedFor).UnixMilli()})
		if _, err := a.etcd.Put(t.Context(), deletedPrefix+"shop", long); err != nil {
			t.Fatal(err)
		}
		again, _, err := a.CreateProduct(t.Context(), "shop")
		if err != nil || again.Incarnation <= p.Incarnation {
			t.Errorf("the second life has incarnation %d after %d, %v", again.Incarnation, p.Incarnation, err)
		}
	})
}

func TestProductRaces(t *testing.T) {
	worlds(t, func(t *testing.T, w *world) {
		clients := []*Client{w.client(t), w.client(t)}
		const n = 4
		var mu sync.Mutex
		created, keys := 0, []string{}
		parallel(2*n, func(i int) {
			_, key, err := clients[i%2].CreateProduct(t.Context(), "shop")
			mu.Lock()
			defer mu.Unlock()
			switch codeOf(err) {
			case code.OK:
				created++
				keys = append(keys, key)
			case code.AlreadyExists:
			default:
				t.Error(err)
			}
		})
		if created != 1 {
			t.Fatalf("created %d times", created)
		}
		parallel(n, func(i int) {
			_, key, err := clients[i%2].RotateKey(t.Context(), "shop", false)
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				t.Error(err)
			}
			keys = append(keys, key)
		})
		for _, c := range clients {
			for _, key := range keys {
				eventually(t, "every key works everywhere", func() bool { return match(c, "shop", key, time.Now()) })
			}
		}
		parallel(n, func(i int) {
			name := fmt.Sprintf("p%d", i)
			if _, _, err := clients[i%2].CreateProduct(t.Context(), name); err != nil {
				t.Error(err)
			}
		})
		eventually(t, "all products everywhere", func() bool {
			return len(clients[0].Directory().Products()) == n+1 && len(clients[1].Directory().Products()) == n+1
		})
		if list := clients[0].Directory().Products(); list[0].Name != "p0" || list[n].Name != "shop" {
			t.Error("not sorted by name")
		}
	})
}

func parallel(n int, f func(i int)) {
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() { f(i) })
	}
	wg.Wait()
}

func TestTooManyRotationsEndTheOldestKeys(t *testing.T) {
	worlds(t, func(t *testing.T, w *world) {
		c := w.client(t)
		_, first, err := c.CreateProduct(t.Context(), "shop")
		if err != nil {
			t.Fatal(err)
		}
		last := ""
		for range maxKeys {
			if _, last, err = c.RotateKey(t.Context(), "shop", false); err != nil {
				t.Fatal(err)
			}
		}
		if p, _ := c.Directory().Product("shop"); len(p.Keys) != maxKeys {
			t.Errorf("%d keys", len(p.Keys))
		}
		if match(c, "shop", first, time.Now()) || !match(c, "shop", last, time.Now()) {
			t.Error("the first key must have ended, the last one work")
		}
	})
}

func TestBootstrapsAtOnce(t *testing.T) {
	worlds(t, func(t *testing.T, w *world) {
		// One follows already, the others have only connected, as at a start.
		clients := []*Client{w.client(t), w.connect(t), w.connect(t), w.connect(t)}
		demo, _ := token.NewKey(time.Now())
		var operators []string
		for range clients {
			key, _ := token.NewOperatorKey(time.Now())
			operators = append(operators, key)
		}
		parallel(len(clients), func(i int) {
			b := Bootstrap{OperatorKey: operators[i]}
			if i > 0 {
				b.DemoKey = demo
			}
			for range 2 {
				if err := clients[i].Bootstrap(t.Context(), b); err != nil {
					t.Error(err)
				}
			}
			s := clients[i].Directory().Secrets()
			if _, ok := token.MatchKey(s.OperatorKeys, operators[i], time.Now()); !ok {
				t.Errorf("client %d does not know its own operator key", i)
			}
			if i > 0 && !match(clients[i], "demo", demo, time.Now()) {
				t.Errorf("client %d does not know product demo", i)
			}
		})
		c := w.connect(t)
		s := c.Directory().Secrets()
		if len(s.TokenSecrets) != 1 || len(s.OperatorKeys) != len(operators) {
			t.Errorf("%d token secrets, %d operator keys", len(s.TokenSecrets), len(s.OperatorKeys))
		}
		if p, ok := c.Directory().Product("demo"); !ok || len(p.Keys) != 1 {
			t.Errorf("demo: %+v", p)
		}
		tok, err := token.Sign(s.TokenSecrets[0], token.Device{Device: "d", Products: []string{"demo"}, Expires: time.Now().Add(time.Minute)})
		if err != nil {
			t.Error(err)
		}
		if _, cerr := token.Verify(clients[1].Directory().Secrets().TokenSecrets, tok, time.Now()); cerr != nil {
			t.Error(cerr)
		}
	})
}

func TestBootstrapLater(t *testing.T) {
	worlds(t, func(t *testing.T, w *world) {
		c := w.client(t)
		key, _ := token.NewKey(time.Now())
		boot := func(key string) {
			t.Helper()
			if err := c.Bootstrap(t.Context(), Bootstrap{DemoKey: key}); err != nil {
				t.Fatal(err)
			}
		}
		boot(key)
		secret := c.Directory().Secrets().TokenSecrets[0]
		other, _ := token.NewKey(time.Now())
		boot(other) // the key file was lost and made anew
		if !match(c, "demo", key, time.Now()) || !match(c, "demo", other, time.Now()) {
			t.Error("both keys of demo must work")
		}
		if c.Directory().Secrets().TokenSecrets[0] != secret {
			t.Error("the token secret changed")
		}
		if err := c.DeleteProduct(t.Context(), "demo"); err != nil {
			t.Fatal(err)
		}
		boot(key)
		if _, ok := c.Directory().Product("demo"); ok {
			t.Error("a deleted demo came back")
		}
		if err := c.Bootstrap(t.Context(), Bootstrap{OperatorKey: "short"}); err == nil {
			t.Error("a short operator key was taken")
		}
	})
}

func TestOperatorKeysAreBounded(t *testing.T) {
	worlds(t, func(t *testing.T, w *world) {
		c := w.client(t)
		var last string
		for range maxOperatorKeys + 1 {
			last, _ = token.NewOperatorKey(time.Now())
			if err := c.Bootstrap(t.Context(), Bootstrap{OperatorKey: last}); err != nil {
				t.Fatal(err)
			}
		}
		keys := c.Directory().Secrets().OperatorKeys
		h, ok := token.MatchKey(keys, last, time.Now())
		if len(keys) != maxOperatorKeys || !ok {
			t.Fatalf("%d keys, the last works: %v", len(keys), ok)
		}
		if err := c.RemoveOperatorKey(t.Context(), h.ID); err != nil {
			t.Fatal(err)
		}
		if _, ok := token.MatchKey(c.Directory().Secrets().OperatorKeys, last, time.Now()); ok {
			t.Error("a removed key works")
		}
		if err := c.RemoveOperatorKey(t.Context(), h.ID); codeOf(err) != code.NotFound {
			t.Errorf("removed twice: %v", err)
		}
	})
}

func TestDirectoryTellsOfChanges(t *testing.T) {
	worlds(t, func(t *testing.T, w *world) {
		a, b := w.client(t), w.client(t)
		changed := b.Directory().Changed()
		if _, _, err := a.CreateProduct(t.Context(), "shop"); err != nil {
			t.Fatal(err)
		}
		<-changed
		var _ cluster.Directory = b.Directory()
	})
}

func TestSections(t *testing.T) {
	worlds(t, func(t *testing.T, w *world) {
		a, b := w.client(t), w.client(t)
		all, changed := b.Sections()
		if len(all) != 0 {
			t.Fatalf("%v", all)
		}
		if _, _, err := a.GetSection(t.Context(), "room"); codeOf(err) != code.NotFound {
			t.Error(err)
		}
		rev, err := a.PutSection(t.Context(), "room", "lane_window: 8\n", 0)
		if err != nil {
			t.Fatal(err)
		}
		<-changed
		if all, changed = b.Sections(); all["room"] != "lane_window: 8\n" {
			t.Errorf("b has %v", all)
		}
		text, got, err := b.GetSection(t.Context(), "room")
		if err != nil || got != rev || text != "lane_window: 8\n" {
			t.Errorf("%q at %d, %v", text, got, err)
		}
		if _, err := b.PutSection(t.Context(), "room", "x", 0); codeOf(err) != code.Conflict {
			t.Errorf("made twice: %v", err)
		}
		rev2, err := b.PutSection(t.Context(), "room", "lane_window: 9\n", rev)
		if err != nil || rev2 <= rev {
			t.Errorf("%d, %v", rev2, err)
		}
		if _, err := a.PutSection(t.Context(), "room", "x", rev); codeOf(err) != code.Conflict {
			t.Errorf("an old revision was taken: %v", err)
		}
		if _, err := a.PutSection(t.Context(), "room", "lane_window: 10\n", AnyRevision); err != nil {
			t.Error(err)
		}
		for name, err := range map[string]error{
			"name": second(a.PutSection(t.Context(), "a/b", "", 0)),
			"size": second(a.PutSection(t.Context(), "big", string(make([]byte, MaxSection+1)), 0)),
		} {
			if codeOf(err) != code.InvalidArgument {
				t.Errorf("%s: %v", name, err)
			}
		}
		<-changed
		eventually(t, "the last text arrives", func() bool { all, _ := b.Sections(); return all["room"] == "lane_window: 10\n" })
	})
}

func second[T any](_ T, err error) error { return err }
