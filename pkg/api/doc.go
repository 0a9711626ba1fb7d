// Package api holds the internal RPC between the services and the public API of
// center, as .proto files with their generated code (made by scripts/proto,
// checked in).
//
// Hot calls are bidi streams of batches: one request message holds a
// BatchHeader and items, the answer holds the same number and one result per
// item, in the items' order. A nil Result means OK. Rare calls are unary and
// fail with a gRPC status that carries a Result (see pkg/rpc).
package api
