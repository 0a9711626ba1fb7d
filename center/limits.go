package center

import (
	"time"

	"longlink/pkg/code"
	"longlink/pkg/wire"
)

// The API's limits. They are part of its contract, not configuration. The table
// of docs/api.md is made of them by a test (go test ./center -run Limits -update
// writes it anew), and every one that a caller can meet is in it.
const (
	maxPayload     = 64 << 10 // bytes
	maxDevices     = 1000     // devices of one push
	maxBatch       = 1000     // messages of one batch
	maxBatchBody   = 16 << 20 // bytes of a batch's body
	maxQuery       = 100      // devices of one query
	maxDataEntries = 16
	maxDataBytes   = 4 << 10 // keys and values together
	maxReason      = 200     // bytes of a kick's reason
	minTTL         = time.Second
	defaultTTL     = 24 * time.Hour
	maxTTL         = 30 * 24 * time.Hour
	maxWait        = 60 * time.Second
	defaultToken   = 30 * 24 * time.Hour
	maxTokenBinds  = 64 // products of a device token
	defaultPage    = 100
	maxPage        = 1000
	// maxAsked is how many products' lanes are counted for a device that has not
	// bound them.
	maxAsked = 256
	// maxLookUps is how many aliases of a batch are asked for at once.
	maxLookUps = 16
	maxHeader  = 16 << 10 // bytes of a request's headers
	maxStreams = 1000     // gRPC calls at once on a connection
)

func checkID(field, id string) *code.Error {
	if id == "" {
		return code.Invalid(field, "must not be empty")
	}
	if !wire.ValidName(id) {
		return code.Invalid(field, "must be 1 to 64 characters A-Z a-z 0-9 . _ ~ -")
	}
	return nil
}
