// Package keeper is configuration, discovery and control on etcd. It is the
// only home of etcd in the program.
//
// # The package, which every process embeds
//
// [Connect] reaches etcd, an external one or the member that [StartEmbedded]
// runs in this process, and loads what it follows. [Client.Run] then follows
// it: every prefix has a list-and-watch of its own, which lists again after any
// error or compaction and keeps its last state while etcd is away.
//
//	/longlink/instances/KIND/ID  cluster.Instance in JSON, under a lease   → Client.Views
//	/longlink/instances/held/KIND the instances of a kind that are held, under a lease that ends the hold
//	/longlink/products/NAME      cluster.Product in JSON                   → Client.Directory
//	/longlink/secrets            cluster.Secrets in JSON                   → Client.Directory
//	/longlink/config/SECTION     YAML text of a section                    → Client.Sections
//	/longlink/epochs/KIND/ID     the last epoch given to an instance id, in decimal
//	/longlink/bootstrap/NAME     what Bootstrap made once and never again
//	/longlink/deleted/NAME       when a product was deleted: its name rests 31 days
//
// [Client.Epoch] and [Client.Announce] put an instance into the registry. Of two
// processes with one instance id the younger one stays; the older one's
// announcement ends with a [TakenOverError], which ends the process.
//
// Client.Views can be asked to look again (relist.go), at most four times a
// second: a watch may be late, or hang without an error. [Client.Bury] takes out
// what an embedded gateway's last life has left.
//
// # The shrink guard
//
// When more than half of a kind of four or more vanish within
// keeper.shrink_window, without having drained or said that they stop, the view
// keeps their last state (shrink.go). The processes that see it record the hold
// in etcd under a lease of keeper.shrink_hold (hold.go), so it begins and ends
// at one revision for everybody, also for a process that starts meanwhile. It
// ends early when all of them are back. Held instances have Held set: a caller
// may skip one that refuses connections. Fresh ones join at once.
//
// # The service
//
// [Service] is the operators' view: load figures by RPC (they change all the
// time and would flood etcd), and the list of instances with them.
//
// # How it dies
//
// Without etcd nobody new is found, nothing can be changed, and everything else
// goes on with the last view, products and keys; keeper_view_age_seconds grows.
// When etcd is back, instances whose lease ended announce themselves again with
// the epoch they had. A process that is killed leaves the view when its lease
// ends (keeper.lease_ttl), one that stops leaves it at once.
package keeper
