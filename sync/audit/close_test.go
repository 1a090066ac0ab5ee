package audit_test

import (
	"strings"
	"testing"
	"time"

	"crmsync/sync/audit"
)

// losing is a look at a stream that has lost everything from event 3 on.
func losing(last uint64, settled ...audit.SettledLoss) *audit.Report {
	t := &audit.Tally{Recorded: []audit.Range{{First: 0, Last: 2}}, Settled: settled}
	return audit.Close(audit.Period{}, t, &audit.Held{Stream: "EVENTS of today", First: last + 1, Last: last}, "", nil)
}

// While more is lost each second, one look finds more than the other; it is
// lost all the same.
func TestALossThatGrowsIsALoss(t *testing.T) {
	t.Parallel()
	r := losing(9)
	r.Persistent(losing(5))
	if r.Closes || len(r.Findings) != 1 || r.Findings[0].Count != 7 || r.Findings[0].Names[0] != "events 3 to 9" {
		t.Errorf("closes %v: %+v", r.Closes, r.Findings)
	}
}

func TestWhatIsOnItsWayIsNoFinding(t *testing.T) {
	t.Parallel()
	look := func(names ...string) *audit.Report {
		f := audit.Finding{Account: "zoho", Problem: "owed nothing", Count: int64(len(names)), Names: names}
		return audit.Close(audit.Period{}, &audit.Tally{Findings: []audit.Finding{f}}, &audit.Held{}, "", nil)
	}
	r := look("message 2", "message 3")
	if r.Persistent(look("message 1", "message 2")); r.Closes || r.Findings[0].Count != 1 || r.Findings[0].Names[0] != "message 2" {
		t.Errorf("%+v", r.Findings)
	}
	r = look("message 4")
	if r.Persistent(look("message 1")); !r.Closes {
		t.Errorf("%+v", r.Findings)
	}
}

// A person settles a loss once; what is lost later is another one.
func TestALossThatSomebodyHasSettledIsANote(t *testing.T) {
	t.Parallel()
	before := losing(5)
	if before.Closes || len(before.Losses) != 1 {
		t.Fatalf("closes %v, losses %v", before.Closes, before.Losses)
	}
	settled := audit.SettledLoss{Loss: before.Losses[0], At: time.Date(2026, 11, 21, 9, 0, 0, 0, time.UTC), By: "anna", Reason: "the disk of node 2"}
	r := losing(5, settled)
	if want := (audit.Events{Known: true, Stored: 5, Recorded: 2, Settled: 3}); !r.Closes || r.Events != want || len(r.Losses) != 0 {
		t.Errorf("closes %v, %+v, want %+v", r.Closes, r.Events, want)
	}
	if len(r.Notes) != 1 || !strings.Contains(r.Notes[0], "events 3 to 5") || !strings.Contains(r.Notes[0], "settled as lost by anna on 2026-11-21: the disk of node 2") {
		t.Errorf("notes %q", r.Notes)
	}
	if r = losing(7, settled); r.Closes || r.Events.Lost != 2 || r.Events.Settled != 3 || r.Findings[0].Names[0] != "events 6 to 7" {
		t.Errorf("closes %v, %+v %+v", r.Closes, r.Events, r.Findings)
	}
}

// What waited in a stream that is not there any more nobody can know.
func TestAStreamThatWasReplacedIsNoProof(t *testing.T) {
	t.Parallel()
	tally := &audit.Tally{Former: []audit.Loss{{Stream: "EVENTS of yesterday", Range: audit.Range{First: 0, Last: 12}}}}
	r := audit.Close(audit.Period{}, tally, &audit.Held{}, "", nil)
	if r.Closes || len(r.Losses) != 1 || r.Findings[0].Names[0] != "whatever came after event 12 of EVENTS of yesterday" {
		t.Fatalf("closes %v: %+v", r.Closes, r.Findings)
	}
	tally.Settled = []audit.SettledLoss{{Loss: r.Losses[0], By: "anna", Reason: "we have moved to a cluster"}}
	if r = audit.Close(audit.Period{}, tally, &audit.Held{}, "", nil); !r.Closes || len(r.Notes) != 1 {
		t.Errorf("closes %v: %+v %q", r.Closes, r.Findings, r.Notes)
	}
}

func TestABrokerThatCannotBeAskedIsNoProof(t *testing.T) {
	t.Parallel()
	look := func() *audit.Report { return audit.Close(audit.Period{}, &audit.Tally{}, nil, "it is down", nil) }
	r := look()
	if r.Closes || r.Events.Why != "it is down" {
		t.Errorf("closes %v, %+v", r.Closes, r.Events)
	}
	if r.Persistent(look()); r.Closes {
		t.Error("it closes at the second look")
	}
}

// The broker still counts what is recorded and not acknowledged to it yet; of
// that nothing waits.
func TestWhatIsRecordedDoesNotWait(t *testing.T) {
	t.Parallel()
	tally := &audit.Tally{
		Recorded: []audit.Range{{First: 0, Last: 130}},
		Facts:    []audit.FactCount{{Account: "whatsapp", Outcome: "applied", N: 130}},
	}
	held := &audit.Held{First: 128, Last: 130, Facts: []audit.HeldFacts{{Account: "whatsapp", Kind: "message", N: 2}, {Account: "whatsapp", Kind: "status", N: 1}}}
	for last, want := range map[uint64]int64{130: 0, 132: 2} {
		held.Last = last
		r := audit.Close(audit.Period{}, tally, held, "", nil)
		if s := r.Sources[0]; !r.Closes || *s.Waiting != want || s.Received != 130+want {
			t.Errorf("closes %v, %d received, %d wait, want %d", r.Closes, s.Received, *s.Waiting, want)
		}
	}
}
