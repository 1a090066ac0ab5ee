package app

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"crmsync/config"
	"crmsync/connectors"
	"crmsync/connectors/whatsapp"
	"crmsync/mapping"
	"crmsync/sync/deliver"
	"crmsync/sync/directory"
	"crmsync/sync/intake"
	"crmsync/sync/record"
	"crmsync/sync/store"
)

// Rehearsed is what a mapping would do about a webhook or a contact. Nothing of it
// has been done. It is people's data.
type Rehearsed struct {
	MappingFile     string `json:"mapping_file"`
	MappingRevision string `json:"mapping_revision"`
	// Account is the WhatsApp account that is taken to have sent the webhook;
	// empty for a contact.
	Account string `json:"account,omitempty"`
	// Facts are what the webhook says; none for a contact.
	Facts    []RehearsedFact    `json:"facts"`
	Contacts []RehearsedContact `json:"contacts"`
	// Notes say what one might miss.
	Notes []string `json:"notes"`
}

// RehearsedFact is one thing that a webhook reports.
type RehearsedFact struct {
	// Kind is message, status, preference, identity, person, other or malformed;
	// Type is WhatsApp's own word.
	Kind string     `json:"kind"`
	Type string     `json:"type,omitempty"`
	At   *time.Time `json:"at,omitempty"`
	// Outcome is applied, or "skipped: " or "malformed: " and why.
	Outcome string `json:"outcome"`
	// What the fact says, by its kind.
	Person     *connectors.Person     `json:"person,omitempty"`
	Message    *connectors.Message    `json:"message,omitempty"`
	Status     *connectors.Status     `json:"status,omitempty"`
	Preference *connectors.Preference `json:"preference,omitempty"`
	Identity   *connectors.Identity   `json:"identity,omitempty"`
}

// RehearsedContact is a contact as crmsync would know it, and what would be
// written of it.
type RehearsedContact struct {
	// ID is 0 for one that only the webhook knows.
	ID   int64  `json:"id"`
	Name string `json:"name"`
	// Fields are the values by crmsync's own names.
	Fields map[string]any `json:"fields"`
	// Accounts are by name.
	Accounts map[string]RehearsedAccount `json:"accounts"`
	Messages []RehearsedMessage          `json:"messages"`
	// Rules are those that looked at what happened, event by event in their order.
	Rules []RehearsedRule `json:"rules"`
}

// How an account stands to a contact of a rehearsal.
const (
	// AccountNew has no record of the contact yet, AccountKnown has one.
	AccountNew   = "new"
	AccountKnown = "known"
	// AccountNone gets nothing: the reason says why.
	AccountNone = "none"
)

// RehearsedAccount is what an account would be told of a contact.
type RehearsedAccount struct {
	State    string `json:"state"`
	RecordID string `json:"record_id,omitempty"`
	Reason   string `json:"reason,omitempty"`
	// Fields are by the account's names. Unless Refused is empty none is
	// written.
	Fields  map[string]RehearsedField `json:"fields"`
	Refused []RehearsedRefusal        `json:"refused"`
}

// RehearsedField is a field that the mapping writes.
type RehearsedField struct {
	Value any    `json:"value"`
	Type  string `json:"type"`
	// From is crmsync's own field, Line the mapping's.
	From string `json:"from,omitempty"`
	Line int    `json:"line"`
	// Written says that it would be written now: the account has not been told
	// that value, and the field is not left to the people there.
	Written bool `json:"written"`
	// OnlyFilledIn says that it is not written over what is in a record that
	// somebody else has made and that turns out to be this contact's.
	OnlyFilledIn bool `json:"only_filled_in,omitempty"`
	// Told is what the account was last told or last showed; nil if nothing. A
	// long text is a digest (sha256:…).
	Told *string `json:"told,omitempty"`
	// Left says that the field is left to the people who work in the account.
	Left bool `json:"left,omitempty"`
}

// RehearsedRefusal is why a contact is not written.
type RehearsedRefusal struct {
	Field  string `json:"field"`
	From   string `json:"from,omitempty"`
	Line   int    `json:"line"`
	Reason string `json:"reason"`
}

// RehearsedMessage is a message as it would be logged.
type RehearsedMessage struct {
	WAMID     string    `json:"wamid"`
	Direction string    `json:"direction"`
	At        time.Time `json:"at"`
	Status    string    `json:"status,omitempty"`
	// Accounts say what it reads in each.
	Accounts map[string]RehearsedText `json:"accounts"`
}

