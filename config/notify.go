package config

import (
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"time"
)

// Retention says how long what is of no more use is kept.
type Retention struct {
	// DeadLetters is how long a settled dead letter keeps the part of a webhook
	// that could not be read, with the text and the numbers in it. Its history
	// stays.
	//
	// Defaults to 720h. Environment: CRMSYNC_RETENTION_DEAD_LETTERS.
	DeadLetters Duration `yaml:"dead_letters,omitempty" env:"DEAD_LETTERS"`

	// Raw is how long the parts of webhooks are kept that crmsync does not act
	// upon or understands in part only, with the text and the numbers in them.
	//
	// Defaults to 720h. Environment: CRMSYNC_RETENTION_RAW.
	Raw Duration `yaml:"raw,omitempty" env:"RAW"`

	// History is how long is kept what contact syncs have found, and what the
	// load was. The last sync of each account stays.
	//
	// Defaults to 2160h. Environment: CRMSYNC_RETENTION_HISTORY.
	History Duration `yaml:"history,omitempty" env:"HISTORY"`
}

func (r *Retention) setDefaults() {
	if r.DeadLetters == 0 {
		r.DeadLetters = Duration(30 * 24 * time.Hour)
	}
	if r.Raw == 0 {
		r.Raw = Duration(30 * 24 * time.Hour)
	}
	if r.History == 0 {
		r.History = Duration(90 * 24 * time.Hour)
	}
}

// Notify is a receiver of notifications. Its values can be set in the
// environment as CRMSYNC_NOTIFY_1_<KEY>, 1 being the first.
type Notify struct {
	// Name is by which rules of the mapping name the receiver: small letters,
	// digits, - and _.
	//
	// Defaults to none: rules cannot name it.
	Name string `yaml:"name,omitempty" env:"NAME"`

	// URL receives an HTTP POST. All of it is a secret, as Slack's are.
	URL     Secret `yaml:"url,omitempty" env:"URL"`
	URLFile string `yaml:"url_file,omitempty" env:"URL_FILE"`

	// Format is json, or slack for whatever takes {"text":"…"}.
	//
	// Defaults to json.
	Format string `yaml:"format,omitempty" env:"FORMAT"`

	// Private says that the receiver is inside our own network: without it,
	// addresses that are not public are refused when they are called.
	//
	// Defaults to false.
	Private bool `yaml:"private,omitempty" env:"PRIVATE"`

	// DailyReport says that the receiver gets the daily report too: with json all
	// of it, with slack a few lines.
	//
	// Defaults to false.
	DailyReport bool `yaml:"daily_report,omitempty" env:"DAILY_REPORT"`

	// RulesOnly says that the receiver hears what rules of the mapping tell it, and
	// nothing of dead letters.
	//
	// Defaults to false.
	RulesOnly bool `yaml:"rules_only,omitempty" env:"RULES_ONLY"`
}

func (n *Notify) setDefaults() {
	if n.Format == "" {
		n.Format = "json"
	}
}

// receiverName is what a receiver may be called.
var receiverName = regexp.MustCompile(`^[a-z0-9][a-z0-9_-]{0,39}$`)

// receivers reports receivers of notifications that cannot be told anything.
func (p *parser) receivers() {
	for i := range p.config.Notify {
		p.receiver(i, &p.config.Notify[i])
	}
}

func (p *parser) receiver(i int, n *Notify) {
	at := func(key string) []string { return []string{"notify", strconv.Itoa(i), key} }
	text := n.URL.Reveal()
	u, err := url.Parse(text)
	switch {
	case text == "" && n.URLFile == "":
		p.at(at("url"), "receiver %d of notify has no url; write the address that takes a POST, or its file as url_file", i+1)
	case text == "" || text == placeholder:
	case err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https":
		p.at(at("url"), "url of receiver %d is not an address; write one like https://hooks.slack.com/services/…", i+1)
	}
	first := slices.IndexFunc(p.config.Notify, func(other Notify) bool { return other.Name == n.Name })
	switch {
	case n.Name == "" && n.RulesOnly:
		p.at(at("rules_only"), "receiver %d has no name by which rules could name it; write name: support", i+1)
	case n.Name == "":
	case !receiverName.MatchString(n.Name):
		p.at(at("name"), "%q is no name for a receiver: small letters, digits, - and _, at most 40", n.Name)
	case first < i:
		p.at(at("name"), "receiver %d is called %s already; give each a name of its own", first+1, n.Name)
	}
	if !slices.Contains([]string{"json", "slack"}, n.Format) {
		p.at(at("format"), "format is %q; it is json or slack", n.Format)
	}
}
