package app

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"crmsync/config"
	"crmsync/connectors"
	"crmsync/mapping"
	"crmsync/sync/deliver"
	"crmsync/sync/directory"
	"crmsync/sync/store"
)

// MappingDiff is what a new mapping would change in the accounts, as far as the old
// one would not do so itself. Nothing has been changed.
type MappingDiff struct {
	Old MappingVersion `json:"old"`
	New MappingVersion `json:"new"`
	// Since is when a contact must have changed to be looked at; nil for all.
	Since *time.Time `json:"since,omitempty"`
	// Contacts is how many were looked at.
	Contacts int64         `json:"contacts"`
	Seconds  float64       `json:"seconds"`
	Accounts []AccountDiff `json:"accounts"`
	// Notes say what one might miss.
	Notes []string `json:"notes"`
}

// MappingVersion names a mapping.
type MappingVersion struct {
	File     string `json:"file"`
	Revision string `json:"revision"`
}

// AccountDiff is what would change in an account.
type AccountDiff struct {
	Account string `json:"account"`
	// Contacts is how many contacts the account is told of, Changed of how many
	// something would be written that the old mapping would not write.
	Contacts int64 `json:"contacts"`
	Changed  int64 `json:"changed"`
	// Refused is how many the new mapping refuses and the old one did not,
	// Accepted the other way round: those would be written as a whole.
	Refused  int64 `json:"refused"`
	Accepted int64 `json:"accepted"`
	// Fields are those in which something changes, in the order of the new
	// mapping; those that it does not have come last.
	Fields   []FieldDiff   `json:"fields"`
	Refusals []RefusalDiff `json:"refusals"`
}

// FieldDiff is what would change in a field of an account. Added, Changed,
// Cleared and Stopped count contacts.
type FieldDiff struct {
	Field string `json:"field"`
	// From is crmsync's own field and Line the new mapping's; empty and 0 if it
	// does not have the field.
	From string `json:"from,omitempty"`
	Line int    `json:"line,omitempty"`
	// Added: the account was told nothing, or that it is empty. Changed: it was
	// told another value. Cleared: it would be emptied.
	Added   int64 `json:"added"`
	Changed int64 `json:"changed"`
	Cleared int64 `json:"cleared"`
	// Stopped: it would not be written any more. Its value stays in the account.
	Stopped  int64         `json:"stopped"`
	Examples []DiffExample `json:"examples"`
}

// A DiffExample is a change in one contact. Before and After are masked (letters
// become x and X, digits 9), unless values were asked for.
type DiffExample struct {
	Contact int64  `json:"contact"`
	Record  string `json:"record_id,omitempty"`
	// What is added, changed, cleared or stopped.
	What   string `json:"what"`
	Before string `json:"before"`
	After  string `json:"after"`
}

// RefusalDiff is a line because of which contacts would newly be refused.
type RefusalDiff struct {
	Field    string `json:"field"`
	From     string `json:"from,omitempty"`
	Line     int    `json:"line"`
	Reason   string `json:"reason"`
	Contacts int64  `json:"contacts"`
	// Examples are contacts.
	Examples []int64 `json:"examples"`
}

// mostExamples is how many contacts are named for each field.
const mostExamples = 3

// DiffOptions say what is compared.
type DiffOptions struct {
	// Old is a file to compare with instead of the mapping of the configuration.
	Old string
	// Account is one of the CRM accounts, empty for all.
	Account string
	Since   time.Time
	// Values shows values in examples: they are people's data.
	Values bool
	// Progress is told how many contacts have been looked at, every now and then.
	Progress func(contacts int64)
}

