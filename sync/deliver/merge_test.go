package deliver_test

import (
	"bytes"
	"context"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"crmsync/connectors"
	"crmsync/mapping"
	"crmsync/sync/deadletter"
	"crmsync/sync/deliver"
	"crmsync/sync/directory"
)

const (
	adasNumber = "16315555555"
	adas       = "record of " + adasNumber
)

// twins is a house whose account has two records of Ada, who writes. Its worker
// goes on in steps, and time is fake.
type twins struct {
	*house
	log bytes.Buffer
}

func withTwins(t *testing.T, rule string, test func(tw *twins)) {
	t.Helper()
	t.Parallel()

	synctest.Test(t, func(t *testing.T) {
		tw := &twins{house: newHouse(t)}
		m, err := mapping.Compile("m.yaml", []byte(strings.Replace(mappingText, "  crm:\n", "  crm:\n    duplicates: "+rule+"\n", 1)))
		if err != nil {
			t.Fatal(err)
		}
		tw.recorder.Mapping, tw.recorder.Region = func() *mapping.Mapping { return m }, "US"
		tw.worker = &deliver.Worker{Mapping: tw.recorder.Mapping}
		tw.begin()
		tw.receive("w1", adasNumber)
		tw.settle()
		tw.enter("second", "+"+adasNumber)
		test(tw)
	})
}

// begin begins to work for the account, as after a restart.
func (tw *twins) begin() {
	tw.t.Helper()
	tw.worker = &deliver.Worker{
		Account: "crm", Kind: "hubspot", Connector: tw.vendor, Region: "US", Mapping: tw.recorder.Mapping, Store: tw.db, Holder: "test",
		Wait:     func(ctx context.Context, _ bool) error { return ctx.Err() },
		Retry:    deliver.RetryPolicy{Delays: []time.Duration{time.Second}, SettleWithin: time.Hour},
		Bury:     func(context.Context, []deadletter.Letter) error { return nil },
		Publish:  tw.publish,
		Observer: silent{}, Brake: &deliver.Brake{}, Log: slog.New(slog.NewTextHandler(&tw.log, nil)),
	}
	if err := tw.worker.Begin(tw.t.Context()); err != nil {
		tw.t.Fatal(err)
	}
}

func (tw *twins) publish(_ context.Context, facts []directory.Fact) error {
	for _, f := range facts {
		tw.record(f)
	}
	return nil
}

// enter has a person enter a record, or change it, with news of it.
func (tw *twins) enter(id, phone string) {
	tw.t.Helper()
	tw.vendor.mu.Lock()
	if tw.vendor.contacts[id] == nil {
		tw.vendor.contacts[id] = map[string]any{}
	}
	tw.vendor.contacts[id]["phone"] = phone
	tw.vendor.mu.Unlock()
	tw.news(id)
	tw.settle()
}

func (tw *twins) news(id string) {
	tw.t.Helper()
	pull := directory.Pull{RecordKey: directory.RecordKey{Account: "crm", ID: id}, Change: connectors.RecordUpdated, At: time.Now()}
	if err := tw.db.WantPulls(tw.t.Context(), []directory.Pull{pull}); err != nil {
		tw.t.Fatal(err)
	}
}

// settle reads and delivers whatever there is, without merging.
func (tw *twins) settle() {
	tw.t.Helper()
	for range 10 {
		time.Sleep(time.Second)
		if _, err := tw.worker.PullSome(tw.t.Context()); err != nil {
			tw.t.Fatal(err)
		}
		if _, err := tw.worker.Deliver(tw.t.Context()); err != nil {
			tw.t.Fatal(err)
		}
	}
}

// merge merges whatever there is to merge, and lets it settle.
func (tw *twins) merge() {
	tw.t.Helper()
	for range 5 {
		if _, err := tw.worker.MergeNext(tw.t.Context()); err != nil && connectors.AsError(err).Class == connectors.Unknown {
			tw.t.Fatal(err)
		}
		tw.settle()
	}
}

