package sdk

import (
	"bufio"
	"context"
	"io"
	"time"

	"longlink/pkg/code"
	"longlink/pkg/wire"
)

// read takes frames until the connection ends; the error is an *ending.
func (s *session) read(context.Context) error {
	in := bufio.NewReaderSize(s.nc, 4<<10)
	limit := wire.DefaultMaxFrame
	var body []byte
	for {
		t, n, end := header(in, limit)
		if end == nil {
			if cap(body) < n {
				body = make([]byte, n)
			}
			body = body[:n]
			if _, err := io.ReadFull(in, body); err != nil {
				end = local(code.Unavailable, code.RetryNow, "connection lost: %v", err)
			}
		}
		if end == nil {
			end = s.frame(t, body)
		}
		if end != nil {
			s.c.mu.Lock()
			s.ended(end)
			if end.remote || end.code == code.Unavailable {
				s.silent = true
			} else {
				s.goodbye = end.code
			}
			s.c.mu.Unlock()
			return end
		}
		if t == wire.TypeWelcome {
			limit = s.limit()
		}
	}
}

// header reads a frame's head.
func header(in *bufio.Reader, limit int) (wire.Type, int, *ending) {
	var head [wire.MaxHeader]byte
	for i := range head {
		b, err := in.ReadByte()
		if err != nil {
			return 0, 0, local(code.Unavailable, code.RetryNow, "connection lost: %v", err)
		}
		head[i] = b
		t, body, n, cerr := wire.Header(head[:i+1], limit)
		if cerr != nil {
			return 0, 0, local(cerr.Code, code.OtherAddress, "from the server: %s", cerr.Message)
		}
		if n > 0 {
			return t, body, nil
		}
	}
	return 0, 0, local(code.FrameTooLarge, code.OtherAddress, "from the server: a frame length of more than three bytes")
}

// limit is the longest body that WELCOME allows.
func (s *session) limit() int {
	s.c.mu.Lock()
	defer s.c.mu.Unlock()
	return s.maxFrame()
}

// maxFrame is the longest body that either side may send. Caller holds mu.
func (s *session) maxFrame() int {
	if n := int(s.welcome.MaxFrame); n > 0 && n < wire.MaxBody {
		return n
	}
	return wire.DefaultMaxFrame
}

// frame acts on one frame. WELCOME, or BYE, must be the first.
func (s *session) frame(t wire.Type, body []byte) *ending {
	c := s.c
	c.mu.Lock()
	s.lastHeard, s.pingSent = time.Now(), time.Time{}
	first := s.welcome == nil
	c.mu.Unlock()
	var err *code.Error
	var end *ending
	switch {
	case first != (t == wire.TypeWelcome) && known(t) && t != wire.TypeBye:
		return local(code.ProtocolError, code.OtherAddress, "the server sent %s out of place", t)
	case t == wire.TypeWelcome:
		err = s.onWelcome(body)
	case t == wire.TypeBound:
		err = s.onBound(body)
	case t == wire.TypePing:
		c.mu.Lock()
		s.out = append(s.out, wire.PongFrame...)
		end = s.overflow()
		c.mu.Unlock()
		s.poke()
	case t == wire.TypePush:
		end, err = s.onPush(body)
	case t == wire.TypeUpAck:
		err = s.onUpAck(body)
	case t == wire.TypeRedirect:
		err = s.onRedirect(body)
	case t == wire.TypeBye:
		var b wire.Bye
		if b, err = wire.ParseBye(body); err == nil {
			end = &ending{code: b.Code, action: b.Code.Action(), reason: b.Message, retry: hint(b.Code, b.RetryMS), remote: true}
			if end.reason == "" {
				end.reason = b.Code.Row().Meaning
			}
		}
	}
	if err != nil {
		return local(err.Code, code.OtherAddress, "%s from the server: %s", t, err.Message)
	}
	return end
}

// overflow ends a connection whose server makes us write faster than it reads.
func (s *session) overflow() *ending {
	if len(s.out) > MaxOutbound {
		return local(code.SlowConsumer, code.OtherAddress, "the server does not read what it asks for")
	}
	return nil
}

func known(t wire.Type) bool { return t >= wire.TypeHello && t <= wire.TypeBye }

// hint is the code's pause: the one sent beside it, else the table's.
func hint(c code.Code, ms uint32) time.Duration {
	if ms == 0 {
		ms = c.Row().RetryMS
	}
	if ms == 0 && c.Action() == code.RetryAfter {
		ms = 1000 // a code of a newer server
	}
	return min(time.Duration(ms)*time.Millisecond, maxHint)
}