// DiffMapping says what a new mapping would change of the contacts that the
// directory holds. It reads them a page at a time and writes nothing.
func DiffMapping(ctx context.Context, c *config.Config, file string, o DiffOptions) (*MappingDiff, error) {
	if crms := CRMs(c); o.Account != "" && !slices.Contains(crms, o.Account) {
		return nil, NoSuchAccount(fmt.Sprintf("there is no CRM account %q in the configuration; there are %s", o.Account, strings.Join(crms, ", ")))
	}
	next, err := ReadMapping(file)
	if err != nil {
		return nil, err
	}
	oldFile := cmp.Or(o.Old, c.Mapping)
	old, err := ReadMapping(oldFile)
	if err != nil {
		return nil, err
	}
	book, err := openBook(ctx, c, old)
	if err != nil {
		return nil, err
	}
	defer book.Close()
	began := time.Now()
	d := &differ{Book: book, next: next, values: o.Values, except: map[string][]string{}}
	for _, name := range CRMs(c) {
		if o.Account == "" || o.Account == name {
			d.accounts = append(d.accounts, name)
			d.except[name] = c.NotFeeding(name)
		}
	}
	total, err := d.run(ctx, o.Since, o.Progress)
	if err != nil {
		return nil, err
	}
	out := &MappingDiff{
		Old: MappingVersion{oldFile, old.Revision()}, New: MappingVersion{file, next.Revision()},
		Since: orNil(o.Since), Contacts: total.contacts, Seconds: time.Since(began).Seconds(),
		Accounts: []AccountDiff{}, Notes: d.notes(),
	}
	for _, name := range d.accounts {
		out.Accounts = append(out.Accounts, total.result(name, next))
	}
	return out, nil
}

// A differ compares what two mappings make of contacts. The book has the old one.
type differ struct {
	*Book
	next     *mapping.Mapping
	accounts []string
	// except are the WhatsApp accounts that do not feed an account.
	except map[string][]string
	values bool
}

// pageOfContacts is how many are read at once.
const pageOfContacts = 500

// A diffPage is a page of contacts, with the conversations as those accounts see
// them whom not all concern.
type diffPage struct {
	standings []store.Standing
	talks     map[string]map[int64]directory.Conversation
}

// run goes through all contacts. Pages are read one after the other and compared
// beside each other.
func (d *differ) run(ctx context.Context, since time.Time, progress func(int64)) (*tally, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	pages := make(chan diffPage)
	var comparing sync.WaitGroup
	parts := make([]*tally, max(1, runtime.GOMAXPROCS(0)))
	failures := make(chan error, len(parts))
	for i := range parts {
		part := newTally()
		parts[i] = part
		comparing.Go(func() {
			for page := range pages {
				if err := d.compare(page, part); err != nil {
					cancel()
					failures <- err
					return
				}
			}
		})
	}
	err := d.read(ctx, since, pages, progress)
	close(pages)
	comparing.Wait()
	select {
	case err = <-failures: // because of which the reading may have ended
	default:
	}
	if err != nil {
		return nil, err
	}
	total := newTally()
	for _, part := range parts {
		total.add(part)
	}
	return total, nil
}

func (d *differ) read(ctx context.Context, since time.Time, pages chan<- diffPage, progress func(int64)) error {
	after, contacts := int64(0), int64(0)
	for {
		standings, err := d.db.Standings(ctx, after, since, pageOfContacts)
		if err != nil || len(standings) == 0 {
			return err
		}
		after = standings[len(standings)-1].ID
		page := diffPage{standings, map[string]map[int64]directory.Conversation{}}
		ids := make([]int64, len(standings))
		for i := range standings {
			ids[i] = standings[i].ID
		}
		for account, except := range d.except {
			if len(except) == 0 {
				continue
			}
			if page.talks[account], err = d.db.ConversationsWithout(ctx, except, ids); err != nil {
				return err
			}
		}
		select {
		case pages <- page:
		case <-ctx.Done():
			return ctx.Err()
		}
		if contacts += int64(len(standings)); progress != nil {
			progress(contacts)
		}
	}
}

