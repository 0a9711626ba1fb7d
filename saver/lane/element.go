package lane

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"
)

// Element is a message as a lane holds it.
type Element struct {
	Seq       uint64
	ExpiresMS int64
	Body      []byte // api.Message
}

// parseElement reads seq|cum|size|expires_ms|collapse_key|body.
func parseElement(s string) (e Element, err error) {
	b := []byte(s)
	var heads [5][]byte
	for i := range heads {
		at := bytes.IndexByte(b, '|')
		if at < 0 {
			return e, fmt.Errorf("lane element with %d of 5 heads", i)
		}
		heads[i], b = b[:at], b[at+1:]
	}
	if e.Seq, err = strconv.ParseUint(string(heads[0]), 10, 64); err != nil {
		return e, fmt.Errorf("lane element: seq: %w", err)
	}
	if e.ExpiresMS, err = strconv.ParseInt(string(heads[3]), 10, 64); err != nil {
		return e, fmt.Errorf("lane element: expires_ms: %w", err)
	}
	e.Body = b
	return e, nil
}

// Seen is what a dedup key remembers of the first push with its dedup_id.
type Seen struct {
	ID        string
	Seq       uint64
	ExpiresMS int64
}

func (s Seen) String() string { return fmt.Sprintf("%s|%d|%d", s.ID, s.Seq, s.ExpiresMS) }

func parseSeen(s string) (out Seen, err error) {
	id, rest, ok := strings.Cut(s, "|")
	if !ok {
		return out, fmt.Errorf("dedup value %q is not id|seq|expires_ms", s)
	}
	seq, expires, ok := strings.Cut(rest, "|")
	if !ok {
		return out, fmt.Errorf("dedup value %q is not id|seq|expires_ms", s)
	}
	out.ID = id
	if out.Seq, err = strconv.ParseUint(seq, 10, 64); err != nil {
		return out, fmt.Errorf("dedup value %q: %w", s, err)
	}
	if out.ExpiresMS, err = strconv.ParseInt(expires, 10, 64); err != nil {
		return out, fmt.Errorf("dedup value %q: %w", s, err)
	}
	return out, nil
}
