package connectortest

import (
	"context"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"crmsync/connectors"
)

// faults are the control plane's, with the classes that they may have for a
// read and for the creation of a message. Where a request may have been
// carried out, only a write is in doubt.
var faults = []struct {
	spec   map[string]any
	read   []connectors.Class
	create []connectors.Class
}{
	{map[string]any{"mode": "outage"}, account(connectors.Transient), account(connectors.Transient, connectors.UnknownOutcome)},
	{map[string]any{"mode": "reset"}, account(connectors.Transient), account(connectors.Transient, connectors.UnknownOutcome)},
	{map[string]any{"mode": "reset_after_commit"}, account(connectors.Transient), account(connectors.UnknownOutcome)},
	{map[string]any{"mode": "truncate"}, account(connectors.Transient), account(connectors.UnknownOutcome)},
	{map[string]any{"mode": "garbage"}, account(connectors.Transient), account(connectors.UnknownOutcome)},
	{map[string]any{"mode": "silence"}, account(connectors.Transient), account(connectors.UnknownOutcome)},
	{map[string]any{"mode": "redirect"}, account(connectors.Transient, connectors.Unauthorized, connectors.Unknown), account(connectors.Transient, connectors.Unauthorized, connectors.UnknownOutcome, connectors.Unknown)},
	{map[string]any{"mode": "throttle"}, account(connectors.Throttled), account(connectors.Throttled)},
}

func account(classes ...connectors.Class) []connectors.Class { return classes }

func failureClasses(t *testing.T, v Vendor) {
	for _, f := range faults {
		name, _ := f.spec["mode"].(string)
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := v.open(t)
			id := a.write(t, v.person(1))[0]
			a.fault(t, f.spec)
			r := a.ReadContacts(t.Context(), []string{id}, []string{v.Names.First})[0]
			a.needsFault(t, name)
			if r.Err == nil || !slices.Contains(f.read, r.Err.Class) {
				t.Errorf("reading a contact: %v, want class %v", r.Err, f.read)
			}
			a.fault(t, map[string]any{"mode": "none"})
			a.fault(t, f.spec)
			if r := a.CreateMessages(t.Context(), []connectors.MessageChange{message(id, 1)})[0]; r.Err == nil || !slices.Contains(f.create, r.Err.Class) {
				t.Errorf("creating a message: %v, want class %v", r.Err, f.create)
			}
			a.fault(t, map[string]any{"mode": "none"})
			a.learnTasks(t, id)
			a.fault(t, f.spec)
			create := append(slices.Clone(f.create), f.read...) // what a task needs is read before it
			if r := a.CreateTasks(t.Context(), []connectors.TaskChange{task(id, 1)})[0]; r.Err == nil || !slices.Contains(create, r.Err.Class) {
				t.Errorf("creating a task: %v, want class %v", r.Err, create)
			}
		})
	}
	t.Run("reject", func(t *testing.T) {
		t.Parallel()
		a := v.open(t)
		a.fault(t, map[string]any{"mode": "reject", "match": "16315550002"})
		r := a.WriteContacts(t.Context(), []connectors.ContactChange{v.person(1), v.person(2), v.person(3)})
		a.needsFault(t, "reject")
		if r[0].Err != nil || r[2].Err != nil || r[1].Err == nil || r[1].Err.Class != connectors.Rejected {
			t.Errorf("results = %v %v %v, want the second refused only", r[0].Err, r[1].Err, r[2].Err)
		}
	})
}

// needsFault ends the test if the simulator has not brought the fault about: it
// says nothing about the connector then.
func (a *Account) needsFault(t *testing.T, mode string) {
	t.Helper()
	if a.stats(t).Faults == 0 {
		t.Fatalf("the simulator has not brought %q about, by its stats' \"faults\": of faults.Injector it needs Wrap around its handler, "+
			"Active for throttle and expire_token, Rejects for reject, and Faults() in its stats", mode)
	}
}

func lostContact(t *testing.T, v Vendor) {
	a := v.open(t)
	a.fault(t, map[string]any{"mode": "reset_after_commit"})
	changes := []connectors.ContactChange{v.person(1), v.person(2)}
	for i, r := range a.WriteContacts(t.Context(), changes) {
		if r.Err == nil {
			t.Fatalf("contact %d: no failure although the answer was lost", i)
		}
	}
	a.fault(t, map[string]any{"mode": "none"})
	a.write(t, changes...)
	if s := a.stats(t); s.Contacts != 2 || s.DuplicateContacts != 0 || s.Faults == 0 {
		t.Errorf("%+v, want two contacts after a fault", s)
	}
}

