package center

import (
	"testing"
)

func TestPushIsStoredThenSent(t *testing.T) {
	w := newWorld(t, nil)
	out := w.push(`{"product":"demo","device":"d1","text":"hi"}`)
	if r := out.Results[0]; r.State != "stored" || r.Seq == 0 || r.Device != "d1" || out.ID == "" {
		t.Fatalf("offline: %+v", out)
	}
	w.reg.online("d1", 5, "demo")
	out = w.push(`{"product":"demo","device":"d1","text":"hi","data":{"b":"2","a":"1"},"collapse_key":"k"}`)
	if r := out.Results[0]; r.State != "sent" {
		t.Fatalf("online: %+v", out)
	}
}
