package keeper

import (
	"fmt"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc"

	"longlink/pkg/api"
	"longlink/pkg/cluster"
	"longlink/pkg/code"
	"longlink/pkg/rpc"
	"longlink/pkg/service"
)

func TestServices(t *testing.T) {
	w := &world{member: startMember(t, EmbeddedOptions{Dir: t.TempDir()})}
	c := w.client(t)
	s, err := New(testConfig(w), service.Deps{Registry: prometheus.NewRegistry()}, c)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Listen(); err != nil || s.Addresses() != nil {
		t.Fatal(err)
	}
	net := &rpc.InProcess{}
	srv, err := net.Listen("keeper:0", func(r grpc.ServiceRegistrar) { s.Register(r) })
	if err != nil {
		t.Fatal(err)
	}
	g := serve(t, srv)
	defer g()
	run(t, s)
	conn, err := net.Dial(srv.Addr())
	if err != nil {
		t.Fatal(err)
	}
	client := api.NewKeeperClient(conn)

	ann := c.Announce(room("r1"))
	run(t, ann)
	run(t, c.Announce(cluster.Instance{Kind: cluster.Saver, ID: "s1", RPC: "x"}))
	sees(t, c, "r1", true)
	eventually(t, "both in the view", func() bool { return len(c.Views().View().All()) == 2 })
	report := func(kind, id string, epoch uint64, n float64) error {
		_, err := client.Report(t.Context(), &api.ReportRequest{Kind: kind, Id: id, Epoch: epoch, Figures: map[string]float64{"connections": n}})
		return err
	}
	epoch := ann.Instance().Epoch
	for _, n := range []float64{1, 2} {
		if err := report("room", "r1", epoch, n); err != nil {
			t.Fatal(err)
		}
	}
	if err := report("room", "r1", epoch-1, 99); err != nil { // the last word of a dead one
		t.Fatal(err)
	}
	got, err := client.Services(t.Context(), &api.ServicesRequest{})
	if err != nil || len(got.Instances) != 2 || got.Revision != c.Views().View().Revision {
		t.Fatalf("%v, %v", got, err)
	}
	if i := got.Instances[0]; i.Kind != "saver" || i.Figures != nil {
		t.Errorf("%v", i)
	}
	if i := got.Instances[1]; i.Id != "r1" || i.State != "ready" || i.Figures["connections"] != 2 {
		t.Errorf("%v", i)
	}
	if got, err := client.Services(t.Context(), &api.ServicesRequest{Kind: "room"}); err != nil || len(got.Instances) != 1 {
		t.Errorf("%v, %v", got, err)
	}
	_, err = client.Services(t.Context(), &api.ServicesRequest{Kind: "rum"})
	for _, err := range []error{err, report("rum", "x", 1, 1), report("room", "a/b", 1, 1)} {
		if e := rpc.FromStatus(err); e == nil || e.Code != code.InvalidArgument {
			t.Errorf("%v", err)
		}
	}
	if err := s.Check(t.Context()); err != nil {
		t.Error(err)
	}
	if f := s.Figures(); f["instances"] != 2 || f["loads"] != 1 {
		t.Errorf("%v", f)
	}
}

func serve(t *testing.T, srv rpc.Server) (stop func()) {
	p := run(t, runnerOf(srv))
	return func() { p.end(t) }
}

func TestLoadsAreBounded(t *testing.T) {
	l := newLoads(prometheus.NewRegistry())
	now := time.Now()
	for i := range maxLoads {
		if !l.put(loadKey{cluster.Room, fmt.Sprint(i)}, load{epoch: 1, at: now}) {
			t.Fatal(i)
		}
	}
	if l.put(loadKey{cluster.Room, "more"}, load{epoch: 1, at: now}) {
		t.Error("one more than the limit")
	}
	if !l.put(loadKey{cluster.Room, "7"}, load{epoch: 1, at: now}) {
		t.Error("a known one was refused")
	}
	here := cluster.NewView(1, []cluster.Instance{{Kind: cluster.Room, ID: "7"}})
	l.prune(here, now)
	if l.len() != maxLoads {
		t.Error("fresh loads were forgotten")
	}
	later := now.Add(2 * staleLoad)
	l.prune(here, later)
	if l.len() != 1 {
		t.Errorf("%d loads after the sweep", l.len())
	}
	if f := l.get(loadKey{cluster.Room, "7"}, 1, later); f != nil {
		t.Error("stale figures were shown")
	}
}
