package main

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"crmsync/cmd/internal/sandbox"
	"crmsync/sync/store/storetest"
)

// metric is the value of a counter, 0 if there is none yet.
func metric(t *testing.T, info sandbox.Info, name string) int {
	t.Helper()
	response, err := http.Get(info.Worker.URL + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if value, ok := strings.CutPrefix(line, name+" "); ok {
			n, err := strconv.ParseFloat(strings.TrimSpace(value), 64)
			if err != nil {
				t.Fatal(err)
			}
			return int(n)
		}
	}
	return 0
}

// news is how many reports about its records an account's webhooks have made.
func news(t *testing.T, info sandbox.Info, account string) int {
	t.Helper()
	return metric(t, info, `crmsync_recorded_total{account="`+account+`",kind="record"}`)
}

// working waits until all accounts are delivered to and Zoho sends webhooks.
func (p *process) working(info sandbox.Info) {
	p.t.Helper()
	eventually(p.t, 20*time.Second, "every account is delivered to", func() bool {
		var report struct{ Accounts map[string]string }
		get(p.t, info.Worker.URL+"/readyz", &report)
		for _, crm := range info.CRMs() {
			if report.Accounts[crm.Account] != "ok" {
				return false
			}
		}
		return true
	})
	eventually(p.t, 5*time.Second, "Zoho has a channel", func() bool { return p.says("the account sends webhooks", "zoho") })
}

// says reports whether the log has a line with all of these words.
func (p *process) says(words ...string) bool {
	for line := range strings.Lines(p.errors.String()) {
		all := true
		for _, w := range words {
			all = all && strings.Contains(line, w)
		}
		if all {
			return true
		}
	}
	return false
}

// edits is what a person does in a CRM.
func (p *process) edits(crm sandbox.CRM, phone, name string) {
	p.t.Helper()
	field := map[string]string{"hubspot": "lastname", "zoho": "Last_Name", "bitrix24": "LAST_NAME"}[crm.Account]
	if status := post(p.t, crm.URL+"/_sim/contacts", map[string]any{"phone": phone, "fields": map[string]string{field: name}}); status/100 != 2 {
		p.t.Fatalf("%s: a person's edit is answered %d", crm.Name, status)
	}
}

// request posts a webhook and returns the answer's status.
func request(t *testing.T, address, kind, body string, header ...string) int {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, address, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", kind)
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	return response.StatusCode
}

// hubSpotSays posts a webhook as HubSpot signs it, from its documentation:
// signature v3, over the address that the app has.
func hubSpotSays(t *testing.T, secret, signed, address string, contact int) int {
	t.Helper()
	body := fmt.Sprintf(`[{"eventId":%d,"subscriptionId":3327050,"portalId":62515,"appId":54321,"occurredAt":%d,"subscriptionType":"contact.propertyChange",`+
		`"attemptNumber":0,"objectId":%d,"propertyName":"lastname","propertyValue":"Rossi","changeSource":"CRM_UI","sourceId":"userId:910901"}]`,
		contact, time.Now().UnixMilli(), contact)
	stamp := strconv.FormatInt(time.Now().UnixMilli(), 10)
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(http.MethodPost + signed + body + stamp))
	return request(t, address, "application/json", body,
		"X-HubSpot-Signature-v3", base64.StdEncoding.EncodeToString(mac.Sum(nil)), "X-HubSpot-Request-Timestamp", stamp)
}

func bitrix24Says(t *testing.T, token, address string, contact int) int {
	t.Helper()
	form := url.Values{
		"event": {"ONCRMCONTACTUPDATE"}, "event_handler_id": {"12"}, "data[FIELDS][ID]": {strconv.Itoa(contact)},
		"ts": {strconv.FormatInt(time.Now().Unix(), 10)}, "auth[domain]": {"acme.bitrix24.com"}, "auth[application_token]": {token},
	}
	return request(t, address, "application/x-www-form-urlencoded", form.Encode())
}

// A person enters a contact in a CRM and edits it in the others, and the worker
// hears of it. Each of them shows that person once, and there is no dead letter.
func TestAPersonsEditInACRMIsHeardOf(t *testing.T) {
	t.Parallel()
	info := simulate(t)
	worker := serve(t, info)
	worker.working(info)
	for _, crm := range info.CRMs() {
		worker.edits(crm, "+393338887766", "Rossi")
		eventually(t, 5*time.Second, "the edit in "+crm.Name+" is recorded", func() bool { return news(t, info, crm.Account) > 0 })
	}
	time.Sleep(1500 * time.Millisecond) // whatever followed would be under way
	for _, crm := range info.CRMs() {
		var people []sandbox.SimContact
		get(t, crm.URL+"/_sim/contacts?phone=%2B393338887766", &people)
		if len(people) != 1 {
			t.Errorf("%s shows %d such people, want the one", crm.Name, len(people))
		}
	}
	out, errs, code := runCommand(t, "deadletters", "list", "--config", info.Config, "--output", "json")
	if strings.TrimSpace(out) != "[]" || code != 0 {
		t.Errorf("dead letters %s%s", out, errs)
	}
}

