// Package config reads, checks and prints the configuration.
package config

import (
	"embed"
	"net/url"
	"slices"
	"strings"
	"time"
)

// Samples are the annotated sample files of this folder.
//
//go:embed crmsync.yaml mapping.yaml mapping.schema.json
var Samples embed.FS

// Config is a whole configuration. A value comes from the environment, else
// from the file, else it is the default that its comment names.
type Config struct {
	// Listen is the host:port of webhooks, health checks and metrics.
	//
	// Defaults to 127.0.0.1:8080. Environment: CRMSYNC_LISTEN.
	Listen string `yaml:"listen,omitempty" env:"LISTEN"`

	// PublicURL is the address under which the vendors reach this worker, such
	// as https://crmsync.example.com: what CRMs call to report that a contact
	// has changed begins with it. A proxy may take a path in it away or not.
	//
	// Defaults to none: CRM accounts have no webhooks. Environment:
	// CRMSYNC_PUBLIC_URL.
	PublicURL string `yaml:"public_url,omitempty" env:"PUBLIC_URL"`

	// DataDir is where the embedded broker and database live, and the lock
	// that keeps a second worker out. A relative path is relative to the file.
	//
	// Defaults to data. Environment: CRMSYNC_DATA_DIR.
	DataDir string `yaml:"data_dir,omitempty" env:"DATA_DIR"`

	// Mapping is the mapping document. A relative path is relative to the
	// file.
	//
	// Defaults to mapping.yaml. Environment: CRMSYNC_MAPPING.
	Mapping string `yaml:"mapping,omitempty" env:"MAPPING"`

	// DefaultRegion is the ISO country of phone numbers without a country
	// code, such as TW. WhatsApp's own numbers always have one.
	//
	// Defaults to none. Environment: CRMSYNC_DEFAULT_REGION.
	DefaultRegion string `yaml:"default_region,omitempty" env:"DEFAULT_REGION"`

	// MaxCPU is the share of the machine's processors, or of those that a
	// container may use, from which on deliveries slow down so that webhooks
	// are answered in time.
	//
	// Defaults to 70%; 100% never slows down. Environment: CRMSYNC_MAX_CPU.
	MaxCPU Percent `yaml:"max_cpu,omitempty" env:"MAX_CPU"`

	Log      Log       `yaml:"log,omitempty" envPrefix:"LOG_"`
	Database Database  `yaml:"database,omitempty" envPrefix:"DATABASE_"`
	NATS     NATS      `yaml:"nats,omitempty" envPrefix:"NATS_"`
	Retry    Retry     `yaml:"retry,omitempty" envPrefix:"RETRY_"`
	Jobs     Jobs      `yaml:"jobs,omitempty" envPrefix:"JOBS_"`
	Consent  Consent   `yaml:"consent,omitempty" envPrefix:"CONSENT_"`
	Accounts []Account `yaml:"accounts" env:"-"`

	// Notes are oddities and no faults: variables of the environment that
	// nothing reads.
	Notes Findings `yaml:"-" env:"-" json:"-"`
	// Placeholders are secrets that are still the sample's. A worker does not
	// start with them.
	Placeholders Findings `yaml:"-" env:"-" json:"-"`

	Retention Retention `yaml:"retention,omitempty" envPrefix:"RETENTION_"`

	// Notify are told of dead letters that are overdue.
	//
	// Defaults to nobody but the log.
	Notify []Notify `yaml:"notify,omitempty" env:"-"`
}

// placeholder stands in the sample for every secret.
const placeholder = "change-me"

// Log says what is logged.
type Log struct {
	// Level is debug, info, warn or error.
	//
	// Defaults to info. Environment: CRMSYNC_LOG_LEVEL.
	Level string `yaml:"level,omitempty" env:"LEVEL"`
}

// Database says where the directory is kept.
type Database struct {
	// URL is a PostgreSQL address, postgres://user:password@host/name.
	//
	// Defaults to none: SQLite, embedded, in DataDir. Environment:
	// CRMSYNC_DATABASE_URL, or CRMSYNC_DATABASE_URL_FILE.
	URL     Secret `yaml:"url,omitempty" env:"URL"`
	URLFile string `yaml:"url_file,omitempty" env:"URL_FILE"`
}

