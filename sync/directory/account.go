package directory

import (
	"fmt"
	"slices"
	"time"
)

// An Account is the vendor's account that a name in the configuration stands
// for. The ids of records mean something in that one alone.
type Account struct {
	Name string
	// Kind is the vendor, as the configuration calls it.
	Kind string
	// Names are those by which the vendor tells it from others, as a connector
	// gives them; nil if they are not known.
	Names []string
	// Since is when it was first seen under its name, zero if it was not.
	Since time.Time
}

// MayBe reports whether two are the same, as far as can be known.
func (a Account) MayBe(other Account) bool {
	if a.Kind != other.Kind {
		return false
	}
	return len(a.Names) == 0 || len(other.Names) == 0 ||
		slices.ContainsFunc(a.Names, func(name string) bool { return slices.Contains(other.Names, name) })
}

// InsteadOf is one sentence for whoever has put an account in the place of
// another whose records are known: what has happened and what to do.
func (a Account) InsteadOf(was Account) string {
	return fmt.Sprintf("%s was %s when its records were linked, and is %s now: put its old credentials back, or give the new account a name of its own",
		was.Name, was.words(a), a.words(was))
}

// words say which account it is, as far as that tells it from another.
func (a Account) words(other Account) string {
	switch {
	case a.Kind == other.Kind && len(a.Names) > 0:
		return "account " + a.Names[0]
	case len(a.Names) > 0:
		return "account " + a.Names[0] + " of kind " + a.Kind
	}
	return "an account of kind " + a.Kind
}
