package center

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"longlink/pkg/cluster"
)

func TestRooms(t *testing.T) {
	w := newWorld(t, nil)
	first := w.views.View().Kind(cluster.Room)[0] // keeper knows it
	list := w.views.View().Kind(cluster.Keeper)
	for i, change := range []func(*cluster.Instance){
		func(r *cluster.Instance) {
			r.IDC, r.Capacity, r.Addresses = "north", 1000, []string{"10.0.0.1:7001", "10.0.0.1:7002"}
		},
		func(r *cluster.Instance) { r.State = cluster.Draining },
		func(r *cluster.Instance) { r.Held = true },
	} {
		r := first
		r.ID = fmt.Sprint("room-", i+1)
		change(&r)
		list = append(list, r)
	}
	w.views.Set(cluster.NewView(2, list))
	var got []string
	var rooms []roomAnswer
	for path := "/v1/rooms?limit=2"; ; {
		var page roomsAnswer
		w.call(w.op, "GET", path, "").into(t, &page)
		rooms = append(rooms, page.Rooms...)
		for _, r := range page.Rooms {
			got = append(got, r.ID+" "+r.State)
		}
		if page.NextCursor == "" {
			break
		}
		path = "/v1/rooms?limit=2&cursor=" + page.NextCursor
	}
	if !slices.Equal(got, []string{"room-1 ready", "room-2 draining", "room-3 held"}) {
		t.Fatalf("%q", got)
	}
	r := rooms[0]
	if r.IDC != "north" || r.Capacity != 1000 || len(r.Addresses) != 2 || r.Version != "v" || r.Started == "" || r.Figures["connections"] != 3 || rooms[1].Figures != nil {
		t.Errorf("%+v, %+v", r, rooms[1])
	}
	// Figures are of one life of a room.
	first.Epoch++
	w.views.Set(cluster.NewView(3, append(w.views.View().Kind(cluster.Keeper), first)))
	figures := func() map[string]float64 {
		t.Helper()
		var page roomsAnswer
		w.call(w.op, "GET", "/v1/rooms", "").into(t, &page)
		if len(page.Rooms) != 1 || page.NextCursor != "" {
			t.Fatalf("%+v", page)
		}
		return page.Rooms[0].Figures
	}
	if f := figures(); f != nil {
		t.Errorf("figures of another epoch: %v", f)
	}
	first.Epoch--
	w.views.Set(cluster.NewView(4, append(w.views.View().Kind(cluster.Keeper), first)))
	if f := figures(); f == nil {
		t.Error("no figures")
	}
	w.keeper.mu.Lock()
	w.keeper.fail = errors.New("no")
	w.keeper.mu.Unlock()
	if f := figures(); f != nil {
		t.Errorf("figures without keeper: %v", f)
	}
	var page roomsAnswer
	w.views.Set(cluster.NewView(5, nil))
	w.call(w.op, "GET", "/v1/rooms", "").into(t, &page)
	if page.Rooms == nil || len(page.Rooms) != 0 {
		t.Errorf("%+v", page)
	}
}
