package zohosim

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"crmsync/connectors/internal/simcrm"
)

type (
	// Contact is a contact as the control plane shows it.
	Contact = simcrm.Contact
	// Message is a logged WhatsApp message as the control plane shows it.
	Message = simcrm.Message
	// Edit is what a person does in the CRM's own pages. Its fields are by API
	// name; text is understood for any kind, and Tag is all tags, as "vip,new".
	Edit = simcrm.Edit[any]
)

// Stats are counters since the start.
type Stats struct {
	simcrm.Stats
	// Refreshes are calls on the token endpoint, Credits what was spent.
	Refreshes int64 `json:"refreshes"`
	Credits   int64 `json:"credits"`
	// Workflows are writes that set the customer's automations off.
	Workflows int64 `json:"workflows"`
	Notices   int64 `json:"notices"`
	// ByCall counts calls that were let in, such as "POST /Contacts/upsert".
	ByCall map[string]int64 `json:"by_call"`
}

// Stats returns the counters, whatever the number of records at the same cost.
func (s *Server) Stats() Stats {
	calls, hits := s.faults.Calls(), s.faults.Faults()
	s.mu.Lock()
	defer s.mu.Unlock()
	people := s.modules["Contacts"]
	return Stats{
		Stats: simcrm.Stats{
			Calls: calls, Writes: s.count.writes, Throttled: s.count.throttled, Faults: hits, Contacts: people.live, Messages: s.logged,
			DuplicateContacts: people.doubles, DuplicateMessages: s.doubles, Tasks: s.tasks.Len(), DuplicateTasks: s.tasks.Doubles(),
		},
		Refreshes: s.count.refreshes, Credits: s.count.credits,
		Workflows: s.count.workflows, Notices: s.count.notices, ByCall: maps.Clone(s.byCall),
	}
}

// Contacts returns the contacts with this id, or else with these digits in
// Phone, Mobile or a WhatsApp id; all if both are empty.
func (s *Server) Contacts(id, phone string) []Contact {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := []Contact{}
	for _, r := range s.people(id, phone) {
		list = append(list, s.contact(r))
	}
	return list
}

// people needs s.mu.
func (s *Server) people(id, phone string) []*record {
	m := s.modules["Contacts"]
	switch {
	case id != "":
		if r := m.get(id); r != nil {
			return []*record{r}
		}
		return nil
	case phone != "":
		return m.phones[digits(phone)]
	}
	return slices.DeleteFunc(slices.Clone(m.records), func(r *record) bool { return !r.now.deleted.IsZero() })
}

func (s *Server) contact(r *record) Contact {
	phone := s.plain(r.now.values["Phone"])
	c := Contact{
		ID: r.name(), Phone: orElse(phone, s.plain(r.now.values["Mobile"])), Name: fullName(r.now.values), Fields: map[string]string{},
		CreatedAt: simcrm.Stamp(r.created), UpdatedAt: simcrm.Stamp(r.now.modified),
	}
	for _, f := range r.module.fields {
		if v := s.plain(r.value(r.now, f.name)); v != "" {
			c.Fields[f.name] = v
		}
	}
	return c
}

// Messages returns the logged messages with this id, or else those of the
// contacts with this phone number; all if both are empty.
func (s *Server) Messages(wamid, phone string) []Message {
	s.mu.Lock()
	defer s.mu.Unlock()
	var records []*record
	places := []struct {
		m    *module
		link string
	}{{s.modules[messagesModule], "Contact"}, {s.modules[notesModule], "Parent_Id"}}
	for _, place := range places {
		if place.m == nil || wamid != "" {
			continue
		}
		if phone == "" {
			records = append(records, place.m.records...)
			continue
		}
		for _, person := range s.people("", phone) {
			records = append(records, place.m.indexed(place.link)[person.name()]...)
		}
	}
	if wamid != "" {
		records = slices.Clone(s.wamids[wamid])
	}
	slices.SortFunc(records, func(a, b *record) int { return cmp.Compare(a.id, b.id) })
	list := []Message{}
	for _, r := range records {
		l := message(r)
		if !l.is || !r.now.deleted.IsZero() {
			continue
		}
		m := Message{
			ID: r.name(), WAMID: l.wamid, Direction: l.direction, Text: l.text, Status: l.status, At: simcrm.Stamp(l.at), CommittedAt: simcrm.Stamp(r.created),
		}
		if l.contact != nil {
			m.ContactID = l.contact.name()
		}
		for _, a := range s.attached[r] {
			m.Files = append(m.Files, a.file)
		}
		list = append(list, m)
	}
	return list
}

