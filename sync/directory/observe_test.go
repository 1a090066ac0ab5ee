package directory

import (
	"maps"
	"testing"
	"time"

	"crmsync/mapping"
)

var dawn = time.Date(2026, 11, 21, 6, 0, 0, 0, time.UTC)

func linesOf(t *testing.T) []mapping.Line {
	t.Helper()
	m, err := mapping.Compile("m", []byte("version: 1\naccounts:\n  crm:\n    contact:\n      Phone: phone\n      First: first_name\n"+
		"      Last: last_name\n      Country: country\n      Tags: labels\n      Consent: consent\n      Mail: email\n      Unread: unread_count\n"))
	if err != nil {
		t.Fatal(err)
	}
	return m.Lines("crm")
}

// Three versions of a field: the shadow, what the account shows, and ours.
func TestWhoHasChangedAField(t *testing.T) {
	early, late := dawn, dawn.Add(time.Hour)
	for name, tt := range map[string]struct {
		field, to            string
		was                  string // in the shadow; "-" for never told
		seen                 string
		ours                 Value
		seenAt               time.Time
		want, shadow         string
		entered, changed, no bool
	}{
		"nobody":                                  {field: "email", to: "Mail", was: "a@x.it", seen: "a@x.it", ours: Value{Text: "a@x.it", At: early}, seenAt: late, want: "a@x.it", shadow: "a@x.it"},
		"we only":                                 {field: "email", to: "Mail", was: "a@x.it", seen: "a@x.it", ours: Value{Text: "b@x.it", At: early}, seenAt: late, want: "b@x.it", shadow: "a@x.it"},
		"they only":                               {field: "email", to: "Mail", was: "a@x.it", seen: "b@x.it", ours: Value{Text: "a@x.it", At: early}, seenAt: late, want: "b@x.it", shadow: "b@x.it", entered: true, changed: true},
		"they only, by a clock that is behind":    {field: "email", to: "Mail", was: "a@x.it", seen: "b@x.it", ours: Value{Text: "a@x.it", At: late}, seenAt: early, want: "b@x.it", shadow: "b@x.it", entered: true, changed: true},
		"both, they later":                        {field: "email", to: "Mail", was: "a@x.it", seen: "b@x.it", ours: Value{Text: "c@x.it", At: early}, seenAt: late, want: "b@x.it", shadow: "b@x.it", entered: true, changed: true},
		"both, we later":                          {field: "email", to: "Mail", was: "a@x.it", seen: "b@x.it", ours: Value{Text: "c@x.it", At: late}, seenAt: early, want: "c@x.it", shadow: "b@x.it", changed: true},
		"both, to the same":                       {field: "email", to: "Mail", was: "a@x.it", seen: "b@x.it", ours: Value{Text: "b@x.it", At: late}, seenAt: early, want: "b@x.it", shadow: "b@x.it"},
		"both, we later cleared it":               {field: "email", to: "Mail", was: "a@x.it", seen: "b@x.it", ours: Value{At: late, Fact: "f"}, seenAt: early, want: "", shadow: "b@x.it", changed: true},
		"both, we cleared it before":              {field: "email", to: "Mail", was: "a@x.it", seen: "b@x.it", ours: Value{At: early, Fact: "f"}, seenAt: late, want: "b@x.it", shadow: "b@x.it", entered: true, changed: true},
		"they, who cleared it":                    {field: "email", to: "Mail", was: "a@x.it", seen: "", ours: Value{Text: "a@x.it", At: early}, seenAt: late, want: "", shadow: "", entered: true, changed: true},
		"at first sight, they have none":          {field: "email", to: "Mail", was: "-", seen: "", ours: Value{Text: "a@x.it", At: early}, seenAt: late, want: "a@x.it", shadow: "", changed: true},
		"at first sight, we have none":            {field: "email", to: "Mail", was: "-", seen: "a@x.it", seenAt: early, want: "a@x.it", shadow: "a@x.it", entered: true, changed: true},
		"at first sight, a guess of ours":         {field: "country", to: "Country", was: "-", seen: "DE", ours: Value{Text: "IT", At: late}, seenAt: early, want: "DE", shadow: "DE", entered: true, changed: true},
		"at first sight, what somebody entered":   {field: "country", to: "Country", was: "-", seen: "DE", ours: Value{Text: "IT", At: late, Entered: true}, seenAt: early, want: "IT", shadow: "DE", changed: true},
		"a number in another spelling":            {field: "phone", to: "Phone", was: "+393331234567", seen: "+39 333 123 4567", ours: Value{Text: "+393331234567", At: early}, seenAt: late, want: "+393331234567", shadow: "+393331234567"},
		"a number without its country":            {field: "phone", to: "Phone", was: "+886912345670", seen: "0912-345-678", ours: Value{Text: "+886912345670", At: early}, seenAt: late, want: "+886912345678", shadow: "+886912345678", entered: true, changed: true},
		"a number that is none":                   {field: "phone", to: "Phone", was: "+886912345670", seen: "ask Anna", ours: Value{Text: "+886912345670", At: early}, seenAt: late, want: "+886912345670", shadow: KeptAs("ask Anna")},
		"an address in capitals":                  {field: "email", to: "Mail", was: "a@x.it", seen: " B@X.it ", ours: Value{Text: "a@x.it", At: early}, seenAt: late, want: "b@x.it", shadow: "b@x.it", entered: true, changed: true},
		"they, who opt out":                       {field: "consent", to: "Consent", was: "marketing", seen: "opted_out", ours: Value{Text: "transactional", At: late}, seenAt: early, want: "opted_out", shadow: "opted_out", entered: true, changed: true},
		"they, who did not know of the opt-out":   {field: "consent", to: "Consent", was: "transactional", seen: "marketing", ours: Value{Text: "opted_out", At: early}, seenAt: late, want: "opted_out", shadow: "marketing", changed: true},
		"they, who opt in again":                  {field: "consent", to: "Consent", was: "opted_out", seen: "marketing", ours: Value{Text: "opted_out", At: early}, seenAt: late, want: "marketing", shadow: "marketing", entered: true, changed: true},
		"they, who opted in again before that":    {field: "consent", to: "Consent", was: "opted_out", seen: "marketing", ours: Value{Text: "opted_out", At: late}, seenAt: early, want: "opted_out", shadow: "marketing", changed: true},
		"they, who do not say any more":           {field: "consent", to: "Consent", was: "opted_out", seen: "", ours: Value{Text: "opted_out", At: early}, seenAt: late, want: "opted_out", shadow: "", changed: true},
		"a consent that nobody knows":             {field: "consent", to: "Consent", was: "marketing", seen: "maybe", ours: Value{Text: "marketing", At: early}, seenAt: late, want: "marketing", shadow: KeptAs("maybe")},
		"labels, added there and removed by us":   {field: "labels", to: "Tags", was: "a\nb", seen: "a\nb\nc", ours: Value{Text: "b", At: late}, seenAt: early, want: "b\nc", shadow: "a\nb\nc", entered: true, changed: true},
		"labels, removed there and added by us":   {field: "labels", to: "Tags", was: "a\nb", seen: "a", ours: Value{Text: "a\nb\nd", At: late}, seenAt: early, want: "a\nd", shadow: "a", entered: true, changed: true},
		"what only follows from the conversation": {field: "unread_count", to: "Unread", was: "1", seen: "9", ours: Value{Text: "2", At: early}, seenAt: late, want: "2", shadow: "1"},
	} {
		c := &Contact{Fields: map[string]Value{}}
		if tt.ours != (Value{}) {
			c.Fields[tt.field] = tt.ours
		}
		shadow := map[string]string{}
		if tt.was != "-" {
			shadow[tt.to] = tt.was
		}
		before := maps.Clone(shadow)
		after := c.Observe(Sighting{Lines: linesOf(t), Seen: map[string]string{tt.to: tt.seen}, Region: "TW", At: tt.seenAt, Fact: "f", Account: "crm"}, shadow)
		got := c.Fields[tt.field]
		if got.Text != tt.want || got.Entered != (tt.entered || tt.ours.Entered) || c.Changed != tt.changed || after[tt.to] != tt.shadow {
			t.Errorf("%s: %+v, changed %v, shadow %q; want %q, entered %v, changed %v, shadow %q", name, got, c.Changed, after[tt.to], tt.want, tt.entered, tt.changed, tt.shadow)
		}
		if !maps.Equal(before, shadow) {
			t.Errorf("%s: the old shadow has changed", name)
		}
		// The same again is no news.
		c.Changed = false
		if again := c.Observe(Sighting{Lines: linesOf(t), Seen: map[string]string{tt.to: tt.seen}, Region: "TW", At: tt.seenAt, Fact: "g", Account: "crm"}, after); c.Changed || !maps.Equal(again, after) {
			t.Errorf("%s, seen again: changed %v, shadow %v, then %v", name, c.Changed, after, again)
		}
	}
}

