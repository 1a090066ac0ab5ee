package main

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"crmsync/cmd/internal/app"
)

// Three CRMs have Ada and Bob. Who is deleted in HubSpot stays in the others; who
// is deleted in Zoho CRM, whose rule is to erase people, is gone everywhere within
// seconds, with every message. Nothing brings her back but that she writes again.
func TestWhoIsDeletedWhereTheMappingSaysSoIsErasedEverywhere(t *testing.T) {
	t.Parallel()
	info := simulate(t)
	remap(t, info, "  zoho:\n", "  zoho:\n    on_delete: erase\n")
	p := serve(t, info)
	const ada, bob = "16315551234", "16315555678"
	l := newLoad(info)
	l.post("wamid.1", ada, "hello from ada")
	l.post("wamid.2", ada, "hello again from ada")
	l.post("wamid.3", bob, "hello from bob")
	for _, crm := range info.CRMs() {
		eventually(t, 30*time.Second, crm.Name+" has the messages", func() bool {
			return len(textsIn(t, crm, ada)) == 2 && len(textsIn(t, crm, bob)) == 1
		})
	}
	time.Sleep(3 * time.Second) // until the fields of the conversation are there too
	hubspot, zoho := info.CRMs()[0], info.CRMs()[1]
	record := recordsOf(t, zoho, ada)[0]

	erase(t, hubspot, bob)
	erase(t, zoho, ada)
	began := time.Now()
	for _, crm := range info.CRMs() {
		eventually(t, 20*time.Second, crm.Name+" has nothing of her", func() bool {
			s := statsOf(t, crm)
			return peopleIn(t, crm, ada) == 0 && s.Messages == 1
		})
	}
	t.Logf("she is gone after %v", time.Since(began).Round(100*time.Millisecond))
	if took := time.Since(began); took > 8*time.Second {
		t.Errorf("she is gone after %v only", took)
	}
	time.Sleep(4 * time.Second) // the CRMs' own news of that
	for _, crm := range info.CRMs() {
		want := 1
		if crm.Account == "hubspot" {
			want = 0
		}
		if n := peopleIn(t, crm, bob); n != want {
			t.Errorf("%s has %d of Bob's records, want %d", crm.Name, n, want)
		}
	}
	for _, command := range []string{"show", "explain"} {
		out, errs, code := runCommand(t, "contacts", command, "zoho:"+record, "--config", info.Config)
		if code != 0 || !strings.Contains(out, "as record "+record+" was deleted in zoho") || !strings.Contains(out, "Nothing is pending.") || strings.Contains(out, ada) {
			t.Errorf("%s: %s%s (exit code %d)", command, out, errs, code)
		}
		t.Log(out)
	}

	before := writesOf(t, info)
	if found, stopped := syncOnce(t, info); stopped != 0 {
		t.Errorf("%d syncs did not come to their end: %+v", stopped, found)
	}
	time.Sleep(4 * time.Second)
	if now := writesOf(t, info); now != before {
		t.Errorf("a contact sync afterwards has the worker write: %v, then %v", before, now)
	}
	if r, code := auditOf(t, info, nil); code != 0 || !r.Closes {
		t.Errorf("the audit does not close: %+v", r.Findings)
	}
	l.post("wamid.1", ada, "hello from ada") // which comes once more
	l.post("wamid.4", ada, "here I am")
	for _, crm := range info.CRMs() {
		eventually(t, 30*time.Second, crm.Name+" has her anew", func() bool {
			return fmt.Sprint(textsIn(t, crm, ada)) == "[here I am]" && peopleIn(t, crm, ada) == 1
		})
	}
	var shown app.ContactShown
	contactsAsJSON(t, &shown, "show", "+"+ada, "--config", info.Config, "--output", "json")
	if shown.Erased != nil || shown.Messages.Received != 1 || shown.Fields["last_name"] == "" {
		t.Errorf("she is %+v", shown)
	}
	if errs := p.errors.String(); strings.Contains(errs, `"level":"ERROR"`) || strings.Contains(errs, ada) {
		t.Errorf("the log says %s", errs)
	}
}