// NATS says where facts are kept until they are recorded.
type NATS struct {
	// URLs are the servers of an external NATS.
	//
	// Defaults to none: embedded, in DataDir. Environment: CRMSYNC_NATS_URLS,
	// separated by commas.
	URLs []string `yaml:"urls,omitempty" env:"URLS"`

	// CredentialsFile is a NATS credentials file, Token a token; at most one
	// is used. Environment: CRMSYNC_NATS_CREDENTIALS_FILE, CRMSYNC_NATS_TOKEN.
	CredentialsFile string `yaml:"credentials_file,omitempty" env:"CREDENTIALS_FILE"`
	Token           Secret `yaml:"token,omitempty" env:"TOKEN"`
	TokenFile       string `yaml:"token_file,omitempty" env:"TOKEN_FILE"`

	TLS TLS `yaml:"tls,omitempty" envPrefix:"TLS_"`

	// Replicas is how many external servers keep each stream: 1, 3 or 5.
	//
	// Defaults to 1. Environment: CRMSYNC_NATS_REPLICAS.
	Replicas int `yaml:"replicas,omitempty" env:"REPLICAS"`

	// MaxBytes is how much may wait to be recorded before webhooks are
	// answered with 503.
	//
	// Defaults to 10GiB. Environment: CRMSYNC_NATS_MAX_BYTES.
	MaxBytes Size `yaml:"max_bytes,omitempty" env:"MAX_BYTES"`
}

// TLS names the files of a TLS connection to NATS.
type TLS struct {
	CAFile   string `yaml:"ca_file,omitempty" env:"CA_FILE"`
	CertFile string `yaml:"cert_file,omitempty" env:"CERT_FILE"`
	KeyFile  string `yaml:"key_file,omitempty" env:"KEY_FILE"`
}

// Retry says when a record that failed is tried again.
type Retry struct {
	// Delays are the pauses before the second, third, … attempt. After the
	// last the record becomes a dead letter.
	//
	// Defaults to [1s, 30s]. Environment: CRMSYNC_RETRY_DELAYS.
	Delays []Duration `yaml:"delays,omitempty" env:"DELAYS"`

	// SettleWithin is how long a person has to settle a dead letter.
	//
	// Defaults to 24h. Environment: CRMSYNC_RETRY_SETTLE_WITHIN.
	SettleWithin Duration `yaml:"settle_within,omitempty" env:"SETTLE_WITHIN"`
}

// Jobs says what happens when. A schedule is a cron expression: minute, hour,
// day, month and weekday; or off.
type Jobs struct {
	// TimeZone is whose hours the schedules are in, such as Europe/Rome. An hour
	// that a night of clock changes skips does not come in that night.
	//
	// Defaults to UTC. Environment: CRMSYNC_JOBS_TIME_ZONE.
	TimeZone string `yaml:"time_zone,omitempty" env:"TIME_ZONE"`

	// ContactSync is when all contacts of each CRM account are compared with what
	// crmsync knows, to find what its webhooks have missed.
	//
	// Defaults to "*/15 * * * *", every quarter of an hour. Environment:
	// CRMSYNC_JOBS_CONTACT_SYNC.
	ContactSync string `yaml:"contact_sync,omitempty" env:"CONTACT_SYNC"`

	// ContactSyncShare is how much of an account's quota that takes while there is
	// something to deliver, and how much of its day.
	//
	// Defaults to 50%. Environment: CRMSYNC_JOBS_CONTACT_SYNC_SHARE.
	ContactSyncShare Percent `yaml:"contact_sync_share,omitempty" env:"CONTACT_SYNC_SHARE"`

	// ConsistencyCheck is when a sample of the records in each CRM account is
	// compared with what crmsync has told it. The report is a file in DataDir.
	//
	// Defaults to "0 3 * * 0", Sundays at three. Environment:
	// CRMSYNC_JOBS_CONSISTENCY_CHECK.
	ConsistencyCheck string `yaml:"consistency_check,omitempty" env:"CONSISTENCY_CHECK"`

	// LoadRecord is when each worker adds a line to load.jsonl in
	// DataDir/reports: volumes, delays, calls, errors, memory since the last one.
	//
	// Defaults to "0 */4 * * *", every four hours. Environment:
	// CRMSYNC_JOBS_LOAD_RECORD.
	LoadRecord string `yaml:"load_record,omitempty" env:"LOAD_RECORD"`

	// DailyReport is when one worker writes the report of the 24 hours before,
	// as JSON and as a page, into DataDir/reports.
	//
	// Defaults to "0 6 * * *", at six. Environment: CRMSYNC_JOBS_DAILY_REPORT.
	DailyReport string `yaml:"daily_report,omitempty" env:"DAILY_REPORT"`

	// Retention is when what is kept for a time only is forgotten; see
	// [Retention].
	//
	// Defaults to "17 * * * *", every hour. Environment: CRMSYNC_JOBS_RETENTION.
	Retention string `yaml:"retention,omitempty" env:"RETENTION"`

	// ConsistencySample is how many records of each account that compares.
	//
	// Defaults to 1000. Environment: CRMSYNC_JOBS_CONSISTENCY_SAMPLE.
	ConsistencySample int `yaml:"consistency_sample,omitempty" env:"CONSISTENCY_SAMPLE"`
}

