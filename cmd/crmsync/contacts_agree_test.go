package main

import (
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"crmsync/cmd/internal/app"
	"crmsync/cmd/internal/sandbox"
)

var (
	agreeSeed  = flag.Uint64("agree.seed", 0, "repeat a run of the test of contacts that agree in the end; 0 is by chance")
	agreeEdits = flag.Int("agree.edits", 60, "how many edits it makes")
	agreeKills = flag.Int("agree.kills", 3, "how often it kills the worker")
)

// People edit the same contacts in three CRMs and on WhatsApp, while the worker is
// killed, CRMs are out or lose their answers, and webhooks are lost. When it has settled
// all three CRMs and the directory show the same, by the rules that `allowed` has;
// nobody is lost or doubled, and further syncs write nothing.
func TestThreeCRMsAgreeInTheEnd(t *testing.T) {
	t.Parallel()
	seed := *agreeSeed
	if seed == 0 {
		seed = rand.Uint64()
	}
	t.Logf("-agree.seed=%d", seed)
	info := simulate(t, "--quota", "off", "--latency", "5ms-40ms")
	a := newAgreement(t, seed, min(30, max(8, *agreeEdits/6)), info, withoutQuota(info)...)
	every := *agreeEdits / (*agreeKills + 1)
	for a.edits < *agreeEdits {
		a.step()
		if a.killed < *agreeKills && a.edits >= every*(a.killed+1) {
			a.kill()
		}
	}
	a.settle()
	a.compare()
	before := writesOf(t, a.info)
	for range 3 {
		syncOnce(t, a.info)
		time.Sleep(2 * time.Second)
	}
	if now := writesOf(t, a.info); now != before {
		t.Errorf("all agree, and three syncs write: %v, then %v", before, now)
	}
	t.Logf("%d edits of %d people, %d kills, %d outages, %d times without webhooks", a.edits, len(a.people), a.killed, a.outages, a.deaf)
	if t.Failed() {
		for line := range strings.Lines(a.worker.errors.String()) {
			if strings.Contains(line, `"level":"WARN"`) || strings.Contains(line, `"level":"ERROR"`) {
				t.Log(line)
			}
		}
	}
}

// An agreement is three CRMs, WhatsApp, a worker, and what people have entered.
type agreement struct {
	t      *testing.T
	rnd    *rand.Rand
	info   sandbox.Info
	env    []string
	worker *process
	load   *load
	people []*someone

	edits, killed, outages, deaf, messages int
}

// Someone is a person whom all CRMs know.
type someone struct {
	phone   string            // of the first day
	records map[string]string // by account
	entries map[string][]entered
	wrote   time.Time
	history []string
}

// An entered value was entered somewhere at a time. For labels there is a field
// each: "label vip".
type entered struct {
	place, text string
	at          time.Time
}

var (
	agreeLabels = []string{"vip", "new", "old", "north", "south"}
	agreeFields = []string{"first", "last", "email", "phone", "country", "language", "consent", "labels"}
)

// withoutQuota is the environment of a worker that need not care for quotas.
func withoutQuota(info sandbox.Info) (env []string) {
	for _, crm := range info.CRMs() {
		name := "CRMSYNC_ACCOUNTS_" + strings.ToUpper(crm.Account) + "_QUOTA_"
		env = append(env, name+"REQUESTS=1000", name+"PER=1s")
	}
	return env
}

// newAgreement has so many people whom all CRMs know.
func newAgreement(t *testing.T, seed uint64, people int, info sandbox.Info, env ...string) *agreement {
	a := &agreement{t: t, rnd: rand.New(rand.NewPCG(seed, 0)), info: info, env: env}
	a.worker = serve(t, a.info, a.env...)
	a.worker.working(a.info)
	a.load = newLoad(a.info)
	for i := range people {
		p := &someone{phone: fmt.Sprintf("1415555%04d", i), records: map[string]string{}, entries: map[string][]entered{}}
		a.people = append(a.people, p)
		a.writes(p, fmt.Sprintf("Given%d Family%d", i, i), "hello")
	}
	for _, crm := range a.info.CRMs() {
		eventually(t, time.Minute, crm.Name+" knows everybody", func() bool { return statsOf(t, crm).Contacts == people })
		for _, p := range a.people {
			eventually(t, 20*time.Second, crm.Name+" shows a number", func() bool { return peopleIn(t, crm, p.phone) == 1 })
			var found []sandbox.SimContact
			get(t, crm.URL+"/_sim/contacts?phone=%2B"+p.phone, &found)
			p.records[crm.Account] = found[0].ID
		}
	}
	// What there is to choose from is known everywhere.
	zoho := a.info.CRMs()[1]
	enter(t, zoho, a.people[0].phone, form{"labels": strings.Join(agreeLabels, ";")})
	for _, crm := range a.info.CRMs() {
		eventually(t, 20*time.Second, crm.Name+" knows the labels", func() bool {
			return len(strings.Split(shownIn(t, crm, a.people[0].phone, "labels"), ";")) == len(agreeLabels)
		})
	}
	for _, label := range agreeLabels {
		a.people[0].enter("label "+label, "zoho", "yes", "")
	}
	settled(t, a.info)
	return a
}