// Edit creates or changes a contact as a person would. What Zoho refuses to
// store is refused here too.
func (s *Server) Edit(e Edit) (Contact, error) {
	s.mu.Lock()
	c, err := s.edit(e)
	mail, first := s.notices(), s.knobs.NoticeFirst
	s.mu.Unlock()
	s.send(mail, first)
	return c, err
}

func (s *Server) edit(e Edit) (Contact, error) {
	m := s.modules["Contacts"]
	var target *record
	if found := s.people(e.ID, e.Phone); (e.ID != "" || e.Phone != "") && !e.New && len(found) > 0 {
		target = found[0]
	} else if e.ID != "" {
		return Contact{}, fmt.Errorf("no contact has the id %s", e.ID)
	}
	fields := obj{}
	tags, tagged := e.Fields["Tag"]
	for name, v := range e.Fields {
		f := m.byName[name]
		if f == nil {
			return Contact{}, fmt.Errorf("contacts have no field %s", name)
		}
		fields[name] = f.understood(v)
	}
	if _, given := fields["Phone"]; !given && e.Phone != "" && (target == nil || e.ID != "") {
		fields["Phone"] = e.Phone
	}
	// In the pages a last name is asked for; here a number will do.
	if target == nil && fields["Last_Name"] == nil {
		fields["Last_Name"] = orElse(e.Phone, "Unknown")
	}
	w := &writing{by: s.users[1], workflows: true}
	it, refused := s.plan(w, m, 0, fields, target)
	if refused == nil && tagged {
		it.next.tags, refused = s.tagsCalled(m, fmt.Sprint(tags))
		it.changed = append(it.changed, "Tag")
	}
	if refused != nil {
		return Contact{}, fmt.Errorf("%s: %s %s", refused.Code, refused.Message, simcrm.JSON(refused.Details))
	}
	return s.contact(s.commit(w, it)), nil
}

// tagsCalled are the tags of a list of names, new ones among them.
func (s *Server) tagsCalled(m *module, names string) (list []*tag, refused *refusal) {
	for name := range strings.SplitSeq(names, ",") {
		name = strings.TrimSpace(name)
		t := m.tags[strings.ToLower(name)]
		if t == nil && name != "" {
			if t, refused = s.newTag(m, givenTag{Name: name}, "$.tags"); refused != nil {
				return nil, refused
			}
		}
		if t != nil && !slices.Contains(list, t) {
			list = append(list, t)
		}
	}
	return list, nil
}

// understood turns the control plane's text into what the field takes.
func (f *field) understood(v any) any {
	text, is := v.(string)
	if !is {
		if n, number := v.(json.Number); number && jsonTypes[f.kind] == "" {
			return n.String()
		}
		return v
	}
	switch f.kind {
	case "boolean":
		if b, err := strconv.ParseBool(text); err == nil {
			return b
		}
	case "integer", "double", "currency", "percent":
		return json.Number(text)
	case "lookup", "ownerlookup", "userlookup":
		return obj{"id": text}
	}
	return text
}

// Delete moves a contact to the recycle bin as a person would, and reports
// whether there was one.
func (s *Server) Delete(id string) bool {
	s.mu.Lock()
	r := s.modules["Contacts"].get(id)
	if r != nil {
		s.discard(r, s.users[1], false)
	}
	mail, first := s.notices(), s.knobs.NoticeFirst
	s.mu.Unlock()
	s.send(mail, first)
	return r != nil
}

// Purge empties one contact out of the recycle bin.
func (s *Server) Purge(id string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range s.modules["Contacts"].bin {
		if now := s.Now(); r.name() == id && r.binned(now) == "recycle" {
			next := *r.now
			next.purged = now
			r.now = &next
			return true
		}
	}
	return false
}
