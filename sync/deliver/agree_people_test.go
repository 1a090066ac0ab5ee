package deliver_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"crmsync/connectors"
	"crmsync/sync/directory"
)

// A human is somebody whom the CRMs know, and what has been entered about them.
type human struct {
	number  string // of the first day
	history []string
	// entries are what was entered, by field.
	entries map[string][]*entry
	// profiles are the names that they had on WhatsApp.
	profiles []*entry
	labels   map[string]bool
	gone     map[string]time.Time // deleted, by account
	written  time.Time            // the last message
	sent     map[string]bool      // and written over, since all agreed: account, field and value
	agreed   bool                 // at least once
	wrote    bool                 // a message or a wish
}

// An entry is a value that somebody entered somewhere.
type entry struct {
	text string
	// at is when; by the CRM's clock it may be as late as until, which is
	// when the record was changed last before it was read.
	at, until time.Time
	// void ones were taken back or changed again before anybody could read them.
	before string
	void   bool
	// doubtful ones were overwritten before anybody could read them, maybe.
	doubtful bool
	// knew says that the person was shown as opted out.
	knew bool
}

func (h *human) note(format string, args ...any) {
	h.history = append(h.history, time.Now().UTC().Format("15:04:05.000 ")+fmt.Sprintf(format, args...))
}

var shownFields = []string{"phone", "first_name", "last_name", "email", "consent", "labels"}

// whose is the person who has one of the numbers, or had.
func (w *agreeing) whose(phones []string) *human {
	for _, h := range w.people {
		if slices.Contains(phones, h.number) || slices.ContainsFunc(h.entries["phone"], func(e *entry) bool { return slices.Contains(phones, e.text) }) {
			return h
		}
	}
	w.t.Fatalf("nobody has %v", phones)
	return nil
}

func (w *agreeing) newNumber() string {
	w.numbers++
	return fmt.Sprintf("+39333%07d", w.numbers)
}

func (w *agreeing) newHuman() *human {
	h := &human{number: w.newNumber(), entries: map[string][]*entry{}, labels: map[string]bool{}, sent: map[string]bool{}, gone: map[string]time.Time{}}
	w.people = append(w.people, h)
	return h
}

func (w *agreeing) someone() *human {
	if len(w.people) == 0 || len(w.people) < 15 && w.rnd.IntN(12) == 0 {
		return w.newHuman()
	}
	return w.people[w.rnd.IntN(len(w.people))]
}

// write has somebody write, who may have changed their name, or want to hear
// less or more.
func (w *agreeing) write() {
	h := w.someone()
	now := time.Now().UTC()
	h.wrote = true
	if len(h.profiles) == 0 { // after that it is no news
		h.enter("phone", &entry{text: h.number, at: now, until: now, doubtful: h.said("phone", h.number)})
	}
	if len(h.profiles) == 0 || w.rnd.IntN(4) == 0 {
		h.profiles = append(h.profiles, &entry{text: fmt.Sprintf("Pat%d Ng%d", w.facts, w.facts), at: now})
	}
	person := &connectors.Person{WAID: strings.TrimPrefix(h.number, "+"), ProfileName: h.profiles[len(h.profiles)-1].text}
	f := connectors.Fact{Kind: connectors.KindMessage, Type: "text", BusinessNumber: "1", Person: person}
	switch w.rnd.IntN(6) {
	case 0:
		f.Kind, f.Preference = connectors.KindPreference, &connectors.Preference{Value: "stop"}
		h.enter("consent", &entry{text: "opted_out", at: now, until: now})
	case 1:
		f.Kind, f.Preference = connectors.KindPreference, &connectors.Preference{Value: "resume"}
		h.enter("consent", &entry{text: "marketing", at: now, until: now, knew: true, doubtful: h.said("consent", "marketing")})
	default:
		h.written = now
		f.Message = &connectors.Message{WAMID: fmt.Sprint("wamid.", w.facts), Direction: connectors.In, Text: "hello"}
	}
	h.note("whatsapp: %s %v as %s", f.Kind, f.Preference, person.ProfileName)
	w.edits++
	fact := w.fact("whatsapp", f)
	fact.At = now
	w.events = append(w.events, fact)
}

// said reports whether a value was entered before: to say so again is no news, and
// gives way to whoever has changed it since, wherever that is recorded first.
func (h *human) said(field, text string) bool {
	return field == "phone" && len(h.entries[field]) == 0 || slices.ContainsFunc(h.entries[field], func(e *entry) bool { return e.text == text })
}

func (h *human) enter(field string, e *entry) { h.entries[field] = append(h.entries[field], e) }