func (p *someone) enter(field, place, text, note string) {
	p.entries[field] = append(p.entries[field], entered{place, text, time.Now()})
	p.history = append(p.history, fmt.Sprintf("%s %s: %s %q %s", time.Now().UTC().Format("05.000"), place, field, text, note))
}

// writes has somebody write, WhatsApp trying until it is taken.
func (a *agreement) writes(p *someone, name, text string) {
	a.t.Helper()
	if name != "" {
		first, last, _ := strings.Cut(name, " ")
		p.enter("first", "whatsapp", first, "")
		p.enter("last", "whatsapp", last, "")
		p.entries["name"] = []entered{{text: name}}
	}
	a.messages++
	p.wrote = time.Now()
	wamid := fmt.Sprintf("wamid.AGREE%d", a.messages)
	body := a.load.body(wamid, p.phone, p.entries["name"][0].text, fmt.Sprintf(`"type":"text","text":{"body":%q}`, text))
	eventually(a.t, 30*time.Second, "WhatsApp's webhook is taken", func() bool {
		a.load.postBody(wamid, body)
		return a.load.acked[wamid]
	})
}

// step is one thing that happens somewhere.
func (a *agreement) step() {
	time.Sleep(time.Duration(20+a.rnd.IntN(250)) * time.Millisecond)
	p := a.people[a.rnd.IntN(len(a.people))]
	crm := a.info.CRMs()[a.rnd.IntN(3)]
	switch n := a.rnd.IntN(100); {
	case n < 76:
		a.edit(p, crm)
	case n < 87:
		if time.Since(p.wrote) < 1500*time.Millisecond {
			return // WhatsApp's clock counts seconds
		}
		a.edits++
		switch a.rnd.IntN(4) {
		case 0:
			p.enter("consent", "whatsapp", "opted_out", "STOP")
			a.writes(p, "", "STOP")
		case 1:
			p.enter("consent", "whatsapp", "transactional", "START")
			a.writes(p, "", "START")
		default:
			a.writes(p, fmt.Sprintf("Nick%d Name%d", a.edits, a.edits), "it is me")
		}
	case n < 94:
		a.outages++
		fault := map[string]any{"mode": []string{"outage", "reset_after_commit", "garbage", "reset"}[a.rnd.IntN(4)], "for": fmt.Sprintf("%dms", 300+a.rnd.IntN(2500))}
		ask(a.t, crm.URL+"/_sim/faults", fault, nil)
		p.history = append(p.history, fmt.Sprintf("%s %s: %v", time.Now().UTC().Format("05.000"), crm.Account, fault))
	default:
		a.deaf++
		a.listens(crm, false)
		defer time.AfterFunc(time.Duration(500+a.rnd.IntN(2000))*time.Millisecond, func() { a.listens(crm, true) })
	}
}

// listens has a CRM's webhooks arrive, or not.
func (a *agreement) listens(crm sandbox.CRM, on bool) {
	share := map[bool]float64{true: 0, false: 1}[on]
	switch crm.Account {
	case "hubspot":
		post(a.t, crm.URL+"/_sim/webhook", map[string]string{"url": map[bool]string{true: a.info.Worker.Webhooks["hubspot"]}[on]})
	case "zoho":
		post(a.t, crm.URL+"/_sim/knobs", map[string]any{"drop_notices": share})
	case "bitrix24":
		post(a.t, crm.URL+"/_sim/knobs", map[string]any{"drop_events": share})
	}
}

