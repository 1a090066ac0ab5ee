// Package mapping compiles a mapping document, reports findings with line and
// column, and translates contact fields. It does no I/O.
package mapping

import (
	"crypto/sha256"
	"encoding/hex"
	"maps"
	"slices"
	"strings"

	"github.com/agnivade/levenshtein"
)

// A Mapping is a compiled document. It is immutable and safe for concurrent
// use.
type Mapping struct {
	revision string
	accounts map[string][]Line
	fields   map[string]Info // the document's own
	computed map[string]*computed
	messages map[string]logging
	people   People
	onDelete map[string]OnDelete
	merges   map[string]bool
	tasks    map[string]bool // accounts in which rules make some

	rules     []Rule
	keywords  keywords
	receivers []ReceiverUse
	named     []PersonUse
}

// A Line says which of an account's fields carries which contact field.
type Line struct {
	// To is the account's field, From the contact's; empty for a value that follows
	// from several.
	To, From string
	// Info describes the contact field, Theirs what the account's field holds.
	Info, Theirs Info
	// Written says that crmsync writes the field, Read that what people enter
	// there is taken over. Of an account's lines of one field one at most is read.
	Written, Read bool
	// Owner is the account whose value counts where two sides have changed the
	// field since they last agreed; empty where the newest does.
	Owner string
	// Number is the line in the document, and Column where it begins in it.
	Number, Column int

	plain bool // it says nothing of a direction
	of    *Mapping

	value, write, read *expression
	// options are the account's words for the contact's, back the contact's for the
	// account's; other is the account's for all else.
	options, back map[string]string
	other         string
	otherwise     any // what is written where there is no value
	keepEmpty     bool
	most          int // characters, 0 for any number
	refuseLong    bool
	required      bool
}

// Revision names the document: the first twelve hexadecimal digits of its
// SHA-256.
func (m *Mapping) Revision() string { return m.revision }

// Accounts returns the accounts that the document maps, sorted.
func (m *Mapping) Accounts() []string {
	names := make([]string, 0, len(m.accounts))
	for name := range m.accounts {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// MaxLength is how many characters of a text the line writes at most, 0 for any
// number.
func (l *Line) MaxLength() int { return l.most }

// Tasks reports whether a rule may make a task in the account.
func (m *Mapping) Tasks(account string) bool { return m.tasks[account] }

// Lines returns an account's lines in the order of the document. The caller
// does not change them.
func (m *Mapping) Lines(account string) []Line { return m.accounts[account] }

// RevisionOf is the revision that a document has, valid or not; see
// [Mapping.Revision].
func RevisionOf(source []byte) string {
	sum := sha256.Sum256(source)
	return hex.EncodeToString(sum[:])[:12]
}

// Nearest returns the contact field whose name is closest to a misspelt one,
// empty if none is near.
func Nearest(name string) string { return nearest(name, slices.Sorted(maps.Keys(Contact))) }

// nearest returns the catalogue's name closest to a misspelt one, empty if
// none is near.
func nearest(name string, names []string) string {
	best, bestDistance := "", 3
	for _, n := range names {
		if d := levenshtein.ComputeDistance(strings.ToLower(name), n); d < bestDistance {
			best, bestDistance = n, d
		}
	}
	return best
}
