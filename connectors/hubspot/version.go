package hubspot

import (
	"strings"
	"sync/atomic"
)

// DefaultVersion is the newest version of HubSpot's API that was generally
// available when this was written.
const DefaultVersion = "2026-09"

// FallbackVersion is the version before it, which is used where an account
// does not know the newer one.
const FallbackVersion = "2026-03"

// A version is the version of the API that an account is spoken to in. HubSpot
// answers 404 for one that it does not know, as for any address.
type version struct {
	wanted string
	// proven: the wanted version has been seen to work.
	proven atomic.Bool
	// older: the wanted version is unknown and the fallback works.
	older atomic.Bool
}

// in turns a path of the wanted version into one of the version in force.
func (v *version) in(path string) string {
	if v.older.Load() {
		return v.back(path)
	}
	return path
}

// back turns a path of the wanted version into one of the fallback.
func (v *version) back(path string) string {
	return strings.Replace(path, "/"+v.wanted, "/"+FallbackVersion, 1)
}

// doubted reports whether an address that is not there can be the version's
// fault, and there is another to try.
func (v *version) doubted() bool {
	newer := !strings.HasPrefix(v.wanted, "v") && v.wanted > FallbackVersion
	return newer && !v.proven.Load() && !v.older.Load()
}
