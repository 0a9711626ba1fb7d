package saver

import (
	"longlink/pkg/code"
	"longlink/pkg/wire"
)

func checkLane(device, product string) *code.Error {
	if !wire.ValidName(device) {
		return code.Invalid("device", "must be 1 to 64 of A-Z a-z 0-9 . _ ~ -")
	}
	if !wire.ValidName(product) {
		return code.Invalid("product", "must be 1 to 64 of A-Z a-z 0-9 . _ ~ -")
	}
	return nil
}