func lostMessage(t *testing.T, v Vendor) {
	a := v.open(t)
	contact := a.write(t, v.person(1))[0]
	a.fault(t, map[string]any{"mode": "reset_after_commit"})
	list := []connectors.MessageChange{message(contact, 1), message(contact, 2)}
	for _, r := range a.CreateMessages(t.Context(), list) {
		if r.Err == nil || r.Err.Class != connectors.UnknownOutcome {
			t.Fatalf("failure = %v, want the outcome unknown", r.Err)
		}
	}
	a.fault(t, map[string]any{"mode": "none"})
	var again []connectors.MessageChange
	for i, r := range a.FindMessages(t.Context(), list) {
		if r.Err != nil {
			t.Fatal(r.Err)
		}
		if r.RecordID == "" {
			again = append(again, list[i])
		}
	}
	if len(again) > 0 {
		a.CreateMessages(t.Context(), again)
	}
	if s := a.stats(t); s.Messages != 2 || s.DuplicateMessages != 0 || s.Faults == 0 {
		t.Errorf("%+v, want two messages after a fault", s)
	}
}

func expiredToken(t *testing.T, v Vendor) {
	a := v.open(t)
	id := a.write(t, v.person(1))[0]
	a.advance(t, 61*time.Minute)
	for range 2 {
		if r := a.ReadContacts(t.Context(), []string{id}, []string{v.Names.First})[0]; r.Err != nil {
			t.Errorf("failure = %v, want the token renewed", r.Err)
		}
	}
	a.write(t, v.person(2))
}

func cancelled(t *testing.T, v Vendor) {
	a := v.open(t)
	contact := a.write(t, v.person(1))[0]
	a.fault(t, map[string]any{"mode": "silence"})
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(50*time.Millisecond, cancel)
	began := time.Now()
	r := a.CreateMessages(ctx, []connectors.MessageChange{message(contact, 1)})[0]
	if took := time.Since(began); took > 700*time.Millisecond || r.Err == nil {
		t.Errorf("returned after %v with failure %v, want at once", took, r.Err)
	}
}

func privacy(t *testing.T, v Vendor) {
	a := v.open(t)
	contact := a.write(t, v.person(1))[0]
	for _, mode := range []string{"outage", "reset", "garbage", "truncate", "throttle", "redirect", "reject"} {
		spec := map[string]any{"mode": mode}
		if mode == "reject" {
			spec["match"] = "1631555"
		}
		a.fault(t, spec)
		bad := v.person(2)
		bad.Fields[v.Names.Bad] = v.Names.BadValue
		var failures []error
		for _, r := range a.WriteContacts(t.Context(), []connectors.ContactChange{bad, v.person(3)}) {
			if r.Err != nil {
				failures = append(failures, r.Err)
			}
		}
		for _, r := range a.CreateMessages(t.Context(), []connectors.MessageChange{message(contact, 1)}) {
			if r.Err != nil {
				failures = append(failures, r.Err)
			}
		}
		for _, r := range a.CreateTasks(t.Context(), []connectors.TaskChange{task(contact, 1)}) {
			if r.Err != nil {
				failures = append(failures, r.Err)
			}
		}
		if _, err := a.ListContacts(t.Context(), connectors.Query{Fields: []string{v.Names.Phone}}); err != nil {
			failures = append(failures, err)
		}
		for _, err := range failures {
			for _, secret := range append([]string{"1631555", "Perché", "Zoë", "شيماء", "127.0.0.1"}, a.Secrets...) {
				if strings.Contains(err.Error(), secret) {
					t.Errorf("%s: the failure %q carries what it must not", mode, err)
				}
			}
		}
		if len(failures) == 0 {
			t.Errorf("%s brought about no failure", mode)
		}
		a.fault(t, map[string]any{"mode": "none"})
	}
}

func concurrent(t *testing.T, v Vendor) {
	a := v.open(t)
	var all sync.WaitGroup
	for worker := range 4 {
		all.Go(func() {
			for i := range 5 {
				n := 100*worker + i
				r := a.WriteContacts(t.Context(), []connectors.ContactChange{v.person(n)})[0]
				if r.Err != nil {
					t.Errorf("contact %d: %v", n, r.Err)
					return
				}
				if m := a.CreateMessages(t.Context(), []connectors.MessageChange{message(r.RecordID, n)})[0]; m.Err != nil {
					t.Errorf("message %d: %v", n, m.Err)
				}
				a.ReadContacts(t.Context(), []string{r.RecordID}, []string{v.Names.First})
			}
		})
	}
	all.Wait()
	if s := a.stats(t); s.Contacts != 20 || s.Messages != 20 || s.DuplicateContacts+s.DuplicateMessages != 0 {
		t.Errorf("%+v, want 20 contacts and 20 messages", s)
	}
}
