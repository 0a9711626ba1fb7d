package center

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

// block is one block of a stream of server-sent events.
type block struct{ event, data, id, comment string }

// readBlock reads one block and is strict: lines end with LF, a block is a
// comment, an id, or an event with one line of data, and nothing else.
func readBlock(r *bufio.Reader) (b block, err error) {
	var names []string
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			if len(names) > 0 || line != "" {
				err = fmt.Errorf("%w after %v %q", io.ErrUnexpectedEOF, names, line)
			}
			return b, err
		}
		if line = line[:len(line)-1]; line == "" {
			break
		}
		name, value, ok := strings.Cut(line, ": ")
		if !ok || !utf8.ValidString(line) || strings.ContainsRune(line, '\r') {
			return b, fmt.Errorf("line %q", line)
		}
		into := map[string]*string{"": &b.comment, "event": &b.event, "data": &b.data, "id": &b.id}[name]
		if into == nil || value == "" {
			return b, fmt.Errorf("line %q", line)
		}
		*into = value
		names = append(names, name)
	}
	switch strings.Join(names, ",") {
	case "", "id", "event,data":
		return b, nil
	}
	return b, fmt.Errorf("a block of %q", names)
}

// firstBlock is the first block as JSON.
func firstBlock(t *testing.T, r io.Reader) []byte {
	t.Helper()
	b, err := readBlock(bufio.NewReader(r))
	if err != nil {
		t.Fatal(err)
	}
	out, err := json.Marshal(map[string]string{"id": b.id})
	if err != nil || b.id == "" {
		t.Fatalf("a stream begins with %+v, %v", b, err)
	}
	return out
}

// stream is a follower's side of GET /v1/events.
type stream struct {
	t    *testing.T
	body *bufio.Reader
	end  func()
	id   string // the last cursor
}

// follow opens a stream; query begins with "?" or is empty. The stream ends with
// the test, or after 20 s.
func (w *world) follow(key, query, last string) *stream {
	w.t.Helper()
	s, res := w.followOn(http.DefaultClient, key, query, last)
	if res.StatusCode != 200 {
		b, _ := io.ReadAll(res.Body)
		w.t.Fatalf("status %d: %s", res.StatusCode, b)
	}
	return s
}

func (w *world) followOn(client *http.Client, key, query, last string) (*stream, *http.Response) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	req, err := http.NewRequestWithContext(ctx, "GET", w.url+"/v1/events"+query, nil)
	if err != nil {
		w.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+key)
	if last != "" {
		req.Header.Set("Last-Event-ID", last)
	}
	res, err := client.Do(req)
	if err != nil {
		w.t.Fatal(err)
	}
	s := &stream{t: w.t, body: bufio.NewReader(res.Body), end: func() { cancel(); res.Body.Close() }}
	w.t.Cleanup(s.end)
	return s, res
}

// next is the next block.
func (s *stream) next() block {
	s.t.Helper()
	b, err := readBlock(s.body)
	if err != nil {
		s.t.Fatal(err)
	}
	if b.id != "" {
		s.id = b.id
	}
	return b
}

// event is the next event; cursors and comments on the way are passed over.
func (s *stream) event() eventBody {
	s.t.Helper()
	for {
		b := s.next()
		if b.event == "" {
			continue
		}
		var e eventBody
		d := json.NewDecoder(strings.NewReader(b.data))
		d.DisallowUnknownFields()
		if err := d.Decode(&e); err != nil || b.event != e.Type {
			s.t.Fatalf("%+v: %v", b, err)
		}
		return e
	}
}

// until returns the first block that ok wants.
func (s *stream) until(ok func(b block) bool) block {
	s.t.Helper()
	for {
		if b := s.next(); ok(b) {
			return b
		}
	}
}

// ended reads the stream to its end and returns the last comment.
func (s *stream) ended() (comment string) {
	s.t.Helper()
	for {
		b, err := readBlock(s.body)
		if errors.Is(err, io.EOF) {
			return comment
		}
		if err != nil {
			s.t.Fatal(err)
		}
		if b.comment != "" {
			comment = b.comment
		}
	}
}
