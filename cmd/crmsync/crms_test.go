package main

import (
	"context"
	"flag"
	"net/http"
	"net/url"
	"testing"
	"time"

	"crmsync/cmd/internal/sandbox"
)

var lasting = flag.Duration("lasting", 3*time.Minute, "how long the load on three CRMs lasts, with -measure")

// One WhatsApp message appears in every CRM within a second at idle, with
// -measure.
func TestAMessageAppearsInEveryCRM(t *testing.T) {
	info := simulate(t)
	worker := serve(t, info)
	eventually(t, 20*time.Second, "every account is delivered to", func() bool {
		var report struct{ Accounts map[string]string }
		get(t, info.Worker.URL+"/readyz", &report)
		for _, crm := range info.CRMs() {
			if report.Accounts[crm.Account] != "ok" {
				return false
			}
		}
		return true
	})
	// Other tests run beside this one, and the race detector slows all of it.
	limit := 3 * time.Second
	if *measure {
		limit = time.Second
	}
	l := newLoad(info)
	for n, wamid := range []string{"wamid.FIRST", "wamid.SECOND"} {
		began := time.Now()
		l.post(wamid, "393331112233", "Perché no? 😀")
		for _, crm := range info.CRMs() {
			var shown []sandbox.SimMessage
			eventually(t, 10*time.Second, "the message is in "+crm.Name, func() bool {
				shown = messagesIn(t, crm, wamid)
				return len(shown) > 0
			})
			took := shown[0].CommittedAt.Sub(began)
			t.Logf("%s had message %d after %v", crm.Name, n+1, took.Round(time.Millisecond))
			if took > limit {
				t.Errorf("%s had it after %v, want at most %v", crm.Name, took, limit)
			}
			if len(shown) != 1 || shown[0].Text != "Perché no? 😀" || shown[0].Direction != "in" {
				t.Errorf("%s shows %+v", crm.Name, shown)
			}
			var people []sandbox.SimContact
			get(t, crm.URL+"/_sim/contacts?phone="+url.QueryEscape("+393331112233"), &people)
			if len(people) != 1 || people[0].ID != shown[0].ContactID {
				t.Errorf("%s shows people %+v", crm.Name, people)
			}
		}
	}
	if code := worker.stop(); code != 0 {
		t.Errorf("exit code %d", code)
	}
}

// A picture that somebody sends is with its message in every CRM, also when
// WhatsApp does not give it away at first.
func TestAFileAppearsInEveryCRM(t *testing.T) {
	t.Parallel()
	info := simulate(t)
	worker := serve(t, info)
	file := addPicture(t, info, 3_000_000)
	ask(t, info.WhatsApp.URL+"/_sim/faults", map[string]any{"mode": "outage", "for": "2s"}, nil)
	var receipt struct {
		Status int
		WAMID  string
	}
	ask(t, info.WhatsApp.URL+"/_sim/inbound", map[string]any{"from": "393331112233", "name": "Zoë", "text": "guarda", "media": file.ID}, &receipt)
	if receipt.Status != http.StatusOK {
		t.Fatalf("the webhook was answered with %d", receipt.Status)
	}
	for _, crm := range info.CRMs() {
		eventually(t, 30*time.Second, "the picture is in "+crm.Name, func() bool {
			shown := messagesIn(t, crm, receipt.WAMID)
			return len(shown) == 1 && len(shown[0].Files) == 1 && shown[0].Files[0].SHA256 == file.SHA256
		})
	}
	if code := worker.stop(); code != 0 {
		t.Errorf("exit code %d", code)
	}
}

// addPicture gives WhatsApp a picture that messages can have.
func addPicture(t *testing.T, info sandbox.Info, size int) (file sandbox.SimFile) {
	t.Helper()
	ask(t, info.WhatsApp.URL+"/_sim/media", map[string]any{"mime_type": "image/jpeg", "size": size}, &file)
	return file
}

// 5,000 messages a minute from 2,000 people into three CRMs at their
// documented quotas.
func TestMeasureThreeCRMs(t *testing.T) {
	d := 5 * time.Second
	if *measure {
		d = *lasting
	}
	info := simulate(t)
	serve(t, info)
	time.Sleep(3 * time.Second) // the accounts have been looked at
	l := newLoad(info)
	ctx, cancel := context.WithTimeout(t.Context(), d)
	defer cancel()
	l.run(ctx, 83, 2000)
	ended := time.Now()
	for _, crm := range info.CRMs() {
		eventually(t, 5*time.Minute, "every message is in "+crm.Name, func() bool { return statsOf(t, crm).Messages >= len(l.acked) })
		s := statsOf(t, crm)
		var delays []time.Duration
		for wamid := range l.acked {
			if shown := messagesIn(t, crm, wamid); len(shown) == 1 {
				delays = append(delays, shown[0].CommittedAt.Sub(l.began[wamid]))
			} else {
				t.Errorf("%s shows %s %d times", crm.Name, wamid, len(shown))
			}
		}
		t.Logf("%s: %d messages, p50 %v, p99 %v, slowest %v; %.3f calls a message, %d refused for quota; the last came %v after the end", crm.Name, len(delays),
			percentile(delays, 0.5).Round(time.Millisecond), percentile(delays, 0.99).Round(time.Millisecond), percentile(delays, 1).Round(time.Millisecond),
			float64(s.Calls)/float64(len(delays)), s.Throttled, time.Since(ended).Round(time.Second))
		if s.Throttled > 0 {
			t.Errorf("%s has refused %d calls for its quota", crm.Name, s.Throttled)
		}
		if calls := float64(s.Calls) / float64(len(delays)); *measure && (calls > 0.1 || percentile(delays, 0.5) > 800*time.Millisecond || percentile(delays, 0.99) > 3*time.Second) {
			t.Errorf("want at most 0.8 s, 3 s and 0.1 calls a message")
		}
		if s.DuplicateContacts+s.DuplicateMessages > 0 {
			t.Errorf("doubled in %s: %+v", crm.Name, s)
		}
	}
	for _, crm := range info.CRMs() {
		backlog := `crmsync_backlog{account="` + crm.Account + `"}`
		eventually(t, 5*time.Minute, "nothing is pending in "+crm.Name, func() bool { return metric(t, info, backlog) == 0 })
		t.Logf("%s: the fields that sum up a conversation were up to date %v after the end, give or take 5 s", crm.Name, time.Since(ended).Round(time.Second))
	}
}
