// Package record applies facts to the directory and finds who is out of
// agreement.
package record

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"crmsync/connectors"
	"crmsync/connectors/phone"
	"crmsync/mapping"
	"crmsync/sync/directory"
)

// A Recorder applies facts to the directory.
type Recorder struct {
	Store Store
	// DeliverTo returns the accounts that the facts of an account feed.
	DeliverTo func(account string) []string
	// Mapping returns the mapping in force, Region where numbers without a
	// country code belong (ISO 3166).
	Mapping func() *mapping.Mapping
	Region  string
	// Words are those by which people opt out and in again; nil is none.
	Words func() Words
	// WantsFiles reports whether the files that come with an account's
	// messages are delivered too; nil is never.
	WantsFiles func(account string) bool
	// Looked is told of each event at which rules have looked: which have fired,
	// and of each whether it has; nil is nobody.
	Looked func(contactID int64, f *directory.Fact, fired []mapping.Fired, trace []mapping.Looked)
}

// Store is the database.
type Store interface {
	// Record runs f in one transaction; recorders of all replicas take turns.
	Record(ctx context.Context, f func(tx directory.Tx) error) error
	// Refuses reports whether an error says that the data cannot be stored
	// as they are, however often it is tried.
	Refuses(err error) bool
}

// A Result is what follows from a batch of facts.
type Result struct {
	// Triggers name what is now out of agreement.
	Triggers []directory.Trigger
	// Malformed are the new facts that could not be read.
	Malformed []*directory.Fact
	// Recorded are the facts that were new, and all news of records.
	Recorded []*directory.Fact
	// Fired are the rules that have fired, in order.
	Fired []Fired
}

// Record records facts. One that the database refuses although it is well
// otherwise, or at which the program itself panics, becomes a malformed fact, so
// that it does not hold up the others for ever. With an error, which is then the
// database's, nothing or some of it is recorded, and the facts are to be recorded
// again.
func (r *Recorder) Record(ctx context.Context, facts []directory.Fact) (Result, error) {
	var all Result
	one := *r
	one.Mapping = sync.OnceValue(r.Mapping) // for all of them, whatever is put in force meanwhile
	for part := range one.parts(facts) {
		some, err := one.record(ctx, part)
		all.add(some)
		if err != nil {
			return all, err
		}
	}
	return all, nil
}

func (all *Result) add(some Result) {
	all.Triggers = append(all.Triggers, some.Triggers...)
	all.Malformed = append(all.Malformed, some.Malformed...)
	all.Recorded = append(all.Recorded, some.Recorded...)
	all.Fired = append(all.Fired, some.Fired...)
}

func (r *Recorder) record(ctx context.Context, facts []directory.Fact) (Result, error) {
	all, err := r.Apply(ctx, facts)
	if r.refusal(err) == "" {
		return all, err
	}
	for i := range facts {
		one, err := r.Apply(ctx, facts[i:i+1])
		if why := r.refusal(err); why != "" {
			one, err = r.applyRefused(ctx, facts[i], why)
		}
		if err != nil {
			return all, err
		}
		all.add(one)
	}
	return all, nil
}

// refusal is why a fact can never be recorded as it is, empty if an error does
// not say so.
func (r *Recorder) refusal(err error) string {
	if p, ok := errors.AsType[*panicked](err); ok {
		return p.Error() + ", which is a fault of crmsync"
	}
	if err != nil && r.Store.Refuses(err) {
		return "the database refuses it as it is"
	}
	return ""
}

// applyRefused records that a fact could not be.
func (r *Recorder) applyRefused(ctx context.Context, f directory.Fact, why string) (Result, error) {
	raw, err := json.Marshal(refused{f.Fact})
	if err != nil {
		return Result{}, err
	}
	f.Fact = connectors.Fact{
		Key: f.Key, Kind: connectors.KindMalformed, At: f.At,
		Reason: "the " + string(f.Kind) + " cannot be recorded: " + why, Raw: raw,
	}
	return r.Apply(ctx, []directory.Fact{f})
}

// refused wraps a fact that was read and could not be recorded.
type refused struct {
	Fact connectors.Fact `json:"crmsync_fact"`
}

