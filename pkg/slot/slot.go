// Package slot maps devices to the 4096 hash partitions that are the unit of
// ownership, rebuild and sharding.
package slot

import "github.com/cespare/xxhash/v2"

// Count is the number of slots; frozen, it is in every stored key.
const Count = 4096

// PerTag is how many neighbouring slots share one Redis hash tag, so that a
// script may touch all of them on one node of a Redis Cluster.
const PerTag = 16

// Of is the slot of a device: the low 12 bits of XXH64 of its id.
func Of(device string) uint16 { return uint16(xxhash.Sum64String(device) % Count) }

// Tag is the hash tag's number of a slot, 0 to 255.
func Tag(slot uint16) uint16 { return slot / PerTag }

// Key spreads a device over workers: items of one device stay in order when
// they take the same worker.
func Key(device string) uint64 { return xxhash.Sum64String(device) }
