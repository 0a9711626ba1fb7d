package saver

import (
	"context"
	"database/sql"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"longlink/pkg/api"
	"longlink/pkg/code"
	"longlink/pkg/config"
	"longlink/pkg/rpc"
	"longlink/pkg/slot"
)

func partOf(device string) uint32 { return uint32(slot.Tag(slot.Of(device))) }

// deviceIn is the n-th device of a partition.
func deviceIn(part uint32, n int) string {
	for i := 0; ; i++ {
		if d := fmt.Sprint("u", i); partOf(d) == part {
			if n == 0 {
				return d
			}
			n--
		}
	}
}

func upItem(device string, id uint64) *api.UpItem {
	return &api.UpItem{Meta: &api.Meta{RequestId: "r1"}, Device: device, Product: "shop", Kind: "read", UpId: id,
		Payload: fmt.Append(nil, device, "/", id), ReceivedMs: time.Now().UnixMilli(), Epoch: 5}
}

// up sends items as one call.
func (r *running) up(items ...*api.UpItem) []*api.UpResult { return r.Upstream(items) }

func (r *running) mustUp(items ...*api.UpItem) []*api.UpResult {
	r.t.Helper()
	out := r.up(items...)
	for i, o := range out {
		if o.Result != nil || o.Seq == 0 {
			r.t.Fatalf("item %d: %v", i, o)
		}
	}
	return out
}

func codeOf(r *api.UpResult) code.Code { return code.Code(r.GetResult().GetCode()) }

// logRow is a row of the log as the database has it.
type logRow struct {
	seq             uint64
	device          string
	upID            uint64
	received, until int64
}

// log reads a partition's rows past the code under test.
func (w *world) log(part uint32) (all []logRow) {
	w.t.Helper()
	driver, dsn := "sqlite", filepath.Join(w.dir, "ledger.db")
	if w.cfg.Ledger.Driver == "mysql" {
		driver, dsn = "mysql", w.cfg.Ledger.DSN
	}
	db, err := sql.Open(driver, dsn)
	if err != nil {
		w.t.Fatal(err)
	}
	defer db.Close()
	rows, err := db.QueryContext(w.t.Context(), "SELECT seq, device, up_id, received_ms, expires_ms FROM upstream WHERE part = ? ORDER BY seq", part)
	if err != nil {
		w.t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var x logRow
		if err := rows.Scan(&x.seq, &x.device, &x.upID, &x.received, &x.until); err != nil {
			w.t.Fatal(err)
		}
		all = append(all, x)
	}
	if err := rows.Err(); err != nil {
		w.t.Fatal(err)
	}
	return all
}

// upReader follows partitions of the log through the door, as coordinators do.
type upReader struct {
	client api.SaverClient
	limit  uint32
	after  map[uint32]uint64
	got    map[uint32][]*api.UpstreamRow
}

func (r *running) reader(limit uint32) *upReader {
	return &upReader{api.NewSaverClient(r.dial()), limit, map[uint32]uint64{}, map[uint32][]*api.UpstreamRow{}}
}

// turn reads every partition up to its head; it says whether any had moved.
func (u *upReader) turn(ctx context.Context) (moved bool, err error) {
	heads, err := u.client.UpstreamHeads(ctx, &api.UpstreamHeadsRequest{})
	if err != nil {
		return false, err
	}
	for part, head := range heads.Heads {
		p := uint32(part)
		for u.after[p] < head {
			moved = true
			page, err := u.client.ReadUpstream(ctx, &api.ReadUpstreamRequest{Part: p, After: u.after[p], Limit: u.limit})
			if err != nil {
				return moved, err
			}
			if page.Read <= u.after[p] {
				return moved, fmt.Errorf("part %d stands at %d, its head is %d", p, page.Read, head)
			}
			u.got[p], u.after[p] = append(u.got[p], page.Rows...), page.Read
		}
	}
	return moved, nil
}

// What was sent is read: in the order of each device, once, with all its parts.
func TestUpstream(t *testing.T) {
	worlds(t, func(t *testing.T, w *world) {
		s := w.start()
		d, same, far := deviceIn(7, 0), deviceIn(7, 1), deviceIn(200, 0)
		full := upItem(d, 1<<64-1)
		full.Flags, full.Ext = 4, []byte("ext")
		out := s.mustUp(upItem(d, 1), upItem(far, 1), upItem(same, 1), upItem(d, 2), upItem(d, 1), full)
		if out[0].Seq >= out[2].Seq || out[2].Seq >= out[3].Seq || out[4].Seq != out[0].Seq || !out[4].Duplicate || out[0].Duplicate {
			t.Errorf("results %v", out)
		}
		again := s.mustUp(upItem(d, 2), upItem(d, 3))
		if !again[0].Duplicate || again[0].Seq != out[3].Seq || again[1].Duplicate {
			t.Errorf("sent again: %v", again)
		}
		r := s.reader(2)
		if _, err := r.turn(t.Context()); err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, row := range r.got[7] {
			got = append(got, string(row.Item.Payload))
		}
		want := fmt.Sprintf("%s/1 %s/1 %s/2 %s/%d %s/3", d, same, d, d, full.UpId, d)
		if strings.Join(got, " ") != want || len(r.got[200]) != 1 || len(r.got) != 2 {
			t.Errorf("read %v, want %s", got, want)
		}
		row := r.got[7][3]
		if row.Seq != out[5].Seq || row.Class != 0 || row.Item.UpId != full.UpId || row.Item.Flags != 4 || string(row.Item.Ext) != "ext" ||
			row.Item.Meta.RequestId != "r1" || row.Item.Epoch != 5 || row.Item.Kind != "read" || row.Item.ReceivedMs != full.ReceivedMs {
			t.Errorf("row %v", row)
		}
		page, err := r.client.ReadUpstream(t.Context(), &api.ReadUpstreamRequest{Part: 7, Limit: 10, Product: "shop", Kind: "other"})
		if err != nil || len(page.Rows) != 0 || page.Read != again[1].Seq {
			t.Errorf("another kind: %v %v", page, err)
		}
		// Another life of the saver: nothing is stored twice, no seq is given again.
		s.stop()
		next := w.start().mustUp(upItem(d, 3), upItem(d, 4))
		if !next[0].Duplicate || next[0].Seq != again[1].Seq || next[1].Duplicate || next[1].Seq <= again[1].Seq {
			t.Errorf("after a restart: %v", next)
		}
	})
}