// listed are the duplicates with why they were not merged.
func (tw *twins) listed() map[string]string {
	tw.t.Helper()
	doubles, err := tw.db.Doubles(tw.t.Context(), "crm")
	if err != nil {
		tw.t.Fatal(err)
	}
	list := map[string]string{}
	for _, d := range doubles {
		for _, o := range d.Others {
			list[o.Record] = o.NotMerged
		}
	}
	return list
}

func (tw *twins) records() []string { return slices.Sorted(maps.Keys(tw.vendor.contacts)) }

func (tw *twins) want(when string, calls int, records []string, listed map[string]string) {
	tw.t.Helper()
	if n := tw.vendor.called("merge"); n != calls {
		tw.t.Errorf("%s: %d merges were asked for, want %d", when, n, calls)
	}
	if got := tw.records(); !slices.Equal(got, records) {
		tw.t.Errorf("%s the account has %q, want %q", when, got, records)
	}
	if got := tw.listed(); !maps.Equal(got, listed) {
		tw.t.Errorf("%s listed are %q, want %q", when, got, listed)
	}
}

func TestDuplicatesAreMergedWhereTheMappingSaysSo(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		third    bool
		survivor string
	}{
		"the first is kept":   {false, adas},
		"a third one is made": {true, adas + " and second"},
	} {
		t.Run(name, func(t *testing.T) {
			withTwins(t, "merge", func(tw *twins) {
				tw.vendor.third = tt.third
				tw.want("at first", 0, []string{adas, "second"}, map[string]string{"second": ""})
				if due, err := tw.worker.MergeNext(tw.t.Context()); err != nil || !due {
					tw.t.Fatal(due, err)
				}
				tw.settle()
				tw.want("merged", 1, []string{tt.survivor}, map[string]string{})
				tw.receive("w2", adasNumber)
				tw.settle()
				if n := len(tw.vendor.messages); n != 2 || tw.vendor.messages[1].ContactRecordID != tt.survivor {
					t.Errorf("%d messages, the last %+v", n, tw.vendor.messages[n-1])
				}
				if got := tw.log.String(); !strings.Contains(got, "other=second") || strings.Contains(got, "+"+adasNumber) {
					t.Errorf("the log says %s", got)
				}
			})
		})
	}
}

func TestDuplicatesAreLeftAloneWhereTheMappingDoesNotSaySo(t *testing.T) {
	withTwins(t, "report", func(tw *twins) {
		tw.merge()
		tw.want("after a while", 0, []string{adas, "second"}, map[string]string{"second": ""})
	})
}

// Whatever waits to be delivered goes first.
func TestMergesGiveWayToDeliveries(t *testing.T) {
	withTwins(t, "merge", func(tw *twins) {
		tw.worker.Enqueue(directory.Entity{Kind: directory.MessageEntity, ID: 99})
		if due, err := tw.worker.MergeNext(tw.t.Context()); err != nil || !due {
			t.Errorf("due %v, error %v", due, err)
		}
		tw.want("while a message waits", 0, []string{adas, "second"}, map[string]string{"second": ""})
	})
}

// A merge whose answer was lost, or whose program died, is found to have been
// made, or made again.
func TestAMergeWithoutAnAnswerIsMadeOnce(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		commit bool
		calls  int
	}{"it was made": {true, 1}, "it was not": {false, 2}} {
		t.Run(name, func(t *testing.T) {
			withTwins(t, "merge", func(tw *twins) {
				tw.vendor.fail = func(method string, n int, _ []string) (*connectors.Error, bool) {
					if method != "merge" || n > 1 {
						return nil, false
					}
					return &connectors.Error{Class: connectors.UnknownOutcome, Reason: "no answer in time"}, tt.commit
				}
				tw.merge()
				tw.want("in the end", tt.calls, []string{adas}, map[string]string{})
			})
		})
	}
}