// Pauses are the delays as the engine takes them.
func (r Retry) Pauses() []time.Duration {
	pauses := make([]time.Duration, len(r.Delays))
	for i, d := range r.Delays {
		pauses[i] = d.Duration()
	}
	return pauses
}

// The kinds of accounts.
const (
	WhatsApp = "whatsapp"
	HubSpot  = "hubspot"
	Zoho     = "zoho"
	Bitrix24 = "bitrix24"
)

// Account is one account of one vendor. Its values can be set in the
// environment as CRMSYNC_ACCOUNTS_<NAME>_<KEY>, the name in capitals with _
// for -.
type Account struct {
	// Name is how the account is called everywhere: in webhook addresses,
	// metrics, the mapping. Small letters, digits and -, at most 32.
	Name string `yaml:"name"`
	// Kind is whatsapp, hubspot, zoho or bitrix24.
	Kind string `yaml:"kind"`

	// Token is the access token of a HubSpot private app, or WhatsApp's. A
	// HubSpot account has either it or the three that follow.
	Token     Secret `yaml:"token,omitempty" env:"TOKEN"`
	TokenFile string `yaml:"token_file,omitempty" env:"TOKEN_FILE"`

	// ClientID, ClientSecret and RefreshToken are those of Zoho's OAuth client,
	// or of an app that is installed in HubSpot or Bitrix24. There the refresh
	// token may be replaced as it is used: the newest is kept in the database,
	// for as long as this one stays the same. ClientSecret also signs HubSpot's
	// webhooks, whichever way HubSpot is called.
	ClientID         string `yaml:"client_id,omitempty" env:"CLIENT_ID"`
	ClientSecret     Secret `yaml:"client_secret,omitempty" env:"CLIENT_SECRET"`
	ClientSecretFile string `yaml:"client_secret_file,omitempty" env:"CLIENT_SECRET_FILE"`
	RefreshToken     Secret `yaml:"refresh_token,omitempty" env:"REFRESH_TOKEN"`
	RefreshTokenFile string `yaml:"refresh_token_file,omitempty" env:"REFRESH_TOKEN_FILE"`

	// AccountsURL is where Zoho's tokens come from, which depends on the data
	// centre.
	//
	// Defaults to https://accounts.zoho.com.
	AccountsURL string `yaml:"accounts_url,omitempty" env:"ACCOUNTS_URL"`

	// TokenURL is where the tokens of a Bitrix24 application are refreshed: the
	// server_endpoint that came with the installation says which host.
	//
	// Defaults to https://oauth.bitrix.info/oauth/token/.
	TokenURL string `yaml:"token_url,omitempty" env:"TOKEN_URL"`

	// WebhookURL is a Bitrix24 portal's inbound webhook,
	// https://portal/rest/1/secret/. All of it is a secret. A Bitrix24 account
	// has either it or ClientID, ClientSecret, RefreshToken and BaseURL.
	WebhookURL     Secret `yaml:"webhook_url,omitempty" env:"WEBHOOK_URL"`
	WebhookURLFile string `yaml:"webhook_url_file,omitempty" env:"WEBHOOK_URL_FILE"`

	// WebhookToken proves that a webhook comes from Bitrix24, which calls it
	// application token, or from Zoho.
	//
	// Defaults to none for Bitrix24, which then has no webhooks, and for Zoho
	// to one that follows from ClientSecret.
	WebhookToken     Secret `yaml:"webhook_token,omitempty" env:"WEBHOOK_TOKEN"`
	WebhookTokenFile string `yaml:"webhook_token_file,omitempty" env:"WEBHOOK_TOKEN_FILE"`

	// BaseURL is where the API is, for a simulator or a sandbox; with a Bitrix24
	// application it is the portal, such as https://portal.bitrix24.com.
	//
	// Defaults to the vendor's own.
	BaseURL string `yaml:"base_url,omitempty" env:"BASE_URL"`

	// AppSecret signs WhatsApp's webhooks; AppSecretPrevious is accepted too,
	// while it is being replaced.
	AppSecret             Secret `yaml:"app_secret,omitempty" env:"APP_SECRET"`
	AppSecretFile         string `yaml:"app_secret_file,omitempty" env:"APP_SECRET_FILE"`
	AppSecretPrevious     Secret `yaml:"app_secret_previous,omitempty" env:"APP_SECRET_PREVIOUS"`
	AppSecretPreviousFile string `yaml:"app_secret_previous_file,omitempty" env:"APP_SECRET_PREVIOUS_FILE"`

	// VerifyToken is what WhatsApp shows when it verifies the webhook address.
	VerifyToken     Secret `yaml:"verify_token,omitempty" env:"VERIFY_TOKEN"`
	VerifyTokenFile string `yaml:"verify_token_file,omitempty" env:"VERIFY_TOKEN_FILE"`

	// DeliverTo names the CRM accounts that a WhatsApp account feeds.
	//
	// Defaults to all of them.
	DeliverTo []string `yaml:"deliver_to,omitempty" env:"DELIVER_TO"`

	// Media says whether the files that come with a WhatsApp account's messages
	// are downloaded, with Token, and attached in the CRM accounts it feeds.
	//
	// Defaults to false.
	Media bool `yaml:"media,omitempty" env:"MEDIA"`

	// MediaMaxSize is how large such a file may be; larger ones are left out.
	// While one is on its way, memory holds it a few times.
	//
	// Defaults to 16MiB, which is as much as WhatsApp lets pictures, voice
	// messages and videos have. Documents may have 100MiB.
	MediaMaxSize Size `yaml:"media_max_size,omitempty" env:"MEDIA_MAX_SIZE"`

	// APIVersion is the dated version of HubSpot's API, or the version of
	// WhatsApp's.
	//
	// Defaults to 2026-09, and to v24.0.
	APIVersion string `yaml:"api_version,omitempty" env:"API_VERSION"`

	// Quota is how many calls the account allows.
	//
	// Defaults to what the vendors document: 190 per 10s for HubSpot
	// Professional and Enterprise (Free and Starter allow 100, and an app with
	// a refresh token has 110), 120 per 1m for Bitrix24, and 50 per 1s for
	// Zoho, whose limit is credits per day.
	Quota Quota `yaml:"quota,omitempty" envPrefix:"QUOTA_"`

	// Timeout is how long one call may take, answer included, BatchTimeout one
	// that carries a batch. A file may take 30s.
	//
	// Default to 3.5s, and to 10s for HubSpot, 15s for Zoho and 20s for
	// Bitrix24, which works a batch off one by one; a batch gets no less than
	// Timeout.
	Timeout      Duration `yaml:"timeout,omitempty" env:"TIMEOUT"`
	BatchTimeout Duration `yaml:"batch_timeout,omitempty" env:"BATCH_TIMEOUT"`

	// CreateFields lets serve create the fields that the mapping names and
	// the account lacks, as check --live --fix does.
	//
	// Defaults to false.
	CreateFields bool `yaml:"create_fields,omitempty" env:"CREATE_FIELDS"`
}