func (d *differ) compare(page diffPage, into *tally) error {
	for i := range page.standings {
		contact, err := page.standings[i].Contact()
		if err != nil {
			return err
		}
		into.contacts++
		var everything map[string]any
		for _, link := range page.standings[i].Links() {
			account := link.Account()
			if !slices.Contains(d.accounts, account) || link.State() == directory.Skipped {
				continue
			}
			var view map[string]any
			if except := d.except[account]; len(except) > 0 {
				view = contact.Without(except, page.talks[account][contact.ID]).View()
			} else {
				if everything == nil {
					everything = contact.View()
				}
				view = everything
			}
			if err := d.compareIn(&link, view, into.account(account)); err != nil {
				return err
			}
		}
	}
	return nil
}

// A made is what a mapping makes of a contact in an account, and what of that would
// be written.
type made struct {
	fields, written map[string]any
	refused         []mapping.Refusal
}

// compareIn compares a contact in one account.
func (d *differ) compareIn(standing *store.StandingLink, view map[string]any, a *accountTally) error {
	a.contacts++
	var before, after made
	before.fields, before.refused = d.mapping.Translate(standing.Account(), view)
	after.fields, after.refused = d.next.Translate(standing.Account(), view)
	if len(before.refused) == 0 && len(after.refused) == 0 && sameValues(before.fields, after.fields) {
		return nil // whatever the account was told
	}
	link, err := standing.Link()
	if err != nil {
		return err
	}
	if len(before.refused) > 0 {
		before.fields = nil
	}
	before.written = deliver.Written(before.fields, &link)
	switch {
	case len(after.refused) > 0 && len(before.refused) == 0:
		a.refused++
		for _, r := range after.refused {
			a.refusal(r, link.Entity.ID)
		}
		return nil
	case len(after.refused) > 0:
		return nil
	case len(before.refused) > 0:
		a.accepted++
	}
	after.written = deliver.Written(after.fields, &link)
	d.compareFields(&link, before, after, a)
	return nil
}

// compareFields compares the fields of a contact that the new mapping lets through.
func (d *differ) compareFields(link *directory.Link, before, after made, a *accountTally) {
	changed := false
	for name, value := range after.written {
		if pending, too := before.written[name]; too && directory.ShadowOf(pending) == directory.ShadowOf(value) {
			continue // the old one writes the same
		}
		what, was := becoming(link, before, name, value)
		a.note(name, what, link, func() (string, string) { return d.shown(name, link.Account, was), d.shown(name, link.Account, value) })
		changed = true
	}
	for name, value := range before.fields {
		now, still := after.fields[name]
		told := link.Shadow[name]
		stopped := !still && directory.Told(told) != "" && !directory.Kept(told)
		if link.RecordID == "" {
			stopped = value != nil && now == nil
		}
		if stopped {
			a.note(name, fieldStopped, link, func() (string, string) { return d.shown(name, link.Account, value), "" })
		}
	}
	if changed {
		a.changed++
	}
}

// sameValues reports whether two translations write the same.
func sameValues(a, b map[string]any) bool {
	return maps.EqualFunc(a, b, func(x, y any) bool { return directory.ShadowOf(x) == directory.ShadowOf(y) })
}

// What may become of a field.
const (
	fieldAdded   = "added"
	fieldChanged = "changed"
	fieldCleared = "cleared"
	fieldStopped = "stopped"
)

// becoming says how a value that would be written differs from what the account
// was told or, while it has no record, from what the old mapping would tell it.
func becoming(link *directory.Link, before made, name string, value any) (what string, was any) {
	told, known := link.Shadow[name]
	text := directory.Told(told)
	if known {
		was = text
	}
	if now, translated := before.fields[name]; translated && (link.RecordID == "" || directory.ShadowOf(now) == text) {
		was = now // whole, where the shadow has a digest
	}
	switch {
	case value == nil || value == "":
		return fieldCleared, was
	case was == nil || was == "":
		return fieldAdded, was
	}
	return fieldChanged, was
}

