package main

import (
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"crmsync/cmd/internal/sandbox"
)

// shops are two businesses on one worker: a WhatsApp number and a HubSpot
// account each, and a Zoho CRM that both feed.
type shops struct {
	worker, north, south sandbox.Info
	dir                  string
	headquarters         sandbox.CRM
	northCRM, southCRM   sandbox.CRM
}

const fieldsOfHubSpot = `    contact:
      phone: phone
      firstname: first_name
      crmsync_last_message_text: last_message_text
      crmsync_business_phone: business_phone
      crmsync_unread_count: unread_count
      crmsync_consent: consent
`

func twoShops(t *testing.T) *shops {
	t.Helper()
	s := &shops{dir: t.TempDir(), north: simulate(t), south: simulate(t)}
	s.south.WhatsApp.PhoneNumberID = "206540352242922"
	s.northCRM, s.southCRM, s.headquarters = s.north.CRMs()[0], s.south.CRMs()[0], s.north.CRMs()[1]
	s.worker = s.north
	s.worker.Config = filepath.Join(s.dir, "crmsync.yaml")
	s.write(t, "mapping.yaml", "version: 1\naccounts:\n  hubspot-north:\n"+fieldsOfHubSpot+"  hubspot-south:\n"+fieldsOfHubSpot+
		"  zoho:\n    contact:\n      Phone: phone\n      Last_Name: last_name\n")
	s.write(t, "crmsync.yaml", s.configuration(true))
	for _, shop := range []*sandbox.Info{&s.north, &s.south} {
		shop.Worker = &sandbox.WorkerInfo{URL: s.worker.Worker.URL, Webhooks: map[string]string{}}
	}
	s.north.Worker.Webhooks["whatsapp"] = s.worker.Worker.URL + "/webhooks/number-north"
	s.south.Worker.Webhooks["whatsapp"] = s.worker.Worker.URL + "/webhooks/number-south"
	return s
}

func (s *shops) write(t *testing.T, name, text string) {
	t.Helper()
	// As an editor does it: nobody reads half a file.
	path := filepath.Join(s.dir, name)
	if err := os.WriteFile(path+".new", []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		t.Fatal(err)
	}
}

// configuration has both shops, or the northern one alone.
func (s *shops) configuration(both bool) string {
	var b strings.Builder
	fmt.Fprintf(&b, "listen: %s\ndata_dir: data\naccounts:\n", strings.TrimPrefix(s.worker.Worker.URL, "http://"))
	shop := func(name string, i sandbox.Info) {
		fmt.Fprintf(&b, "  - {name: number-%[1]s, kind: whatsapp, app_secret: %[2]s, verify_token: %[3]s, deliver_to: [hubspot-%[1]s, zoho]}\n",
			name, i.WhatsApp.AppSecret, i.WhatsApp.VerifyToken)
		fmt.Fprintf(&b, "  - {name: hubspot-%s, kind: hubspot, token: %s, base_url: %q, create_fields: true}\n", name, i.HubSpot.Token, i.HubSpot.URL)
	}
	shop("north", s.north)
	if both {
		shop("south", s.south)
	}
	z := s.north.Zoho
	fmt.Fprintf(&b, "  - {name: zoho, kind: zoho, client_id: %s, client_secret: %s, refresh_token: %s, accounts_url: %q, create_fields: true}\n",
		z.ClientID, z.ClientSecret, z.RefreshToken, z.AccountsURL)
	return b.String()
}

// textsIn are the texts that a CRM shows, by person, sorted.
func textsIn(t *testing.T, crm sandbox.CRM, phone string) []string {
	t.Helper()
	var shown []sandbox.SimMessage
	get(t, crm.URL+"/_sim/messages?phone="+url.QueryEscape("+"+phone), &shown)
	texts := []string{}
	for _, m := range shown {
		texts = append(texts, m.Text)
	}
	slices.Sort(texts)
	return texts
}

// fieldsIn are a person's fields as a CRM shows them, nil if it does not.
func fieldsIn(t *testing.T, crm sandbox.CRM, phone string) map[string]any {
	t.Helper()
	var people []struct{ Fields map[string]any }
	get(t, crm.URL+"/_sim/contacts?phone="+url.QueryEscape("+"+phone), &people)
	if len(people) == 0 {
		return nil
	}
	if len(people) > 1 {
		t.Errorf("%s shows %d people with one number", crm.URL, len(people))
	}
	return people[0].Fields
}

