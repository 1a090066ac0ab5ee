package main

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"crmsync/cmd/internal/app"
)

// contactsAsJSON reads JSON that a contacts command prints.
func contactsAsJSON(t *testing.T, into any, args ...string) {
	t.Helper()
	out, errs, code := runCommand(t, append([]string{"contacts"}, args...)...)
	if err := json.Unmarshal([]byte(out), into); err != nil || code != 0 {
		t.Fatalf("contacts %v: %s%s (exit code %d): %v", args, out, errs, code, err)
	}
}

// Somebody who is in HubSpot and Zoho CRM gets the number of Ada, who talks on
// WhatsApp: both are one then, with two records in each CRM. It was a slip of the pen.
func TestDuplicatesJoinsAndSplitsOnTheCommandLine(t *testing.T) {
	t.Parallel()
	info := simulate(t)
	serve(t, info)
	hubspot, zoho := info.CRMs()[0], info.CRMs()[1]
	const ada, berta = "16315551234", "16315559876"
	l := newLoad(info)
	l.post("wamid.1", ada, "hello")
	for _, crm := range info.CRMs() {
		eventually(t, 20*time.Second, crm.Name+" has the message", func() bool { return len(textsIn(t, crm, ada)) == 1 })
	}
	ask(t, zoho.URL+"/_sim/contacts", map[string]any{"phone": "+" + berta, "fields": map[string]any{"Last_Name": "Byron"}}, nil)
	ask(t, hubspot.URL+"/_sim/contacts", map[string]any{"phone": "+" + berta, "fields": map[string]any{"lastname": "Byron"}}, nil)
	eventually(t, 20*time.Second, "the second person is in Bitrix24 too", func() bool { return fieldsIn(t, info.CRMs()[2], berta) != nil })
	editIn(t, hubspot, berta, fmt.Sprintf(`{"phone":"+%s"}`, ada))
	var joins []app.Join
	eventually(t, 20*time.Second, "they are one", func() bool {
		contactsAsJSON(t, &joins, "joins", "--config", info.Config, "--output", "json")
		return len(joins) == 1
	})
	if j := joins[0]; j.Account != "hubspot" || j.Records != 3 || j.Why == "" || j.SplitAt != nil {
		t.Errorf("join %+v", j)
	}
	var doubles []app.Double
	contactsAsJSON(t, &doubles, "duplicates", "--config", info.Config, "--output", "json")
	if len(doubles) != 3 || doubles[0].ContactID != joins[0].Survivor || doubles[0].Linked == "" || len(doubles[0].Others) != 1 {
		t.Errorf("duplicates %+v", doubles)
	}
	contactsAsJSON(t, &doubles, "duplicates", "--account", "zoho", "--config", info.Config, "--output", "json")
	if len(doubles) != 1 || doubles[0].Account != "zoho" {
		t.Errorf("duplicates in Zoho CRM %+v", doubles)
	}
	for _, args := range [][]string{{"joins"}, {"duplicates"}, {"split", "1", "--dry-run"}, {"split", "1", "--by", "Ops"}, {"joins", "--all"}, {"duplicates"}} {
		out, errs, code := runCommand(t, append([]string{"contacts", "--config", info.Config}, args...)...)
		if t.Logf("%v\n%s%s", args, out, errs); code != 0 {
			t.Errorf("%v: exit code %d", args, code)
		}
	}
	contactsAsJSON(t, &joins, "joins", "--config", info.Config, "--output", "json")
	if len(joins) != 0 {
		t.Errorf("joins after the split %+v", joins)
	}
	contactsAsJSON(t, &doubles, "duplicates", "--config", info.Config, "--output", "json")
	if len(doubles) != 0 {
		t.Errorf("duplicates after the split %+v", doubles)
	}
	for args, want := range map[[3]string]int{{"split", "1"}: 1, {"split", "99"}: 1, {"split", "one"}: 2, {"duplicates", "--account", "zoo"}: 2, {"joins", "--limit", "-1"}: 2} {
		line := []string{"contacts", "--config", info.Config}
		for _, a := range args {
			if a != "" {
				line = append(line, a)
			}
		}
		if out, errs, code := runCommand(t, line...); code != want {
			t.Errorf("%v: exit code %d, want %d: %s%s", args, code, want, out, errs)
		}
	}
}

