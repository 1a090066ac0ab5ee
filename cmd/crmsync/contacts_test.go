package main

import (
	"fmt"
	"net/http"
	"net/url"
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

// A person changes a name in Bitrix24. HubSpot and Zoho CRM follow, and then
// there is silence.
func TestWhatPeopleChangeInOneCRMReachesTheOthers(t *testing.T) {
	info := simulate(t)
	serve(t, info)
	hubspot, zoho, bitrix24 := info.CRMs()[0], info.CRMs()[1], info.CRMs()[2]
	load := newLoad(info)
	const ada = "16315551234"
	load.post("wamid.1", ada, "hello")
	for _, crm := range info.CRMs() {
		eventually(t, 20*time.Second, crm.Name+" has the message", func() bool { return len(textsIn(t, crm, ada)) == 1 })
	}
	time.Sleep(3 * time.Second) // until the fields of the conversation are there too
	began := time.Now()
	editIn(t, bitrix24, ada, `{"NAME":"Augusta Ada","LAST_NAME":"King"}`)
	eventually(t, 15*time.Second, "HubSpot follows", func() bool {
		f := fieldsIn(t, hubspot, ada)
		return f["firstname"] == "Augusta Ada" && f["lastname"] == "King"
	})
	eventually(t, 15*time.Second, "Zoho CRM follows", func() bool {
		f := fieldsIn(t, zoho, ada)
		return f["First_Name"] == "Augusta Ada" && f["Last_Name"] == "King"
	})
	t.Logf("after %v", time.Since(began))
	time.Sleep(4 * time.Second) // the CRMs' own webhooks about that
	before := make([]int, 3)
	for i, crm := range info.CRMs() {
		before[i] = statsOf(t, crm).Writes
	}
	// WhatsApp repeats its own idea of the name, which is no news.
	load.post("wamid.2", ada, "again")
	eventually(t, 20*time.Second, "the second message is there", func() bool { return len(textsIn(t, bitrix24, ada)) == 2 })
	time.Sleep(4 * time.Second)
	if f := fieldsIn(t, bitrix24, ada); f["NAME"] != "Augusta Ada" {
		t.Errorf("Bitrix24 shows %v", f["NAME"])
	}
	quiet := statsOf(t, hubspot).Writes
	time.Sleep(4 * time.Second)
	if now := statsOf(t, hubspot).Writes; now != quiet {
		t.Errorf("there is no end of writes: %d, then %d", quiet, now)
	}
	_ = before
}

// Three CRMs have the same 300 people, of whom crmsync has never heard. The
// first contact sync links their records, and the second writes nothing.
func TestAContactSyncLinksWhatIsThere(t *testing.T) {
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
