// Package version says which longlink this is.
package version

import (
	"runtime/debug"
)

// Version is the release; a build may set it with -ldflags -X.
var Version = "0.1.0-dev"

// String is the release with the commit it was built from, when known.
func String() string {
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, s := range info.Settings {
			if s.Key == "vcs.revision" && len(s.Value) >= 12 {
				return Version + "+" + s.Value[:12]
			}
		}
	}
	return Version
}
