package saver

import "longlink/pkg/code"

// isID is true for [A-Za-z0-9._~-]{1,64}, the form of every name: it is safe in
// Redis keys, in the heads of lane elements and in the ledger's columns.
func isID(s string) bool {
	if len(s) < 1 || len(s) > 64 {
		return false
	}
	for i := range len(s) {
		switch c := s[i]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '.', c == '_', c == '~', c == '-':
		default:
			return false
		}
	}
	return true
}

func checkLane(device, product string) *code.Error {
	if !isID(device) {
		return code.Invalid("device", "must be 1 to 64 of A-Z a-z 0-9 . _ ~ -")
	}
	if !isID(product) {
		return code.Invalid("product", "must be 1 to 64 of A-Z a-z 0-9 . _ ~ -")
	}
	return nil
}
