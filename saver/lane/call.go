package lane

import (
	"context"
	_ "embed" // the scripts are files of their own
	"fmt"
	"strconv"

	"github.com/redis/go-redis/v9"
)

//go:embed lua/common.lua
var commonLua string

//go:embed lua/append.lua
var appendLua string

//go:embed lua/load.lua
var loadLua string

//go:embed lua/ack.lua
var ackLua string

//go:embed lua/peek.lua
var peekLua string

//go:embed lua/remove.lua
var removeLua string

//go:embed lua/insert.lua
var insertLua string

//go:embed lua/finish.lua
var finishLua string

// scripts of one store; a redis.Script is only a text and its hash.
type scripts struct {
	append, load, ack, peek, remove, insert, finish *redis.Script
}

func newScripts() scripts {
	with := func(body string) *redis.Script { return redis.NewScript(commonLua + body) }
	return scripts{with(appendLua), with(loadLua), with(ackLua), with(peekLua), with(removeLua), with(insertLua), with(finishLua)}
}

// MaxSeq is the highest seq a script can hold exactly; callers cut what devices
// bring to it.
const MaxSeq = 1<<53 - 1

// call collects the keys and arguments of one script call. Slots and keys are
// named by their index, each once.
type call struct {
	slots   []uint16
	slotAt  map[uint16]int
	keys    []string
	keyAt   map[string]int
	pending []any // arguments behind the slots; key indexes are keyIndex
}

type keyIndex int

func newCall() *call { return &call{slotAt: map[uint16]int{}, keyAt: map[string]int{}} }

func (c *call) slot(s uint16) int {
	if i, ok := c.slotAt[s]; ok {
		return i
	}
	c.slots = append(c.slots, s)
	c.slotAt[s] = len(c.slots)
	return len(c.slots)
}

func (c *call) key(k string) keyIndex {
	if i, ok := c.keyAt[k]; ok {
		return keyIndex(i)
	}
	c.keys = append(c.keys, k)
	c.keyAt[k] = len(c.keys)
	return keyIndex(len(c.keys))
}

func (c *call) add(args ...any) { c.pending = append(c.pending, args...) }

// run executes the script; the answer has n rows.
func (c *call) run(ctx context.Context, conn *Conn, s *redis.Script, n int) ([]any, error) {
	keys := make([]string, 0, 2*len(c.slots)+len(c.keys))
	for _, sl := range c.slots {
		keys = append(keys, ClockKey(sl), GenKey(sl))
	}
	args := make([]any, 0, 2+len(c.pending))
	args = append(args, conn.run, len(c.slots))
	for _, a := range c.pending {
		if k, ok := a.(keyIndex); ok {
			a = int(k) + len(keys)
		}
		args = append(args, a)
	}
	rows, err := s.Run(ctx, conn.c, append(keys, c.keys...), args...).Slice()
	if err != nil {
		return nil, err
	}
	if len(rows) != n {
		return nil, fmt.Errorf("a script answered %d rows for %d items", len(rows), n)
	}
	return rows, nil
}

// row reads the fields of one answer and keeps the first error.
type row struct {
	fields []any
	err    error
}

func rowOf(v any) *row {
	fields, ok := v.([]any)
	if !ok || len(fields) == 0 {
		return &row{err: fmt.Errorf("a script answered %T", v)}
	}
	return &row{fields: fields}
}

func (r *row) text(i int) string {
	if i >= len(r.fields) {
		r.fail(i)
		return ""
	}
	s, ok := r.fields[i].(string)
	if !ok {
		r.fail(i)
	}
	return s
}

func (r *row) seq(i int) uint64 {
	n, err := strconv.ParseUint(r.text(i), 10, 64)
	if err != nil {
		r.fail(i)
	}
	return n
}

func (r *row) number(i int) int {
	if i >= len(r.fields) {
		r.fail(i)
		return 0
	}
	n, ok := r.fields[i].(int64)
	if !ok {
		r.fail(i)
	}
	return int(n)
}

func (r *row) fail(i int) {
	if r.err == nil {
		r.err = fmt.Errorf("a script's answer has no good field %d", i)
	}
}
