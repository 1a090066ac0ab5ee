package main

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"crmsync/cmd/internal/sandbox"
)

// One document with all that a line can say: a field of its own that each CRM has
// in a form of its own, values that are changed on their way and back, computed
// ones, and messages in the reader's words. When all is told nothing is written.
func TestAMappingSaysHowEachCRMHasAField(t *testing.T) {
	t.Parallel()
	info := simulate(t)
	for old, changed := range map[string]string{
		"version: 1\n":                               "version: 1\ntables:\n  tiers: {gold: A, silver: B}\nfields:\n  segment: {type: enum, options: [gold, silver], label: Segment}\n  score: {type: number, label: Score}\n  tier: {value: \"lookup('tiers', segment)\", label: Tier}\n",
		"      lastname: last_name\n":                "      lastname: {field: last_name, write: upper(value), read: title(value)}\n      crmsync_segment: segment\n      crmsync_score: score\n      crmsync_tier: tier\n      crmsync_summary: {value: \"last_name + ', ' + first_name + ' (' + text(unread_count) + ')'\"}\n",
		"      crmsync_language: language\n":         "      crmsync_language: {field: language, options: {it: Italian, en: English, \"*\": Other}}\n",
		"      WhatsApp_Language: language\n":        "      WhatsApp_Language: language\n      WhatsApp_Segment: {field: segment, options: {gold: Gold customer, silver: Silver customer}}\n      WhatsApp_Score: {field: score, write: \"text(value) + ' %'\", read: \"int(replace(value, ' %', ''))\"}\n",
		"      UF_CRM_WHATSAPP_LANGUAGE: language\n": "      UF_CRM_WHATSAPP_LANGUAGE: language\n      UF_CRM_WHATSAPP_SEGMENT: {field: segment, default: gold}\n",
		"  bitrix24:\n    contact:\n":                "  bitrix24:\n    message: {language: it, text: \"${direction_word}: ${text}\"}\n    contact:\n",
	} {
		remap(t, info, old, changed)
	}
	serve(t, info).working(info)
	const ada = "16315551234"
	known(t, info, newLoad(info), ada)
	hubspot, zoho, bitrix24 := info.CRMs()[0], info.CRMs()[1], info.CRMs()[2]
	shows := func(crm sandbox.CRM, field, want string) {
		t.Helper()
		got := ""
		for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
			if value := fieldsIn(t, crm, ada)[field]; value != nil {
				got = fmt.Sprint(value)
			}
			if got == want {
				return
			}
		}
		t.Fatalf("%s shows %q in %s, want %q", crm.Name, got, field, want)
	}
	// A value that is changed on its way.
	editIn(t, zoho, ada, `{"First_Name":"Ada","Last_Name":"Lovelace"}`)
	shows(hubspot, "lastname", "LOVELACE")
	shows(zoho, "Last_Name", "Lovelace")
	shows(hubspot, "crmsync_summary", "Lovelace, Ada (1)")
	for _, text := range textsIn(t, bitrix24, ada) {
		if !strings.HasPrefix(text, "ricevuto: ") {
			t.Errorf("Bitrix24 shows the message %q", text)
		}
	}
	shows(bitrix24, "UF_CRM_WHATSAPP_SEGMENT", "gold") // by default
	// An option that somebody chooses in one CRM is another one's word for it.
	editIn(t, zoho, ada, `{"WhatsApp_Segment":"Gold customer","WhatsApp_Score":"17 %","WhatsApp_Language":"it"}`)
	shows(hubspot, "crmsync_segment", "gold")
	shows(hubspot, "crmsync_score", "17")
	shows(hubspot, "crmsync_tier", "A")
	shows(hubspot, "crmsync_language", "Italian")
	time.Sleep(time.Second)
	editIn(t, hubspot, ada, `{"crmsync_segment":"silver","lastname":"BYRON","crmsync_language":"English","crmsync_score":"18"}`)
	shows(zoho, "WhatsApp_Segment", "Silver customer")
	shows(bitrix24, "UF_CRM_WHATSAPP_SEGMENT", "silver")
	shows(zoho, "WhatsApp_Score", "18 %")
	shows(zoho, "Last_Name", "Byron")
	shows(zoho, "WhatsApp_Language", "en")
	shows(hubspot, "crmsync_tier", "B")
	// What no line reads stays where it is, and is listed.
	editIn(t, hubspot, ada, `{"crmsync_language":"Other"}`)
	eventually(t, 20*time.Second, "it is listed", func() bool {
		out, _, _ := runCommand(t, "contacts", "invalid", "--config", info.Config)
		return strings.Contains(out, "language")
	})
	shows(zoho, "WhatsApp_Language", "en")
	shows(hubspot, "crmsync_language", "Other")
	out, errs, code := runCommand(t, "contacts", "explain", "+"+ada, "--config", info.Config)
	for _, want := range []string{"tier  B\n", "by line ", "crmsync_tier (line ", "crmsync_summary  Byron, Ada (1)\n", "segment  silver\n"} {
		if code != 0 || !strings.Contains(out, want) {
			t.Errorf("explain does not say %q:\n%s%s", want, out, errs)
		}
	}
	settled(t, info)
	before := writesOf(t, info)
	for range 2 {
		syncOnce(t, info)
	}
	settled(t, info)
	if now := writesOf(t, info); fmt.Sprint(now) != fmt.Sprint(before) {
		t.Errorf("writes %v after two syncs, %v before", now, before)
	}
}
