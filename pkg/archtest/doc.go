// Package archtest guards the architecture: which package may import which,
// where the heavy dependencies live, what the tree may hold, how long a file
// may get. A rule is a function from a Tree, the parsed files, to the places
// that break it, each with what to do about it; the tests hold this repository
// to every rule and show that each rule bites.
//
// Rules read files and never build, so they hold for packages that do not
// compile yet or do not exist yet.
package archtest
