package deliver

import (
	"time"

	"crmsync/connectors"
)

// RetryPolicy says when a record that failed is tried again.
type RetryPolicy struct {
	// Delays are the pauses before the second, third, … attempt. After the
	// last the record becomes a dead letter.
	Delays []time.Duration
	// SettleWithin is how long a person has to settle a dead letter.
	SettleWithin time.Duration
}

// A Verdict is what follows from a failure.
type Verdict string

// The verdicts.
const (
	// Postpone: the account is in trouble. The record waits, and no attempt
	// is counted.
	Postpone Verdict = "postpone"
	// Retry: try the record again after a pause.
	Retry Verdict = "retry"
	// Rematch: forget what the record was linked to, then like Retry.
	Rematch Verdict = "rematch"
	// GiveUp: make it a dead letter.
	GiveUp Verdict = "give_up"
)

// Decide says what follows from a failure of the given class, when attempts
// have failed because of this record, this one included.
func (p RetryPolicy) Decide(class connectors.Class, attempts int) (Verdict, time.Duration) {
	switch {
	case class.AccountTrouble():
		return Postpone, 0
	case class == connectors.Rejected:
		return GiveUp, 0
	case attempts > len(p.Delays):
		return GiveUp, 0
	case class == connectors.Conflict:
		return Rematch, p.Delays[attempts-1]
	}
	return Retry, p.Delays[attempts-1]
}
