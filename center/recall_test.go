package center

import (
	"testing"

	"longlink/pkg/code"
)

func TestRecall(t *testing.T) {
	w := newWorld(t, nil)
	out := w.push(`{"product":"demo","devices":["a","b","c"],"text":"hi"}`)
	w.saver.ack("b/demo", out.Results[1].Seq)
	for _, path := range []string{"/v1/messages/" + out.ID, "/v1/messages/" + out.ID, "/v1/messages/" + out.ID + "?product=demo"} {
		for _, key := range []string{w.op, w.keys["demo"]} {
			var got recallAnswer
			w.call(key, "DELETE", path, "").into(t, &got)
			if got.ID != out.ID || got.Recalled != 2 || got.Targets != 3 {
				t.Errorf("%s: %+v", path, got)
			}
		}
	}
	// Another product's message is no message, for whoever asks.
	w.call(w.keys["shop"], "DELETE", "/v1/messages/"+out.ID, "").failed(t, code.NotFound, "id")
	w.call(w.op, "DELETE", "/v1/messages/"+out.ID+"?product=shop", "").failed(t, code.NotFound, "id")
	w.call(w.keys["shop"], "DELETE", "/v1/messages/"+out.ID+"?product=demo", "").failed(t, code.PermissionDenied, "product")
}