// Two numbers feed a HubSpot account each, and one Zoho CRM. Each account gets
// what is its own, also of somebody who writes to both.
func TestEachOfSeveralAccountsGetsItsOwn(t *testing.T) {
	t.Parallel()
	s := twoShops(t)
	serve(t, s.worker)
	north, south := newLoad(s.north), newLoad(s.south)
	const ada, ben, cleo = "16665550001", "16665550002", "16665550003"
	north.post("wamid.N1", ada, "Ada to north")
	south.post("wamid.S1", ben, "Ben to south")
	north.post("wamid.N2", cleo, "Cleo to north")
	time.Sleep(1100 * time.Millisecond) // WhatsApp's clock counts seconds
	south.post("wamid.S2", cleo, "Cleo to south")
	if len(north.acked) != 2 || len(south.acked) != 2 {
		t.Fatalf("accepted are %v and %v", north.acked, south.acked)
	}
	wrong := newLoad(s.south)
	wrong.info.Worker = s.north.Worker
	wrong.post("wamid.FORGED", ada, "with the other number's secret")
	if !wrong.refused["wamid.FORGED"] {
		t.Error("a webhook signed with the other number's secret is not refused")
	}
	for _, want := range []struct {
		crm   sandbox.CRM
		phone string
		texts []string
	}{
		{s.northCRM, ada, []string{"Ada to north"}},
		{s.northCRM, ben, []string{}},
		{s.northCRM, cleo, []string{"Cleo to north"}},
		{s.southCRM, ada, []string{}},
		{s.southCRM, ben, []string{"Ben to south"}},
		{s.southCRM, cleo, []string{"Cleo to south"}},
		{s.headquarters, ada, []string{"Ada to north"}},
		{s.headquarters, ben, []string{"Ben to south"}},
		{s.headquarters, cleo, []string{"Cleo to north", "Cleo to south"}},
	} {
		eventually(t, 20*time.Second, fmt.Sprintf("%s shows %v", want.crm.Name, want.texts), func() bool {
			return len(textsIn(t, want.crm, want.phone)) >= len(want.texts)
		})
		if got := textsIn(t, want.crm, want.phone); !slices.Equal(got, want.texts) {
			t.Errorf("%s at %s shows %q of %s, want %q", want.crm.Name, want.crm.URL, got, want.phone, want.texts)
		}
	}
	// What sums a conversation up is of that conversation alone.
	for _, crm := range []sandbox.CRM{s.northCRM, s.southCRM} {
		eventually(t, 10*time.Second, "the conversation is summed up", func() bool { return fieldsIn(t, crm, cleo)["crmsync_last_message_text"] != nil })
	}
	time.Sleep(2 * time.Second) // whatever is not their own would come now
	for crm, want := range map[sandbox.CRM]string{s.northCRM: "Cleo to north", s.southCRM: "Cleo to south"} {
		fields := fieldsIn(t, crm, cleo)
		if fields["crmsync_last_message_text"] != want || fmt.Sprint(fields["crmsync_unread_count"]) != "1" || fmt.Sprint(fields["firstname"]) == "<nil>" {
			t.Errorf("of Cleo %s shows %v, want %q, one message not answered", crm.URL, fields, want)
		}
	}
	if fieldsIn(t, s.northCRM, ben) != nil || fieldsIn(t, s.southCRM, ada) != nil {
		t.Error("somebody is in an account whose number they have never written to")
	}
	if n := metric(t, s.worker, `crmsync_deliveries_total{account="hubspot-south",entity="message",outcome="created"}`); n != 2 {
		t.Errorf("hubspot-south is said to have %d messages, want 2", n)
	}
	if n := metric(t, s.worker, `crmsync_facts_total{account="number-north",kind="message"}`); n != 2 {
		t.Errorf("number-north is said to have sent %d messages, want 2", n)
	}
	for _, crm := range []sandbox.CRM{s.northCRM, s.southCRM, s.headquarters} {
		if got := statsOf(t, crm); got.DuplicateContacts+got.DuplicateMessages > 0 {
			t.Errorf("%s: %+v", crm.URL, got)
		}
	}
}

// A number is given up. What people wrote to it stays none of the business of
// the account that it never fed, also after a restart.
func TestANumberThatIsGoneKeepsItsConversationsToItself(t *testing.T) {
	s := twoShops(t)
	worker := serve(t, s.worker)
	north, south := newLoad(s.north), newLoad(s.south)
	const cleo = "16665550003"
	say := func(wamid, text, unread string) {
		t.Helper()
		north.post(wamid, cleo, text)
		eventually(t, 20*time.Second, "the conversation is summed up", func() bool {
			return fieldsIn(t, s.northCRM, cleo)["crmsync_last_message_text"] == text
		})
		if got := fieldsIn(t, s.northCRM, cleo)["crmsync_unread_count"]; fmt.Sprint(got) != unread {
			t.Errorf("the northern account says that %v messages are not answered, want %s", got, unread)
		}
	}
	south.post("wamid.S1", cleo, "Cleo to south")
	eventually(t, 20*time.Second, "the southern account has it", func() bool { return len(textsIn(t, s.southCRM, cleo)) == 1 })
	say("wamid.N1", "Cleo to north", "1")
	s.write(t, "crmsync.yaml", s.configuration(false))
	eventually(t, 20*time.Second, "the second shop is closed", func() bool { _, open := readinessOf(t, s.worker).Accounts["hubspot-south"]; return !open })
	say("wamid.N2", "Cleo to north again", "2")
	if code := worker.stop(); code != 0 {
		t.Errorf("exit code %d", code)
	}
	serve(t, s.worker)
	say("wamid.N3", "Cleo to north once more", "3")
}
