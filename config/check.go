package config

import (
	"net"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/nyaruka/phonenumbers"
	"go.yaml.in/yaml/v4"
)

var (
	accountName = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,31}$`)
	// inboundWebhook is how Bitrix24 shows them: user id, then secret.
	inboundWebhook = regexp.MustCompile(`^https?://[^/\s]+/rest/[0-9]+/[A-Za-z0-9]+/?$`)

	// publicPath has no segment that would mean something to a router.
	publicPath = regexp.MustCompile(`^(/[A-Za-z0-9_~-][A-Za-z0-9._~-]*)*/?$`)

	apiVersion   = regexp.MustCompile(`^(20\d\d-\d\d|v3)$`)
	graphVersion = regexp.MustCompile(`^v\d{1,3}\.\d$`)
)

// defaults fills in what accounts leave open. A quota of 0 is not left open.
func (p *parser) defaults() {
	p.config.Retention.setDefaults()
	for i := range p.config.Notify {
		p.config.Notify[i].setDefaults()
	}
	for i := range p.config.Accounts {
		a := &p.config.Accounts[i]
		requests := []string{"accounts", strconv.Itoa(i), "quota", "requests"}
		if a.Kind != WhatsApp && a.Quota.Requests < 1 && p.given(requests...) {
			p.at(requests, "quota.requests is %d; write how many calls the account allows, or leave it out", a.Quota.Requests)
		}
		a.setDefaults()
	}
}

// check reports what is well written and makes no sense.
func (p *parser) check() {
	p.consent()
	c := p.config
	if !hostPort(c.Listen) {
		p.at([]string{"listen"}, "listen is %q; write host:port, such as 127.0.0.1:8080", c.Listen)
	}
	p.public()
	p.receivers()
	if !slices.Contains([]string{"debug", "info", "warn", "error"}, c.Log.Level) {
		p.at([]string{"log", "level"}, "log level %q is not one of debug, info, warn, error", c.Log.Level)
	}
	if u := c.Database.URL.Reveal(); u != "" && !strings.HasPrefix(u, "postgres://") && !strings.HasPrefix(u, "postgresql://") {
		p.at([]string{"database", "url"}, "the database url does not begin with postgres://; leave it out for the embedded database")
	}
	for i, u := range c.NATS.URLs {
		if parsed, err := url.Parse(u); err != nil || !slices.Contains([]string{"nats", "tls", "ws", "wss"}, parsed.Scheme) {
			p.at([]string{"nats", "urls", strconv.Itoa(i)}, "this is not a NATS address; write one like nats://host:4222")
		} else if parsed.User != nil {
			p.at([]string{"nats", "urls", strconv.Itoa(i)}, "keep the password out of the address: use credentials_file, token or token_file")
		}
	}
	if !slices.Contains([]int{1, 3, 5}, c.NATS.Replicas) {
		p.at([]string{"nats", "replicas"}, "replicas is %d; JetStream keeps 1, 3 or 5", c.NATS.Replicas)
	}
	if c.NATS.CredentialsFile != "" && c.NATS.Token.Reveal() != "" {
		p.at([]string{"nats", "credentials_file"}, "both credentials_file and a token are set; keep one")
	}
	if (c.NATS.TLS.CertFile == "") != (c.NATS.TLS.KeyFile == "") {
		p.at([]string{"nats", "tls"}, "cert_file and key_file belong together; one is missing")
	}
	if c.DefaultRegion != "" && !phonenumbers.GetSupportedRegions()[c.DefaultRegion] {
		p.at([]string{"default_region"}, "default_region is %q; write an ISO country code such as TW", c.DefaultRegion)
	}
	if c.Jobs.ContactSyncShare < 1 || c.Jobs.ContactSyncShare > 90 {
		p.at([]string{"jobs", "contact_sync_share"}, "contact_sync_share is %s; write 1%% to 90%%, so that deliveries have the rest", c.Jobs.ContactSyncShare)
	}
	if c.Jobs.ConsistencySample < 1 {
		p.at([]string{"jobs", "consistency_sample"}, "consistency_sample is %d; write how many records of each account to compare", c.Jobs.ConsistencySample)
	}
	p.accounts()
}

