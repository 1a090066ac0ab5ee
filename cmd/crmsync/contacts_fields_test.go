package main

import (
	"encoding/json"
	"fmt"
	"maps"
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

// A form is what somebody enters in the fields of a record at once. Labels are as
// "new;vip".
type form map[string]string

// enter has somebody fill in a form in a CRM's own pages.
func enter(t *testing.T, crm sandbox.CRM, phone string, fields form) {
	t.Helper()
	all := map[string]any{}
	for field, value := range fields {
		switch {
		case field == "labels":
			all[fieldNames[crm.Account][field]] = strings.ReplaceAll(value, ";", between[crm.Account])
		case value == "" && crm.Account == "zoho":
			all[fieldNames[crm.Account][field]] = nil
		default:
			all[fieldNames[crm.Account][field]] = value
		}
	}
	text, err := json.Marshal(all)
	if err != nil {
		t.Fatal(err)
	}
	editIn(t, crm, phone, string(text))
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
		in      string
		entered form
		want    form // in the others, where it is spelled otherwise there
	}{
		{"hubspot", form{"first": "Augusta", "last": "King", "email": "ada@example.com", "country": "Italy", "language": "it", "phone": "+16315550001", "consent": "opted_out"}, nil},
		{
			"zoho",
			form{"first": "Ада", "last": "O'Lovelace & Söhne <x>", "email": "Ada.King@Example.COM", "country": "United Kingdom", "language": "en", "phone": "+1 (631) 555-0002", "consent": "marketing", "labels": "new;vip"},
			form{"email": "ada.king@example.com", "phone": "+16315550002"},
		},
		{
			"bitrix24",
			form{"first": "  Ada   Augusta ", "last": "Byron", "email": "byron@example.org", "country": "Côte d'Ivoire", "language": "fr", "phone": "+16315550003", "consent": "opted_out", "labels": "new"},
			form{"first": "Ada Augusta"},
		},
		{"hubspot", form{"labels": "new;vip", "email": "", "first": "", "consent": "transactional", "phone": "+16315550004"}, nil},
		{"zoho", form{"labels": "vip", "country": "", "first": "Ada", "email": "ada@example.net", "consent": "opted_out"}, nil},
		{"bitrix24", form{"labels": "new;vip", "language": "", "email": "", "consent": "marketing"}, nil},
		{"zoho", form{"first": "", "email": "ada@example.net", "labels": "", "language": "de"}, nil},
		{"bitrix24", form{"first": "Ada", "country": "Italy", "email": "byron@example.org", "labels": "new;vip"}, nil},
		{"hubspot", form{"labels": "", "language": "", "country": "", "phone": "+16315551234"}, nil}, // the number of before
		{"bitrix24", form{"first": "", "country": "Malta"}, nil},
	} {
		time.Sleep(time.Second) // in which two CRMs count
		began := time.Now()
		enter(t, crms[tt.in], ada, tt.entered)
		for _, field := range slices.Sorted(maps.Keys(tt.entered)) {
			want, spelled := tt.want[field]
			if !spelled {
				want = tt.entered[field]
			}
			for _, crm := range info.CRMs() {
				if crm.Account == tt.in {
					continue
				}
				var got string
				for end := began.Add(30 * time.Second); ; time.Sleep(20 * time.Millisecond) {
					if got = shownIn(t, crm, ada, field); got == want {
						break
					}
					if time.Now().After(end) {
						t.Fatalf("%s of %s: %s shows %q, want %q", field, crms[tt.in].Name, crm.Name, got, want)
					}
				}
			}
		}
		t.Logf("%d fields of %s are in the others after %v", len(tt.entered), crms[tt.in].Name, time.Since(began).Round(time.Millisecond))
	}
	settled(t, info)
	before := writesOf(t, info)
	for range 3 {
		syncOnce(t, info)
		time.Sleep(2 * time.Second)
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
