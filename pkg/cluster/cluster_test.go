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
