package bitrix24sim

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"crmsync/connectors/internal/simcrm"
)

type (
	// Stats are counters since the start.
	Stats = simcrm.Stats
	// Contact is a contact as the control plane shows it.
	Contact = simcrm.Contact
	// Message is a logged WhatsApp message as the control plane shows it.
	Message = simcrm.Message
	// Edit is what a person does in the CRM's own pages. Its fields are by the
	// classic family's names; one of PHONE, EMAIL and the like replaces the
	// first row of its kind, or deletes it if empty. What is chosen from a list is
	// shown and given by its text, several as "vip;new".
	Edit = simcrm.Edit[any]
)

// Stats returns the counters, whatever the number of records at the same cost.
func (s *Server) Stats() Stats {
	calls, hits := s.faults.Calls(), s.faults.Faults()
	s.mu.Lock()
	defer s.mu.Unlock()
	return Stats{
		Calls: calls, Writes: s.writes, Throttled: s.throttled, Faults: hits, Contacts: len(s.people.all), Messages: len(s.log.all),
		DuplicateContacts: s.people.doubles, DuplicateMessages: s.log.doubles,
		Tasks: s.tasks.tally.Len(), DuplicateTasks: s.tasks.tally.Doubles(),
	}
}

// Contacts returns the contact with this id, or else those with these digits
// in a phone number or a WhatsApp id; all if both are empty.
func (s *Server) Contacts(id, phone string) []Contact {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := []Contact{}
	for _, p := range s.peopleBy(id, phone) {
		list = append(list, s.shown(p))
	}
	return list
}

// peopleBy needs s.mu, as shown does.
func (s *Server) peopleBy(id, phone string) []*contact {
	if id != "" {
		n, _ := number(id)
		if p := s.people.byID[n]; p != nil {
			return []*contact{p}
		}
		return nil
	}
	if phone != "" {
		return s.people.numbers[simcrm.Digits(phone)]
	}
	return s.people.all
}

func (s *Server) shown(p *contact) Contact {
	fields := maps.Clone(p.fields)
	for name, text := range fields {
		fields[name] = s.field(name).reads(text)
	}
	for name, list := range p.lists {
		read := make([]string, len(list))
		for i, text := range list {
			read[i] = s.field(name).reads(text)
		}
		fields[name] = strings.Join(read, ";")
	}
	for _, kind := range multifields {
		if list := p.plain(kind); len(list) > 0 {
			fields[kind] = strings.Join(list, ";")
		}
	}
	return Contact{
		ID: strconv.FormatInt(p.id, 10), Phone: p.first("PHONE"), Fields: fields, CreatedAt: simcrm.Stamp(p.created), UpdatedAt: simcrm.Stamp(p.modified),
		Name: strings.Join(strings.Fields(p.fields["NAME"]+" "+p.fields["SECOND_NAME"]+" "+p.fields["LAST_NAME"]), " "),
	}
}

// Messages returns the logged messages with this id, or else those of the
// contacts with this phone number; all if both are empty.
func (s *Server) Messages(wamid, phone string) []Message {
	s.mu.Lock()
	defer s.mu.Unlock()
	var found []*message
	switch {
	case wamid != "":
		found = slices.Clone(s.log.byWAMID[wamid])
	case phone != "":
		for _, p := range s.peopleBy("", phone) {
			for _, c := range s.timeline.byOwner[p.id] {
				found = append(found, c.messages...)
			}
			for _, a := range s.activities.byOwner[p.id] {
				found = append(found, a.messages...)
			}
		}
	default:
		found = slices.Collect(maps.Values(s.log.all))
	}
	slices.SortFunc(found, func(a, b *message) int { return cmp.Compare(a.seq, b.seq) })
	list := []Message{}
	for _, m := range found {
		shown := Message{
			ID: strconv.FormatInt(m.id, 10), ContactID: strconv.FormatInt(m.owner, 10), WAMID: m.wamid, Direction: m.direction,
			Text: m.text, Status: m.status, At: simcrm.Stamp(m.at), CommittedAt: simcrm.Stamp(m.committed),
		}
		for _, f := range append(slices.Clone(m.files), s.filesOf(m)...) {
			shown.Files = append(shown.Files, f.shown)
		}
		list = append(list, shown)
	}
	return list
}

