package saver

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"longlink/pkg/api"
	"longlink/pkg/code"
	"longlink/pkg/config"
	"longlink/pkg/rpc"
	"longlink/pkg/testenv"
	"longlink/saver/ledger"
)

// has is the devices of an alias of product shop.
func (r *running) has(alias string) string {
	r.t.Helper()
	rep, err := (&door{s: r.Saver}).ListAlias(r.t.Context(), &api.ListAliasRequest{Product: "shop", Alias: alias})
	if err != nil {
		r.t.Fatal(err)
	}
	var all []string
	for _, d := range rep.Devices {
		all = append(all, d.Device)
	}
	return strings.Join(all, " ")
}

func (r *running) setAlias(alias, device string, remove bool) (bool, *code.Error) {
	rep, err := (&door{s: r.Saver}).SetAlias(r.t.Context(), &api.SetAliasRequest{Product: "shop", Alias: alias, Device: device, Remove: remove})
	return rep.GetChanged(), rpc.FromStatus(err)
}

// login loads as a device does whose token names an alias.
func (r *running) login(device, alias string) *api.LoadResult {
	r.t.Helper()
	out := r.Load([]*api.LoadItem{{Device: device, Product: "shop", Login: true, Alias: alias}})[0]
	if out.Result != nil {
		r.t.Fatalf("login of %s: %v", device, out.Result)
	}
	return out
}

func TestSetAndListAlias(t *testing.T) {
	worlds(t, func(t *testing.T, w *world) {
		s := w.start()
		for _, want := range []bool{true, false} {
			for _, d := range []string{"d3", "d1", "d2"} {
				if changed, e := s.setAlias("ada", d, false); e != nil || changed != want {
					t.Fatalf("add %s: %v %v", d, changed, e)
				}
			}
		}
		list := func(after string, limit uint32) (*api.ListAliasReply, *code.Error) {
			rep, err := (&door{s: s.Saver}).ListAlias(t.Context(), &api.ListAliasRequest{Product: "shop", Alias: "ada", After: after, Limit: limit})
			return rep, rpc.FromStatus(err)
		}
		p, e := list("", 2)
		if e != nil || len(p.Devices) != 2 || !p.More || p.Devices[1].Device != "d2" || p.Devices[0].CreatedMs == 0 {
			t.Errorf("first page %v %v", p, e)
		}
		if p, e = list("d2", 2); e != nil || len(p.Devices) != 1 || p.More || p.Devices[0].Device != "d3" {
			t.Errorf("second page %v %v", p, e)
		}
		if _, e := list("", 1001); e == nil || e.Field != "limit" {
			t.Errorf("limit: %v", e)
		}
		if _, e := list("a b", 1); e == nil || e.Field != "after" {
			t.Errorf("after: %v", e)
		}
		for _, want := range []bool{true, false} {
			if changed, e := s.setAlias("ada", "d1", true); e != nil || changed != want {
				t.Errorf("remove: %v %v", changed, e)
			}
		}
		if got := s.has("ada") + s.has("nobody"); got != "d2 d3" {
			t.Errorf("devices %s", got)
		}
		for field, q := range map[string]*api.SetAliasRequest{
			"product": {Alias: "a", Device: "d"},
			"alias":   {Product: "shop", Alias: "a b", Device: "d"},
			"device":  {Product: "shop", Alias: "a", Device: strings.Repeat("d", 65)},
		} {
			if _, err := (&door{s: s.Saver}).SetAlias(t.Context(), q); rpc.FromStatus(err).Code != code.InvalidArgument || rpc.FromStatus(err).Field != field {
				t.Errorf("%s: %v", field, err)
			}
		}
		for i := range aliasesADevice {
			if _, e := s.setAlias(fmt.Sprint("a", i), "many", false); e != nil {
				t.Fatal(e)
			}
		}
		if _, e := s.setAlias("one-more", "many", false); e == nil || e.Code != code.FailedPrecondition || e.Field != "device" {
			t.Errorf("too many aliases: %v", e)
		}
		s.fill("full", aliasDevices)
		if _, e := s.setAlias("full", "one-more", false); e == nil || e.Code != code.FailedPrecondition || !strings.Contains(e.Message, "broadcast") {
			t.Errorf("a full alias: %v", e)
		}
		if changed, e := s.setAlias("full", "f0001", false); e != nil || changed {
			t.Errorf("of the full one already: %v %v", changed, e)
		}
	})
}

// fill gives an alias n devices.
func (r *running) fill(alias string, n int) {
	r.t.Helper()
	var all []ledger.AliasClaim
	for i := range n {
		all = append(all, ledger.AliasClaim{Product: "shop", Device: fmt.Sprintf("f%04d", i), Alias: alias, AtMS: 1})
	}
	for chunk := range slices.Chunk(all, claimBatch) {
		if _, err := r.ledger.Claim(r.t.Context(), chunk, n); err != nil {
			r.t.Fatal(err)
		}
	}
}