// notes say what one might miss.
func (d *differ) notes() []string {
	notes := []string{}
	for _, name := range CRMs(d.config) {
		if len(d.next.Lines(name)) == 0 {
			notes = append(notes, fmt.Sprintf("the new mapping has no fields for %s: crmsync would not start with it", name))
		}
	}
	for _, name := range d.accounts {
		if was, is := d.mapping.OnDelete(name), d.next.OnDelete(name); was != is {
			notes = append(notes, fmt.Sprintf("%s: on_delete becomes %s, it was %s", name, is, was))
		}
		if was, is := d.mapping.Merges(name), d.next.Merges(name); was != is {
			notes = append(notes, fmt.Sprintf("%s: duplicates become %s", name, map[bool]string{true: "merge, which cannot be undone", false: "report"}[is]))
		}
		notes = append(notes, d.readings(name)...)
		if was, is := sampleMessages(d.mapping, name), sampleMessages(d.next, name); was != is {
			notes = append(notes, fmt.Sprintf("%s: messages would be logged in another form: %s, and not %s", name, is, was))
		}
	}
	if d.mapping.People() != d.next.People() {
		notes = append(notes, "people: other rules say who is one person; they count for what comes from now on")
	}
	return notes
}

// sampleMessages are a message in each direction as an account would log them.
func sampleMessages(m *mapping.Mapping, account string) string {
	at := time.Date(2026, 11, 22, 9, 30, 0, 0, time.UTC)
	var shown []string
	for _, sample := range []mapping.Message{
		{Text: "Hello!", Kind: "text", Direction: string(connectors.In), At: at},
		{Text: "Hi.", Kind: "text", Direction: string(connectors.Out), Status: "read", At: at},
	} {
		text, err := m.Message(account, sample)
		if err != nil {
			text = "it is refused: " + err.Error()
		}
		for _, word := range []string{sample.Direction, sample.Status} {
			if own := m.Words(account)[word]; own != "" {
				text += " (" + own + ")"
			}
		}
		shown = append(shown, strconv.Quote(text))
	}
	return strings.Join(shown, ", ")
}

// readings say what would be read in another way: that changes nothing in an
// account by itself.
func (d *differ) readings(account string) (notes []string) {
	note := func(format string, args ...any) {
		notes = append(notes, account+": "+fmt.Sprintf(format, args...))
	}
	next := map[string]mapping.Line{}
	for _, l := range d.next.Lines(account) {
		next[l.To] = l
	}
	was := map[string]mapping.Line{}
	for _, l := range d.mapping.Lines(account) {
		if was[l.To] = l; l.Read && !next[l.To].Read {
			note("what people enter in %s would not be taken over any more", l.To)
		}
	}
	for _, l := range d.next.Lines(account) {
		old := was[l.To]
		switch {
		case l.Read && (!old.Read || old.From != l.From):
			note("what people enter in %s would be taken over as %s (line %d)", l.To, l.From, l.Number)
		case l.Read && old.Owner != l.Owner:
			note("the owner of %s becomes %s, it was %s (line %d)", l.From, cmp.Or(l.Owner, "newest"), cmp.Or(old.Owner, "newest"), l.Number)
		}
	}
	return notes
}

// A tally is what comparisons have found.
type tally struct {
	contacts int64
	accounts map[string]*accountTally
}

type accountTally struct {
	contacts, changed, refused, accepted int64

	fields   map[string]*FieldDiff
	refusals map[string]*RefusalDiff
}

func newTally() *tally { return &tally{accounts: map[string]*accountTally{}} }

func (t *tally) account(name string) *accountTally {
	a := t.accounts[name]
	if a == nil {
		a = &accountTally{fields: map[string]*FieldDiff{}, refusals: map[string]*RefusalDiff{}}
		t.accounts[name] = a
	}
	return a
}