// Somebody changes a record, and there is no news of it yet: it is read first.
func TestRecordsThatHaveChangedAreReadBeforeTheyAreMerged(t *testing.T) {
	t.Parallel()
	for _, changed := range []string{adas, "second"} {
		t.Run(changed, func(t *testing.T) {
			withTwins(t, "merge", func(tw *twins) {
				tw.vendor.contacts[changed]["phone"] = "+16315550000"
				if due, err := tw.worker.MergeNext(tw.t.Context()); err != nil || !due || tw.vendor.called("merge") != 0 {
					tw.t.Errorf("due %v, merged %d times, error %v", due, tw.vendor.called("merge"), err)
				}
				pulls, err := tw.db.Pulls(tw.t.Context(), "crm", 10)
				if err != nil || len(pulls) != 2 {
					tw.t.Errorf("to be read are %v, error %v", pulls, err)
				}
				if tw.settle(); changed == "second" {
					tw.merge()
					tw.want("as somebody else's", 0, []string{adas, "second"}, map[string]string{})
				}
			})
		})
	}
}

// What the account refuses to merge stays listed, with why. It is tried again
// when it changes, or after a restart.
func TestARefusedMergeIsNotTriedAgain(t *testing.T) {
	withTwins(t, "merge", func(tw *twins) {
		no := &connectors.Error{Class: connectors.Rejected, Reason: "a person has to do it"}
		tw.vendor.reject["second"] = no
		both, listed := []string{adas, "second"}, map[string]string{"second": no.Reason}
		tw.merge()
		tw.want("refused", 1, both, listed)
		tw.news("second")
		tw.merge()
		tw.want("after news of nothing", 1, both, listed)
		tw.vendor.contacts["second"]["firstname"] = "Ada"
		tw.news("second")
		tw.merge()
		tw.want("after a change", 2, both, listed)
		tw.begin()
		tw.merge()
		tw.want("after a restart", 3, both, listed)
		delete(tw.vendor.reject, "second")
		tw.begin()
		tw.merge()
		tw.want("let through", 4, []string{adas}, map[string]string{})
	})
}

func TestAnAccountThatDoesNotMergeIsAskedOnce(t *testing.T) {
	withTwins(t, "merge", func(tw *twins) {
		no := &connectors.Error{Class: connectors.Rejected, Code: connectors.NotOffered, Reason: "on its own pages only"}
		tw.vendor.reject["second"], tw.vendor.reject["third"] = no, no
		tw.enter("third", "+"+adasNumber)
		tw.merge()
		tw.want("asked", 1, []string{adas, "second", "third"}, map[string]string{"second": no.Reason, "third": no.Reason})
		if n := strings.Count(tw.log.String(), no.Reason); n != 1 {
			t.Errorf("it is logged %d times", n)
		}
	})
}

// A contact that is written anew under another mapping waits for the merge of a record
// that has its value, as one does of whom there is news, and not for ever. It does not
// move to that record meanwhile.
func TestAContactThatIsWrittenAnewWaitsForTheMerge(t *testing.T) {
	withTwins(t, "merge", func(tw *twins) {
		tw.vendor.mu.Lock()
		tw.vendor.reject[adas] = &connectors.Error{Class: connectors.Conflict, Code: "CONFLICT", Field: "email", RecordID: "second", Status: 409}
		tw.vendor.mu.Unlock()
		m, err := mapping.Compile("m.yaml", []byte(strings.Replace(strings.Replace(mappingText, "  crm:\n", "  crm:\n    duplicates: merge\n", 1), "last:", "newer:", 1)))
		if err != nil {
			tw.t.Fatal(err)
		}
		tw.recorder.Mapping = func() *mapping.Mapping { return m }
		tw.worker.Mapping = tw.recorder.Mapping
		if n, err := tw.db.Remap(tw.t.Context(), "crm", []int64{1}); err != nil || n != 1 {
			tw.t.Fatal(n, err)
		}
		before := tw.vendor.called("contacts")
		tw.settle()
		if calls := tw.vendor.called("contacts") - before; calls < 2 || calls > 3 || tw.states()[directory.Pending] != 1 || tw.vendor.contacts["second"]["newer"] != nil {
			tw.t.Errorf("in ten seconds it was tried %d times and is %v; the account has %v", calls, tw.states(), tw.vendor.contacts)
		}
		for range 8 {
			tw.settle()
		}
		if tw.states()[directory.Pending] != 0 {
			tw.t.Errorf("after more than a minute: %v", tw.states())
		}
	})
}
