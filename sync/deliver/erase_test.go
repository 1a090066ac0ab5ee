package deliver_test

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"crmsync/connectors"
	"crmsync/mapping"
	"crmsync/sync/audit"
	"crmsync/sync/deadletter"
	"crmsync/sync/deliver"
	"crmsync/sync/directory"
)

// erasure is a house whose account has Ada, who has written twice, and another
// account, whose rule is to erase people, as well.
type erasure struct {
	*twins
}

func withErasure(t *testing.T, test func(e *erasure)) {
	t.Helper()
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		e := &erasure{twins: &twins{house: newHouse(t)}}
		m, err := mapping.Compile("m.yaml", []byte(mappingText+"  other:\n    on_delete: erase\n    contact: {phone: phone}\n"))
		if err != nil {
			t.Fatal(err)
		}
		e.recorder.Mapping, e.recorder.Region = func() *mapping.Mapping { return m }, "US"
		e.worker = &deliver.Worker{Mapping: e.recorder.Mapping}
		e.begin()
		e.receive("w1", adasNumber)
		e.receive("w2", adasNumber)
		e.observe("9", false)
		e.settle()
		if len(e.vendor.contacts) != 1 || len(e.vendor.messages) != 2 {
			t.Fatalf("%d contacts and %d messages", len(e.vendor.contacts), len(e.vendor.messages))
		}
		test(e)
		tally, err := e.db.Audit(t.Context(), audit.Period{}, "", true)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range tally.Findings {
			t.Errorf("the audit finds in %s: %s: %v", f.Account, f.Problem, f.Names)
		}
	})
}

// observe is what the other account's record of Ada shows, or that it is gone.
func (e *erasure) observe(id string, gone bool) {
	e.t.Helper()
	now := time.Now().UTC()
	key := "observed:" + id + now.String()
	o := &connectors.Observed{ID: id, Gone: gone, Reported: gone, Read: now}
	if !gone {
		o.Fields = map[string]string{"phone": "+" + adasNumber}
	}
	e.record(directory.Fact{
		ID: directory.FactID("other", key), Account: "other", ReceivedAt: now,
		Fact: connectors.Fact{Key: key, Kind: connectors.KindObserved, At: now, Observed: o},
	})
}

func (e *erasure) wantLeft(when string, contacts, messages int) {
	e.t.Helper()
	if c, m := len(e.vendor.contacts), len(e.vendor.messages); c != contacts || m != messages {
		e.t.Errorf("%s the account has %d contacts and %d messages, want %d and %d", when, c, m, contacts, messages)
	}
}

// links are how the account stands to Ada.
func (e *erasure) link() directory.Link {
	e.t.Helper()
	p, err := e.db.Profile(e.t.Context(), 1)
	if err != nil || p == nil {
		e.t.Fatal(p, err)
	}
	for _, l := range p.Links {
		if l.Account == "crm" {
			return l
		}
	}
	return directory.Link{}
}

func TestWhoWasErasedIsDeletedInTheAccount(t *testing.T) {
	withErasure(t, func(e *erasure) {
		e.observe("9", true)
		e.settle()
		e.wantLeft("afterwards", 0, 0)
		if l := e.link(); l.State != directory.Skipped || l.Reason != directory.Erased || l.RecordID != "" {
			t.Errorf("link %+v", l)
		}
		calls := e.vendor.called("erase")
		e.news(adas) // the account's own of the deletion
		e.settle()
		if n := e.vendor.called("erase"); n != calls || calls != 1 {
			t.Errorf("%d calls, then %d", calls, n)
		}
		e.receive("w3", adasNumber)
		e.settle()
		e.wantLeft("when she writes again", 1, 1)
		if e.vendor.messages[0].WAMID != "w3" {
			t.Errorf("messages %+v", e.vendor.messages)
		}
	})
}

// An outage, however long, costs no attempt, and a lost answer is no matter.
func TestAnErasureOutlastsAnOutage(t *testing.T) {
	t.Parallel()
	for name, commit := range map[string]bool{"nothing arrives": false, "answers are lost": true} {
		t.Run(name, func(t *testing.T) {
			withErasure(t, func(e *erasure) {
				down := true
				e.vendor.fail = func(_ string, _ int, _ []string) (*connectors.Error, bool) {
					if !down {
						return nil, true
					}
					return &connectors.Error{Class: connectors.Transient, Reason: "no answer in time"}, commit
				}
				e.observe("9", true)
				for range 5 {
					e.settle()
				}
				if l := e.link(); l.State != directory.Pending || l.Attempts != 0 || !l.Erase || l.RecordID != adas {
					t.Errorf("during the outage: %+v", l)
				}
				down = false
				e.settle()
				e.wantLeft("afterwards", 0, 0)
				if l := e.link(); l.State != directory.Skipped || l.RecordID != "" {
					t.Errorf("link %+v", l)
				}
			})
		})
	}
}

// What the account refuses to delete is tried again, becomes a dead letter and,
// replayed, is deleted. Meanwhile nothing brings the person back.
func TestARefusedErasureIsADeadLetter(t *testing.T) {
	withErasure(t, func(e *erasure) {
		e.vendor.reject[adas] = &connectors.Error{Class: connectors.Unknown, Code: "LOCKED", Reason: "the record is locked"}
		e.observe("9", true)
		e.settle()
		e.wantLeft("locked", 1, 0)
		l := e.link()
		if l.State != directory.Dead || l.Attempts != 2 || l.RecordID != adas || !strings.Contains(l.Reason, "erased") {
			t.Errorf("link %+v", l)
		}
		if log := e.log.String(); !strings.Contains(log, "the record of a person who was erased is not deleted yet: the record is locked") || strings.Contains(log, "+"+adasNumber) {
			t.Errorf("the log says %s", log)
		}
		e.news(adas)
		e.settle()
		letter := deadletter.Letter{
			ID: deadletter.ForEntity("crm", l.Entity), Account: "crm", Entity: l.Entity, Class: connectors.Unknown, State: deadletter.Open,
			CreatedAt: time.Now(), UpdatedAt: time.Now(), DueAt: time.Now().Add(time.Hour),
		}
		if err := e.db.PutLetters(e.t.Context(), []deadletter.Letter{letter}); err != nil {
			t.Fatal(err)
		}
		delete(e.vendor.reject, adas)
		if _, n, err := e.db.Replay(e.t.Context(), deadletter.Filter{}, "ops"); err != nil || n != 1 {
			t.Fatal(n, err)
		}
		if _, err := e.db.Reopen(e.t.Context(), "crm", 10, 10); err != nil {
			t.Fatal(err)
		}
		e.settle()
		e.wantLeft("replayed", 0, 0)
		if l := e.link(); l.State != directory.Skipped || l.RecordID != "" {
			t.Errorf("link %+v", l)
		}
	})
}

// The record has become a part of another one, which is deleted then.
func TestARecordThatWasMergedIsNotErased(t *testing.T) {
	withErasure(t, func(e *erasure) {
		third := adas + " and second"
		e.vendor.contacts[third] = e.vendor.contacts[adas]
		delete(e.vendor.contacts, adas)
		e.vendor.moved = map[string]string{adas: third, "second": third}
		e.observe("9", true)
		e.settle()
		if e.vendor.contacts[third] == nil {
			t.Error("a record is deleted that may be somebody else's by now")
		}
		if l := e.link(); l.State != directory.Skipped || l.RecordID != "" {
			t.Errorf("link %+v", l)
		}
	})
}