// RehearsedText is a message in an account. Unless Refused is empty it is not
// logged, and that is why.
type RehearsedText struct {
	Text    string `json:"text"`
	Refused string `json:"refused,omitempty"`
	// Words are the account's own for directions and statuses, by WhatsApp's.
	Words map[string]string `json:"words,omitempty"`
}

// A Rehearsal says what a mapping would do. It writes nothing and calls nobody.
type Rehearsal struct {
	file    string
	mapping *mapping.Mapping
	// config is nil where a webhook feeds all accounts of the mapping.
	config  *config.Config
	account string
}

// ReadMapping reads and compiles a mapping. Of a file that is larger than any no more
// is read than it takes to say so.
func ReadMapping(file string) (*mapping.Mapping, error) {
	source, err := readUpTo(file, mapping.MaxSize+1)
	if err != nil {
		return nil, fmt.Errorf("read the mapping: %w", err)
	}
	return mapping.Compile(file, source)
}

// NewRehearsal rehearses a mapping for WhatsApp in general or, with a
// configuration, for one of its WhatsApp accounts; which, need not be said if
// there is one.
func NewRehearsal(file string, c *config.Config, account string) (*Rehearsal, error) {
	m, err := ReadMapping(file)
	if err != nil {
		return nil, err
	}
	r := &Rehearsal{file: file, mapping: m, config: c, account: account}
	if c == nil {
		r.account = config.WhatsApp
		return r, nil
	}
	var numbers []string
	for _, a := range c.Accounts {
		if a.Kind == config.WhatsApp {
			numbers = append(numbers, a.Name)
		}
	}
	switch {
	case account != "" && !slices.Contains(numbers, account):
		return nil, NoSuchAccount(fmt.Sprintf("there is no WhatsApp account %q in the configuration; there are %s", account, strings.Join(numbers, ", ")))
	case account == "" && len(numbers) != 1:
		return nil, NoSuchAccount(fmt.Sprintf("say with --account which WhatsApp account sends it: %s", strings.Join(numbers, ", ")))
	case account == "":
		r.account = numbers[0]
	}
	return r, nil
}

// fed are the accounts that the webhook feeds, which the mapping has.
func (r *Rehearsal) fed(string) []string {
	if r.config == nil {
		return r.mapping.Accounts()
	}
	return slices.DeleteFunc(r.config.DeliverTo(r.account), func(name string) bool { return !slices.Contains(r.mapping.Accounts(), name) })
}

// words are those by which people opt out and in again.
func (r *Rehearsal) words() record.Words {
	consent := config.Default().Consent
	if r.config != nil {
		consent = r.config.Consent
	}
	return record.Words{Stop: consent.StopWords, Start: consent.StartWords}
}

