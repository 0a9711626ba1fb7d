package center

import (
	"google.golang.org/grpc/encoding"
	_ "google.golang.org/grpc/encoding/proto" // registers "proto"
	"google.golang.org/grpc/mem"
)

// codec is gRPC's own for protobuf. What cannot be read is noted in the
// envelope instead of returned, because grpc-go answers such an error itself,
// without an api.Result.
type codec struct{ encoding.CodecV2 }

// envelope is a message to be decoded and what went wrong.
type envelope struct {
	into any
	err  error
}

func newCodec() codec { return codec{encoding.GetCodecV2("proto")} }

// Unmarshal implements encoding.CodecV2.
func (c codec) Unmarshal(data mem.BufferSlice, v any) error {
	e, ok := v.(*envelope)
	if !ok {
		return c.CodecV2.Unmarshal(data, v)
	}
	e.err = c.CodecV2.Unmarshal(data, e.into)
	return nil
}
