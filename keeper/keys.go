package keeper

import (
	"strings"

	"longlink/pkg/cluster"
)

// The layout of etcd; doc.go shows it.
const (
	instancesPrefix = "/longlink/instances/"
	heldPrefix      = instancesPrefix + "held/"
	productsPrefix  = "/longlink/products/"
	secretsKey      = "/longlink/secrets"
	configPrefix    = "/longlink/config/"
	epochsPrefix    = "/longlink/epochs/"
	bootstrapPrefix = "/longlink/bootstrap/"
	deletedPrefix   = "/longlink/deleted/"
)

func instanceKey(k cluster.Kind, id string) string { return instancesPrefix + string(k) + "/" + id }
func epochKey(k cluster.Kind, id string) string    { return epochsPrefix + string(k) + "/" + id }

// validName holds for products, config sections and instance ids: their names
// end keys.
func validName(s string) bool {
	return s != "" && len(s) <= 64 && !strings.ContainsFunc(s, func(r rune) bool {
		return !strings.ContainsRune(nameBytes, r)
	})
}

const nameBytes = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._~-"
