package hubspotsim

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"

	"crmsync/connectors/internal/simcrm"
)

type (
	// Stats are counters since the start.
	Stats = simcrm.Stats
	// Contact is a contact as the control plane shows it.
	Contact = simcrm.Contact
	// Message is a logged WhatsApp message as the control plane shows it.
	Message = simcrm.Message
	// Edit is what a person does in the CRM's own pages.
	Edit = simcrm.Edit[text]
)

// Stats returns the counters, whatever the number of records at the same cost.
func (s *Server) Stats() Stats {
	calls, hits := s.faults.Calls(), s.faults.Faults()
	s.mu.Lock()
	defer s.mu.Unlock()
	people, messages := s.stores[contactType], s.stores[communicationType]
	return Stats{
		Calls: calls, Writes: s.writes, Throttled: s.throttled, Faults: hits,
		Contacts: people.live, Messages: messages.live, Tasks: s.tasks.Len(), DuplicateTasks: s.tasks.Doubles(),
		DuplicateContacts: people.doubles, DuplicateMessages: messages.doubles,
	}
}

// Contacts returns the contacts with this id, or else with these digits in
// phone, mobilephone or a WhatsApp id; all if both are empty.
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
	st := s.stores[contactType]
	switch {
	case id != "":
		if r := st.get(id); r != nil {
			return []*record{r}
		}
		return nil
	case phone != "":
		return st.phones[simcrm.Digits(phone)]
	}
	return slices.DeleteFunc(slices.Clone(st.records), func(r *record) bool { return !r.now.archived.IsZero() })
}

func (s *Server) contact(r *record) Contact {
	st := s.stores[contactType]
	return Contact{
		ID: strconv.FormatInt(r.id, 10), Phone: orElse(r.now.props["phone"], r.now.props["mobilephone"]), Name: fullName(r.now.props),
		Fields: st.all(r, r.now), CreatedAt: simcrm.Stamp(r.created), UpdatedAt: simcrm.Stamp(r.now.updated),
	}
}

// Messages returns the logged messages with this id, or else those of the
// contacts with this phone number; all if both are empty.
func (s *Server) Messages(wamid, phone string) []Message {
	s.mu.Lock()
	defer s.mu.Unlock()
	st := s.stores[communicationType]
	records := st.records
	switch {
	case wamid != "":
		records = st.wamids[wamid]
	case phone != "":
		records = nil
		for _, person := range s.people("", phone) {
			for _, l := range person.links {
				if l.kind == st && !slices.Contains(records, l.to) {
					records = append(records, l.to)
				}
			}
		}
	}
	list := []Message{}
	for _, r := range records {
		if !r.now.archived.IsZero() {
			continue
		}
		m := message(r.now.props)
		shown := Message{
			ID: strconv.FormatInt(r.id, 10), WAMID: m.wamid, Direction: m.direction, Text: m.text, Status: m.status,
			At: r.now.props["hs_timestamp"], CommittedAt: simcrm.Stamp(r.created),
			Files: s.attached(r.now.props[attachmentIDs]),
		}
		if len(r.links) > 0 {
			shown.ContactID = strconv.FormatInt(r.links[0].to.id, 10)
		}
		list = append(list, shown)
	}
	return list
}

// Edit creates or changes a contact as a person would. What HubSpot refuses
// to store is refused here too.
func (s *Server) Edit(e Edit) (Contact, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	defer s.flush()
	st := s.stores[contactType]
	var target *record
	if found := s.people(e.ID, e.Phone); (e.ID != "" || e.Phone != "") && !e.New && len(found) > 0 {
		target = found[0]
	} else if e.ID != "" {
		return Contact{}, fmt.Errorf("no contact has the id %s", e.ID)
	}
	fields := map[string]text{}
	for name, value := range e.Fields {
		fields[name] = value
	}
	if _, given := fields["phone"]; !given && e.Phone != "" && (target == nil || e.ID != "") {
		fields["phone"] = text(e.Phone)
	}
	it, bad, refused := s.plan(false, st, target, write{Properties: fields}, nil)
	if len(bad) > 0 {
		refused = s.invalidValues(bad)
	}
	if refused != nil {
		return Contact{}, fmt.Errorf("%s", refused.Message)
	}
	it.by = person
	return s.contact(s.commit(it)), nil
}

// Delete moves a contact to the recycle bin as a person would, and reports
// whether there was one.
func (s *Server) Delete(id string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	defer s.flush()
	st := s.stores[contactType]
	r := st.get(id)
	if r != nil {
		s.archive(st, r, person)
	}
	return r != nil
}

// control answers the calls under /_sim/.
func (s *Server) control(w http.ResponseWriter, r *http.Request) {
	calls := simcrm.Knobs(s.Knobs, s.SetKnobs)
	calls["POST webhook"] = simcrm.Webhook(s.SetWebhookURL)
	calls["POST merge"] = func(w http.ResponseWriter, r *http.Request) {
		var in struct{ Primary, Other text }
		if !simcrm.Understand(w, r, &in) {
			return
		}
		merged, err := s.Merge(string(in.Primary), string(in.Other))
		if err != nil {
			simcrm.Wrong(w, http.StatusBadRequest, err.Error())
			return
		}
		simcrm.Tell(w, merged)
	}
	calls["POST gdpr"] = func(w http.ResponseWriter, r *http.Request) {
		var in struct{ ID text }
		if !simcrm.Understand(w, r, &in) {
			return
		}
		if !s.Forget(string(in.ID)) {
			simcrm.Wrong(w, http.StatusNotFound, "no contact has the id "+strconv.Quote(string(in.ID)))
			return
		}
		simcrm.Tell(w, map[string]bool{"deleted": true})
	}
	calls["POST import"] = func(w http.ResponseWriter, r *http.Request) {
		var in struct{ Count int }
		if !simcrm.Understand(w, r, &in) {
			return
		}
		if err := s.Import(in.Count); err != nil {
			simcrm.Wrong(w, http.StatusBadRequest, err.Error())
			return
		}
		simcrm.Tell(w, map[string]int{"created": in.Count})
	}
	simcrm.Control(w, r, s, func() any { return s.Stats() }, calls)
}