// Refused returns the fact that Raw of a malformed one holds, if the database
// and not its reader refused it. Its key is another, so that it is recorded
// when it is tried again.
func Refused(raw []byte) (connectors.Fact, bool) {
	var r refused
	if json.Unmarshal(raw, &r) != nil || r.Fact.Kind == "" {
		return connectors.Fact{}, false
	}
	r.Fact.Key += " again"
	return r.Fact, true
}

// Apply records a batch in one transaction: all of it or, with an error,
// nothing. Facts recorded before change nothing, whatever their order, so a
// batch may be repeated.
//
// News of a CRM's record is not stored as a fact. It names the record and does
// not say what it holds, so it is worth the same however often it comes; and it
// comes for each of our own writes too. That the record has to be read is noted.
func (r *Recorder) Apply(ctx context.Context, facts []directory.Fact) (Result, error) {
	events := eventsOf(facts)
	facts, news := apart(facts)
	if len(facts)+len(news)+len(events) == 0 {
		return Result{Recorded: news}, nil
	}
	var result Result
	err := r.Store.Record(ctx, func(tx directory.Tx) error {
		if err := tx.WantPulls(r.pullsOf(news)); err != nil {
			return err
		}
		b := batch{tx: tx, deliverTo: r.DeliverTo, wantsFile: r.WantsFiles, mapping: r.Mapping(), region: r.Region, words: r.Words, looked: r.Looked}
		if len(facts) == 0 {
			if err := tx.Passed(events); err != nil {
				return err
			}
			err := b.retry()
			result = b.result()
			return err
		}
		return recovered(func() error {
			if err := b.load(facts); err != nil {
				return err
			}
			if err := tx.Passed(events); err != nil {
				return err
			}
			for _, f := range b.facts {
				b.apply(f)
			}
			if err := b.save(); err != nil {
				return err
			}
			result = b.result()
			return nil
		})
	})
	if err != nil {
		return Result{}, fmt.Errorf("record %d facts: %w", len(facts), err)
	}
	result.Recorded = append(result.Recorded, news...)
	return result, nil
}

// eventsOf are the events that facts came as.
func eventsOf(facts []directory.Fact) []directory.Event {
	events := make([]directory.Event, 0, len(facts))
	for i := range facts {
		if e := facts[i].Event; e.Number != 0 {
			if facts[i].Kind != connectors.KindRecord {
				e.Fact = facts[i].ID
			}
			events = append(events, e)
		}
	}
	return events
}

// apart separates news of records from facts to store.
func apart(all []directory.Fact) (facts []directory.Fact, news []*directory.Fact) {
	for i := range all {
		if all[i].Kind == connectors.KindRecord {
			news = append(news, &all[i])
		} else {
			facts = append(facts, all[i])
		}
	}
	return facts, news
}

// pullsOf are the records that news is about, each once, but for those of which
// only such fields have changed as are not read: crmsync itself writes those with
// each message.
func (r *Recorder) pullsOf(news []*directory.Fact) []directory.Pull {
	at := map[directory.RecordKey]int{}
	var pulls []directory.Pull
	add := func(f *directory.Fact, id string) {
		key := directory.RecordKey{Account: f.Account, ID: id}
		if id == "" {
			return
		}
		i, ok := at[key]
		if !ok {
			i = len(pulls)
			at[key] = i
			pulls = append(pulls, directory.Pull{RecordKey: key})
		}
		pulls[i].Change, pulls[i].At = f.Record.Change, f.ReceivedAt
	}
	read := map[string][]string{}
	matters := func(f *directory.Fact) bool {
		if f.Record.Change != connectors.RecordUpdated || len(f.Record.Fields) == 0 {
			return true
		}
		names, known := read[f.Account]
		if !known {
			for _, l := range r.Mapping().Lines(f.Account) {
				if l.Read {
					names = append(names, l.To)
				}
			}
			read[f.Account] = names
		}
		return slices.ContainsFunc(f.Record.Fields, func(field string) bool { return slices.Contains(names, field) })
	}
	for _, f := range news {
		if f.Record != nil && matters(f) {
			add(f, f.Record.ID)
			add(f, f.Record.Survivor)
		}
	}
	return pulls
}