// Our own writes come back as webhooks too, and do no harm.
func TestEchoesAreHarmless(t *testing.T) {
	info := simulate(t)
	serve(t, info).working(info)
	l := newLoad(info)
	l.post("wamid.ECHO", "393331112233", "Ciao")
	for _, crm := range info.CRMs() {
		eventually(t, 10*time.Second, "the message is in "+crm.Name, func() bool { return len(messagesIn(t, crm, "wamid.ECHO")) == 1 })
	}
	for _, account := range []string{"hubspot", "zoho", "bitrix24"} {
		eventually(t, 5*time.Second, account+" tells of our own write", func() bool { return news(t, info, account) > 0 })
	}
	time.Sleep(1500 * time.Millisecond)
	if n := metric(t, info, `crmsync_recorded_total{account="whatsapp",kind="message"}`); n != 1 {
		t.Errorf("%d messages are recorded, want 1", n)
	}
	for _, crm := range info.CRMs() {
		s := statsOf(t, crm)
		if s.Contacts != 1 || s.Messages != 1 {
			t.Errorf("%s holds %+v, want one contact with one message", crm.Name, s)
		}
		writes := s.Writes
		time.Sleep(time.Second)
		if again := statsOf(t, crm); again.Writes != writes {
			t.Errorf("%s is written to again and again", crm.Name)
		}
	}
}

func TestAForgedWebhookIsRefused(t *testing.T) {
	info := simulate(t)
	worker := serve(t, info)
	worker.working(info)
	hooks := info.Worker.Webhooks
	for what, status := range map[string]int{
		"hubspot, another secret":  hubSpotSays(t, "wrong", hooks["hubspot"], hooks["hubspot"], 901),
		"hubspot, another address": hubSpotSays(t, info.HubSpot.ClientSecret, "https://elsewhere.example/webhooks/hubspot", hooks["hubspot"], 901),
		"hubspot, unsigned":        request(t, hooks["hubspot"], "application/json", `[{"subscriptionType":"contact.creation","objectId":1}]`),
		"zoho, another token":      request(t, hooks["zoho"], "application/json", `{"module":"Contacts","operation":"update","ids":["1"],"server_time":1,"token":"wrong","channel_id":"1"}`),
		"zoho, no token":           request(t, hooks["zoho"], "application/json", `{"module":"Contacts","operation":"update","ids":["1"],"server_time":1,"token":null,"channel_id":"1"}`),
		"bitrix24, another token":  bitrix24Says(t, "wrong", hooks["bitrix24"], 1),
		"bitrix24, no token":       bitrix24Says(t, "", hooks["bitrix24"], 1),
	} {
		if status != http.StatusUnauthorized {
			t.Errorf("%s: answered %d, want 401", what, status)
		}
	}
	time.Sleep(time.Second)
	for _, crm := range info.CRMs() {
		if n := news(t, info, crm.Account); n != 0 {
			t.Errorf("%d forged reports of %s are recorded", n, crm.Name)
		}
	}
}

// A proxy may take the path of the public address away or leave it in. HubSpot
// signs the address that it calls.
func TestAPublicAddressWithAPath(t *testing.T) {
	info := simulate(t)
	public := info.Worker.URL + "/crm"
	serve(t, info, "CRMSYNC_PUBLIC_URL="+public+"/")
	for _, address := range []string{public + "/webhooks/", info.Worker.URL + "/webhooks/"} {
		if status := hubSpotSays(t, info.HubSpot.ClientSecret, public+"/webhooks/hubspot", address+"hubspot", 901); status != http.StatusOK {
			t.Errorf("%s: HubSpot is answered %d", address, status)
		}
		if status := bitrix24Says(t, info.Bitrix24.ApplicationToken, address+"bitrix24", 901); status != http.StatusOK {
			t.Errorf("%s: Bitrix24 is answered %d", address, status)
		}
	}
}

