package keeper

import (
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
