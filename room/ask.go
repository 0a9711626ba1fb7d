package room

import "context"

// ask runs fn for each connection on its loop, all connections of one loop in
// one task, and gathers the answers until ctx ends. answered[i] is false when
// conns[i] is nil, its loop refused or was too slow, or fn panicked; a late
// answer goes nowhere.
func ask[T any](ctx context.Context, r *Room, conns []*conn, fn func(c *conn, i int) T) (answers []T, answered []bool) {
	answers, answered = make([]T, len(conns)), make([]bool, len(conns))
	loops := r.allLoops()
	byLoop := make([]*question[T], len(loops))
	out := make(chan *question[T], len(loops))
	waiting := 0
	for i, c := range conns {
		if c == nil {
			continue
		}
		q := byLoop[c.loop.index]
		if q == nil {
			q = &question[T]{fn: fn, out: out}
			byLoop[c.loop.index] = q
		}
		q.conns, q.index = append(q.conns, c), append(q.index, i)
	}
	for i, q := range byLoop {
		if q != nil && loops[i].offer(q) {
			waiting++
		}
	}
	for ; waiting > 0; waiting-- {
		select {
		case q := <-out:
			for k, i := range q.index {
				answers[i], answered[i] = q.answers[k], q.ok[k]
			}
		case <-ctx.Done():
			return answers, answered
		case <-r.ended:
			return answers, answered
		}
	}
	return answers, answered
}

// question is the part of an ask for one loop, which owns it until it is sent
// to out.
type question[T any] struct {
	fn      func(c *conn, i int) T
	conns   []*conn
	index   []int
	answers []T
	ok      []bool
	out     chan *question[T] // never blocks: one place for each loop
}

func (q *question[T]) run(l *loop) {
	q.answers, q.ok = make([]T, len(q.conns)), make([]bool, len(q.conns))
	for k := range q.conns {
		q.one(l, k)
	}
	q.out <- q
}

func (q *question[T]) one(l *loop, k int) {
	defer l.guard(q.conns[k])
	q.answers[k] = q.fn(q.conns[k], q.index[k])
	q.ok[k] = true
}
