package center

import (
	"bufio"
	"encoding/json"
	"io"
	"net/http"

	"google.golang.org/grpc"

	"longlink/pkg/api"
	"longlink/pkg/code"
)

// eventSink is a follower's way to its caller. Its errors mean that the caller
// is gone or takes nothing.
type eventSink interface {
	event(e *api.Event) error
	mark(cursor string) error // everything up to the cursor was sent
	ping(cursor string) error // so that both sides know of the other
	note(text string) error   // for people; may be left out
	flush() error
}

// eventStream answers with server-sent events (WHATWG HTML, 9.2).
type eventStream struct {
	w     http.ResponseWriter
	life  *lifeline
	buf   *bufio.Writer
	begun bool // nothing else may be answered any more
}

// streamBuffer is how much is written at once: each time the reader has its
// patience anew.
const streamBuffer = 32 << 10

func newEventStream(w http.ResponseWriter, life *lifeline) *eventStream {
	out := &eventStream{w: w, life: life}
	out.buf = bufio.NewWriterSize(out, streamBuffer)
	return out
}

// Write implements io.Writer for the buffer.
func (s *eventStream) Write(b []byte) (int, error) {
	s.life.extend()
	if !s.begun {
		s.begun = true
		h := s.w.Header()
		h.Set("Content-Type", "text/event-stream")
		h.Set("Cache-Control", "no-store")
		h.Set("X-Accel-Buffering", "no") // nginx would hold events back
		s.w.WriteHeader(http.StatusOK)
	}
	return s.w.Write(b)
}

func (s *eventStream) event(e *api.Event) error {
	// What fails here, fails in flush too.
	_, _ = io.WriteString(s.buf, "event: "+e.Type+"\ndata: ")
	j := json.NewEncoder(s.buf) // ends the line, and writes no other end of one
	j.SetEscapeHTML(false)
	if err := j.Encode(answerEvent(e)); err != nil {
		return err
	}
	return s.buf.WriteByte('\n')
}

func (s *eventStream) mark(cursor string) error { return s.line("id: " + cursor) }
func (s *eventStream) ping(string) error        { return s.line(": ping") }
func (s *eventStream) note(text string) error   { return s.line(": " + text) }

// line writes a block of one line.
func (s *eventStream) line(text string) error {
	_, err := s.buf.WriteString(text + "\n\n")
	return err
}

func (s *eventStream) flush() error {
	if err := s.buf.Flush(); err != nil {
		return err
	}
	return http.NewResponseController(s.w).Flush()
}

// goodbye says why the stream ends. The caller may have gone before.
func (s *eventStream) goodbye(e *code.Error) {
	_ = s.note("ended: " + e.Code.String() + " " + e.Message)
	_ = s.flush()
}

// eventMessages answers a gRPC call.
type eventMessages struct {
	stream grpc.ServerStreamingServer[api.Event]
	life   *lifeline
}

func (m eventMessages) event(e *api.Event) error {
	m.life.extend()
	return m.stream.Send(e)
}

func (m eventMessages) mark(cursor string) error { return m.event(&api.Event{Cursor: cursor}) }
func (m eventMessages) ping(cursor string) error { return m.mark(cursor) }
func (m eventMessages) note(string) error        { return nil }
func (m eventMessages) flush() error             { return nil }