// public reports a public address that ours could not be made of.
func (p *parser) public() {
	const example = "https://crmsync.example.com"
	at, text := []string{"public_url"}, p.config.PublicURL
	p.address(at, text, example)
	u, err := url.Parse(text)
	if text == "" || err != nil || u.Host == "" {
		return
	}
	if strings.ContainsAny(text, "?#") || u.User != nil {
		p.at(at, "public_url is what addresses begin with; write only scheme, host and perhaps a path, such as %s", example)
	} else if !publicPath.MatchString(u.EscapedPath()) {
		p.at(at, "the path in public_url may have letters, digits and - _ . ~ between its slashes")
	}
}

func hostPort(text string) bool {
	_, port, err := net.SplitHostPort(text)
	if err != nil {
		return false
	}
	_, err = strconv.ParseUint(port, 10, 16)
	return err == nil
}

func (p *parser) accounts() {
	seen := map[string]bool{}
	kinds := map[string]int{}
	unsure := false
	for i := range p.config.Accounts {
		a := &p.config.Accounts[i]
		at := func(key string) []string { return []string{"accounts", strconv.Itoa(i), key} }
		switch {
		case !accountName.MatchString(a.Name):
			p.at(at("name"), "an account's name is %q; use small letters, digits and -, at most 32", a.Name)
		case seen[a.Name]:
			p.at(at("name"), "two accounts are called %s; names are unique", a.Name)
		}
		seen[a.Name] = true
		if a.Quota.PerDay < 0 {
			p.at([]string{"accounts", strconv.Itoa(i), "quota", "per_day"}, "quota.per_day is %d; write how many calls the account allows in a day, or leave it out", a.Quota.PerDay)
		}
		if p.refused(at("kind")) {
			unsure = true
			continue
		}
		kinds[a.Kind]++
		switch a.Kind {
		case WhatsApp:
			p.need(i, a.AppSecret, a.AppSecretFile, "app_secret", "webhooks cannot be verified without it")
			p.need(i, a.VerifyToken, a.VerifyTokenFile, "verify_token", "WhatsApp cannot verify the webhook address without it")
			p.feeds(i, a)
			if a.Media {
				p.need(i, a.Token, a.TokenFile, "token", "media cannot be downloaded without it")
			}
			if !graphVersion.MatchString(a.APIVersion) {
				p.at(at("api_version"), "api_version is %q; write one like v24.0", a.APIVersion)
			}
		case HubSpot:
			if a.Installed() {
				p.installation(i, a, "HubSpot")
				p.either(i, a.Token, a.TokenFile, "token", "a token of a private app", "leave out client_id and refresh_token, or token; client_secret goes with both")
			} else {
				p.need(i, a.Token, a.TokenFile, "token", "HubSpot cannot be called without it, or else client_id, client_secret and refresh_token of an installed app")
			}
			if !apiVersion.MatchString(a.APIVersion) {
				p.at(at("api_version"), "api_version is %q; write one like 2026-09", a.APIVersion)
			}
		case Zoho:
			p.installation(i, a, "Zoho")
			p.address(at("accounts_url"), a.AccountsURL, "https://accounts.zoho.eu")
			if n := len(a.WebhookToken.Reveal()); n > 50 {
				p.at(at("webhook_token"), "webhook_token of account %s has %d characters; Zoho takes at most 50", a.Name, n)
			}
		case Bitrix24:
			p.address(at("token_url"), a.TokenURL, "https://oauth.bitrix.info/oauth/token/")
			if a.Installed() {
				p.installation(i, a, "Bitrix24")
				p.either(i, a.WebhookURL, a.WebhookURLFile, "webhook_url", "an inbound webhook", "leave out client_id, client_secret and refresh_token, or webhook_url")
				if a.BaseURL == "" {
					p.at(at("base_url"), "account %s has no base_url; write the portal's address, such as https://portal.bitrix24.com", a.Name)
				}
				break
			}
			p.need(i, a.WebhookURL, a.WebhookURLFile, "webhook_url", "Bitrix24 cannot be called without it, or else client_id, client_secret, refresh_token and base_url of an installed one")
			if u := a.WebhookURL.Reveal(); u != "" && !inboundWebhook.MatchString(u) {
				p.at(at("webhook_url"), "webhook_url of account %s is not an inbound webhook; it looks like https://portal.bitrix24.com/rest/1/secret/", a.Name)
			}
		default:
			p.at(at("kind"), "account %s is of kind %q; there are %s, %s, %s and %s", a.Name, a.Kind, WhatsApp, HubSpot, Zoho, Bitrix24)
			continue
		}
		p.address(at("base_url"), a.BaseURL, "https://api.hubapi.com")
		p.foreignKeys(i, a)
	}
	if unsure {
		return
	}
	if kinds[WhatsApp] == 0 {
		p.at([]string{"accounts"}, "there is no account of kind whatsapp, so nothing would ever arrive")
	}
	if kinds[WhatsApp] == len(p.config.Accounts) {
		p.at([]string{"accounts"}, "there is no CRM account, so nothing would ever be delivered")
	}
}