// apply brings one new fact into the working set.
func (b *batch) apply(f *directory.Fact) {
	outcome, raw := directory.Applied, []byte(nil)
	if b.ofErased(f) {
		b.outcomes = append(b.outcomes, directory.FactOutcome{Fact: f, Outcome: directory.SkippedErased})
		return
	}
	switch f.Kind {
	case connectors.KindMessage:
		outcome = b.message(f)
		raw = f.Raw
	case connectors.KindStatus:
		outcome = b.status(f)
	case connectors.KindPreference:
		outcome = b.preference(f)
	case connectors.KindIdentity:
		outcome = b.identity(f)
	case connectors.KindPerson:
		if b.person(f, f.Person) == nil {
			outcome = "skipped: names nobody"
		}
	case connectors.KindObserved:
		outcome = b.observed(f)
	case connectors.KindMalformed:
		outcome, raw = "malformed: "+f.Reason, f.Raw
		b.malformed = append(b.malformed, f)
	default:
		outcome, raw = "skipped: not acted upon", f.Raw
	}
	b.outcomes = append(b.outcomes, directory.FactOutcome{Fact: f, Outcome: outcome, Raw: raw})
}

func (b *batch) message(f *directory.Fact) string {
	if f.Message.GroupID != "" {
		return "skipped: group message"
	}
	at := f.When()
	wamid := f.Message.WAMID
	if f.Message.Target != "" {
		wamid = f.Message.Target
	}
	m := b.messageOf(f, wamid, f.Message.Direction)
	m.SetText(f.Message.Text, at, rankOf(f.Message))
	contact := b.person(f, f.Person)
	b.assign(m, contact, f)
	if f.Message.Target != "" {
		return directory.Applied
	}
	if media := f.Message.Media; media != nil && contact != nil && b.wantsFile != nil && b.wantsFile(f.Account) {
		b.files[m] = *media
	}
	m.SetAt(at, false)
	if m.Type == "" || m.Direction != f.Message.Direction {
		m.Type, m.Direction, m.Changed = connectors.Clean(f.Type), f.Message.Direction, true
	}
	if directory.KnownStatus(f.Message.Status) {
		m.Advance(f.Message.Status, at, 0)
	}
	if contact == nil {
		return "skipped: names nobody"
	}
	set := func(name, text string) {
		if text != "" {
			contact.Set(name, directory.Value{Text: text, At: at, Fact: f.ID, Account: f.Account})
		}
	}
	set("business_number", f.BusinessNumber)
	set("business_phone", phone.Of(f.BusinessPhone))
	consent := contact.Text("consent")
	b.wish(contact, f)
	b.occurs(f, contact, m, append(kindsOf(f), choice(consent, contact.Text("consent"))...)...)
	if from := f.Message.Referral; from != nil {
		set("source_type", from.SourceType)
		set("source_id", from.SourceID)
		set("source_url", from.SourceURL)
		set("source_headline", from.Headline)
		set("click_id", from.ClickID)
	}
	return directory.Applied
}

func rankOf(m *connectors.Message) directory.TextRank {
	switch {
	case m.Revoked:
		return directory.RevokedText
	case m.Target != "":
		return directory.EditedText
	}
	return directory.OriginalText
}

func (b *batch) status(f *directory.Fact) string {
	switch {
	case f.Status.GroupID != "":
		return "skipped: group message"
	case !directory.KnownStatus(f.Status.Status):
		return "skipped: status not known"
	}
	m := b.messageOf(f, f.Status.WAMID, connectors.Out)
	if m.Direction == connectors.In {
		return "skipped: status of a message received"
	}
	m.SetAt(f.When(), true)
	var kinds []mapping.EventKind
	if m.Advance(f.Status.Status, f.When(), f.Status.ErrorCode) { // else it comes late
		kinds = append(kinds, mapping.StatusEvent)
	}
	if m.ContactID == 0 {
		contact := b.person(f, f.Person)
		b.assign(m, contact, f)
		b.occurs(f, contact, m, kinds...)
		return directory.Applied
	}
	b.touch(m.ContactID, f)
	b.occurs(f, b.contacts[m.ContactID], m, kinds...)
	// It may carry the first news of the person's other names.
	if found := directory.Find(directory.KeysOf(f.Person), b.identities, f.When()); found == 0 || found == m.ContactID {
		contact := b.contacts[m.ContactID]
		b.know(contact, f.Person)
		contact.Describe(f.Person, f.When(), f.ID, f.Account)
	}
	return directory.Applied
}