// Two people of one family are in Zoho CRM, under one number. The other CRMs get
// both of them, each once.
func TestAFamilyOfOneNumberReachesTheOtherCRMs(t *testing.T) {
	t.Parallel()
	info := simulate(t)
	remap(t, info, "accounts:\n", "people: {same_phone: by_name}\naccounts:\n")
	zoho := info.CRMs()[1]
	const shared, other = "16315551234", "16315559876"
	ask(t, zoho.URL+"/_sim/contacts", map[string]any{"phone": "+" + shared, "fields": map[string]any{"First_Name": "Anna", "Last_Name": "Rossi"}}, nil)
	ask(t, zoho.URL+"/_sim/contacts", map[string]any{"phone": "+" + other, "fields": map[string]any{"First_Name": "Carlo", "Last_Name": "Rossi"}}, nil)
	editIn(t, zoho, other, fmt.Sprintf(`{"Phone":"+%s"}`, shared))
	serve(t, info, "CRMSYNC_JOBS_CONTACT_SYNC=* * * * *")
	for i, name := range []string{"firstname", "First_Name", "NAME"} {
		crm := info.CRMs()[i]
		eventually(t, 150*time.Second, crm.Name+" has both", func() bool {
			var people []struct{ Fields map[string]any }
			get(t, crm.URL+"/_sim/contacts?phone=%2B"+shared, &people)
			names := map[any]int{}
			for _, p := range people {
				names[p.Fields[name]]++
			}
			if len(people) > 2 {
				t.Fatalf("%s has %v", crm.Name, names)
			}
			return names["Anna"] == 1 && names["Carlo"] == 1
		})
	}
	var open []app.Letter
	letters(t, &open, "list", "--config", info.Config, "--output", "json")
	if len(open) != 0 {
		t.Errorf("dead letters %+v", open)
	}
}

// People change their numbers, and write from the old one and from the new one
// before WhatsApp says so, while all of that is on its way to the CRMs. Each
// message arrives once.
func TestPeopleWhoAreJoinedWhileTheirMessagesAreOnTheirWay(t *testing.T) {
	t.Parallel()
	const movers = 25
	info := simulate(t)
	worker := serve(t, info)
	worker.delivering(info)
	l := newLoad(info)
	for n := range movers {
		before, after := fmt.Sprintf("1631555%04d", n), fmt.Sprintf("1415555%04d", n)
		l.post(fmt.Sprintf("wamid.A%d", n), before, "from the old number")
		l.post(fmt.Sprintf("wamid.B%d", n), after, "from the new number")
		if n%3 == 0 {
			time.Sleep(time.Duration(n) * 40 * time.Millisecond)
		}
		l.deliver(fmt.Sprintf("wamid.C%d", n), before, fmt.Sprintf(`"type":"system","system":{"body":"x","wa_id":%q,"type":"user_changed_number"}`, after))
		l.post(fmt.Sprintf("wamid.D%d", n), after, "after the change")
	}
	for _, crm := range info.CRMs() {
		eventually(t, 60*time.Second, crm.Name+" has all messages", func() bool { return statsOf(t, crm).Messages >= 3*movers })
	}
	time.Sleep(3 * time.Second)
	var joins []app.Join
	contactsAsJSON(t, &joins, "joins", "--config", info.Config, "--output", "json")
	if len(joins) != movers {
		t.Errorf("%d joins, want %d", len(joins), movers)
	}
	for _, crm := range info.CRMs() {
		if s := statsOf(t, crm); s.Messages != 3*movers || s.DuplicateMessages != 0 || s.DuplicateContacts != 0 {
			t.Errorf("%s: %+v", crm.Name, s)
		}
	}
	if out, errs, code := runCommand(t, "audit", "--config", info.Config); code != 0 {
		t.Errorf("the audit: %s%s", out, errs)
	}
	var open []app.Letter
	letters(t, &open, "list", "--config", info.Config, "--output", "json")
	if len(open) != 0 {
		t.Errorf("dead letters %+v", open)
	}
	for _, crm := range info.CRMs() {
		t.Logf("%s: %+v", crm.Name, statsOf(t, crm))
	}
}