// edit has somebody change a record in a CRM's pages, or make or delete one.
func (w *agreeing) edit() {
	account := w.account()
	crm, h := w.crms[account], w.someone()
	s := crm.of(h)
	switch {
	case s == nil && (len(h.profiles)+len(h.entries["phone"]) > 0 || w.rnd.IntN(3) > 0):
		return
	case s == nil:
		crm.made++
		s = &sheet{id: fmt.Sprint(account, crm.made), fields: map[string]any{}, person: h, unread: map[string]*entry{}}
		crm.records[s.id] = s
		h.note("%s: entered", account)
		w.change(crm, s, "phone", h.number)
		w.change(crm, s, "first_name", fmt.Sprint("Given", w.edits))
		w.change(crm, s, "last_name", fmt.Sprint("Family", w.edits))
		crm.tell(s, connectors.RecordCreated)
		w.edits++
		return
	case w.rnd.IntN(25) == 0:
		delete(crm.records, s.id)
		for _, e := range s.unread {
			e.doubtful = true
		}
		h.gone[account] = time.Now().UTC()
		h.note("%s: deleted", account)
		crm.tell(s, connectors.RecordDeleted)
		w.edits++
		return
	}
	for range 1 + w.rnd.IntN(2) {
		switch field := shownFields[w.rnd.IntN(len(shownFields))]; field {
		case "phone":
			if !h.agreed {
				continue // nobody could tell that it is the same person
			}
			w.change(crm, s, field, w.newNumber())
		case "labels":
			w.relabel(crm, s)
		case "email":
			text := fmt.Sprintf("a%d@example.com", w.edits)
			if w.rnd.IntN(4) == 0 && s.old {
				text = "" // of one that was just made nobody knows what it showed
			}
			w.change(crm, s, field, text)
		case "consent":
			w.change(crm, s, field, []string{"transactional", "marketing", "opted_out"}[w.rnd.IntN(3)])
		default:
			w.change(crm, s, field, fmt.Sprint(field, w.edits))
		}
		w.edits++
	}
	crm.tell(s, connectors.RecordUpdated)
}

func (w *agreeing) change(crm *pages, s *sheet, field, text string) {
	name := crm.name(field)
	shown := directory.TextOf(s.fields[name])
	if shown == text {
		return
	}
	now := time.Now().UTC()
	e := &entry{text: text, before: shown, at: now, until: now, knew: shown == "opted_out"}
	s.fields[name] = text
	e.doubtful = s.person.sent[crm.account+name+text] // it looks like crmsync's own
	if last := s.unread[name]; last != nil {          // of which nobody will hear
		last.void, e.before, e.knew = true, last.before, last.knew
		e.void = e.before == text
	}
	if s.unread == nil {
		s.unread = map[string]*entry{}
	}
	if s.unread[name] = e; e.void {
		delete(s.unread, name)
	}
	s.touch()
	s.person.enter(field, e)
	s.person.note("%s: %s is entered: %q", crm.account, name, text)
}

// sorted are labels in order.
func sorted(labels string) string {
	list := strings.Split(labels, "\n")
	slices.Sort(list)
	return strings.Join(list, "\n")
}

// relabel adds a label that there never was, or takes one off that is there.
func (w *agreeing) relabel(crm *pages, s *sheet) {
	name, label := crm.name("labels"), fmt.Sprint("label ", w.edits)
	shown := directory.TextOf(s.fields[name])
	list, _ := s.fields[name].([]string)
	list = slices.Clone(list)
	if len(list) > 0 && w.rnd.IntN(2) == 0 {
		i := w.rnd.IntN(len(list))
		label = list[i]
		list = slices.Delete(list, i, i+1)
		s.person.labels[label] = false
	} else {
		list = append(list, label)
		s.person.labels[label] = true
	}
	s.fields[name] = list
	e := &entry{text: strings.Join(list, "\n"), before: sorted(shown), at: time.Now().UTC()}
	if s.unread == nil {
		s.unread = map[string]*entry{}
	}
	if last := s.unread[name]; last != nil {
		e.before = last.before
	}
	if s.unread[name] = e; e.before == sorted(e.text) {
		delete(s.unread, name)
	}
	s.person.enter("labels", e)
	s.touch()
	s.person.note("%s: %s are %q", crm.account, name, e.text)
}

// allowed are the values that a field may have when all agree: one, unless
// nobody can say which of several was the last.
func (h *human) allowed(field string) map[string]bool {
	entries := slices.DeleteFunc(slices.Clone(h.entries[field]), func(e *entry) bool { return e.void })
	ok := map[string]bool{}
	if field == "consent" {
		if out := lastOut(entries); out != nil {
			for _, e := range entries {
				if e.until.After(out.at) && e.knew {
					ok[e.text] = true
				}
			}
			for _, e := range entries {
				if len(ok) > 0 && e.until.After(out.at) {
					ok[e.text] = true
				}
			}
			ok["opted_out"] = true
			return ok
		}
	}
	var last time.Time
	for _, e := range entries {
		if !e.doubtful && e.at.After(last) {
			last = e.at
		}
	}
	for _, e := range entries {
		if e.doubtful || !e.until.Before(last) {
			ok[e.text] = true
		}
	}
	if last.IsZero() { // nobody has entered it, for certain
		switch field {
		case "phone":
			ok[h.number] = true
		case "first_name", "last_name":
			h.called(ok, field)
		case "consent":
			if h.wrote {
				ok["transactional"], ok["unknown"] = true, true
			} else {
				ok[""] = true
			}
		default:
			ok[""] = true
		}
	}
	return ok
}

