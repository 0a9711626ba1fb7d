// Package sdk is the device side of longlink for apps written in Go: it keeps
// one connection to a room, hands every message to the app once and in order,
// and comes back by itself when the connection breaks.
//
//	c, err := sdk.New(sdk.Config{
//		Device:     "phone-17",
//		Token:      func(ctx context.Context) (string, error) { return fetchToken(ctx) },
//		Products:   []sdk.Product{{Name: "mail"}},
//		Dispatcher: []string{"http://push.example.com:7100"},
//		Store:      sdk.NewFileStore(dir),
//		Handler:    func(ctx context.Context, m sdk.Message) error { return inbox.Add(m) },
//	})
//	err = c.Run(ctx) // until ctx ends or the server says never to come back
//
// # What it promises
//
// The handler is called one message at a time per lane (a product's own
// messages, and its broadcasts, are two lanes), in order, and other lanes go on
// meanwhile. When it returns nil the new cursor is stored durably, and only
// then does the acknowledgement leave. When it returns an error the message is
// tried again with back-off and its lane waits, over reconnects too. What the
// cursor has passed is dropped when it comes again. A process that dies between
// the handler's return and the write of the cursor sees what was handled in
// between again: a lane does not wait for the write, so that may be a few
// messages, never more than the server's window. A handler that must not repeat
// an effect remembers the last Message.IDs.
//
// Send is the other direction: it returns nil when the server has stored the
// data for the product's backend, and repeats by itself what a break or a busy
// server kept from that.
//
//	err := c.Send(ctx, "mail", "read", sdk.SendJSON, []byte(`{"n":3}`))
//
// What is sent of one product is stored once and in the order of the calls.
// What waits is in memory only: a process that dies before Send returned does
// not know whether it was stored.
//
// # How it is made
//
//	Run ─ connect    address, dial, one session after the other     client.go
//	    │   ├ read   frames in → lanes                              read.go
//	    │   └ write  acks, UPs, heartbeat, re-bind, leave, BYE      session.go
//	    ├ store      saves the state, then lets the acks go         flush.go
//	    └ lane …     one worker per lane with messages              lane.go
//
//	Send ─ outbox    per product, over connections                  outbox.go, upack.go
//
// All of them share Client.mu, which is never held over I/O or a call into the
// app. Sizes are bounded: a lane's queue by the window that the server
// announced (at most MaxWindow), unanswered Sends by MaxSends and MaxSendBytes,
// the outgoing buffer by MaxOutbound. Stats counts what was dropped and why.
package sdk
