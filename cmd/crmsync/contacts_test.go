package main

import (
	"fmt"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"crmsync/cmd/internal/sandbox"
)

// editIn edits a person's record as somebody does in the CRM's own pages.
func editIn(t *testing.T, crm sandbox.CRM, phone, fields string) {
	t.Helper()
	var people []struct{ ID string }
	get(t, crm.URL+"/_sim/contacts?phone="+url.QueryEscape("+"+phone), &people)
	if len(people) != 1 {
		t.Fatalf("%s shows %d people with that number", crm.Name, len(people))
	}
	body := fmt.Sprintf(`{"id":%q,"fields":%s}`, people[0].ID, fields)
	response, err := http.Post(crm.URL+"/_sim/contacts", "application/json", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK && response.StatusCode != http.StatusCreated {
		t.Fatalf("%s: %s", crm.Name, response.Status)
	}
}

// withoutWebhooks has the CRMs report nothing to the worker.
func withoutWebhooks(t *testing.T, info sandbox.Info) {
	t.Helper()
	text, err := os.ReadFile(info.Config)
	if err != nil {
		t.Fatal(err)
	}
	var kept []string
	for line := range strings.Lines(string(text)) {
		if !strings.HasPrefix(line, "public_url:") {
			kept = append(kept, line)
		}
	}
	if err := os.WriteFile(info.Config, []byte(strings.Join(kept, "")), 0o600); err != nil {
		t.Fatal(err)
	}
}

// sharedFields are what the CRMs call the fields that people enter.
var sharedFields = map[string]map[string]string{
	"hubspot":  {"first": "firstname", "last": "lastname", "email": "email", "phone": "phone"},
	"zoho":     {"first": "First_Name", "last": "Last_Name", "email": "Email", "phone": "Phone"},
	"bitrix24": {"first": "NAME", "last": "LAST_NAME", "email": "EMAIL", "phone": "PHONE"},
}

// An edit in each CRM's own pages reaches the other two within three seconds, and
// then there is silence, whatever WhatsApp repeats.
func TestWhatPeopleChangeInOneCRMReachesTheOthers(t *testing.T) {
	info := simulate(t)
	serve(t, info)
	const ada = "16315551234"
	load := newLoad(info)
	known(t, info, load, ada)
	for _, crm := range info.CRMs() {
		first, last := "Ada "+crm.Account, "King "+crm.Account
		took := editedIn(t, info, crm, ada, first, last, 15*time.Second)
		t.Logf("%s: %v", crm.Name, took)
		if took > 3*time.Second {
			t.Errorf("an edit in %s takes %v to reach the others", crm.Name, took)
		}
	}
	time.Sleep(4 * time.Second) // the CRMs' own webhooks about that
	load.post("wamid.2", ada, "again")
	for _, crm := range info.CRMs() {
		eventually(t, 20*time.Second, crm.Name+" has the second message", func() bool { return len(textsIn(t, crm, ada)) == 2 })
	}
	time.Sleep(4 * time.Second)
	before := writesOf(t, info)
	for _, crm := range info.CRMs() {
		if got := fieldsIn(t, crm, ada)[sharedFields[crm.Account]["first"]]; got != "Ada bitrix24" {
			t.Errorf("%s shows %v", crm.Name, got)
		}
	}
	time.Sleep(4 * time.Second)
	if now := writesOf(t, info); now != before {
		t.Errorf("there is no end of writes: %v, then %v", before, now)
	}
}

// The same without any webhook: within one contact sync.
func TestWhatNobodyReportsIsFoundByTheContactSync(t *testing.T) {
	t.Parallel()
	info := simulate(t)
	withoutWebhooks(t, info)
	serve(t, info, "CRMSYNC_JOBS_CONTACT_SYNC=* * * * *")
	const ada = "16315551234"
	known(t, info, newLoad(info), ada)
	for _, crm := range info.CRMs()[:2] {
		t.Logf("%s: %v", crm.Name, editedIn(t, info, crm, ada, "Ada "+crm.Account, "King "+crm.Account, 75*time.Second))
	}
}

// Who is deleted in one CRM stays deleted there, whatever changes elsewhere, and
// comes back with the next message. The other CRMs keep theirs.
func TestWhoIsDeletedInOneCRMComesBackWithTheNextMessage(t *testing.T) {
	t.Parallel()
	info := simulate(t)
	serve(t, info)
	const ada = "16315551234"
	load := newLoad(info)
	known(t, info, load, ada)
	zoho, bitrix24 := info.CRMs()[1], info.CRMs()[2]
	erase(t, zoho, ada)
	time.Sleep(3 * time.Second)
	took := editedIn(t, info, bitrix24, ada, "Augusta", "King", 15*time.Second, zoho)
	t.Logf("the others follow after %v", took)
	time.Sleep(3 * time.Second)
	if n := peopleIn(t, zoho, ada); n != 0 {
		t.Errorf("%s has %d contacts of somebody who was deleted there", zoho.Name, n)
	}
	load.post("wamid.2", ada, "I am back")
	eventually(t, 20*time.Second, zoho.Name+" has them again, as they are", func() bool {
		return peopleIn(t, zoho, ada) == 1 && fieldsIn(t, zoho, ada)["First_Name"] == "Augusta"
	})
	for _, crm := range info.CRMs() {
		if n := peopleIn(t, crm, ada); n != 1 {
			t.Errorf("%s has %d contacts", crm.Name, n)
		}
	}
}

// known has somebody write whom all CRMs know then.
func known(t *testing.T, info sandbox.Info, load *load, phone string) {
	t.Helper()
	load.post("wamid.1", phone, "hello")
	for _, crm := range info.CRMs() {
		eventually(t, 90*time.Second, crm.Name+" has the message", func() bool { return len(textsIn(t, crm, phone)) == 1 })
	}
	time.Sleep(3 * time.Second) // until the fields of the conversation are there too
}

// editedIn edits a name in one CRM and returns when all others but those left out
// show it.
func editedIn(t *testing.T, info sandbox.Info, in sandbox.CRM, phone, first, last string, within time.Duration, except ...sandbox.CRM) time.Duration {
	t.Helper()
	names := sharedFields[in.Account]
	began := time.Now()
	editIn(t, in, phone, fmt.Sprintf(`{%q:%q,%q:%q}`, names["first"], first, names["last"], last))
	for _, crm := range info.CRMs() {
		if slices.ContainsFunc(except, func(e sandbox.CRM) bool { return e.Account == crm.Account }) {
			continue
		}
		eventually(t, within, crm.Name+" follows "+in.Name, func() bool {
			f := fieldsIn(t, crm, phone)
			return f[sharedFields[crm.Account]["first"]] == first && f[sharedFields[crm.Account]["last"]] == last
		})
	}
	return time.Since(began)
}

func writesOf(t *testing.T, info sandbox.Info) (writes [3]int) {
	t.Helper()
	for i, crm := range info.CRMs() {
		writes[i] = statsOf(t, crm).Writes
	}
	return writes
}

func peopleIn(t *testing.T, crm sandbox.CRM, phone string) int {
	t.Helper()
	var people []sandbox.SimContact
	get(t, crm.URL+"/_sim/contacts?phone="+url.QueryEscape("+"+phone), &people)
	return len(people)
}

// erase deletes a person as somebody does in the CRM's own pages.
func erase(t *testing.T, crm sandbox.CRM, phone string) {
	t.Helper()
	var people []sandbox.SimContact
	get(t, crm.URL+"/_sim/contacts?phone="+url.QueryEscape("+"+phone), &people)
	if len(people) != 1 {
		t.Fatalf("%s shows %d people with that number", crm.Name, len(people))
	}
	remove(t, crm.URL+"/_sim/contacts?id="+people[0].ID)
}

// Three CRMs have the same 300 people, of whom crmsync has never heard. The
// first contact sync links their records, and the second writes nothing.
func TestAContactSyncLinksWhatIsThere(t *testing.T) {
	t.Parallel()
	info := simulate(t)
	for _, crm := range info.CRMs() {
		ask(t, crm.URL+"/_sim/contacts", map[string]any{"count": 300}, nil)
	}
	p := serve(t, info, "CRMSYNC_JOBS_CONTACT_SYNC=* * * * *")
	for _, crm := range info.CRMs() {
		eventually(t, 150*time.Second, crm.Name+" is linked", func() bool {
			return strings.Count(p.errors.String(), `"msg":"contact sync","account":"`+crm.Account+`"`) >= 1
		})
	}
	time.Sleep(10 * time.Second)
	first := make([]simStats, 3)
	for i, crm := range info.CRMs() {
		first[i] = statsOf(t, crm)
		t.Logf("%s: %+v", crm.Name, first[i])
		if first[i].Contacts != 300 || first[i].DuplicateContacts != 0 {
			t.Errorf("%s: %+v", crm.Name, first[i])
		}
	}
	for _, crm := range info.CRMs() {
		eventually(t, 150*time.Second, crm.Name+" is compared again", func() bool {
			return strings.Count(p.errors.String(), `"msg":"contact sync","account":"`+crm.Account+`"`) >= 2
		})
	}
	time.Sleep(5 * time.Second)
	for i, crm := range info.CRMs() {
		if now := statsOf(t, crm); now.Writes != first[i].Writes {
			t.Errorf("%s: the second sync wrote %d times", crm.Name, now.Writes-first[i].Writes)
		}
	}
	for line := range strings.Lines(p.errors.String()) {
		if strings.Contains(line, `"msg":"contact sync"`) || strings.Contains(line, `"level":"WARN"`) || strings.Contains(line, `"level":"ERROR"`) {
			t.Log(line)
		}
	}
}