// A bad item is told which field is wrong, and costs its neighbours nothing.
func TestUpstreamBadItems(t *testing.T) {
	w := embeddedWorld(t)
	s := w.start()
	for field, spoil := range map[string]func(*api.UpItem){
		"device":      func(i *api.UpItem) { i.Device = "d d" },
		"product":     func(i *api.UpItem) { i.Product = "" },
		"kind":        func(i *api.UpItem) { i.Kind = strings.Repeat("k", 65) },
		"up_id":       func(i *api.UpItem) { i.UpId = 0 },
		"flags":       func(i *api.UpItem) { i.Flags = 256 },
		"epoch":       func(i *api.UpItem) { i.Epoch = 1 << 63 },
		"received_ms": func(i *api.UpItem) { i.ReceivedMs = -1 },
		"ext":         func(i *api.UpItem) { i.Ext = make([]byte, 8<<10+1) },
		"payload":     func(i *api.UpItem) { i.Payload = make([]byte, 64<<10+1) },
	} {
		bad := upItem("d", 1)
		spoil(bad)
		out := s.up(upItem(field, 1), bad, upItem(field, 2))
		if codeOf(out[0]) != code.OK || codeOf(out[2]) != code.OK || out[1].Result.GetField() != field || codeOf(out[1]).Action() != code.Never || out[1].Result.Message == "" {
			t.Errorf("%s: %v", field, out)
		}
	}
	// The largest one is taken; a request id that is no name is left out.
	large := upItem("large", 1)
	large.Ext, large.Payload, large.Epoch, large.Flags, large.Meta = make([]byte, 8<<10), make([]byte, 64<<10), 1<<63-1, 255, &api.Meta{RequestId: strings.Repeat("é", 100)}
	bare := upItem("large", 2)
	bare.Payload, bare.Meta = nil, nil
	s.mustUp(large, bare)
	if out := s.up(nil); codeOf(out[0]) != code.InvalidArgument {
		t.Errorf("no item at all: %v", out)
	}
	if out := s.up(); len(out) != 0 {
		t.Errorf("no items: %v", out)
	}
	c := api.NewSaverClient(s.dial())
	for field, q := range map[string]*api.ReadUpstreamRequest{
		"part":    {Part: 256, Limit: 1},
		"after":   {After: 1 << 63, Limit: 1},
		"limit":   {Limit: 1001},
		"product": {Limit: 1, Product: "a b"},
		"kind":    {Limit: 1, Kind: "\x00"},
	} {
		if _, err := c.ReadUpstream(t.Context(), q); rpc.FromStatus(err).Field != field || rpc.FromStatus(err).Code != code.InvalidArgument {
			t.Errorf("%s: %v", field, err)
		}
	}
	if _, err := c.ReadUpstream(t.Context(), &api.ReadUpstreamRequest{}); rpc.FromStatus(err).Field != "limit" {
		t.Errorf("no limit: %v", err)
	}
}

// Data lives for the retention from its reception on; a clock that is wrong, in
// either direction, costs no data.
func TestUpstreamRetention(t *testing.T) {
	w := embeddedWorld(t)
	s := w.start(func(c *Config) { c.Upstream.Retention = config.Duration(2 * time.Hour) })
	now := time.Now().UnixMilli()
	const minute = 60_000
	late, early, old := upItem("d", 1), upItem("d", 2), upItem("d", 3)
	late.ReceivedMs, early.ReceivedMs, old.ReceivedMs = now-minute, now+60*minute, 1
	s.mustUp(late, early, old)
	rows := w.log(partOf("d"))
	if len(rows) != 3 {
		t.Fatalf("%d rows", len(rows))
	}
	for i, want := range []int64{now - minute, now, now - 60*minute} {
		if r := rows[i]; r.received < want || r.received > want+minute || r.until != r.received+120*minute || i == 0 && r.received != want {
			t.Errorf("row %d: received %+d ms, expires %+d ms", i, r.received-now, r.until-now)
		}
	}
	if DefaultConfig().Upstream.Retention.Std() != 72*time.Hour {
		t.Error("the default is not 72 h")
	}
}

func TestUpstreamHotCall(t *testing.T) {
	w := embeddedWorld(t)
	conn := w.start().dial()
	send, err := rpc.Upstream(t.Context(), conn)
	if err != nil {
		t.Fatal(err)
	}
	out, err := send(&api.BatchHeader{Number: 1}, []*api.UpItem{upItem("d", 1), upItem("d", 0), upItem("d", 2)})
	if err != nil || out[0].Seq == 0 || out[1].Result.GetField() != "up_id" || out[2].Seq != out[0].Seq+1 {
		t.Fatalf("%v %v", out, err)
	}
	h, err := api.NewSaverClient(conn).UpstreamHeads(t.Context(), &api.UpstreamHeadsRequest{})
	if err != nil || len(h.Heads) != 256 || h.Heads[partOf("d")] != out[2].Seq || h.Heads[partOf("d")^1] != 0 {
		t.Errorf("%v %v", h, err)
	}
}