// edit has somebody change one or two fields of a record, as they see it.
func (a *agreement) edit(p *someone, crm sandbox.CRM) {
	shown := a.shows(p, crm)
	entered := form{}
	for range 1 + a.rnd.IntN(2) {
		field := agreeFields[a.rnd.IntN(len(agreeFields))]
		if _, already := entered[field]; already {
			continue
		}
		a.edits++
		text := fmt.Sprintf("%s%d", field, a.edits)
		switch field {
		case "email":
			if text += "@example.com"; a.rnd.IntN(8) == 0 {
				text = ""
			}
		case "phone":
			text = fmt.Sprintf("+1415666%04d", a.edits)
		case "consent":
			text = []string{"transactional", "marketing", "opted_out"}[a.rnd.IntN(3)]
		case "labels":
			text = a.relabel(p, crm, shown["labels"])
		}
		if text == shown[field] {
			continue // it is no edit
		}
		if field != "labels" {
			p.enter(field, crm.Account, text, "where it was "+shown[field])
		}
		entered[field] = text
	}
	if len(entered) > 0 {
		a.save(crm, p, entered)
	}
}

func (a *agreement) save(crm sandbox.CRM, p *someone, fields form) {
	all := map[string]any{}
	for field, value := range fields {
		if field == "labels" {
			value = strings.ReplaceAll(value, ";", between[crm.Account])
		}
		all[fieldNames[crm.Account][field]] = value
		if value == "" && crm.Account == "zoho" && field != "labels" {
			all[fieldNames[crm.Account][field]] = nil
		}
	}
	ask(a.t, crm.URL+"/_sim/contacts", map[string]any{"id": p.records[crm.Account], "fields": all}, nil)
}

// relabel adds a label to those that are shown, or takes one off.
func (a *agreement) relabel(p *someone, crm sandbox.CRM, shown string) string {
	list := strings.FieldsFunc(shown, func(r rune) bool { return r == ';' })
	label := agreeLabels[a.rnd.IntN(len(agreeLabels))]
	if at := slices.Index(list, label); at >= 0 {
		list = slices.Delete(list, at, at+1)
		p.enter("label "+label, crm.Account, "no", "of "+shown)
	} else {
		list = append(list, label)
		p.enter("label "+label, crm.Account, "yes", "to "+shown)
	}
	slices.Sort(list)
	return strings.Join(list, ";")
}

// shows is what a CRM shows of somebody, by field; nil if they are gone.
func (a *agreement) shows(p *someone, crm sandbox.CRM) form {
	var found []struct{ Fields map[string]any }
	get(a.t, crm.URL+"/_sim/contacts?id="+p.records[crm.Account], &found)
	if len(found) != 1 {
		return nil
	}
	shown := form{}
	for _, field := range agreeFields {
		if v := found[0].Fields[fieldNames[crm.Account][field]]; v != nil {
			shown[field] = fmt.Sprint(v)
		}
	}
	labels := strings.FieldsFunc(shown["labels"], func(r rune) bool { return string(r) == between[crm.Account] })
	slices.Sort(labels)
	shown["labels"] = strings.Join(labels, ";")
	return shown
}

// kill is kill -9. People go on for a while before the worker is back.
func (a *agreement) kill() {
	a.killed++
	a.worker.kill()
	for range a.rnd.IntN(4) {
		time.Sleep(time.Duration(a.rnd.IntN(200)) * time.Millisecond)
		a.edit(a.people[a.rnd.IntN(len(a.people))], a.info.CRMs()[a.rnd.IntN(3)])
	}
	a.worker = serve(a.t, a.info, a.env...)
}

// settle ends what goes wrong, and waits until all is compared and nothing is written.
func (a *agreement) settle() {
	time.Sleep(3 * time.Second)
	for _, crm := range a.info.CRMs() {
		ask(a.t, crm.URL+"/_sim/faults", map[string]any{"mode": "none"}, nil)
		a.listens(crm, true)
	}
	eventually(a.t, 30*time.Second, "every account is delivered to", func() bool {
		var report struct{ Accounts map[string]string }
		get(a.t, a.info.Worker.URL+"/readyz", &report)
		return !slices.ContainsFunc(a.info.CRMs(), func(crm sandbox.CRM) bool { return report.Accounts[crm.Account] != "ok" })
	})
	settled(a.t, a.info)
	syncOnce(a.t, a.info)
	settled(a.t, a.info)
}