// Quota is so many requests in any window of a length, and in a day.
type Quota struct {
	Requests int      `yaml:"requests,omitempty" env:"REQUESTS"`
	Per      Duration `yaml:"per,omitempty" env:"PER"`
	// PerDay is how many calls the account allows in a day, of Zoho how many
	// credits; 0 is as many as one likes. What the contact sync would take beyond
	// its share of them it leaves for later, and says so.
	//
	// Defaults to what HubSpot documents for its editions: 250000 where Requests
	// are 100 or less, else 625000; to 50000 for Zoho, the least that a paid edition
	// has (each user adds to it; the free edition has 5000); and to none for a
	// HubSpot app with a refresh token and for Bitrix24.
	PerDay int `yaml:"per_day,omitempty" env:"PER_DAY"`
}

// AppSecrets are the secrets that may have signed a webhook, the newest
// first.
func (a *Account) AppSecrets() []string {
	secrets := []string{a.AppSecret.Reveal()}
	if previous := a.AppSecretPrevious.Reveal(); previous != "" {
		secrets = append(secrets, previous)
	}
	return secrets
}

// Installed reports whether a HubSpot or Bitrix24 account is called as an app
// that is installed in it, with a refresh token, and not with a token or an
// inbound webhook.
func (a *Account) Installed() bool {
	renewed := a.ClientID != "" || !a.RefreshToken.IsZero() || a.RefreshTokenFile != ""
	switch a.Kind {
	case HubSpot:
		return renewed
	case Bitrix24:
		return renewed || !a.ClientSecret.IsZero() || a.ClientSecretFile != ""
	}
	return false
}

