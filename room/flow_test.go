package room

import (
	"testing"

	"longlink/pkg/api"
	"longlink/pkg/code"
	"longlink/pkg/wire"
)

func TestLoginDeliverAckLoad(t *testing.T) {
	w := newWorld(t, nil)
	stored := w.saver.append("dev-1", "demo", &api.Message{Id: "m0", Payload: []byte("zero")})

	d := w.dial()
	d.hello(w, "dev-1", wire.Binding{Product: "demo"})
	hello := d.welcome()
	if hello.Session == 0 || hello.Room != "room-1" || hello.HeartbeatMS != 300_000 || hello.HeartbeatMaxMS != 480_000 || hello.Window != 32 {
		t.Errorf("WELCOME %+v", hello)
	}
	d.bound("demo", code.OK)
	if p := d.push(); p.Seq != stored.Seq || string(p.Payload) != "zero" || string(p.ID) != "m0" {
		t.Errorf("PUSH %+v", p)
	}
	s := w.reg.session("dev-1")
	if s == nil || s.Epoch != hello.Session || s.Room != "room-1" || s.RoomEpoch != 7 || len(s.Bindings) != 1 || s.Network != "wifi" || s.Client != "test/1" || s.Remote == "" {
		t.Errorf("session %v", s)
	}

	m := w.saver.append("dev-1", "demo", &api.Message{Id: "m1", Flags: wire.FlagText, Payload: []byte("one")})
	if state, err := w.hand("dev-1", "demo", m); err != nil || state != api.DeliverResult_STATE_SENT {
		t.Fatalf("%v %v", state, err)
	}
	if p := d.push(); p.Seq != m.Seq || p.Flags != wire.FlagText {
		t.Errorf("PUSH %+v", p)
	}
	if state, _ := w.hand("dev-1", "demo", m); state != api.DeliverResult_STATE_DUPLICATE {
		t.Errorf("twice: %v", state)
	}
	d.ack("demo", m.Seq)
	eventually(t, "the ack reaches saver", func() bool { return w.saver.acked("dev-1", "demo") == m.Seq })
	d.ping()

	_ = d.Close()
	eventually(t, "unregistered", func() bool { return w.reg.session("dev-1") == nil })
	eventually(t, "no connection", func() bool { return w.room.connections.Load() == 0 })
}
