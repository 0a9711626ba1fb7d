package client

import (
	"bufio"
	"bytes"
	"errors"
	"io"
)

// maxLine bounds a line of a stream, and the data of an event: one with a body of 64 KiB in its
// longest form has less.
const maxLine = 1 << 20

var errTooLong = errors.New("an event of the stream is too long; is this address a center?")

// block is one event of a stream of server-sent events (WHATWG HTML, 9.2.6).
type block struct {
	event string
	data  []byte // nil: none; what has no data is no event, but its id counts
	id    string
	hasID bool
}

// readStream hands over block after block, and says that something came for
// every line. It ends with the stream (io.EOF, or io.ErrUnexpectedEOF within a
// block, which is then void) or with the error of take.
func readStream(r io.Reader, heard func(), take func(block) error) error {
	lines := bufio.NewReaderSize(r, 64<<10)
	var b block
	begun := false
	for {
		line, err := readLine(lines)
		if err != nil {
			if begun && err == io.EOF {
				err = io.ErrUnexpectedEOF
			}
			return err
		}
		heard()
		if len(line) == 0 {
			if begun {
				if err := take(b); err != nil {
					return err
				}
			}
			b, begun = block{}, false
			continue
		}
		name, value, _ := bytes.Cut(line, []byte(":"))
		value = bytes.TrimPrefix(value, []byte(" "))
		switch string(name) {
		case "event":
			b.event, begun = string(value), true
		case "data":
			if b.data == nil {
				b.data = []byte{}
			} else {
				b.data = append(b.data, '\n')
			}
			if b.data, begun = append(b.data, value...), true; len(b.data) > maxLine {
				return errTooLong
			}
		case "id":
			b.id, b.hasID, begun = string(value), true, true
		}
	}
}

func readLine(r *bufio.Reader) (line []byte, err error) {
	for {
		part, err := r.ReadSlice('\n')
		if line = append(line, part...); len(line) > maxLine {
			return nil, errTooLong
		}
		switch err {
		case nil:
			return bytes.TrimRight(line, "\r\n"), nil
		case bufio.ErrBufferFull:
		default:
			return nil, err
		}
	}
}