// note counts a change; values are only asked for where it becomes an example.
func (a *accountTally) note(field, what string, link *directory.Link, values func() (before, after string)) {
	f := a.fields[field]
	if f == nil {
		f = &FieldDiff{Field: field}
		a.fields[field] = f
	}
	*f.count(what)++
	if len(f.Examples) < mostExamples || link.Entity.ID < f.Examples[len(f.Examples)-1].Contact {
		before, after := values()
		f.example(DiffExample{link.Entity.ID, link.RecordID, what, before, after})
	}
}

func (f *FieldDiff) count(what string) *int64 {
	switch what {
	case fieldAdded:
		return &f.Added
	case fieldChanged:
		return &f.Changed
	case fieldCleared:
		return &f.Cleared
	}
	return &f.Stopped
}

// example keeps the first contacts, in whatever order they come.
func (f *FieldDiff) example(e DiffExample) {
	at, _ := slices.BinarySearchFunc(f.Examples, e.Contact, func(x DiffExample, id int64) int { return cmp.Compare(x.Contact, id) })
	f.Examples = slices.Insert(f.Examples, at, e)
	f.Examples = f.Examples[:min(len(f.Examples), mostExamples)]
}

func (a *accountTally) refusal(r mapping.Refusal, contact int64) {
	key := r.Line.To + "\x00" + r.Reason
	d := a.refusals[key]
	if d == nil {
		d = &RefusalDiff{Field: r.Line.To, From: r.Line.From, Line: r.Line.Number, Reason: r.Reason}
		a.refusals[key] = d
	}
	d.Contacts++
	d.example(contact)
}

func (d *RefusalDiff) example(contact int64) {
	at, _ := slices.BinarySearch(d.Examples, contact)
	d.Examples = slices.Insert(d.Examples, at, contact)
	d.Examples = d.Examples[:min(len(d.Examples), mostExamples)]
}

func (t *tally) add(other *tally) {
	t.contacts += other.contacts
	for name, from := range other.accounts {
		a := t.account(name)
		a.contacts, a.changed, a.refused, a.accepted = a.contacts+from.contacts, a.changed+from.changed, a.refused+from.refused, a.accepted+from.accepted
		for field, f := range from.fields {
			sum := a.fields[field]
			if sum == nil {
				a.fields[field] = f
				continue
			}
			for _, what := range []string{fieldAdded, fieldChanged, fieldCleared, fieldStopped} {
				*sum.count(what) += *f.count(what)
			}
			for _, e := range f.Examples {
				sum.example(e)
			}
		}
		for key, r := range from.refusals {
			sum := a.refusals[key]
			if sum == nil {
				a.refusals[key] = r
				continue
			}
			sum.Contacts += r.Contacts
			for _, id := range r.Examples {
				sum.example(id)
			}
		}
	}
}

// result is what there is to say of an account.
func (t *tally) result(name string, m *mapping.Mapping) AccountDiff {
	a := t.account(name)
	out := AccountDiff{
		Account: name, Contacts: a.contacts, Changed: a.changed, Refused: a.refused, Accepted: a.accepted,
		Fields: []FieldDiff{}, Refusals: []RefusalDiff{},
	}
	for _, l := range m.Lines(name) {
		if f := a.fields[l.To]; f != nil {
			f.From, f.Line = l.From, l.Number
			out.Fields = append(out.Fields, *f)
			delete(a.fields, l.To)
		}
	}
	for _, field := range slices.Sorted(maps.Keys(a.fields)) {
		out.Fields = append(out.Fields, *a.fields[field])
	}
	for _, r := range a.refusals {
		out.Refusals = append(out.Refusals, *r)
	}
	slices.SortFunc(out.Refusals, func(x, y RefusalDiff) int {
		return cmp.Or(cmp.Compare(x.Line, y.Line), cmp.Compare(x.Reason, y.Reason))
	})
	return out
}