// An owner's value stands, whatever the clocks say and in whatever order the
// accounts are read; among the others the newest does.
func TestAFieldsOwnerWins(t *testing.T) {
	m, err := mapping.Compile("m", []byte("version: 1\nfields: {email: {owner: zoho}}\naccounts:\n"+
		"  zoho: {contact: {Email: email}}\n  hubspot: {contact: {email: email}}\n  bitrix24: {contact: {EMAIL: email}}\n"))
	if err != nil {
		t.Fatal(err)
	}
	names := map[string]string{"zoho": "Email", "hubspot": "email", "bitrix24": "EMAIL"}
	type edit struct {
		account, text string
		at            time.Duration
	}
	for name, tt := range map[string]struct {
		edits []edit
		want  string
	}{
		"the owner, earlier":            {[]edit{{"zoho", "z@x.it", 0}, {"hubspot", "h@x.it", time.Hour}}, "z@x.it"},
		"the owner, later":              {[]edit{{"zoho", "z@x.it", time.Hour}, {"hubspot", "h@x.it", 0}}, "z@x.it"},
		"another alone":                 {[]edit{{"hubspot", "h@x.it", 0}}, "h@x.it"},
		"two others":                    {[]edit{{"hubspot", "h@x.it", 0}, {"bitrix24", "b@x.it", time.Hour}}, "b@x.it"},
		"all three":                     {[]edit{{"hubspot", "h@x.it", time.Minute}, {"zoho", "z@x.it", 0}, {"bitrix24", "b@x.it", time.Hour}}, "z@x.it"},
		"the owner, who clears it":      {[]edit{{"zoho", "", 0}, {"hubspot", "h@x.it", time.Hour}}, ""},
		"the owner, and one who agrees": {[]edit{{"hubspot", "z@x.it", 0}, {"zoho", "z@x.it", 0}, {"bitrix24", "b@x.it", time.Hour}}, "z@x.it"},
	} {
		for round := range len(tt.edits) {
			c := &Contact{Fields: map[string]Value{"email": {Text: "a@x.it", At: dawn.Add(-time.Hour), Account: "bitrix24", Entered: true}}}
			for i := range tt.edits {
				e := tt.edits[(i+round)%len(tt.edits)]
				c.Observe(Sighting{Lines: m.Lines(e.account), Seen: map[string]string{names[e.account]: e.text}, At: dawn.Add(e.at), Fact: e.account, Account: e.account},
					map[string]string{names[e.account]: "a@x.it"})
			}
			if got := c.Text("email"); got != tt.want {
				t.Errorf("%s, from edit %d on: %q, want %q", name, round, got, tt.want)
			}
		}
	}
}

