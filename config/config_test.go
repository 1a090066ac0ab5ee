package config_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"crmsync/config"
)

const good = `
accounts:
  - name: whatsapp
    kind: whatsapp
    app_secret: s3cret
    verify_token: v3rify
  - name: hubspot
    kind: hubspot
    token: pat-na1-t0ken
`

func parse(t *testing.T, text string, environ ...string) *config.Config {
	t.Helper()
	c, err := config.Parse("crmsync.yaml", []byte(text), environ)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestWhatIsLeftOutHasItsDefault(t *testing.T) {
	t.Parallel()
	c := parse(t, good)
	if c.Listen != "127.0.0.1:8080" || c.DataDir != "data" || c.Mapping != "mapping.yaml" || c.Log.Level != "info" || c.NATS.MaxBytes != 10<<30 || c.MaxCPU.Share() != 0.7 {
		t.Errorf("defaults = %+v", c)
	}
	if got := c.Retry.Pauses(); !slices.Equal(got, []time.Duration{time.Second, 30 * time.Second}) || c.Retry.SettleWithin.Duration() != 24*time.Hour {
		t.Errorf("retry = %+v", c.Retry)
	}
	hubspot := c.Accounts[1]
	if hubspot.APIVersion != "2026-09" || hubspot.Quota.Requests != 190 || hubspot.Quota.Per.Duration() != 10*time.Second || hubspot.Timeout.Duration() != 3500*time.Millisecond ||
		hubspot.BatchTimeout.Duration() != 10*time.Second {
		t.Errorf("account = %+v", hubspot)
	}
	if c.WebhookAddress("hubspot") != "" {
		t.Errorf("webhooks arrive at %s without a public address", c.WebhookAddress("hubspot"))
	}
	if got := c.DeliverTo("whatsapp"); !slices.Equal(got, []string{"hubspot"}) {
		t.Errorf("whatsapp feeds %v, want hubspot", got)
	}
}

// The environment wins over the file, and a variable that is not set leaves
// the file's value alone.
func TestTheEnvironmentWinsOverTheFile(t *testing.T) {
	t.Parallel()
	text := "listen: 127.0.0.1:1\nlog: {level: debug}\nretry: {delays: [2s]}\n" + good
	c := parse(t, text,
		"CRMSYNC_LISTEN=127.0.0.1:2", "CRMSYNC_NATS_URLS=nats://a:1,nats://b:2", "CRMSYNC_ACCOUNTS_HUBSPOT_TOKEN=other",
		"CRMSYNC_ACCOUNTS_HUBSPOT_QUOTA_REQUESTS=100", "CRMSYNC_DATABASE_URL=postgres://u:p@h/d", "UNRELATED=1")
	if c.Listen != "127.0.0.1:2" || len(c.NATS.URLs) != 2 || c.Accounts[1].Token.Reveal() != "other" || c.Accounts[1].Quota.Requests != 100 || c.Database.URL.Reveal() != "postgres://u:p@h/d" {
		t.Errorf("not overridden: %+v", c)
	}
	if c.Log.Level != "debug" || len(c.Retry.Delays) != 1 || c.Accounts[0].AppSecret.Reveal() != "s3cret" {
		t.Errorf("overridden although not set: %+v", c)
	}
}

func TestSecretsAreNeverPrinted(t *testing.T) {
	t.Parallel()
	c := parse(t, good, "CRMSYNC_DATABASE_URL=postgres://u:passw0rd@h/d", "CRMSYNC_NATS_TOKEN=n4ts")
	var log, printed bytes.Buffer
	slog.New(slog.NewJSONHandler(&log, nil)).Info("x", "config", c, "secret", c.Accounts[0].AppSecret, "account", c.Accounts[1])
	if err := c.Print(&printed); err != nil {
		t.Fatal(err)
	}
	asJSON, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	s := c.Accounts[1].Token
	all := log.String() + printed.String() + string(asJSON) + s.String() +
		fmt.Sprintf("%v %+v %#v %q %s %x %d", c, c, c.Accounts, s, s, s, s) + fmt.Sprint(errors.New(s.String()))
	for _, secret := range []string{"s3cret", "v3rify", "pat-na1", "passw0rd", "n4ts", fmt.Sprintf("%x", "pat-na1-t0ken")} {
		if strings.Contains(all, secret) {
			t.Errorf("%q is printed", secret)
		}
	}
	if !strings.Contains(printed.String(), "<secret>") {
		t.Errorf("a secret that is set does not show as <secret>:\n%s", printed.String())
	}
	if _, err := config.Parse("crmsync.yaml", printed.Bytes(), nil); err == nil {
		t.Error("a printed configuration is accepted as one with the secret <secret>")
	}
}

func TestSecretsInFiles(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	token := write("token", "from-a-file\r\n")
	empty := write("empty", "\n")
	text := strings.Replace(good, "token: pat-na1-t0ken", "token_file: "+token, 1)
	if got := parse(t, text).Accounts[1].Token.Reveal(); got != "from-a-file" {
		t.Errorf("token = %q, want it without the line's end", got)
	}
	if got := parse(t, strings.Replace(good, "token: pat-na1-t0ken", "", 1), "CRMSYNC_ACCOUNTS_HUBSPOT_TOKEN_FILE="+token).Accounts[1].Token.Reveal(); got != "from-a-file" {
		t.Errorf("token = %q", got)
	}
	for name, tt := range map[string]struct{ line, says string }{
		"missing": {"token_file: " + filepath.Join(dir, "none"), "cannot be read: no such file"},
		"empty":   {"token_file: " + empty, "is empty"},
		"both":    {"token: a\n    token_file: " + token, "keep one"},
	} {
		_, err := config.Parse("crmsync.yaml", []byte(strings.Replace(good, "token: pat-na1-t0ken", tt.line, 1)), nil)
		if err == nil || !strings.Contains(err.Error(), tt.says) || !strings.HasPrefix(err.Error(), "crmsync.yaml:") {
			t.Errorf("%s: %v, want a finding that says %q", name, err, tt.says)
		}
	}
	// The environment wins, whichever way either is given.
	if got := parse(t, text, "CRMSYNC_ACCOUNTS_HUBSPOT_TOKEN=env").Accounts[1].Token.Reveal(); got != "env" {
		t.Errorf("token = %q, want the environment's", got)
	}
	if got := parse(t, good, "CRMSYNC_ACCOUNTS_HUBSPOT_TOKEN_FILE="+token).Accounts[1].Token.Reveal(); got != "from-a-file" {
		t.Errorf("token = %q, want that of the environment's file", got)
	}
	// Relative to the configuration, as a person reading it expects.
	path := write("crmsync.yaml", strings.Replace(good, "token: pat-na1-t0ken", "token_file: token", 1))
	c, err := config.Load(path, nil)
	if err != nil {
		t.Fatal(err)
	}
	if c.Accounts[1].Token.Reveal() != "from-a-file" || c.DataDir != filepath.Join(dir, "data") || c.Mapping != filepath.Join(dir, "mapping.yaml") {
		t.Errorf("paths are not relative to the file: %+v", c)
	}
}

func TestWhereWebhooksArrive(t *testing.T) {
	t.Parallel()
	for public, want := range map[string]string{
		"":                               "",
		"https://crm.example.com":        "https://crm.example.com/webhooks/hubspot",
		"https://crm.example.com/":       "https://crm.example.com/webhooks/hubspot",
		"https://crm.example.com:8443/a": "https://crm.example.com:8443/a/webhooks/hubspot",
		"http://127.0.0.1:8080/a/b.c/":   "http://127.0.0.1:8080/a/b.c/webhooks/hubspot",
	} {
		c := parse(t, good, "CRMSYNC_PUBLIC_URL="+public)
		if got := c.WebhookAddress("hubspot"); got != want {
			t.Errorf("%q: webhooks arrive at %q, want %q", public, got, want)
		}
		if got := c.PublicPath(); strings.HasSuffix(got, "/") || !strings.Contains(want, got+"/webhooks") && want != "" {
			t.Errorf("%q: the path is %q", public, got)
		}
	}
}

// An app that is installed is one way in, a token or an inbound webhook the
// other.
func TestInstalledApps(t *testing.T) {
	t.Parallel()
	c := parse(t, good+`
  - {name: eu, kind: hubspot, client_id: i, client_secret: s, refresh_token: r}
  - {name: us, kind: hubspot, token: t, client_secret: s}
  - {name: portal, kind: bitrix24, client_id: i, client_secret: s, refresh_token: r, base_url: "https://p.bitrix24.com"}
  - {name: other, kind: bitrix24, webhook_url: "https://p.bitrix24.com/rest/1/s/", webhook_token: t}
  - {name: zoho, kind: zoho, client_id: i, client_secret: s, refresh_token: r}
`)
	for i, want := range map[int]bool{1: false, 2: true, 3: false, 4: true, 5: false, 6: false} {
		if a := c.Accounts[i]; a.Installed() != want {
			t.Errorf("account %s: installed %v, want %v", a.Name, a.Installed(), want)
		}
	}
	for i, want := range map[int]int{2: 0, 3: 625_000, 5: 0, 6: 50_000} {
		if got := c.Accounts[i].Quota.PerDay; got != want {
			t.Errorf("account %s: a day's quota is %d, want %d", c.Accounts[i].Name, got, want)
		}
	}
	if c.Accounts[2].Quota.Requests != 110 || c.Accounts[3].Quota.Requests != 190 {
		t.Errorf("quotas %v and %v, want 110 for the app and 190", c.Accounts[2].Quota, c.Accounts[3].Quota)
	}
}

// Each document is named after its fault; the findings are what its first
// comment says, in order.
func TestBadDocuments(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/*.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if len(files) < 20 {
		t.Fatalf("%d bad documents, want at least 20", len(files))
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".yaml"), func(t *testing.T) {
			t.Parallel()
			source, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			var want []string
			for line := range strings.Lines(string(source)) {
				if text, ok := strings.CutPrefix(line, "# want "); ok {
					want = append(want, strings.TrimSpace(text))
				}
			}
			_, err = config.Parse("f", source, nil)
			findings, _ := errors.AsType[config.Findings](err)
			var got []string
			for _, f := range findings {
				got = append(got, f.String())
			}
			if len(got) != len(want) || len(want) == 0 {
				t.Fatalf("findings:\n%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
			}
			for i := range want {
				if !strings.Contains(got[i], want[i]) {
					t.Errorf("finding %q does not say %q", got[i], want[i])
				}
			}
		})
	}
}

func TestFaultsOfTheEnvironmentAreFindings(t *testing.T) {
	t.Parallel()
	_, err := config.Parse("f", []byte(good), []string{"CRMSYNC_RETRY_DELAYS=1s,soon", "CRMSYNC_NATS_MAX_BYTES=lots", "CRMSYNC_ACCOUNTS_HUBSPOT_TIMEOUT=5"})
	findings, _ := errors.AsType[config.Findings](err)
	if len(findings) != 3 {
		t.Fatalf("findings = %v, want three", err)
	}
	for _, f := range findings {
		if f.File != "environment" {
			t.Errorf("finding %q is not about the environment", f)
		}
	}
}

// Each is told by the name of its variable, in words that show no secret.
func TestWhatIsWrongInTheEnvironmentIsSaidToBeThere(t *testing.T) {
	t.Parallel()
	for variable, says := range map[string]string{
		"CRMSYNC_ACCOUNTS_HUBSPOT_QUOTA_PER=often":               `CRMSYNC_ACCOUNTS_HUBSPOT_QUOTA_PER: "often" is not a duration`,
		"CRMSYNC_ACCOUNTS_HUBSPOT_QUOTA_REQUESTS=many":           "CRMSYNC_ACCOUNTS_HUBSPOT_QUOTA_REQUESTS: a whole number is expected",
		"CRMSYNC_ACCOUNTS_HUBSPOT_QUOTA_REQUESTS=0":              "CRMSYNC_ACCOUNTS_HUBSPOT_QUOTA_REQUESTS: quota.requests is 0",
		"CRMSYNC_ACCOUNTS_HUBSPOT_CREATE_FIELDS=perhaps":         "CRMSYNC_ACCOUNTS_HUBSPOT_CREATE_FIELDS: true or false is expected",
		"CRMSYNC_NATS_REPLICAS=2":                                "CRMSYNC_NATS_REPLICAS: replicas is 2",
		"CRMSYNC_NATS_URLS=nats://a:1,http://s3cret@b":           "CRMSYNC_NATS_URLS: this is not a NATS address",
		"CRMSYNC_LISTEN=8080":                                    `CRMSYNC_LISTEN: listen is "8080"`,
		"CRMSYNC_LOG_LEVEL=chatty":                               `CRMSYNC_LOG_LEVEL: log level "chatty"`,
		"CRMSYNC_DATABASE_URL=mysql://u:s3cret@h/d":              "CRMSYNC_DATABASE_URL: the database url does not begin",
		"CRMSYNC_ACCOUNTS_HUBSPOT_TOKEN=  ":                      "CRMSYNC_ACCOUNTS_HUBSPOT_TOKEN: account hubspot has no token",
		"CRMSYNC_ACCOUNTS_HUBSPOT_TOKEN_FILE=/nowhere":           "CRMSYNC_ACCOUNTS_HUBSPOT_TOKEN_FILE: token_file: /nowhere cannot be read",
		"CRMSYNC_ACCOUNTS_WHATSAPP_DELIVER_TO=hubspot,elsewhere": `CRMSYNC_ACCOUNTS_WHATSAPP_DELIVER_TO: deliver_to names "elsewhere"`,
	} {
		_, err := config.Parse("f", []byte("listen: 127.0.0.1:1\nlog: {level: info}\n"+good), []string{variable})
		if err == nil || !strings.HasPrefix(err.Error(), "environment: "+says) || strings.Contains(err.Error(), "\n") || strings.Contains(err.Error(), "s3cret") || strings.Contains(err.Error(), "strconv") {
			t.Errorf("%s: %v, want a finding that says %q", variable, err, says)
		}
	}
}

func TestVariablesThatNothingReadsAreNoted(t *testing.T) {
	t.Parallel()
	environ := []string{"CRMSYNC_LISTNE=x", "CRMSYNC_ACCOUNTS_HUBSPOT_TOKNE=s3cret", "CRMSYNC_TEST_POSTGRES=x", "CRMSYNC_LOG_LEVEL=warn", "CRMSYNC=x"}
	want := []string{"nothing reads CRMSYNC_ACCOUNTS_HUBSPOT_TOKNE; did you mean CRMSYNC_ACCOUNTS_HUBSPOT_TOKEN?", "nothing reads CRMSYNC_LISTNE; did you mean CRMSYNC_LISTEN?"}
	notes := func(all config.Findings) (problems []string) {
		for _, f := range all {
			if f.File == "environment" {
				problems = append(problems, f.Problem)
			}
		}
		return problems
	}
	if got := notes(parse(t, good, environ...).Notes); !slices.Equal(got, want) {
		t.Errorf("notes = %q, want %q", got, want)
	}
	// Where something is wrong one of them may be the reason.
	_, err := config.Parse("f", []byte(strings.Replace(good, "token: pat-na1-t0ken", "", 1)), environ)
	all, _ := errors.AsType[config.Findings](err)
	if got := notes(all); len(all) != 3 || !slices.Equal(got, want) {
		t.Errorf("findings = %v, want no token, and %q", err, want)
	}
}

func TestTheSamplesAreRight(t *testing.T) {
	t.Parallel()
	source, err := config.Samples.ReadFile("crmsync.yaml")
	if err != nil {
		t.Fatal(err)
	}
	sample := parse(t, string(source))
	plain := parse(t, good)
	if got := sample.Placeholders; len(got) != 3 || !strings.HasSuffix(got[2].String(), `account hubspot: token is still "change-me", as in the sample; put your own in`) || got[2].Line == 0 {
		t.Errorf("the sample's secrets: %v", got)
	}
	if len(plain.Placeholders)+len(parse(t, string(source), "CRMSYNC_ACCOUNTS_WHATSAPP_APP_SECRET=a", "CRMSYNC_ACCOUNTS_WHATSAPP_VERIFY_TOKEN=b", "CRMSYNC_ACCOUNTS_HUBSPOT_TOKEN=c").Placeholders) != 0 {
		t.Error("secrets of one's own count as the sample's")
	}
	// The sample spells out the defaults; if they move, so must it.
	if sample.Listen != plain.Listen || sample.MaxCPU != plain.MaxCPU || sample.NATS.MaxBytes != plain.NATS.MaxBytes || sample.Retry.SettleWithin != plain.Retry.SettleWithin ||
		sample.Accounts[1].Quota != plain.Accounts[1].Quota || sample.Accounts[1].APIVersion != plain.Accounts[1].APIVersion || sample.Accounts[1].Timeout != plain.Accounts[1].Timeout ||
		sample.Accounts[1].BatchTimeout != plain.Accounts[1].BatchTimeout {
		t.Errorf("the sample's defaults are not the program's")
	}
	if _, err := config.Samples.ReadFile("mapping.yaml"); err != nil {
		t.Error(err)
	}
	// The compose file's secrets live in the containers: here only they may be
	// missing.
	compose, err := os.ReadFile("compose/crmsync.yaml")
	if err != nil {
		t.Fatal(err)
	}
	_, err = config.Parse("compose/crmsync.yaml", compose, nil)
	findings, _ := errors.AsType[config.Findings](err)
	if len(findings) != 5 {
		t.Errorf("findings = %v, want the five secrets", err)
	}
	for _, f := range findings {
		if !strings.Contains(f.Problem, "/run/secrets/") {
			t.Errorf("unexpected: %s", f)
		}
	}
}

// What is commented out in the sample is right as well, but for the secrets'
// files, which are not there.
func TestTheSamplesOtherAccountsAreRight(t *testing.T) {
	t.Parallel()
	source, err := config.Samples.ReadFile("crmsync.yaml")
	if err != nil {
		t.Fatal(err)
	}
	_, others, found := strings.Cut(string(source), "  # - name: zoho\n")
	if !found {
		t.Fatal("the sample has no account of Zoho's")
	}
	text := good + "  - name: zoho" + strings.NewReplacer("\n  #   ", "\n    ", "\n  # - name: bitrix24 #", "\n  - name: application #", "\n  # - ", "\n  - ").Replace("\n"+others)
	_, err = config.Parse("crmsync.yaml", []byte(text), nil)
	findings, _ := errors.AsType[config.Findings](err)
	if len(findings) != 7 {
		t.Errorf("findings = %v, want the seven secrets", err)
	}
	for _, f := range findings {
		if !strings.Contains(f.Problem, "_file: ") || !strings.Contains(f.Problem, "cannot be read") {
			t.Errorf("unexpected: %s", f)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(good))
	f.Fuzz(func(t *testing.T, source []byte) {
		c, err := config.Parse("f", source, nil)
		if (c == nil) == (err == nil) {
			t.Errorf("configuration %v and error %v", c, err)
		}
	})
}

func TestAWordToStopIsNoWordToStart(t *testing.T) {
	t.Parallel()
	c, err := config.Parse("crmsync.yaml", []byte("accounts: []\nconsent: {stop_words: [Basta, ' '], start_words: [' basta']}\n"), nil)
	if err == nil {
		t.Fatalf("accepted: %+v", c.Consent)
	}
	for _, want := range []string{"consent.stop_words", "empty", "consent.start_words", `"Basta"`} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%v does not say %s", err, want)
		}
	}
}