// compare says where what is shown is not what the rules say.
func (a *agreement) compare() {
	t := a.t
	for _, crm := range a.info.CRMs() {
		if s := statsOf(t, crm); s.Contacts != len(a.people) || s.DuplicateContacts > 0 {
			t.Errorf("%s has %d contacts, %d of them doubled, want %d", crm.Name, s.Contacts, s.DuplicateContacts, len(a.people))
		}
	}
	for _, p := range a.people {
		bad := false
		wrong := func(format string, args ...any) {
			bad = true
			t.Errorf(format, args...)
		}
		shown := map[string]form{}
		for _, crm := range a.info.CRMs() {
			if shown[crm.Account] = a.shows(p, crm); shown[crm.Account] == nil {
				wrong("%s has lost +%s", crm.Name, p.phone)
			}
		}
		directory := a.directory(p)
		for _, field := range agreeFields {
			text := shown["hubspot"][field]
			for _, account := range []string{"zoho", "bitrix24"} {
				if shown[account][field] != text {
					wrong("+%s: %s is %q in HubSpot, %q in %s", p.phone, field, text, shown[account][field], account)
				}
			}
			if directory[field] != text {
				wrong("+%s: %s is %q in HubSpot, %q in the directory", p.phone, field, text, directory[field])
			}
			if field == "labels" {
				for _, label := range agreeLabels {
					is := map[bool]string{true: "yes", false: "no"}[slices.Contains(strings.Split(text, ";"), label)]
					if ok := p.allowed("label " + label); !ok[is] {
						wrong("+%s: label %s is there: %s, want one of %v", p.phone, label, is, slices.Sorted(maps.Keys(ok)))
					}
				}
				continue
			}
			if ok := p.allowed(field); !ok[text] {
				wrong("+%s: %s is %q, want one of %q", p.phone, field, text, slices.Sorted(maps.Keys(ok)))
			}
		}
		if bad {
			t.Logf("+%s:\n%s", p.phone, strings.Join(p.history, "\n"))
		}
	}
	var open []app.Letter
	letters(t, &open, "list", "--config", a.info.Config, "--output", "json")
	if len(open) != 0 {
		t.Errorf("dead letters %+v", open)
	}
}

// allowed are the values that a field may have in the end: in whichever place it
// was edited, the last one there. So of one that was edited in one place only it is
// exactly the last.
func (p *someone) allowed(field string) map[string]bool {
	last, ok := map[string]string{}, map[string]bool{}
	entries := p.entries[field]
	inCRMs := 0
	for _, e := range entries {
		last[e.place] = e.text
	}
	for _, part := range []string{"first", "last"} {
		for _, e := range p.entries[part] {
			if e.place != "whatsapp" {
				inCRMs++
			}
		}
	}
	for _, text := range last {
		ok[text] = true
	}
	switch {
	case (field == "first" || field == "last") && inCRMs > 0:
		for _, e := range entries {
			if e.place == "whatsapp" {
				ok[e.text] = true // the part that belongs to the other one of then
			}
		}
	case field == "consent":
		return p.agreedTo(entries)
	case len(entries) > 0:
	case strings.HasPrefix(field, "label "):
		ok["no"] = true
	case field == "phone":
		ok["+"+p.phone] = true
	case field == "country":
		ok["US"] = true // as its number says
	default:
		ok[""] = true
	}
	return ok
}

// agreedTo: who opts out stays so, until somebody says otherwise who knew of it.
func (p *someone) agreedTo(entries []entered) map[string]bool {
	ok := map[string]bool{}
	if len(entries) == 0 {
		ok["transactional"] = true // who writes may be answered
		return ok
	}
	var out time.Time
	for _, e := range entries {
		if ok[e.text] = true; e.text == "opted_out" {
			out = e.at
		}
	}
	after := slices.ContainsFunc(entries, func(e entered) bool { return e.text != "opted_out" && e.at.After(out.Add(-2*time.Second)) })
	if !out.IsZero() && !after {
		return map[string]bool{"opted_out": true}
	}
	ok["transactional"] = true // a START, or what was there before
	return ok
}

// directory is what crmsync itself holds.
func (a *agreement) directory(p *someone) form {
	names := map[string]string{
		"first_name": "first", "last_name": "last", "email": "email", "phone": "phone", "country": "country",
		"language": "language", "consent": "consent", "labels": "labels",
	}
	held := form{}
	for _, f := range about[app.ContactExplained](a.t, a.info, "explain", "hubspot:"+p.records["hubspot"]).Fields {
		switch v := f.Value.(type) {
		case nil:
		case []any:
			var labels []string
			for _, l := range v {
				labels = append(labels, fmt.Sprint(l))
			}
			slices.Sort(labels)
			held[names[f.Field]] = strings.Join(labels, ";")
		default:
			held[names[f.Field]] = fmt.Sprint(v)
		}
	}
	return held
}