func (b *batch) preference(f *directory.Fact) string {
	if v := f.Preference.Value; v != "stop" && v != "resume" {
		return "skipped: preference not known"
	}
	contact := b.person(f, f.Person)
	if contact == nil {
		return "skipped: names nobody"
	}
	consent := contact.Text("consent")
	if f.Preference.Value == "stop" {
		optOut(contact, f)
	} else {
		agreeTo(contact, f, "marketing")
	}
	b.occurs(f, contact, nil, choice(consent, contact.Text("consent"))...)
	return directory.Applied
}

// identity follows a person to a new number or user id. If that is known already
// the two are one person, unless it was somebody else's before.
func (b *batch) identity(f *directory.Fact) string {
	at := f.When()
	before := at.Add(-1)
	was := directory.Find(directory.KeysOf(f.Person), b.identities, before)
	is := directory.Find(directory.KeysOf(&f.Identity.New), b.identities, at)
	if was == 0 || was == is {
		if b.person(f, &f.Identity.New) == nil {
			return "skipped: names nobody"
		}
		return directory.Applied
	}
	if f.Person.WAID != "" && f.Identity.New.WAID != "" {
		b.retire(was, f.Person, f)
	}
	if is != 0 {
		if first := b.contacts[is].Time("first_inbound_at"); !first.IsZero() && first.Before(at.Add(-handOver)) {
			return "skipped: the number was somebody else's"
		}
		b.join(b.contacts[is], b.contacts[was], whyChanged, f)
		b.touch(is, f)
		return directory.Applied
	}
	contact := b.contacts[was]
	b.know(contact, &f.Identity.New)
	contact.Describe(&f.Identity.New, at, f.ID, f.Account)
	b.touch(was, f)
	return directory.Applied
}

// messageOf returns the message that a fact is about, known or new.
func (b *batch) messageOf(f *directory.Fact, wamid string, direction connectors.Direction) *directory.Message {
	key := messageKey(f, wamid)
	m := b.messages[key]
	if m == nil {
		m = &directory.Message{
			Account: f.Account, BusinessNumber: key.BusinessNumber, WAMID: key.WAMID,
			Direction: direction, Changed: true,
		}
		b.messages[key] = m
	}
	b.heard[m] = append(b.heard[m], f)
	return m
}

// assign says whose message it is, and that this contact's conversation is to
// be summed up again.
func (b *batch) assign(m *directory.Message, c *directory.Contact, f *directory.Fact) {
	if c == nil {
		return
	}
	if m.ContactID == 0 {
		m.ContactID, m.Changed = c.ID, true
	}
	b.touch(m.ContactID, f)
	b.talked[m.ContactID] = true
}

// person returns the contact of the person whom a fact describes, known or
// new, with the description merged; nil if it describes nobody.
func (b *batch) person(f *directory.Fact, p *connectors.Person) *directory.Contact {
	keys := directory.KeysOf(p)
	if len(keys) == 0 {
		return nil
	}
	at := f.When()
	id := directory.Find(keys, b.identities, at)
	if id == 0 {
		id = b.newContact()
		b.fresh[b.contacts[id]] = f
	}
	contact := b.contacts[id]
	b.know(contact, p)
	contact.Describe(p, at, f.ID, f.Account)
	b.touch(id, f)
	return contact
}

// know adds the names under which a person goes now, but for those that
// somebody holds already.
func (b *batch) know(c *directory.Contact, p *connectors.Person) {
	for i, key := range directory.KeysOf(p) {
		if i > 0 && key.Kind == directory.PhoneIdentity {
			continue // a variant of the number, which only finds
		}
		b.hold(c, key, time.Time{})
	}
}

// retire ends a contact's hold on a number, from the fact's time on.
func (b *batch) retire(contactID int64, p *connectors.Person, f *directory.Fact) {
	numbers := slices.DeleteFunc(directory.KeysOf(p), func(k directory.IdentityKey) bool { return k.Kind != directory.PhoneIdentity })
	b.release(contactID, numbers, f)
}

// release ends a contact's hold on names, from the fact's time on.
func (b *batch) release(contactID int64, keys []directory.IdentityKey, f *directory.Fact) {
	for i := range b.identities {
		id := &b.identities[i]
		if id.ContactID == contactID && id.RetiredAt.IsZero() && slices.Contains(keys, id.IdentityKey) {
			id.RetiredAt = f.When()
			b.newIdentities = append(b.newIdentities, i)
		}
	}
}
