package deliver_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"crmsync/connectors"
	"crmsync/sync/deliver"
	"crmsync/sync/directory"
)

var notTold = &connectors.Error{Class: connectors.Rejected, Code: connectors.NotOffered, Reason: "the token lacks a scope"}

// linked is a house whose account shows a message and its contact.
func linked(t *testing.T) *house {
	t.Helper()
	h := newHouse(t)
	h.start()
	h.receive("w1", "16315555555")
	h.settled(2)
	h.stop()
	return h
}

// problem waits until the worker says why it does not deliver.
func (h *house) problem() (problem string) {
	h.t.Helper()
	h.eventually("the worker says what is wrong", func() bool {
		_, problem = h.worker.State()
		return problem != ""
	})
	return problem
}

// asked is how often an account was asked for anything but its identity.
func (v *vendor) asked() (n int) {
	v.mu.Lock()
	defer v.mu.Unlock()
	for method, times := range v.calls {
		if method != "identity" {
			n += times
		}
	}
	return n
}

// Somebody puts another account's credentials under the name. Whatever is
// changed about people that the former account has, the new one hears nothing
// of it; and when the old credentials are back it goes on.
func TestAnotherAccountUnderTheNameIsNotWrittenTo(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		kind    string
		names   []string
		unknown *connectors.Error
		says    string
	}{
		"the portal of production": {"hubspot", []string{"4711"}, nil, "crm was account 62515 when its records were linked, and is account 4711 now: put its old credentials back"},
		"another vendor":           {"zoho", []string{"62515"}, nil, "crm was account 62515 of kind hubspot when its records were linked, and is account 62515 of kind zoho now"},
		"another vendor, untold":   {"zoho", nil, notTold, "is an account of kind zoho now"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := linked(t)
			old, other := h.vendor, newVendor()
			other.names, other.unknown = tt.names, tt.unknown
			h.vendor, h.kind = other, tt.kind
			h.receive("w2", "16315555555")
			h.start()
			if problem := h.problem(); !strings.Contains(problem, tt.says) || !strings.Contains(problem, "a name of its own") {
				t.Errorf("the worker says %q", problem)
			}
			time.Sleep(50 * time.Millisecond) // whatever it would do
			if n := other.asked(); n != 0 {
				t.Errorf("the other account got %v", other.calls)
			}
			h.stop()
			if s := h.states(); s[directory.Pending] != 2 || s[directory.Agreed] != 1 {
				t.Errorf("links %v, want the contact and its new message to wait", s)
			}

			h.vendor, h.kind = old, "hubspot"
			h.start()
			h.settled(3)
			if n := old.count(); n["w1"] != 1 || n["w2"] != 1 {
				t.Errorf("the old account shows %v", n)
			}
		})
	}
}

// A portal that is renamed keeps something, and is known by its new name from
// then on.
func TestAnAccountIsRenamed(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	for i, names := range [][]string{{"a.example", "id:1"}, {"b.example", "id:1"}, {"b.example", "id:2"}, {"c.example", "id:2"}} {
		h.vendor.names = names
		h.start()
		h.receive("w"+names[0]+names[1], "16315555555")
		h.settled(int64(i + 2))
		h.stop()
	}
	h.vendor.names = []string{"a.example", "id:1"}
	h.start()
	if problem := h.problem(); !strings.HasPrefix(problem, "crm was account c.example when") {
		t.Errorf("the worker says %q", problem)
	}
}

// What the account was is not known, as before an upgrade, or what it is: it
// works. What it is counts from when it is known.
func TestAnAccountThatDoesNotTellItsNameWorks(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.vendor.unknown = notTold
	is, findings, err := deliver.WhichAccount(t.Context(), h.vendor, "crm", "hubspot")
	if err != nil || len(is.Names) != 0 || len(findings) != 1 || findings[0].Fatal || !strings.Contains(findings[0].Problem, "the token lacks a scope") {
		t.Errorf("it is %+v, findings %+v, error %v; want it said what cannot be noticed", is, findings, err)
	}
	h.start()
	h.receive("w1", "16315555555")
	h.settled(2)
	h.stop()
	h.vendor.unknown = nil
	h.start()
	h.receive("w2", "16315555555")
	h.settled(3)
	h.stop()
	h.vendor.unknown = notTold
	h.start()
	h.receive("w3", "16315555555")
	h.settled(4)
	h.stop()
	h.vendor.unknown, h.vendor.names = nil, []string{"4711"}
	h.start()
	if problem := h.problem(); !strings.HasPrefix(problem, "crm was account 62515 when") {
		t.Errorf("the worker says %q", problem)
	}
}

// Somebody has mistaken the account before anything was written there.
func TestAnAccountMayBeReplacedBeforeItHasARecord(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.start()
	h.eventually("the worker is ready", func() bool { ready, _ := h.worker.State(); return ready })
	h.stop()
	h.receive("w1", "16315555555")
	h.vendor.names, h.kind = []string{"4711"}, "zoho"
	h.start()
	h.settled(2)
}

// Trouble with the account is no answer: it is asked again. It is asked once
// for each start, and not for deliveries.
func TestAnAccountIsAskedForItsNameUntilItAnswers(t *testing.T) {
	t.Parallel()
	h := linked(t)
	h.receive("w2", "16315555555")
	h.vendor.calls = map[string]int{}
	h.vendor.unknown = &connectors.Error{Class: connectors.Transient, Reason: "no answer in time"}
	h.start()
	if problem := h.problem(); problem != "transient: no answer in time" {
		t.Errorf("the worker says %q", problem)
	}
	if n := h.vendor.asked(); n != 0 {
		t.Errorf("an account got %v before it had said which one it is", h.vendor.calls)
	}
	h.vendor.mu.Lock()
	h.vendor.unknown, h.vendor.calls["identity"] = nil, 0
	h.vendor.mu.Unlock()
	h.settled(3)
	h.receive("w3", "16315556666")
	h.settled(5)
	if n := h.vendor.called("identity"); n != 1 {
		t.Errorf("asked %d times, want once", n)
	}
}

// One that was stopped and wakes up notes nothing any more.
func TestOnlyWhoHoldsTheLeaseNotesWhichAccountItIs(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	ctx := context.Background()
	lease, _, err := h.db.Acquire(ctx, "crm", "late", true, time.Nanosecond)
	if err != nil {
		t.Fatal(err)
	}
	h.start()
	h.receive("w1", "16315555555")
	h.settled(2)
	if _, err := h.db.Identify(ctx, lease, directory.Account{Name: "crm", Kind: "hubspot", Names: []string{"62515", "4711"}}); err == nil {
		t.Error("a worker without the lease has noted which account it is")
	}
	h.stop()
	h.vendor.names = []string{"4711"}
	h.start()
	if problem := h.problem(); !strings.HasPrefix(problem, "crm was account 62515 when") {
		t.Errorf("the worker says %q", problem)
	}
}
