package deliver_test

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"crmsync/connectors"
	"crmsync/mapping"
	"crmsync/sync/deliver"
	"crmsync/sync/directory"
)

// editions are two mappings that write the same pair of fields the other way
// round.
func editions(t *testing.T) (here, there *mapping.Mapping) {
	t.Helper()
	compile := func(a, b string) *mapping.Mapping {
		m, err := mapping.Compile("mapping.yaml", fmt.Appendf(nil, "version: 1\naccounts:\n  crm:\n    contact:\n      phone: phone\n      a: %s\n      b: %s\n", a, b))
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
	return compile("wa_id", "last_message_text"), compile("last_message_text", "wa_id")
}

// edition is the mapping by which a record was written, nil if by none alone.
func edition(record map[string]any, here, there *mapping.Mapping) *mapping.Mapping {
	number := func(field string) bool { text, _ := record[field].(string); return strings.HasPrefix(text, "1555") }
	switch a, b := number("a"), number("b"); {
	case a && !b:
		return here
	case b && !a:
		return there
	}
	return nil
}

// The mapping changes each time that anybody asks for it. A contact is written by
// one all the same, and its link names that one; so does the link of a message, and
// a letter of what was refused.
func TestABatchIsWrittenUnderOneMapping(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	here, there := editions(t)
	var asked atomic.Int64
	h.mapping = func() *mapping.Mapping {
		if asked.Add(1)%3 == 0 { // not in step with what asks twice
			return here
		}
		return there
	}
	h.vendor.reject["15550009"] = &connectors.Error{Class: connectors.Rejected, Code: "NO", Field: "a", Reason: "not this one"}
	h.start()
	for i := range 20 {
		h.receive(fmt.Sprint("w", i), fmt.Sprintf("1555%04d", i%10))
	}
	h.receive("w-refused", "15550009")
	h.eventually("all are written", func() bool { return len(h.vendor.count()) == 18 })
	letter := <-h.letters
	shown := map[string]any{}
	for _, f := range letter.Fields {
		shown[f.Name] = f.Shape
		if want := map[string]map[string]string{here.Revision(): {"a": "wa_id", "b": "last_message_text"}, there.Revision(): {"a": "last_message_text", "b": "wa_id"}}[letter.Revision][f.Name]; f.Name != "phone" && f.From != want {
			t.Errorf("the letter under %s says that %s is %s, want %s", letter.Revision, f.Name, f.From, want)
		}
	}
	if len(shown) == 0 {
		t.Errorf("the letter says nothing: %+v", letter)
	}
	h.stop()
	known := []string{here.Revision(), there.Revision()}
	seen := map[string]int{}
	for id := int64(1); ; id++ {
		p, err := h.db.Profile(context.Background(), id)
		if err != nil {
			t.Fatal(err)
		}
		if p == nil {
			break
		}
		for _, l := range p.Links {
			if l.RecordID == "" {
				continue
			}
			written := edition(h.vendor.contacts[l.RecordID], here, there)
			if written == nil || l.Revision != written.Revision() {
				t.Errorf("%v is %v, its link says %q", l.Entity, h.vendor.contacts[l.RecordID], l.Revision)
			}
			seen[l.Revision]++
		}
	}
	if len(seen) == 0 {
		t.Error("nothing was written")
	}
	work, err := h.db.Sample(context.Background(), "crm", directory.MessageEntity, 100)
	if err != nil || len(work) == 0 {
		t.Fatalf("%d messages, error %v", len(work), err)
	}
	for _, w := range work {
		if !slices.Contains(known, w.Link.Revision) || time.Since(w.Link.WrittenAt) > time.Minute {
			t.Errorf("%v was written under %q at %v", w.Link.Entity, w.Link.Revision, w.Link.WrittenAt)
		}
	}
}

// A mapping is edited. Nobody writes; all contacts are brought into line with it,
// and a second time there is nothing to do.
func TestAnEditedMappingReachesTheContactsThatNobodyTouches(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	here, there := editions(t)
	var now atomic.Pointer[mapping.Mapping]
	now.Store(here)
	h.mapping = now.Load
	h.start()
	const people = 403 // a few pages
	for i := range people {
		h.receive(fmt.Sprint("w", i), fmt.Sprintf("1555%04d", i))
	}
	h.settled(2 * people)
	remap := func(m *mapping.Mapping) deliver.Remapped {
		t.Helper()
		found, err := (&deliver.Remap{Account: "crm", Store: h.db, Mapping: m}).Run(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		return found
	}
	if found := remap(here); found != (deliver.Remapped{Compared: people}) {
		t.Errorf("with the same mapping: %+v", found)
	}
	now.Store(there)
	if found := remap(there); found != (deliver.Remapped{Compared: people, Owed: people}) {
		t.Errorf("with the other mapping: %+v", found)
	}
	h.settled(2 * people)
	for id, record := range h.vendor.all() {
		if edition(record, here, there) != there {
			t.Errorf("%s is %v", id, record)
			break
		}
	}
	if found := remap(there); found != (deliver.Remapped{Compared: people}) {
		t.Errorf("the second time: %+v", found)
	}
}

// Contacts are compared with a new mapping while others are just being written
// under the old one: these follow.
func TestWhatIsBeingWrittenUnderTheOldMappingFollows(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	here, there := editions(t)
	var now atomic.Pointer[mapping.Mapping]
	now.Store(here)
	h.mapping = now.Load
	calling, answer := make(chan struct{}), make(chan struct{})
	h.vendor.fail = func(method string, n int, _ []string) (*connectors.Error, bool) {
		if method == "contacts" && n == 1 {
			close(calling)
			<-answer
		}
		return nil, true
	}
	h.start()
	h.receive("w1", "15550001")
	<-calling
	now.Store(there)
	if found, err := (&deliver.Remap{Account: "crm", Store: h.db, Mapping: there}).Run(context.Background()); err != nil || found.Owed != 0 {
		t.Errorf("found %+v, error %v", found, err)
	}
	close(answer)
	h.eventually("it is written as the new mapping says", func() bool {
		return edition(h.vendor.all()["record of 15550001"], here, there) == there
	})
	h.settled(2)
}

// all are the records.
func (v *vendor) all() map[string]map[string]any {
	v.mu.Lock()
	defer v.mu.Unlock()
	all := map[string]map[string]any{}
	for id, record := range v.contacts {
		all[id] = maps.Clone(record)
	}
	return all
}

// However many contacts have to be written again, a few calls' worth wait at a time:
// what is new comes soon.
func TestAnEditedMappingDoesNotHoldUpWhatIsNew(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.vendor.batch = 10
	here, there := editions(t)
	var now atomic.Pointer[mapping.Mapping]
	now.Store(here)
	h.mapping = now.Load
	h.start()
	const people = 150
	for i := range people {
		h.receive(fmt.Sprint("w", i), fmt.Sprintf("1555%04d", i))
	}
	h.settled(2 * people)
	h.stop()
	now.Store(there)
	if found, err := (&deliver.Remap{Account: "crm", Store: h.db, Mapping: there}).Run(context.Background()); err != nil || found.Owed != people {
		t.Fatalf("found %+v, error %v", found, err)
	}
	if err := h.worker.Begin(context.Background()); err != nil {
		t.Fatal(err)
	}
	h.receive("new", "15559999")
	for range 3 {
		if waiting, err := h.worker.TakeDue(context.Background()); err != nil || waiting < 100 || waiting > 102 {
			t.Errorf("%d wait, error %v, want 100 and what is new", waiting, err)
		}
	}
	for left := people; ; {
		due, err := h.worker.Deliver(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		if len(h.vendor.count()) == people+1 && left == people {
			left = int(h.states()[directory.Pending])
			if left < people-50 {
				t.Errorf("the new message came when %d were left", left)
			}
		}
		if due == 0 {
			break
		}
	}
	h.settled(2*people + 2)
}
