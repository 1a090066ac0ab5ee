package directory

import "time"

// An Erasure is the forgetting of a person, because a record of theirs was deleted
// in an account whose rule is that.
type Erasure struct {
	Contact int64
	// At is zero of somebody who was not erased.
	At time.Time
	// Account and Record are the record that was deleted, Fact what has said so.
	Account, Record, Fact string
}

// Is reports whether the person was erased.
func (e Erasure) Is() bool { return !e.At.IsZero() }