// person is who edits in the CRM's own pages.
func (s *Server) person() *call {
	return &call{who: who{user: s.opts.UserID + 4}, p: newDict()}
}

// Edit creates or changes a contact as a person would, with an event. What
// does not exist cannot be filled in.
func (s *Server) Edit(e Edit) (Contact, error) {
	s.mu.Lock()
	var target *contact
	if found := s.peopleBy(e.ID, e.Phone); (e.ID != "" || e.Phone != "") && !e.New && len(found) > 0 {
		target = found[0]
	}
	shown, err := s.edit(e, target)
	events := s.flush()
	s.mu.Unlock()
	s.post.take(events)
	return shown, err
}

func (s *Server) edit(e Edit, target *contact) (Contact, error) {
	by := s.person()
	next, what := s.blank(by.user()), "ADD"
	if target != nil {
		next, what = target.clone(), "UPDATE"
		next.modified, next.modifiedBy = s.Now(), by.user()
	} else if e.ID != "" {
		return Contact{}, fmt.Errorf("no contact has the id %s", e.ID)
	}
	values := maps.Clone(e.Fields)
	if values == nil {
		values = map[string]any{}
	}
	if _, given := values["PHONE"]; !given && e.Phone != "" && (target == nil || e.ID != "") {
		values["PHONE"] = e.Phone
	}
	for name, v := range values {
		f := s.field(name)
		if f == nil || f.readOnly {
			return Contact{}, fmt.Errorf("no field %q can be filled in", name)
		}
		plain := redecode(v)
		if text, is := plain.(string); is && f.kind == "enumeration" {
			if plain, is = f.chosen(text); !is {
				return Contact{}, fmt.Errorf("%q is not in the list of %s", text, name)
			}
		}
		var refused *refusal
		if f.kind != "crm_multifield" {
			refused = s.assign(next, f, plain, style{})
		} else if at := slices.IndexFunc(next.rows, func(r row) bool { return r.kind == name }); at >= 0 {
			refused = s.changeRow(next, at, name, "", str(plain))
		} else {
			refused = s.addRow(next, name, "MOBILE", str(plain))
		}
		if refused != nil {
			return Contact{}, fmt.Errorf("%s", refused.text)
		}
	}
	s.commit(next, what, by)
	return s.shown(next), nil
}

// reads is what a person sees of a stored value.
func (f *field) reads(text string) string {
	if f == nil || f.kind != "enumeration" {
		return text
	}
	if at := slices.IndexFunc(f.user.items, func(i enumItem) bool { return i.id == text }); at >= 0 {
		return f.user.items[at].value
	}
	return text
}

// chosen are the ids of what a person chooses from a list, false if that is not in it.
func (f *field) chosen(text string) (any, bool) {
	if text == "" {
		return "", true
	}
	ids := newDict()
	for value := range strings.SplitSeq(text, ";") {
		at := slices.IndexFunc(f.user.items, func(i enumItem) bool { return i.value == value || i.id == value })
		if at < 0 {
			return nil, false
		}
		if !f.multiple {
			return f.user.items[at].id, true
		}
		ids.push(f.user.items[at].id)
	}
	return ids, true
}

// Delete removes a contact as a person would, and reports whether there was one.
func (s *Server) Delete(id string) bool {
	s.mu.Lock()
	found := s.peopleBy(orElse(id, "0"), "")
	for _, p := range found {
		s.discard(p, s.person())
	}
	events := s.flush()
	s.mu.Unlock()
	s.post.take(events)
	return len(found) > 0
}

func orElse(text, otherwise string) string {
	if text == "" {
		return otherwise
	}
	return text
}