func (p *parser) need(i int, s Secret, file, key, why string) {
	at := func(key string) []string { return []string{"accounts", strconv.Itoa(i), key} }
	// Of a secret in a file it has been said already what is wrong.
	if strings.TrimSpace(s.Reveal()) == "" && file == "" && !p.refused(at(key+"_file")) {
		p.at(at(key), "account %s has no %s; %s (set %s, %s_file or %s)", p.config.Accounts[i].Name, key, why, key, key, p.variable(at(key)...))
	}
}

// installation reports what is missing of the credentials of an app.
func (p *parser) installation(i int, a *Account, vendor string) {
	why := vendor + " gives no token without it"
	if a.ClientID == "" {
		p.at([]string{"accounts", strconv.Itoa(i), "client_id"}, "account %s has no client_id; %s", a.Name, why)
	}
	p.need(i, a.ClientSecret, a.ClientSecretFile, "client_secret", why)
	p.need(i, a.RefreshToken, a.RefreshTokenFile, "refresh_token", why)
}

// either reports credentials that an app has no use for.
func (p *parser) either(i int, s Secret, file, key, what, advice string) {
	if file != "" {
		key += "_file"
	} else if s.IsZero() {
		return
	}
	p.at([]string{"accounts", strconv.Itoa(i), key}, "account %s has %s and the credentials of an installed app; %s", p.config.Accounts[i].Name, what, advice)
}

// address reports an address that is none.
func (p *parser) address(path []string, text, example string) {
	u, err := url.Parse(text)
	if text != "" && (err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https") {
		p.at(path, "%s is not an address; write one like %s", path[len(path)-1], example)
	}
}

func (p *parser) feeds(i int, a *Account) {
	for n, name := range a.DeliverTo {
		known := slices.ContainsFunc(p.config.Accounts, func(other Account) bool { return other.Name == name && other.Kind != WhatsApp })
		if !known {
			p.at([]string{"accounts", strconv.Itoa(i), "deliver_to", strconv.Itoa(n)}, "deliver_to names %q, which is no CRM account here", name)
		}
	}
}

// foreignKeys reports keys that belong to another kind of account.
func (p *parser) foreignKeys(i int, a *Account) {
	_, node := p.node("accounts", strconv.Itoa(i))
	if node == nil || node.Kind != yaml.MappingNode {
		return
	}
	for k := 0; k+1 < len(node.Content); k += 2 {
		key := node.Content[k]
		if kinds := keys[key.Value]; kinds != nil && !slices.Contains(kinds, a.Kind) {
			p.found(key.Line, key.Column, "%s belongs to accounts of kind %s, and %s is of kind %s", key.Value, strings.Join(kinds, " or "), a.Name, a.Kind)
		}
	}
}