// keys are the keys that only some kinds of accounts have.
var keys = map[string][]string{
	"token": {WhatsApp, HubSpot}, "token_file": {WhatsApp, HubSpot},
	"client_id": {HubSpot, Zoho, Bitrix24}, "client_secret": {HubSpot, Zoho, Bitrix24}, "client_secret_file": {HubSpot, Zoho, Bitrix24},
	"refresh_token": {HubSpot, Zoho, Bitrix24}, "refresh_token_file": {HubSpot, Zoho, Bitrix24},
	"accounts_url": {Zoho}, "token_url": {Bitrix24},
	"webhook_url": {Bitrix24}, "webhook_url_file": {Bitrix24},
	"webhook_token": {Zoho, Bitrix24}, "webhook_token_file": {Zoho, Bitrix24},
	"app_secret": {WhatsApp}, "app_secret_file": {WhatsApp},
	"app_secret_previous": {WhatsApp}, "app_secret_previous_file": {WhatsApp},
	"verify_token": {WhatsApp}, "verify_token_file": {WhatsApp}, "deliver_to": {WhatsApp},
	"media": {WhatsApp}, "media_max_size": {WhatsApp},
	"api_version": {WhatsApp, HubSpot},
	"quota":       {HubSpot, Zoho, Bitrix24}, "timeout": {HubSpot, Zoho, Bitrix24}, "batch_timeout": {HubSpot, Zoho, Bitrix24}, "create_fields": {HubSpot, Zoho, Bitrix24},
}

// WantsFiles reports whether the files that come with an account's messages are
// delivered too.
func (c *Config) WantsFiles(account string) bool {
	return slices.ContainsFunc(c.Accounts, func(a Account) bool { return a.Name == account && a.Media })
}

// DeliverTo returns the names of the accounts that an account feeds: of a
// WhatsApp account those that it is to be delivered to, of a CRM those that are
// fed by one of the numbers that feed it too, itself among them.
func (c *Config) DeliverTo(account string) []string {
	var crms []string
	for _, a := range c.Accounts {
		if a.Name == account && a.Kind == WhatsApp && len(a.DeliverTo) > 0 {
			return slices.Clone(a.DeliverTo)
		}
		if a.Kind != WhatsApp {
			crms = append(crms, a.Name)
		}
	}
	if !slices.Contains(crms, account) {
		return crms
	}
	together := []string{account}
	for _, a := range c.Accounts {
		if a.Kind != WhatsApp {
			continue
		}
		if fed := c.DeliverTo(a.Name); slices.Contains(fed, account) {
			together = append(together, fed...)
		}
	}
	slices.Sort(together)
	return slices.Compact(together)
}

