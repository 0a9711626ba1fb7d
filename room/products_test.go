package room

import (
	"testing"

	"longlink/pkg/code"
	"longlink/pkg/wire"
)

func TestDeletedProductIsUnbound(t *testing.T) {
	w := newWorld(t, nil)
	a := w.login("a", wire.Binding{Product: "demo"}, wire.Binding{Product: "news"})
	w.dir.remove("news")
	a.bound("news", code.UnknownProduct)
	a.ping() // the connection and the other product stay
	eventually(t, "register knows", func() bool { return len(w.reg.session("a").Bindings) == 1 })
}