// Without what it takes an account has no webhooks; the rest works.
func TestAccountsWithoutWebhooks(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		from, to string
		none     []string
		says     []string
	}{
		"no public address": {
			"public_url: ", "# public_url: ",
			[]string{"hubspot", "zoho", "bitrix24"},
			[]string{"public_url is not set: these accounts have no webhooks", `"accounts":["hubspot","zoho","bitrix24"]`},
		},
		"no secret of HubSpot's app": {
			"    client_secret: ", "    # client_secret: ",
			[]string{"hubspot"},
			[]string{"the account has no webhooks", "hubspot", "client_secret"},
		},
		"no token of Bitrix24's webhook": {
			"    webhook_token: ", "    # webhook_token: ",
			[]string{"bitrix24"},
			[]string{"the account has no webhooks", "bitrix24", "webhook_token"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			info := simulate(t)
			edit(t, info.Config, tt.from, tt.to)
			worker := serve(t, info)
			if !worker.says(tt.says...) {
				t.Errorf("the log does not say %q:\n%s", tt.says, worker.errors)
			}
			for _, account := range []string{"hubspot", "zoho", "bitrix24"} {
				want := http.StatusUnauthorized
				for _, none := range tt.none {
					if none == account {
						want = http.StatusNotFound
					}
				}
				if status := request(t, info.Worker.Webhooks[account], "text/plain", "x"); status != want {
					t.Errorf("%s: answered %d, want %d", account, status, want)
				}
			}
			l := newLoad(info)
			l.post("wamid.ALLTHESAME", "393331112233", "Ciao")
			eventually(t, 20*time.Second, "messages are delivered all the same", func() bool { return len(messagesOf(t, info, "wamid.ALLTHESAME")) == 1 })
		})
	}
}

// Where webhooks are set up by people the log says so, and how.
func TestWhatAPersonHasToSetUpIsSaidOnce(t *testing.T) {
	t.Parallel()
	info := simulate(t)
	worker := serve(t, info)
	worker.working(info)
	for _, account := range []string{"hubspot", "bitrix24"} {
		eventually(t, 5*time.Second, "the log names "+account, func() bool {
			return worker.says("webhooks of the account are set up by hand", `"account":"`+account+`"`, info.Worker.Webhooks[account])
		})
	}
	time.Sleep(2 * time.Second)
	if n := strings.Count(worker.errors.String(), "are set up by hand"); n != 2 {
		t.Errorf("it is said %d times", n)
	}
}

// A worker that was away for longer than a channel lives opens it again; what
// a person does after that is heard of.
func TestAZohoChannelThatHasDiedIsOpenedAgain(t *testing.T) {
	t.Parallel()
	info := simulate(t)
	zoho := info.CRMs()[1]
	worker := serve(t, info)
	worker.working(info)
	worker.edits(zoho, "+393338887766", "Rossi")
	eventually(t, 5*time.Second, "the edit is recorded", func() bool { return news(t, info, "zoho") > 0 })
	if code := worker.stop(); code != 0 {
		t.Errorf("exit code %d", code)
	}
	if status := post(t, zoho.URL+"/_sim/clock", map[string]string{"advance": "169h"}); status != http.StatusOK {
		t.Fatalf("the clock answered %d", status)
	}
	worker = serve(t, info)
	worker.working(info)
	worker.edits(zoho, "+393338887766", "Verdi")
	eventually(t, 5*time.Second, "the edit is recorded", func() bool { return news(t, info, "zoho") > 0 })
}

// A vendor that refuses to send webhooks is asked again, and disturbs nobody.
func TestASubscriptionThatIsRefusedDisturbsNoDelivery(t *testing.T) {
	t.Parallel()
	info := simulate(t)
	zoho := info.CRMs()[1]
	if status := post(t, zoho.URL+"/_sim/knobs", map[string]any{"require_https": true}); status != http.StatusOK {
		t.Fatalf("the knobs answered %d", status)
	}
	worker := serve(t, info)
	eventually(t, 20*time.Second, "the refusal is logged", func() bool { return worker.says("cannot have the account send webhooks; trying again", "zoho") })
	l := newLoad(info)
	l.post("wamid.ALLTHESAME", "393331112233", "Ciao")
	eventually(t, 10*time.Second, "the message is in Zoho", func() bool { return len(messagesIn(t, zoho, "wamid.ALLTHESAME")) == 1 })
	if n := metric(t, info, `crmsync_breaker_open{account="zoho"}`); n != 0 {
		t.Error("the breaker is open")
	}
	if status := post(t, zoho.URL+"/_sim/knobs", map[string]any{"require_https": false}); status != http.StatusOK {
		t.Fatalf("the knobs answered %d", status)
	}
	eventually(t, 15*time.Second, "it is tried again", func() bool { return worker.says("the account sends webhooks", "zoho") })
}

