package main

import (
	"net/url"
	"testing"
	"time"

	"crmsync/cmd/internal/sandbox"
)

// One WhatsApp message appears in every CRM within a second at idle.
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
			if took > time.Second {
				t.Errorf("%s had it after %v, want at most 1 s", crm.Name, took)
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
