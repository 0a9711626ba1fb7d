package client

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"
)

func TestReadStream(t *testing.T) {
	long := strings.Repeat("x", maxLine+1)
	for _, tc := range []struct {
		name, in string
		want     string // event|data|id of each block
		err      error
	}{
		{"an event", "event: upstream\ndata: {}\n\n", "upstream|{}|-", io.EOF},
		{"with an id", "data: a\nid: c1\n\n", "|a|c1", io.EOF},
		{"an id alone", "id: c1\n\n", "|-|c1", io.EOF},
		{"an empty id", "id\ndata: a\n\n", "|a|", io.EOF},
		{"a comment", ": ping\n\n:\n\ndata: a\n\n", "|a|-", io.EOF},
		{"several lines of data", "data: a\ndata\ndata:b\n\n", "|a\n\nb|-", io.EOF},
		{"no data is not empty data", "data:\n\nevent: x\n\n", "||- x|-|-", io.EOF},
		{"CRLF", "data: a\r\n\r\ndata: b\r\n\r\n", "|a|- |b|-", io.EOF},
		{"a space is eaten, not two", "data:  a\n\n", "| a|-", io.EOF},
		{"unknown fields", "retry: 5\nfoo: bar\ndata: a\n\n", "|a|-", io.EOF},
		{"cut in a line", "data: a\n\ndata: {", "|a|-", io.EOF},
		{"cut in a block", "data: a\n\nid: c\ndata: b\n", "|a|-", io.ErrUnexpectedEOF},
		{"a long line", "data: " + long + "\n\n", "", errTooLong},
		{"no line at all", long + long, "", errTooLong},
		{"a long event", strings.Repeat("data: "+long[:maxLine/2]+"\n", 3) + "\n", "", errTooLong},
	} {
		t.Run(tc.name, func(t *testing.T) {
			for _, in := range []io.Reader{strings.NewReader(tc.in), iotest.OneByteReader(strings.NewReader(tc.in))} {
				var got []string
				err := readStream(in, func() {}, func(b block) error {
					data, id := "-", "-"
					if b.data != nil {
						data = string(b.data)
					}
					if b.hasID {
						id = b.id
					}
					got = append(got, fmt.Sprintf("%s|%s|%s", b.event, data, id))
					return nil
				})
				if s := strings.Join(got, " "); s != tc.want || !errors.Is(err, tc.err) {
					t.Errorf("read %q, %v; want %q, %v", s, err, tc.want, tc.err)
				}
			}
		})
	}
}

func FuzzReadStream(f *testing.F) {
	f.Add([]byte("event: upstream\ndata: {}\nid: 1\n\n: ping\n\n"))
	f.Fuzz(func(t *testing.T, in []byte) {
		if err := readStream(strings.NewReader(string(in)), func() {}, func(b block) error {
			if len(b.data) > maxLine {
				t.Errorf("%d bytes of data", len(b.data))
			}
			return nil
		}); err == nil {
			t.Error("it ended without an error")
		}
	})
}
