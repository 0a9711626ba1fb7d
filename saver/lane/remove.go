package lane

import "context"

// Removed is what became of a message that is to leave its lane.
type Removed struct {
	Status Status
	Found  bool // it was there
}

// Remove takes single messages out of their lanes, by seq. It may be repeated.
func (c *Conn) Remove(ctx context.Context, items []Cursor) ([]Removed, error) {
	rows, err := cursors(items).run(ctx, c, c.store.scripts.remove, len(items))
	if err != nil {
		return nil, err
	}
	out := make([]Removed, len(items))
	for i, v := range rows {
		r := rowOf(v)
		if r.text(0) == "O" {
			out[i] = Removed{Done, r.number(1) == 1}
		}
		if r.err != nil {
			return nil, r.err
		}
	}
	return out, nil
}
