package app

import (
	"strings"
	"testing"
	"time"

	"crmsync/connectors"
	"crmsync/sync/audit"
	"crmsync/sync/deadletter"
	"crmsync/sync/directory"
)

// What somebody should look at comes first, and what a vendor has said is no
// markup.
func TestADailyReportSaysWhatNeedsAttention(t *testing.T) {
	t.Parallel()
	due := time.Date(2026, 11, 22, 6, 0, 0, 0, time.UTC)
	old := due.Add(-3 * time.Hour)
	bounds := []float64{.05, .1, .2, .3, .5, .8, 1, 2, 3, 5}
	day := func(name string, delays ...int64) AccountDay {
		d := AccountDay{Account: name, Kind: name}
		d.Received, d.Calls = map[string]int64{"observed": 1234}, map[string]int64{"200": 40_000, "no answer": 3}
		d.Delivered = map[string]int64{"created": 100_000, "updated": 20_000, "unchanged": 7, "retried": 12}
		var n int64
		for _, c := range delays {
			n += c
		}
		d.Delays.add(Delays{Count: n, Bounds: bounds, Counts: delays}, 1)
		return d
	}
	r := &DailyReport{
		From: due.Add(-24 * time.Hour), To: due, MappingRevision: "e512d04a7e57", Audit: &audit.Report{Findings: []audit.Finding{{Account: "zoho", Problem: "contacts dead without a letter", Count: 2}}},
		Accounts: []AccountDay{{Account: "whatsapp", Kind: "whatsapp"}, day("hubspot", 10, 500, 9000, 6000, 900, 90, 5, 1, 0, 0), day("zoho", 0, 40, 3000, 12000, 5000, 800, 100, 20, 3, 1)},
		Drift: driftOf([]directory.Sweep{
			{Account: "hubspot", Read: 100_000, Changed: 2, Ended: due}, {Account: "zoho", Read: 50_000, Problem: "no answer"}, {Account: "zoho", Read: 100_000, Changed: 3, Ended: due},
		}),
		Letters: LettersDay{New: 3, Open: 2, Overdue: 1, Causes: deadletter.Groups([]deadletter.Letter{{
			ID: "zoho.contact.1", Account: "zoho", Class: connectors.Rejected, Code: "INVALID_DATA", Field: "Mobile", Reason: "<script>alert(1)</script>", DueAt: due,
		}})},
	}
	r.Accounts[2].OldestWaiting, r.Accounts[2].Backlog, r.Accounts[2].QuotaRefusals = &old, 14, 2
	r.attend()
	if len(r.Attention) != 5 {
		t.Errorf("%q", r.Attention)
	}
	page, err := r.HTML()
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"5 things to look at", "2 open dead letters, 1 of them overdue", "1 contact sync of zoho did not come to the end: no answer", "&lt;script&gt;", "120,000", "The audit does not close"} {
		if !strings.Contains(string(page), want) {
			t.Errorf("the page lacks %q", want)
		}
	}
	if strings.Contains(string(page), "<script") {
		t.Error("what comes from outside is markup")
	}
	if text := r.Text(); !strings.Contains(text, "hubspot: received 1,234, delivered 120,000, p99") || strings.Contains(text, "script") {
		t.Errorf("%s", text)
	}
}
