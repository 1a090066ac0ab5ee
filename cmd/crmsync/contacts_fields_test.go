package main

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"crmsync/cmd/internal/sandbox"
)

// fieldNames are what each CRM calls the fields that people share.
var fieldNames = map[string]map[string]string{
	"hubspot": {
		"first": "firstname", "last": "lastname", "email": "email", "phone": "phone", "country": "country",
		"language": "crmsync_language", "consent": "crmsync_consent", "labels": "crmsync_labels",
	},
	"zoho": {
		"first": "First_Name", "last": "Last_Name", "email": "Email", "phone": "Phone", "country": "Mailing_Country",
		"language": "WhatsApp_Language", "consent": "WhatsApp_Consent", "labels": "Tag",
	},
	"bitrix24": {
		"first": "NAME", "last": "LAST_NAME", "email": "EMAIL", "phone": "PHONE", "country": "ADDRESS_COUNTRY",
		"language": "UF_CRM_WHATSAPP_LANGUAGE", "consent": "UF_CRM_WHATSAPP_CONSENT", "labels": "UF_CRM_WHATSAPP_LABELS",
	},
}

// between is what stands between labels where a CRM shows several.
var between = map[string]string{"hubspot": ";", "zoho": ",", "bitrix24": ";"}

// enter has somebody edit a field in a CRM's own pages. Labels are as "new;vip".
func enter(t *testing.T, crm sandbox.CRM, phone, field, value string) {
	t.Helper()
	if field == "labels" {
		value = strings.ReplaceAll(value, ";", between[crm.Account])
	}
	if value == "" && crm.Account == "zoho" && field != "labels" {
		editIn(t, crm, phone, fmt.Sprintf(`{%q:null}`, fieldNames[crm.Account][field]))
		return
	}
	editIn(t, crm, phone, fmt.Sprintf(`{%q:%q}`, fieldNames[crm.Account][field], value))
}

// shownIn is what a CRM shows in a field. Labels are as "new;vip", in order.
func shownIn(t *testing.T, crm sandbox.CRM, phone, field string) string {
	t.Helper()
	value := fieldsIn(t, crm, phone)[fieldNames[crm.Account][field]]
	if value == nil {
		return ""
	}
	text := fmt.Sprint(value)
	if field == "labels" {
		labels := strings.Split(text, between[crm.Account])
		slices.Sort(labels)
		text = strings.Join(labels, ";")
	}
	return text
}

// Each field that people share, edited in each CRM, is in the other two with the
// same value, as each of them writes it. What the CRM itself shows stays as it was
// entered. After all of it there is nothing to write.
func TestEveryFieldFromEveryCRMReachesTheOthers(t *testing.T) {
	t.Parallel()
	info := simulate(t)
	serve(t, info).working(info)
	const ada = "16315551234"
	known(t, info, newLoad(info), ada)
	crms := map[string]sandbox.CRM{}
	for _, crm := range info.CRMs() {
		crms[crm.Account] = crm
	}
	for _, tt := range []struct {
		what, in, field, value string
		want                   string // in the others; empty for the same
		cleared                bool
	}{
		{what: "a first name", in: "hubspot", field: "first", value: "Augusta"},
		{what: "a first name", in: "zoho", field: "first", value: "Ада"},
		{what: "a first name", in: "bitrix24", field: "first", value: "  Ada   Augusta ", want: "Ada Augusta"},
		{what: "a last name", in: "hubspot", field: "last", value: "King"},
		{what: "a last name", in: "zoho", field: "last", value: "O'Lovelace & Söhne <x>"},
		{what: "a last name", in: "bitrix24", field: "last", value: "Byron"},
		{what: "an address", in: "hubspot", field: "email", value: "ada@example.com"},
		{what: "an address in capitals", in: "zoho", field: "email", value: "Ada.King@Example.COM", want: "ada.king@example.com"},
		{what: "another address", in: "bitrix24", field: "email", value: "byron@example.org"},
		{what: "an address is cleared", in: "hubspot", field: "email", cleared: true},
		{what: "an address again", in: "zoho", field: "email", value: "ada@example.net"},
		{what: "an address is cleared", in: "bitrix24", field: "email", cleared: true},
		{what: "a first name is cleared", in: "zoho", field: "first", cleared: true},
		{what: "labels", in: "zoho", field: "labels", value: "new;vip"},
		{what: "a label is removed", in: "hubspot", field: "labels", value: "vip"},
		{what: "a label is added", in: "bitrix24", field: "labels", value: "new;vip"},
		{what: "a label is removed", in: "zoho", field: "labels", value: "new"},
		{what: "a label is added", in: "hubspot", field: "labels", value: "new;vip"},
		{what: "all labels are removed", in: "bitrix24", field: "labels", cleared: true},
		{what: "a country", in: "hubspot", field: "country", value: "Italy"},
		{what: "a country", in: "zoho", field: "country", value: "United Kingdom"},
		{what: "a country", in: "bitrix24", field: "country", value: "Côte d'Ivoire"},
		{what: "a language", in: "hubspot", field: "language", value: "it"},
		{what: "a language", in: "zoho", field: "language", value: "en"},
		{what: "a language is cleared", in: "bitrix24", field: "language", cleared: true},
		{what: "opting out", in: "hubspot", field: "consent", value: "opted_out"},
		{what: "back in", in: "zoho", field: "consent", value: "marketing"},
		{what: "opting out", in: "bitrix24", field: "consent", value: "opted_out"},
		{what: "back in", in: "hubspot", field: "consent", value: "transactional"},
		{what: "opting out", in: "zoho", field: "consent", value: "opted_out"},
		{what: "back in", in: "bitrix24", field: "consent", value: "marketing"},
		// Nobody loses their conversation by it: what WhatsApp calls them stays.
		{what: "a number", in: "hubspot", field: "phone", value: "+16315550001"},
		{what: "a number, as it is spelled there", in: "zoho", field: "phone", value: "+1 (631) 555-0002", want: "+16315550002"},
		{what: "the number of before", in: "bitrix24", field: "phone", value: "+16315551234"},
	} {
		if tt.want == "" && !tt.cleared {
			tt.want = tt.value
		}
		if tt.field == "consent" {
			time.Sleep(time.Second) // Zoho CRM and Bitrix24 count them
		}
		before := shownIn(t, crms[tt.in], ada, tt.field)
		began := time.Now()
		enter(t, crms[tt.in], ada, tt.field, tt.value)
		for _, crm := range info.CRMs() {
			if crm.Account == tt.in {
				continue
			}
			eventually(t, 20*time.Second, fmt.Sprintf("%s shows what was done in %s: %s", crm.Name, crms[tt.in].Name, tt.what), func() bool {
				return shownIn(t, crm, ada, tt.field) == tt.want
			})
		}
		t.Logf("%-8s  %-35s %q, then %q: %v", tt.in, tt.what, before, tt.want, time.Since(began).Round(time.Millisecond))
	}
	settled(t, info)
	before := writesOf(t, info)
	for range 3 {
		syncOnce(t, info)
		settled(t, info)
	}
	if now := writesOf(t, info); now != before {
		t.Errorf("when all is settled there are still writes: %v, then %v", before, now)
	}
	for _, crm := range info.CRMs() {
		if n := statsOf(t, crm).Contacts; n != 1 {
			t.Errorf("%s has %d contacts", crm.Name, n)
		}
		if got := textsIn(t, crm, ada); len(got) != 1 {
			t.Errorf("%s shows messages %q", crm.Name, got)
		}
	}
}
