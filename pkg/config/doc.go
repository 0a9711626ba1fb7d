// Package config loads a struct from its defaults, a YAML file, keeper, the
// environment and flags, and refuses every mistake in them at once, each with
// its place and the nearest valid key.
//
// The struct given to Load is the schema. Its fields are the sections, each a
// struct; inside a section are keys and further structs. A key is a string, a
// bool, an integer, a float, a Duration, a Size, a type that marshals itself as
// text, a slice of strings or a map of strings. Tags say the rest:
//
//	yaml:"max_connections"    the name in snake_case; "-" leaves the field alone
//	doc:"Line.\nNext line."   the comment in the annotated default
//	min:"1" max:"65535"       bounds, both included, in the key's own notation
//	oneof:"debug info warn"   the only strings allowed, separated by spaces
//	live:"true"               the key follows keeper without a restart
//	required:"true"           the zero value is refused
//	secret:"true"             the value is never printed
//
// A later layer wins: default, file, keeper, environment, flag. A list or map
// is replaced whole, never merged. Every layer is checked, also where a later
// one hides it: a bad line in a file stays a bad line.
//
// In the environment the key saver.redis.addrs is LONGLINK_SAVER_REDIS_ADDRS.
// There, in keeper and in flags a list is written a,b,c and a map k=v,k2=v2.
//
// A tag or a type the package does not know is a programmer's mistake: Load
// answers it with an error that is not *Errors, Annotated with a panic.
package config