// Installed apps get tokens for an hour or less, and with each of them a new
// refresh token; the one before is void. So the newest outlives the program:
// in the data directory's database, or in PostgreSQL for whoever takes over.
func TestInstalledAppsDeliver(t *testing.T) {
	t.Parallel()
	hubspot := func(t *testing.T, info sandbox.Info) sandbox.CRM {
		edit(t, info.Config, "    token: "+info.HubSpot.Token+"\n", fmt.Sprintf("    client_id: %s\n    refresh_token: %s\n", info.HubSpot.ClientID, info.HubSpot.RefreshToken))
		return info.CRMs()[0]
	}
	bitrix24 := func(t *testing.T, info sandbox.Info) sandbox.CRM {
		b := info.Bitrix24
		edit(t, info.Config, "    webhook_url: "+b.URL+"\n", fmt.Sprintf("    base_url: %s\n    token_url: %s\n    client_id: %s\n    client_secret: %s\n    refresh_token: %s\n",
			b.Base(), b.TokenURL, b.ClientID, b.ClientSecret, b.RefreshToken))
		return info.CRMs()[2]
	}
	elsewhere := func(t *testing.T) []string {
		return []string{"CRMSYNC_DATABASE_URL=" + storetest.Postgres(t)}
	}
	for name, tt := range map[string]struct {
		install  func(t *testing.T, info sandbox.Info) sandbox.CRM
		database func(t *testing.T) []string
	}{
		"hubspot, sqlite":    {hubspot, func(*testing.T) []string { return nil }},
		"hubspot, postgres":  {hubspot, elsewhere},
		"bitrix24, sqlite":   {bitrix24, func(*testing.T) []string { return nil }},
		"bitrix24, postgres": {bitrix24, elsewhere},
	} {
		t.Run(name, func(t *testing.T) {
			info := simulate(t)
			crm := tt.install(t, info)
			env := tt.database(t)
			if crm.Account == "bitrix24" { // an application binds events itself
				if status := post(t, crm.URL+"/_sim/webhook", map[string]string{"url": ""}); status != http.StatusOK {
					t.Fatalf("answered %d", status)
				}
			}
			// A check before the first start uses a refresh token up.
			check := start(t, env, "check", "--live", "--fix", "--config", info.Config)
			check.wait(2 * time.Minute)
			if code := check.cmd.ProcessState.ExitCode(); code != 0 {
				t.Fatalf("check: exit code %d", code)
			}
			worker := serve(t, info, env...)
			worker.working(info)
			l := newLoad(info)
			l.post("wamid.FIRST", "393331112233", "Perché no? 😀")
			eventually(t, 20*time.Second, "the message is in "+crm.Name, func() bool { return len(messagesIn(t, crm, "wamid.FIRST")) == 1 })
			if crm.Account == "bitrix24" {
				eventually(t, 10*time.Second, "the application's events are bound", func() bool { return worker.says("the account sends webhooks", "bitrix24") })
				worker.edits(crm, "+393331112233", "Rossi")
				eventually(t, 5*time.Second, "the edit is recorded", func() bool { return news(t, info, "bitrix24") > 0 })
			}
			// Somebody checks while the worker runs; then another machine
			// takes over, or the same one starts again.
			check = start(t, env, "check", "--live", "--config", info.Config)
			check.wait(2 * time.Minute)
			if code := check.cmd.ProcessState.ExitCode(); code != 0 {
				t.Errorf("check beside the worker: exit code %d", code)
			}
			// HubSpot's connector does not replace a token in its first seconds.
			if crm.Account == "bitrix24" {
				if status := post(t, crm.URL+"/_sim/clock", map[string]string{"advance": "61m"}); status != http.StatusOK {
					t.Fatalf("the clock answered %d", status)
				}
			}
			l.post("wamid.SECOND", "393331112233", "E dopo?")
			eventually(t, 20*time.Second, "the worker gets a token after the check has", func() bool { return len(messagesIn(t, crm, "wamid.SECOND")) == 1 })
			worker.kill()
			if env != nil {
				env = append(env, "CRMSYNC_DATA_DIR="+filepath.Join(t.TempDir(), "another"))
			}
			worker = serve(t, info, env...)
			worker.working(info)
			l.post("wamid.THIRD", "393331112233", "Fine")
			eventually(t, 20*time.Second, "the next worker delivers", func() bool { return len(messagesIn(t, crm, "wamid.THIRD")) == 1 })
			for _, secret := range []string{info.HubSpot.RefreshToken, info.HubSpot.ClientSecret, info.Bitrix24.RefreshToken, info.Bitrix24.ClientSecret} {
				if strings.Contains(worker.errors.String(), secret) {
					t.Errorf("the log carries a secret")
				}
			}
		})
	}
}
