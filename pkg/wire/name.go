package wire

// ValidName is true for the form of all names: ids of devices and instances,
// products, tags, kinds, keys that callers make. 1 to MaxName characters
// A-Z a-z 0-9 . _ ~ -, which are safe in URLs, in Redis keys, in the heads of
// lane elements and in the ledger's columns.
func ValidName[T string | []byte](s T) bool {
	if len(s) == 0 || len(s) > MaxName {
		return false
	}
	for i := range len(s) {
		switch b := s[i]; {
		case 'a' <= b && b <= 'z', 'A' <= b && b <= 'Z', '0' <= b && b <= '9', b == '.', b == '_', b == '~', b == '-':
		default:
			return false
		}
	}
	return true
}