// The alias of a device's token is its only one, from before the load's answer.
func TestAliasOfATokenIsTheWholeTruth(t *testing.T) {
	worlds(t, func(t *testing.T, w *world) {
		s := w.start()
		if _, e := s.setAlias("api", "d", false); e != nil {
			t.Fatal(e)
		}
		s.mustPush(push{device: "d", text: "a"})
		if p := s.login("d", "ada"); texts(p) != "a" {
			t.Errorf("page %v", p)
		}
		if got := s.has("ada") + "/" + s.has("api"); got != "d/" {
			t.Errorf("after the login: %s", got)
		}
		s.login("d", "ada")
		s.login("d", "") // no claim: nothing changes
		s.Load([]*api.LoadItem{{Device: "d", Product: "shop", Alias: "eve"}})
		if got := s.has("ada") + "/" + s.has("eve"); got != "d/" {
			t.Errorf("without a login or a claim: %s", got)
		}
		s.login("d", "bob") // another user has the device now
		if got := s.has("ada") + "/" + s.has("bob"); got != "/d" {
			t.Errorf("after the change of user: %s", got)
		}
		var items []*api.LoadItem
		for i := range 450 {
			items = append(items, &api.LoadItem{Device: fmt.Sprintf("b%03d", i), Product: "shop", Login: true, Alias: "crowd"})
		}
		items = append(items, &api.LoadItem{Device: "bad", Product: "shop", Login: true, Alias: "a b"},
			&api.LoadItem{Device: "b000", Product: "shop", Login: true, Alias: "last"})
		for range 2 {
			for i, r := range s.Load(items) {
				if bad := items[i].Device == "bad"; bad != (r.Result != nil) || bad && r.Result.Field != "alias" {
					t.Errorf("%v: %v", items[i], r.Result)
				}
			}
			eventually(t, "a slow machine writes the rest", func() bool { return s.claims.len() == 0 })
			if got := len(strings.Fields(s.has("crowd"))); got != 449 || s.has("last") != "b000" {
				t.Errorf("%d devices, %s", got, s.has("last"))
			}
		}
		if held, written := counted(t, s, "longlink_saver_alias_claims_total", "HELD"), counted(t, s, "longlink_saver_alias_claims_total", "WRITTEN"); held != 1+450 || written != 2+450 {
			t.Errorf("%v held, %v written", held, written)
		}
	})
}

// A full alias keeps nobody from logging in.
func TestLoginWithAFullAlias(t *testing.T) {
	worlds(t, func(t *testing.T, w *world) {
		s := w.start()
		s.fill("full", aliasDevices)
		if _, e := s.setAlias("former", "d", false); e != nil {
			t.Fatal(e)
		}
		for range 3 {
			s.login("d", "full")
		}
		if got := len(strings.Fields(s.has("full"))); got != aliasDevices || s.has("former") != "" {
			t.Errorf("%d devices; the former user has %q", got, s.has("former"))
		}
		if n := counted(t, s, "longlink_saver_alias_claims_total", "FULL"); n != 3 {
			t.Errorf("FULL is counted %v times", n)
		}
	})
}

// The ledger goes away: logins are answered, the latest claim of each device is
// written when it is back.
func TestLoginsWithoutALedger(t *testing.T) {
	w := realWorld(t)
	db := testenv.MariaDB(t)
	w.cfg.Ledger.DSN = db.NewDatabase(t)
	s := w.start(func(c *Config) {
		c.Work.AliasPending = 16
		c.Ledger.Timeout = config.Duration(2 * time.Second)
	})
	s.login("d", "ada")
	s.login("e", "ada") // their slots serve
	if err := db.Kill(); err != nil {
		t.Fatal(err)
	}
	begin := time.Now()
	for _, alias := range []string{"ada", "bob", "eve"} {
		s.login("d", alias)
	}
	s.login("e", "ada")
	if took := time.Since(begin); took > 3*claimPatience {
		t.Errorf("four logins took %s", took)
	}
	if m, c := s.take("shop", "x"); c != code.Unavailable {
		t.Errorf("recall: %v %s", c, m)
	}
	if _, e := s.setAlias("a", "d", false); e == nil || e.Code != code.Unavailable {
		t.Errorf("set alias: %v", e)
	}
	if err := db.Start(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the claims are written", func() bool { return s.claims.len() == 0 })
	if got := s.has("ada") + "/" + s.has("bob") + "/" + s.has("eve"); got != "e//d" {
		t.Errorf("devices %s", got)
	}
	// Those that wait are bounded; the oldest give way.
	if err := db.Kill(); err != nil {
		t.Fatal(err)
	}
	for i := range 40 {
		s.claims.put([]*claim{{tried: make(chan struct{}), AliasClaim: ledger.AliasClaim{Product: "shop", Device: fmt.Sprintf("n%02d", i), Alias: "late", AtMS: int64(i)}}})
	}
	if n := s.claims.len(); n > 2*16 { // with those that are being written
		t.Errorf("%d claims wait", n)
	}
	if err := db.Start(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the claims are written", func() bool { return s.claims.len() == 0 })
	if got := s.has("late"); !strings.HasSuffix(got, "n38 n39") || len(strings.Fields(got)) > 2*16 {
		t.Errorf("devices %s", got)
	}
	if n := counted(t, s, "longlink_saver_alias_claims_total", "REFUSED"); n < 40-2*16 {
		t.Errorf("%v are refused", n)
	}
}

// What waits is written at the stop.
func TestClaimsAtTheStop(t *testing.T) {
	worlds(t, func(t *testing.T, w *world) {
		s := w.start()
		s.claims.put([]*claim{{tried: make(chan struct{}), AliasClaim: ledger.AliasClaim{Product: "shop", Device: "d", Alias: "ada", AtMS: 1}}})
		s.stop()
		if got := w.start().has("ada"); got != "d" {
			t.Errorf("devices %q", got)
		}
	})
}
