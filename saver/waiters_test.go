package saver

import (
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"longlink/saver/lane"
)

func TestWaitersOfOneProductLeaveRoom(t *testing.T) {
	w := newWaiters(8, newMetrics(prometheus.NewRegistry()))
	demo, shop := lane.RefOf("demo", "phone-1"), lane.RefOf("shop", "phone-1")
	var held []*waiter
	for i := range uint64(6) {
		held = append(held, w.add(demo, i+1))
	}
	if w.add(demo, 7) != nil {
		t.Error("a product has more than its share")
	}
	first, second := w.add(shop, 1), w.add(shop, 2)
	if first == nil || second == nil {
		t.Error("another product has none")
	}
	if w.add(shop, 3) != nil {
		t.Error("more than the limit")
	}
	for _, x := range held {
		w.remove(demo, x)
	}
	w.remove(demo, held[0]) // twice is once
	if w.add(demo, 8) == nil || len(w.products) != 2 {
		t.Errorf("the share did not come back: %v", w.products)
	}
}
