package main

import (
	"slices"
	"strings"
	"testing"
	"time"

	"crmsync/cmd/internal/app"
	"crmsync/cmd/internal/sandbox"
)

// Somebody who has written has a second record in each CRM, which a person has
// entered. HubSpot and Bitrix24 are told to merge them, which goes on while
// messages arrive; Zoho CRM cannot, and says so.
func TestDuplicatesAreMergedInTheCRMs(t *testing.T) {
	t.Parallel()
	info := simulate(t)
	for _, account := range []string{"hubspot", "zoho", "bitrix24"} {
		remap(t, info, "  "+account+":\n", "  "+account+":\n    duplicates: merge\n")
	}
	out, errs, code := runCommand(t, "check", "--config", info.Config)
	if code != 0 || !strings.Contains(out, "note: ") || !strings.Contains(out, "zoho") || strings.Contains(out, "hubspot") {
		t.Errorf("check: %s%s (exit code %d)", out, errs, code)
	}
	p := serve(t, info)
	const ada = "16315551234"
	l := newLoad(info)
	l.post("wamid.1", ada, "hello")
	for _, crm := range info.CRMs() {
		eventually(t, 20*time.Second, crm.Name+" has the message", func() bool { return len(textsIn(t, crm, ada)) == 1 })
	}
	time.Sleep(2 * time.Second) // the records are known
	for _, crm := range info.CRMs() {
		names := sharedFields[crm.Account]
		ask(t, crm.URL+"/_sim/contacts", map[string]any{"fields": map[string]any{names["phone"]: "+" + ada, names["last"]: "Byron", names["email"]: "ada@example.com"}}, nil)
	}
	l.post("wamid.2", ada, "are you there?")
	var doubles []app.Double
	eventually(t, 60*time.Second, "only Zoho CRM has two records, and why is listed", func() bool {
		contactsAsJSON(t, &doubles, "duplicates", "--config", info.Config, "--output", "json")
		return len(doubles) == 1 && doubles[0].Account == "zoho" && doubles[0].Others[0].NotMerged != "" &&
			len(recordsOf(t, info.CRMs()[0], ada)) == 1 && len(recordsOf(t, info.CRMs()[2], ada)) == 1
	})
	before := []string{}
	for _, crm := range info.CRMs() {
		before = append(before, strings.Join(recordsOf(t, crm, ada), " "))
	}
	l.post("wamid.3", ada, "goodbye")
	for _, crm := range info.CRMs() {
		eventually(t, 20*time.Second, crm.Name+" has all messages", func() bool { return len(textsIn(t, crm, ada)) == 3 })
		if got := textsIn(t, crm, ada); !slices.Equal(got, []string{"are you there?", "goodbye", "hello"}) {
			t.Errorf("%s shows %q", crm.Name, got)
		}
	}
	time.Sleep(3 * time.Second)
	for i, crm := range info.CRMs() {
		want := 1
		if crm.Account == "zoho" {
			want = 2
		}
		s := statsOf(t, crm)
		if s.Contacts != want || s.Messages != 3 || s.DuplicateMessages != 0 {
			t.Errorf("%s: %+v, want %d records", crm.Name, s, want)
		}
		if now := strings.Join(recordsOf(t, crm, ada), " "); now != before[i] {
			t.Errorf("%s has the records %s, and had %s", crm.Name, now, before[i])
		}
	}
	for _, account := range []string{"hubspot", "bitrix24"} {
		if n := strings.Count(p.errors.String(), `"msg":"merging two records of a contact","account":"`+account+`"`); n != 1 {
			t.Errorf("%s: %d merges are in the log", account, n)
		}
	}
	if out, errs, code := runCommand(t, "contacts", "duplicates", "--config", info.Config); code != 0 || !strings.Contains(out, "Find and Merge") {
		t.Errorf("duplicates: %s%s (exit code %d)", out, errs, code)
	} else {
		t.Log("\n" + out)
	}
	if out, errs, code := runCommand(t, "audit", "--config", info.Config); code != 0 {
		t.Errorf("the audit: %s%s", out, errs)
	}
	var open []app.Letter
	letters(t, &open, "list", "--config", info.Config, "--output", "json")
	if len(open) != 0 {
		t.Errorf("dead letters %+v", open)
	}
	if log := p.errors.String(); strings.Contains(log, ada) {
		t.Error("a phone number is in the log")
	}
}

// recordsOf are the ids of a person's records.
func recordsOf(t *testing.T, crm sandbox.CRM, phone string) (ids []string) {
	t.Helper()
	var people []sandbox.SimContact
	get(t, crm.URL+"/_sim/contacts?phone=%2B"+phone, &people)
	for _, p := range people {
		ids = append(ids, p.ID)
	}
	slices.Sort(ids)
	return ids
}
