package cluster

import (
	"fmt"
	"testing"

	"longlink/pkg/slot"
)

func registers(ids ...string) []Instance {
	var out []Instance
	for _, id := range ids {
		out = append(out, Instance{Kind: Register, ID: id})
	}
	return out
}

func TestOwnersSpreadAndMoveLittle(t *testing.T) {
	three := NewView(1, registers("a", "b", "c"))
	four := NewView(2, registers("d", "c", "b", "a"))
	count, moved := map[string]int{}, 0
	for s := range uint16(slot.Count) {
		o3, _ := three.Owner(Register, s)
		o4, _ := four.Owner(Register, s)
		count[o3.ID]++
		if o3.ID != o4.ID {
			moved++
			if o4.ID != "d" {
				t.Fatalf("slot %d moved from %s to %s, not to the new one", s, o3.ID, o4.ID)
			}
		}
	}
	for id, n := range count {
		if n < slot.Count/3*8/10 || n > slot.Count/3*12/10 {
			t.Errorf("%s owns %d slots of %d", id, n, slot.Count)
		}
	}
	if moved < slot.Count/4*8/10 || moved > slot.Count/4*12/10 {
		t.Errorf("%d slots moved", moved)
	}
	if _, ok := three.Owner(Saver, 1); ok {
		t.Error("an owner out of nobody")
	}
}

func TestHolderTellsOfChanges(t *testing.T) {
	h := NewHolder()
	old := h.View()
	c := h.Changed(old)
	select {
	case <-c:
		t.Fatal("changed before Set")
	default:
	}
	h.Set(NewView(2, registers("a")))
	<-c
	<-h.Changed(old)
	h.Set(NewView(1, nil))
	if got := fmt.Sprint(len(h.View().Kind(Register))); got != "1" {
		t.Errorf("an older view replaced a newer one")
	}
}

// fleet is n rooms and one of each kind whose owners are asked for.
func fleet(rooms int) []Instance {
	out := []Instance{{Kind: Register, ID: "r"}, {Kind: Saver, ID: "s"}, {Kind: Coordinator, ID: "c"}}
	for n := range rooms {
		out = append(out, Instance{Kind: Room, ID: fmt.Sprintf("room-10.0.%d.%d-7806", n/250, n%250)})
	}
	return out
}

// TestTablesOfOtherKindsAreNotMade: a thousand rooms own nothing, and their
// table is 4 million hashes.
func TestTablesOfOtherKindsAreNotMade(t *testing.T) {
	v := NewView(1, fleet(1000))
	if _, ok := v.Owner(Register, 7); !ok {
		t.Fatal("no owner")
	}
	v.Prepare(Saver)
	for k, want := range map[Kind]bool{Register: true, Saver: true, Coordinator: false, Room: false} {
		if made := v.kinds[k].owners.table != nil; made != want {
			t.Errorf("the table of %s is made: %v", k, made)
		}
	}
}

// TestNextKeepsTheTables of the kinds whose ids stay, and only of those.
func TestNextKeepsTheTables(t *testing.T) {
	v := NewView(1, fleet(3))
	v.Prepare(Register, Saver)
	next := fleet(4)
	next[0].Epoch = 9 // the register was restarted
	next[1].ID = "s2"
	n := v.Next(2, next)
	if n.kinds[Register].owners != v.kinds[Register].owners {
		t.Error("the registers' table is made again")
	}
	if n.kinds[Saver].owners == v.kinds[Saver].owners || n.kinds[Room].owners == v.kinds[Room].owners {
		t.Error("another set has the old table")
	}
	if o, _ := n.Owner(Register, 5); o.Epoch != 9 {
		t.Errorf("the owner is the old life: %+v", o)
	}
	if o, _ := n.Owner(Saver, 5); o.ID != "s2" {
		t.Errorf("the owner is %+v", o)
	}
}

func TestGet(t *testing.T) {
	v := NewView(1, fleet(3))
	for _, i := range v.All() {
		if got, ok := v.Get(i.Kind, i.ID); !ok || got.ID != i.ID || got.Kind != i.Kind {
			t.Errorf("%s %s: %+v, %v", i.Kind, i.ID, got, ok)
		}
		if _, ok := v.Get(Center, i.ID); ok {
			t.Errorf("%s is a center too", i.ID)
		}
	}
	if _, ok := v.Get(Room, "r"); ok {
		t.Error("a register among the rooms")
	}
	if len(v.Kind(Keeper)) != 0 || len(v.All()) != 6 {
		t.Errorf("%d instances", len(v.All()))
	}
}

// TestOwnersAreFrozen: programs of different versions must agree on them.
func TestOwnersAreFrozen(t *testing.T) {
	v := NewView(1, registers("register-10.0.0.1-7803", "register-10.0.0.2-7803", "register-10.0.0.3-7803"))
	var got string
	for s := range uint16(24) {
		o, _ := v.Owner(Register, s*170)
		got += o.ID[len("register-10.0.0.") : len("register-10.0.0.")+1]
	}
	if want := "333213212333313113231322"; got != want {
		t.Errorf("owners %s, want %s", got, want)
	}
}

func BenchmarkNewView(b *testing.B) {
	all := fleet(1000)
	for b.Loop() {
		NewView(1, all)
	}
}

// BenchmarkFirstOwner is what the first login after a view with 1,000 rooms and
// 10 registers pays where nobody has prepared it.
func BenchmarkFirstOwner(b *testing.B) {
	all := fleet(1000)
	for n := range 9 {
		all = append(all, Instance{Kind: Register, ID: fmt.Sprintf("register-10.1.0.%d-7803", n)})
	}
	for b.Loop() {
		b.StopTimer()
		v := NewView(1, all)
		b.StartTimer()
		v.Owner(Register, 1)
	}
}

func BenchmarkOwner(b *testing.B) {
	v := NewView(1, fleet(1000))
	for b.Loop() {
		v.Owner(Register, 77)
	}
}

func BenchmarkGet(b *testing.B) {
	v := NewView(1, fleet(1000))
	for b.Loop() {
		v.Get(Room, "room-10.0.3.200-7806")
	}
}
