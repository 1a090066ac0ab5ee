package main

import (
	"slices"
	"strings"
	"testing"
	"time"

	"crmsync/cmd/internal/app"
	"crmsync/cmd/internal/sandbox"
)

// Somebody puts the credentials of another portal, and then of another vendor,
// under a name whose records are known. People who were there all along have the
// ids that are stored: none of them is touched, and the other account does not
// even get a field. With the old credentials it goes on.
func TestAnotherAccountUnderAKnownNameIsNotTouched(t *testing.T) {
	t.Parallel()
	s := twoShops(t)
	north := s.configuration(false)
	s.write(t, "crmsync.yaml", north)
	for _, crm := range []sandbox.CRM{s.southCRM, s.south.CRMs()[1]} {
		if status := post(t, crm.URL+"/_sim/contacts", map[string]any{"count": 30}); status/100 != 2 {
			t.Fatalf("seeding %s: %d", crm.Name, status)
		}
	}
	worker := serve(t, s.worker)
	l := newLoad(s.north)
	l.post("wamid.N1", "16665550001", "first")
	eventually(t, 20*time.Second, "the first message is there", func() bool { return len(messagesIn(t, s.northCRM, "wamid.N1")) == 1 })

	old := s.north.HubSpot
	z := s.south.Zoho
	for _, other := range []struct {
		crm           sandbox.CRM
		configuration string
		says          string
	}{
		{
			s.southCRM, strings.NewReplacer(old.Token, s.south.HubSpot.Token, old.URL, s.south.HubSpot.URL).Replace(north),
			"hubspot-north was account ",
		},
		{
			s.south.CRMs()[1], strings.Replace(north, "kind: hubspot, token: "+old.Token+`, base_url: "`+old.URL+`"`,
				"kind: zoho, client_id: "+z.ClientID+", client_secret: "+z.ClientSecret+", refresh_token: "+z.RefreshToken+`, accounts_url: "`+z.AccountsURL+`"`, 1),
			"of kind zoho now: put its old credentials back, or give the new account a name of its own",
		},
	} {
		before := statsOf(t, other.crm)
		s.write(t, "crmsync.yaml", other.configuration)
		eventually(t, 30*time.Second, "the worker refuses "+other.crm.Name, func() bool {
			return strings.Contains(readinessOf(t, s.worker).Accounts["hubspot-north"], other.says)
		})
		l.post("wamid.WAITS-"+other.crm.Account, "16665550001", "waits")
		eventually(t, 20*time.Second, "the message waits", func() bool { return accountsOf(t, s.worker)["hubspot-north"].Backlog > 0 })
		eventually(t, 10*time.Second, "accounts list says so", func() bool {
			a := accountsOf(t, s.worker)["hubspot-north"]
			return a.State == app.NotReady && strings.Contains(a.Problem, other.says)
		})
		if !worker.says("the account cannot be used yet", other.says) {
			t.Errorf("the log does not say it:\n%s", worker.errors)
		}
		if out, _, code := runCommand(t, "check", "--live", "--fix", "--config", s.worker.Config); code != exitFailed || !strings.Contains(out, other.says) {
			t.Errorf("check --live --fix (exit code %d) says\n%s", code, out)
		}
		out, _, code := runCommand(t, "audit", "--against-crm", "--account", "hubspot-north", "--config", s.worker.Config)
		if code != exitFailed || !strings.Contains(out, other.says) {
			t.Errorf("audit --against-crm (exit code %d) says\n%s", code, out)
		}
		time.Sleep(2 * time.Second) // whatever it would do
		if after := statsOf(t, other.crm); after.Writes != before.Writes || after.Contacts != before.Contacts || after.Messages != 0 {
			t.Errorf("%s was written to: before %+v, now %+v", other.crm.Name, before, after)
		}
	}

	s.write(t, "crmsync.yaml", north)
	for _, wamid := range []string{"wamid.WAITS-hubspot", "wamid.WAITS-zoho"} {
		eventually(t, 30*time.Second, wamid+" is there after all", func() bool { return len(messagesIn(t, s.northCRM, wamid)) == 1 })
	}
	if now := statsOf(t, s.northCRM); now.Contacts != 1 || now.Messages != 3 || now.DuplicateMessages != 0 {
		t.Errorf("the account shows %+v, want a contact with three messages", now)
	}

	// Who means it gives the new account a name of its own.
	s.write(t, "crmsync.yaml", s.configuration(true))
	eventually(t, 20*time.Second, "both work", func() bool {
		r := readinessOf(t, s.worker)
		return r.Accounts["hubspot-north"] == "ok" && r.Accounts["hubspot-south"] == "ok"
	})
}

// Simulated accounts are those of a folder: started again for it they are the
// same ones, elsewhere others.
func TestSimulatedAccountsAreThoseOfAFolder(t *testing.T) {
	names := func(home, account string) []string {
		s, err := sandbox.StartSimulators(sandbox.Options{Host: "127.0.0.1", Home: home}, "")
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		names, err := connect(s.Info, account, false).Identity(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return names
	}
	for _, crm := range (sandbox.Info{}).CRMs() {
		was := names("/one", crm.Account)
		common := func(home string) bool {
			return slices.ContainsFunc(names(home, crm.Account), func(name string) bool { return slices.Contains(was, name) })
		}
		if !common("/one") || common("/two") || common("") {
			t.Errorf("%s is %q in one folder, and the same there again: %v, in another: %v, in none: %v", crm.Name, was, common("/one"), common("/two"), common(""))
		}
	}
}
