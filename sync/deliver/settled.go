package deliver

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"crmsync/connectors"
	"crmsync/mapping"
	"crmsync/sync/deadletter"
	"crmsync/sync/directory"
)

// settled is what became of one entity.
type settled struct {
	directory.Outcome
	// mapping is the one under which it is brought about, from its beginning to its
	// end.
	mapping *mapping.Mapping
	// outcome is for metrics.
	outcome string
	// err is set when the account or the record made trouble.
	err *connectors.Error
	// tried are the fields of a call that failed.
	tried map[string]any
	// retryAfter is when to look again, 0 for not by ourselves.
	retryAfter time.Duration
	// unlisted says that it waits for the account's contacts to be listed.
	unlisted    bool
	letter      *deadletter.Letter
	wasTroubled bool
	since       time.Time
}

func begin(m *mapping.Mapping, todo directory.Work, version int64) settled {
	return settled{
		mapping:     m,
		Outcome:     directory.Outcome{Link: todo.Link, Before: todo.Link, Loaded: version},
		wasTroubled: todo.Link.Class != "",
		since:       todo.Link.Since,
	}
}

// agree completes the outcome of an entity that the account shows now.
func (s *settled) agree(recordID string, shadow map[string]string, outcome string) {
	l := &s.Link
	s.Link = directory.Link{
		Account: l.Account, Entity: l.Entity, RecordID: recordID, Shadow: shadow,
		State: directory.Agreed, Agreed: s.Loaded, Since: l.Since,
		Revision: l.Revision, WrittenAt: l.WrittenAt, SeenAt: l.SeenAt,
	}
	s.outcome = outcome
}

// wrote is agree of what a call has just written.
func (s *settled) wrote(recordID string, shadow map[string]string, outcome string) {
	s.agree(recordID, shadow, outcome)
	s.Link.Revision, s.Link.WrittenAt = s.mapping.Revision(), time.Now()
}

// liftDoubt ends the doubt about a create that failed, unless its answer was
// lost.
func (s *settled) liftDoubt() {
	s.Link.InDoubtSince = time.Time{}
	switch s.err.Class {
	case connectors.UnknownOutcome, connectors.Unknown:
		s.Link.InDoubtSince = time.Now()
	}
}

// skip completes the outcome of an entity that the account shall not show.
func (s *settled) skip(reason string) {
	l := &s.Link
	s.Link = directory.Link{Account: l.Account, Entity: l.Entity, State: directory.Skipped, Agreed: s.Loaded, Reason: reason}
	s.outcome = "skipped"
}

// postpone waits for the account without counting an attempt.
func (s *settled) postpone() {
	s.outcome = "postponed"
	s.Link.State = directory.Pending
	s.Link.Class, s.Link.Reason = string(s.err.Class), s.err.Reason
	s.retryAfter = min(max(s.err.RetryAfter, 500*time.Millisecond), 5*time.Second)
}

// fail applies the retry policy to a failure of the record.
func (w *Worker) fail(s *settled) {
	link := &s.Link
	verdict, pause := w.Retry.Decide(s.err.Class, link.Attempts+1)
	if verdict == Postpone {
		s.postpone()
		return
	}
	now := time.Now()
	link.Attempts++
	link.History = lastOf(append(link.History, outcomeOf(s.err)))
	link.AttemptedAt = lastOf(append(link.AttemptedAt, now))
	link.Class, link.Reason = string(s.err.Class), s.err.Reason
	if verdict == Rematch {
		link.RecordID, link.Shadow = s.err.RecordID, nil
	}
	log := w.Log.With("entity", link.Entity.Kind, "id", link.Entity.ID, "attempt", link.Attempts, "class", s.err.Class, "code", s.err.Code, "reason", s.err.Reason)
	if verdict != GiveUp {
		link.State, link.NextAttempt = directory.Pending, now.Add(pause)
		s.outcome, s.retryAfter = "retried", pause
		log.Warn("delivery failed; trying again", "pause", pause.String())
		return
	}
	link.State, link.NextAttempt = directory.Dead, time.Time{}
	s.outcome = "dead"
	s.letter = &deadletter.Letter{
		ID: deadletter.ForEntity(w.Account, link.Entity), Account: w.Account, Entity: link.Entity,
		Class: s.err.Class, Code: s.err.Code, Field: s.err.Field, Reason: s.err.Reason, Status: s.err.Status,
		Attempts: link.Attempts, History: link.History, AttemptedAt: link.AttemptedAt,
		Fields: shapes(s.tried, s.mapping.Lines(w.Account)), RecordID: link.RecordID,
		Revision: s.mapping.Revision(), State: deadletter.Open,
		CreatedAt: now, UpdatedAt: now, DueAt: now.Add(w.Retry.SettleWithin),
	}
	log.Error("delivery given up; a person must settle the dead letter", "letter", s.letter.ID)
}

// mostHistory is how many attempts are remembered.
const mostHistory = 10

func lastOf[T any](all []T) []T { return all[max(0, len(all)-mostHistory):] }

// shapes describes what a call would have written, by the account's field
// names.
func shapes(tried map[string]any, lines []mapping.Line) []deadletter.Field {
	fields := make([]deadletter.Field, 0, len(tried))
	for _, name := range slices.Sorted(maps.Keys(tried)) {
		f := deadletter.Field{Name: name, Shape: deadletter.Shape(tried[name])}
		if i := slices.IndexFunc(lines, func(l mapping.Line) bool { return l.To == name }); i >= 0 {
			f.From = lines[i].From
			if option, ok := tried[name].(string); ok && slices.Contains(lines[i].Theirs.Options, option) {
				f.Shape = option
			}
		}
		fields = append(fields, f)
	}
	return fields
}

// outcomeOf says in a word or a few what became of an attempt: the status and
// the vendor's code, or else what went wrong.
func outcomeOf(err *connectors.Error) string {
	switch {
	case err.Status != 0 && err.Code != "":
		return fmt.Sprint(err.Status, " ", err.Code)
	case err.Status != 0:
		return strconv.Itoa(err.Status)
	case err.Code != "":
		return err.Code
	}
	return strings.ReplaceAll(err.Reason, ",", ";")
}