// ReadPayload reads a webhook's body. The error does not repeat it.
func ReadPayload(from io.Reader, name string) ([]byte, error) {
	body, err := io.ReadAll(io.LimitReader(from, intake.MaxBody+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("read %s: %w", name, err)
	case len(body) > intake.MaxBody:
		return nil, fmt.Errorf("%s is larger than 3 MB, which no webhook of WhatsApp is; crmsync would answer 413", name)
	case len(bytes.TrimSpace(body)) == 0:
		return nil, fmt.Errorf("%s is empty; it holds the body of a webhook, as WhatsApp sends it", name)
	}
	body = bytes.TrimPrefix(body, []byte("\xef\xbb\xbf")) // which some editors put before it
	if err := json.Unmarshal(body, new(json.RawMessage)); err != nil {
		where := ""
		if e, ok := errors.AsType[*json.SyntaxError](err); ok {
			before := body[:min(len(body), int(max(0, e.Offset-1)))]
			where = fmt.Sprintf(" at line %d, column %d", bytes.Count(before, []byte("\n"))+1, len(before)-bytes.LastIndexByte(before, '\n'))
		}
		return nil, fmt.Errorf("%s is not JSON%s; it holds the body of a webhook, as WhatsApp sends it", name, where)
	}
	return body, nil
}

// Payload says what the mapping would do about a webhook to a worker that knows
// nobody yet. It goes the way of every webhook, through a database in memory.
func (r *Rehearsal) Payload(ctx context.Context, body []byte) (*Rehearsed, error) {
	db, err := store.OpenMemory(ctx)
	if err != nil {
		return nil, err
	}
	defer db.Close()
	split := whatsapp.NewReceiver(nil, "").Split(body)
	received := arrival(split)
	facts := make([]directory.Fact, len(split))
	for i, f := range split {
		facts[i] = directory.Fact{ID: directory.FactID(r.account, f.Key), Account: r.account, ReceivedAt: received, Fact: f}
	}
	watched := &watchedStore{DB: db, outcomes: map[string]string{}}
	recorder := record.Recorder{
		Store: watched, DeliverTo: r.fed, Mapping: func() *mapping.Mapping { return r.mapping }, Words: r.words,
	}
	if r.config != nil {
		recorder.Region = r.config.DefaultRegion
	}
	rules := map[int64][]RehearsedRule{}
	recorder.Looked = func(contact int64, f *directory.Fact, fired []mapping.Fired, trace []mapping.Looked) {
		rules[contact] = append(rules[contact], rulesRehearsed(f, fired, trace)...)
	}
	result, err := recorder.Record(ctx, facts)
	if err != nil {
		return nil, err
	}
	out := &Rehearsed{
		MappingFile: r.file, MappingRevision: r.mapping.Revision(), Account: r.account,
		Facts: []RehearsedFact{}, Contacts: []RehearsedContact{}, Notes: []string{},
	}
	for i := range facts {
		out.Facts = append(out.Facts, factRehearsed(&facts[i], watched.outcomes[facts[i].ID]))
	}
	messages, err := r.messages(ctx, db, result.Triggers)
	if err != nil {
		return nil, err
	}
	if err := r.contacts(ctx, db, messages, rules, out); err != nil {
		return nil, err
	}
	r.note(out)
	return out, nil
}

// arrival is when a webhook is taken to arrive: when the last thing in it happened,
// as it does in life.
func arrival(facts []connectors.Fact) (at time.Time) {
	for _, f := range facts {
		if f.At.After(at) {
			at = f.At
		}
	}
	if at.IsZero() {
		at = time.Now()
	}
	return at.UTC()
}

// watchedStore remembers what has become of facts.
type watchedStore struct {
	*store.DB
	outcomes map[string]string
}

func (s *watchedStore) Record(ctx context.Context, f func(tx directory.Tx) error) error {
	return s.DB.Record(ctx, func(tx directory.Tx) error { return f(watchedTx{tx, s.outcomes}) })
}

type watchedTx struct {
	directory.Tx
	outcomes map[string]string
}

func (tx watchedTx) SaveFacts(outcomes []directory.FactOutcome) error {
	for _, o := range outcomes {
		tx.outcomes[o.Fact.ID] = o.Outcome
	}
	return tx.Tx.SaveFacts(outcomes)
}

func factRehearsed(f *directory.Fact, outcome string) RehearsedFact {
	return RehearsedFact{
		Kind: string(f.Kind), Type: f.Type, At: orNil(f.At), Outcome: outcome,
		Person: f.Person, Message: f.Message, Status: f.Status, Preference: f.Preference, Identity: f.Identity,
	}
}

// messages are those that are owed, by contact, in the order of their time.
func (r *Rehearsal) messages(ctx context.Context, db *store.DB, owed []directory.Trigger) (map[int64][]RehearsedMessage, error) {
	ids := map[string][]int64{}
	for _, t := range owed {
		if t.Entity.Kind == directory.MessageEntity {
			ids[t.Account] = append(ids[t.Account], t.Entity.ID)
		}
	}
	return logged(ctx, db, r.mapping, ids)
}

// logged are messages as accounts would log them, by contact.
func logged(ctx context.Context, db *store.DB, m *mapping.Mapping, ids map[string][]int64) (map[int64][]RehearsedMessage, error) {
	seen := map[int64]RehearsedMessage{}
	of := map[int64][]int64{}
	for account, ids := range ids {
		for part := range slices.Chunk(ids, 500) {
			work, err := db.Load(ctx, account, directory.MessageEntity, part)
			if err != nil {
				return nil, err
			}
			for _, todo := range work {
				id := todo.Message.ID
				change, failure := deliver.Logged(m, account, todo)
				shown, known := seen[id]
				if !known {
					shown = RehearsedMessage{
						WAMID: change.WAMID, Direction: string(change.Direction), At: change.At.UTC(), Status: change.Status,
						Accounts: map[string]RehearsedText{},
					}
					of[todo.Message.ContactID] = append(of[todo.Message.ContactID], id)
				}
				text := RehearsedText{Text: change.Text, Words: change.Words}
				if failure != nil {
					text.Text, text.Refused = "", failure.Reason
				}
				shown.Accounts[account] = text
				seen[id] = shown
			}
		}
	}
	lists := make(map[int64][]RehearsedMessage, len(of))
	for contact, ids := range of {
		slices.Sort(ids)
		list := make([]RehearsedMessage, len(ids))
		for i, id := range ids {
			list[i] = seen[id]
		}
		slices.SortStableFunc(list, func(x, y RehearsedMessage) int { return x.At.Compare(y.At) })
		lists[contact] = list
	}
	return lists, nil
}

// contacts are all that the database knows.
func (r *Rehearsal) contacts(ctx context.Context, db *store.DB, messages map[int64][]RehearsedMessage, rules map[int64][]RehearsedRule, out *Rehearsed) error {
	for after := int64(0); ; {
		page, err := db.Standings(ctx, after, time.Time{}, 500)
		if err != nil || len(page) == 0 {
			return err
		}
		for i := range page {
			after = page[i].ID
			contact, err := page[i].Contact()
			if err != nil {
				return err
			}
			view := contact.View()
			c := contactRehearsed(r.mapping, view, messages[contact.ID])
			c.Rules = append(c.Rules, rules[contact.ID]...)
			for _, l := range page[i].Links() {
				link, err := l.Link()
				if err != nil {
					return err
				}
				c.Accounts[link.Account] = r.accountRehearsed(&link, view)
			}
			out.Contacts = append(out.Contacts, c)
		}
	}
}

func contactRehearsed(m *mapping.Mapping, view map[string]any, messages []RehearsedMessage) RehearsedContact {
	c := RehearsedContact{Fields: knownFields(m, view), Accounts: map[string]RehearsedAccount{}, Messages: []RehearsedMessage{}, Rules: []RehearsedRule{}}
	c.Name, _ = view["name"].(string)
	c.Messages = append(c.Messages, messages...)
	return c
}

// knownFields are a view's contact fields, typed.
func knownFields(m *mapping.Mapping, view map[string]any) map[string]any {
	fields := make(map[string]any, len(view))
	for name, value := range view {
		info, known := m.Field(name)
		if _, shipped := mapping.Contact[name]; known && !shipped {
			value, known = mapping.Typed(info.Type, directory.TextOf(value))
		}
		if known {
			fields[name] = value
		}
	}
	return fields
}

// accountRehearsed is what an account would be told of a contact's view.
func (r *Rehearsal) accountRehearsed(link *directory.Link, view map[string]any) RehearsedAccount {
	a := RehearsedAccount{State: AccountNew, RecordID: link.RecordID, Fields: map[string]RehearsedField{}, Refused: []RehearsedRefusal{}}
	if link.RecordID != "" {
		a.State = AccountKnown
	}
	if link.State == directory.Skipped {
		a.State, a.Reason = AccountNone, link.Reason
		return a
	}
	fields, refused := r.mapping.Translate(link.Account, view)
	for _, refusal := range refused {
		a.Refused = append(a.Refused, RehearsedRefusal{refusal.Line.To, refusal.Line.From, refusal.Line.Number, refusal.Reason})
	}
	var written map[string]any
	if len(refused) == 0 {
		written = deliver.Written(fields, link)
	}
	filled := map[string]bool{}
	if link.RecordID == "" {
		filled = deliver.OnlyFilledIn(r.mapping, link.Account)
	}
	for _, line := range r.mapping.Lines(link.Account) {
		value, translated := fields[line.To]
		if !translated {
			continue
		}
		_, differs := written[line.To]
		f := RehearsedField{
			Value: value, Type: string(line.Theirs.Type), From: line.From, Line: line.Number, Written: differs, OnlyFilledIn: filled[line.To],
		}
		if was, told := link.Shadow[line.To]; told {
			f.Left = directory.Kept(was)
			text := directory.Told(was)
			if f.Left {
				text = directory.KeptText(was)
			}
			f.Told = &text
		}
		a.Fields[line.To] = f
	}
	return a
}

// note says what one might miss in the result.
func (r *Rehearsal) note(out *Rehearsed) {
	note := func(format string, args ...any) { out.Notes = append(out.Notes, fmt.Sprintf(format, args...)) }
	malformed := 0
	for _, f := range out.Facts {
		if f.Kind == string(connectors.KindMalformed) {
			malformed++
		}
	}
	if malformed > 0 {
		note("%s of the webhook cannot be read and would become a dead letter: see the facts", partsOf(malformed))
	}
	if len(out.Contacts) == 0 {
		note("the webhook names nobody, so nothing would be written")
	}
	if r.config != nil {
		for _, name := range r.config.DeliverTo(r.account) {
			if !slices.Contains(r.mapping.Accounts(), name) {
				note("%s feeds %s, for which the mapping has no fields: crmsync would not start with it", r.account, name)
			}
		}
	}
}

func partsOf(n int) string {
	if n == 1 {
		return "a part"
	}
	return fmt.Sprintf("%d parts", n)
}
