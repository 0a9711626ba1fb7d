// Package dispatcher answers a device's question "where do I connect?" over
// HTTP:
//
//	GET /v1/rooms?device=ID&network=wifi|wired|5g|4g|3g|2g&transport=tcp&failed=ADDR,ADDR
//
//	200 {"rooms":[{"addr":"10.0.0.1:7001","idc":"a","transport":"tcp"},…],
//	     "ttl_s":600,
//	     "heartbeat":{"min_s":60,"max_s":300,"suggested_s":300},
//	     "backoff":{"base_ms":1000,"max_ms":120000,"jitter":0.5}}
//
// device is required; network may be left out, which counts as a cellular one;
// transport is tcp when left out; failed lists the addresses that the device
// could not reach, at most 32, in one or several parameters. Parameters of
// other names are ignored, so that newer devices may send more.
//
// The answer is a group to try in its order: several rooms, on different ports,
// one in another IDC where there is one (group.go). The same device gets the
// same group while its rooms live, so that a flash disconnect heals in the room
// that still holds the session. ttl_s says how long the device may use the
// group without asking again. The room's WELCOME has the last word on the
// heartbeat. Rooms that drain are left out, and so are full ones, as far as
// keeper's load figures tell (loads.go).
//
// Errors have the API's form, {"error":{"code","message","field",
// "retry_after_ms"}}: 400 INVALID_ARGUMENT, 404 NOT_FOUND for another path, 405
// for another method, 429 RATE_LIMITED for an address that asks too much
// (rate.go), and 503 UNAVAILABLE while no room is ready; the last two with a
// Retry-After header.
//
// A dispatcher is stateless: it answers from keeper's view in memory, so it
// goes on with the last one while etcd is away, and without load figures while
// keeper is; any number may run behind one name. When it dies, devices keep to
// the group they have.
package dispatcher