// NotFeeding returns the WhatsApp accounts that do not feed a CRM account.
func (c *Config) NotFeeding(account string) []string {
	var names []string
	for i := range c.Accounts {
		a := &c.Accounts[i]
		if a.Kind == WhatsApp && len(a.DeliverTo) > 0 && !slices.Contains(a.DeliverTo, account) {
			names = append(names, a.Name)
		}
	}
	return names
}

// WebhookAddress is where the vendor of a CRM account sends its webhooks, empty
// without [Config.PublicURL].
func (c *Config) WebhookAddress(account string) string {
	if c.PublicURL == "" {
		return ""
	}
	return strings.TrimRight(c.PublicURL, "/") + "/webhooks/" + account
}

// PublicPath is the path in [Config.PublicURL], such as /crm; empty if there is
// none.
func (c *Config) PublicPath() string {
	u, err := url.Parse(c.PublicURL)
	if err != nil {
		return ""
	}
	return strings.TrimRight(u.Path, "/")
}

// Default returns a configuration of defaults, without accounts.
func Default() *Config {
	return &Config{
		Listen:  "127.0.0.1:8080",
		DataDir: "data",
		Mapping: "mapping.yaml",
		MaxCPU:  70,
		Log:     Log{Level: "info"},
		NATS:    NATS{Replicas: 1, MaxBytes: 10 << 30},
		Retry:   Retry{Delays: []Duration{Duration(time.Second), Duration(30 * time.Second)}, SettleWithin: Duration(24 * time.Hour)},
		Jobs: Jobs{
			TimeZone: "UTC", ContactSync: "*/15 * * * *", ContactSyncShare: 50, ConsistencyCheck: "0 3 * * 0", ConsistencySample: 1000,
			LoadRecord: "0 */4 * * *", DailyReport: "0 6 * * *", Retention: "17 * * * *",
		},
		Consent: Consent{StopWords: slices.Clone(stopWords), StartWords: slices.Clone(startWords)},
	}
}

// setDefaults fills in what an account leaves open.
func (a *Account) setDefaults() {
	quota, crm := map[string]Quota{
		HubSpot:  {Requests: 190, Per: Duration(10 * time.Second)},
		Zoho:     {Requests: 50, Per: Duration(time.Second)},
		Bitrix24: {Requests: 120, Per: Duration(time.Minute)},
	}[a.Kind]
	if a.Kind == WhatsApp {
		if a.APIVersion == "" {
			a.APIVersion = "v24.0"
		}
		if a.MediaMaxSize == 0 {
			a.MediaMaxSize = 16 << 20
		}
	}
	if !crm {
		return
	}
	if a.Kind == HubSpot && a.APIVersion == "" {
		a.APIVersion = "2026-09"
	}
	if a.Kind == Zoho && a.AccountsURL == "" {
		a.AccountsURL = "https://accounts.zoho.com"
	}
	if a.Kind == HubSpot && a.Installed() {
		quota.Requests = 110
	}
	if a.Quota.Requests == 0 {
		a.Quota.Requests = quota.Requests
	}
	if a.Quota.Per == 0 {
		a.Quota.Per = quota.Per
	}
	if a.Quota.PerDay == 0 {
		switch {
		case a.Kind == Zoho:
			a.Quota.PerDay = 50_000
		case a.Kind == HubSpot && !a.Installed() && a.Quota.Requests <= 100:
			a.Quota.PerDay = 250_000
		case a.Kind == HubSpot && !a.Installed():
			a.Quota.PerDay = 625_000
		}
	}
	if a.Timeout == 0 {
		a.Timeout = Duration(3500 * time.Millisecond)
	}
	if a.BatchTimeout == 0 {
		seconds := map[string]time.Duration{HubSpot: 10, Zoho: 15, Bitrix24: 20}[a.Kind]
		a.BatchTimeout = max(Duration(seconds*time.Second), a.Timeout)
	}
}