// called are the parts of the name on WhatsApp: of the last one, or if people
// have entered the other part, of one that there was then.
func (h *human) called(ok map[string]bool, field string) {
	part := func(e *entry) string {
		first, last, _ := strings.Cut(e.text, " ")
		return map[string]string{"first_name": first, "last_name": last}[field]
	}
	if len(h.profiles) == 0 {
		ok[""] = true
		return
	}
	ok[part(h.profiles[len(h.profiles)-1])] = true
	if len(h.entries["first_name"])+len(h.entries["last_name"]) > 0 {
		for _, e := range h.profiles {
			ok[part(e)] = true
		}
	}
}

func lastOut(entries []*entry) (out *entry) {
	for _, e := range entries {
		if e.text == "opted_out" && !e.doubtful && (out == nil || e.at.After(out.at)) {
			out = e
		}
	}
	return out
}

// compare says where the CRMs do not show what the model says, and takes over
// what nobody could say.
func (w *agreeing) compare(round int) {
	for _, h := range w.people {
		shown := map[string]map[string]bool{}
		there := 0
		for _, account := range []string{"a", "b", "c"} {
			crm := w.crms[account]
			n := 0
			for _, s := range crm.records {
				if s.person == h {
					n++
				}
			}
			deleted, was := h.gone[account]
			known := h.agreed || len(h.profiles) > 0 || len(h.entries["phone"]) > 0 && len(h.gone) == 0
			unseen := was && !h.agreed && n < 2 // nobody may have seen that it was there
			if !unseen && (n > 1 || n == 0 && known && (!was || h.written.After(deleted)) || n > 0 && was && h.written.Before(deleted.Add(-time.Hour))) {
				w.t.Errorf("round %d: %d records; deleted %v, last message %v; %s", round, n, deleted, h.written, w.describe(h, account))
			}
			if n == 0 {
				continue
			}
			there++
			delete(h.gone, account)
			crm.of(h).old, crm.of(h).unread = true, nil
			for _, field := range shownFields {
				text := directory.TextOf(crm.of(h).fields[crm.name(field)])
				if field == "labels" {
					text = sorted(text)
				}
				if shown[field] == nil {
					shown[field] = map[string]bool{}
				}
				shown[field][text] = true
			}
		}
		if there == 0 {
			continue
		}
		h.agreed = true
		clear(h.sent)
		for _, field := range shownFields {
			ok := h.allowed(field)
			if field == "labels" {
				ok = h.labelled()
			}
			for text := range shown[field] {
				if ok != nil && !ok[text] {
					w.t.Errorf("round %d: %s is %q, want one of %q", round, field, text, slices.Sorted(maps.Keys(ok)))
				}
			}
			if len(shown[field]) > 1 {
				w.t.Errorf("round %d: %s differs: %q", round, field, slices.Sorted(maps.Keys(shown[field])))
			}
			if w.t.Failed() {
				for _, account := range []string{"a", "b", "c"} {
					w.t.Error(w.crms[account].of(h))
				}
				w.t.Fatal(w.describe(h, "a"))
			}
			h.decide(field, slices.Collect(maps.Keys(shown[field]))[0])
		}
		h.history = nil
	}
}

// decide says what a field is from now on.
func (h *human) decide(field, text string) {
	if field == "labels" {
		h.labels = map[string]bool{}
		for label := range strings.SplitSeq(text, "\n") {
			if label != "" {
				h.labels[label] = true
			}
		}
		h.entries[field] = nil
		return
	}
	entries := h.entries[field]
	if len(entries) == 0 {
		return
	}
	var kept []*entry
	if field == "phone" { // which say who it was
		kept = entries
		for _, e := range kept {
			e.doubtful = false
			if e.text != text {
				e.at, e.until = time.Time{}.Add(1), time.Time{}.Add(1)
			}
		}
	} else {
		for _, e := range entries {
			if e.text == text && !e.void {
				kept = []*entry{e}
			}
		}
	}
	for _, e := range kept {
		if e.text == text {
			e.doubtful, e.knew, e.until = false, e.knew && text != "opted_out", e.at
		}
	}
	h.entries[field] = kept
}

// labelled is the set of labels: those that were added, without those that were
// taken off; nil if nobody can know.
func (h *human) labelled() map[string]bool {
	var list []string
	for label, on := range h.labels {
		if on {
			list = append(list, label)
		}
	}
	slices.Sort(list)
	ok := map[string]bool{strings.Join(list, "\n"): true}
	for _, e := range h.entries["labels"] {
		if e.doubtful { // nobody knows what it was
			return nil
		}
	}
	return ok
}