// A field that is only written is not looked at; one that is only read is.
func TestALineIsReadAsItSays(t *testing.T) {
	m, err := mapping.Compile("m", []byte("version: 1\naccounts: {crm: {contact: {Mail: {field: email, direction: to}, Lang: {field: language, direction: from}}}}\n"))
	if err != nil {
		t.Fatal(err)
	}
	c := &Contact{Fields: map[string]Value{"email": {Text: "a@x.it", At: dawn}}}
	after := c.Observe(Sighting{Lines: m.Lines("crm"), Seen: map[string]string{"Mail": "b@x.it", "Lang": "it"}, At: dawn.Add(time.Hour), Account: "crm"},
		map[string]string{"Mail": "a@x.it"})
	if c.Text("email") != "a@x.it" || c.Text("language") != "it" || after["Mail"] != "a@x.it" {
		t.Errorf("email %q, language %q, shadow %v", c.Text("email"), c.Text("language"), after)
	}
}

// WhatsApp says with every message what it thinks of a person. It is news when
// it is another thing than before, and never because somebody has entered
// something else meanwhile.
func TestWhatWhatsAppRepeatsIsNoNews(t *testing.T) {
	say := func(c *Contact, text string, at time.Duration) {
		c.Report("country", Value{Text: text, At: dawn.Add(at), Fact: "w", Account: "whatsapp"})
	}
	c := &Contact{}
	say(c, "IT", 0)
	c.take("country", "DE", Sighting{At: dawn.Add(time.Minute), Fact: "f", Account: "crm"})
	say(c, "IT", time.Hour)
	if got := c.Text("country"); got != "DE" {
		t.Errorf("after WhatsApp's repetition it is %q", got)
	}
	say(c, "FR", 2*time.Hour)
	if got := c.Text("country"); got != "FR" {
		t.Errorf("after news from WhatsApp it is %q", got)
	}
	say(c, "IT", time.Hour+time.Minute) // late
	if got := c.Text("country"); got != "FR" {
		t.Errorf("after late news it is %q", got)
	}
}

// An account that wants a last name was given the number. Read back, it is
// nobody's name.
func TestANumberThatStandsForANameIsNotEntered(t *testing.T) {
	c := &Contact{Fields: map[string]Value{"phone": {Text: "+393331234567", At: dawn}, "profile_name": {Text: "Ada Name", At: dawn}}}
	after := c.Observe(Sighting{
		Lines: linesOf(t), Seen: map[string]string{"First": "Ada", "Last": "+393331234567"}, At: dawn.Add(time.Hour), Account: "crm",
	}, nil)
	if _, entered := c.Fields["last_name"]; entered || !c.Changed || after["Last"] != "+393331234567" {
		t.Errorf("fields %+v, changed %v, shadow %v", c.Fields, c.Changed, after)
	}
	// Half a name that somebody enters keeps the other half.
	c.Observe(Sighting{Lines: linesOf(t), Seen: map[string]string{"First": "Augusta"}, At: dawn.Add(2 * time.Hour), Account: "crm"}, after)
	if v := c.View(); v["first_name"] != "Augusta" || v["last_name"] != "Name" {
		t.Errorf("called %v %v", v["first_name"], v["last_name"])
	}
}
