package hubspotsim

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Stats are counters since the start.
type Stats struct {
	// Calls are all on HubSpot's own paths, Writes those that were accepted
	// and asked for records or associations to be stored or removed.
	Calls     int64 `json:"calls"`
	Writes    int64 `json:"writes"`
	Throttled int64 `json:"throttled"`
	// Contacts and Messages are those there now; the duplicates are those
	// beyond the first under one phone number or WhatsApp message id.
	Contacts          int   `json:"contacts"`
	Messages          int   `json:"messages"`
	DuplicateContacts int   `json:"duplicate_contacts"`
	DuplicateMessages int   `json:"duplicate_messages"`
	Faults            int64 `json:"faults"`
}

// Contact is a contact as the control plane shows it.
type Contact struct {
	ID        string            `json:"id"`
	Phone     string            `json:"phone"`
	Name      string            `json:"name"`
	Fields    map[string]string `json:"fields"`
	CreatedAt string            `json:"created_at"`
	UpdatedAt string            `json:"updated_at"`
}

// Message is a logged WhatsApp message as the control plane shows it.
type Message struct {
	ID          string `json:"id"`
	ContactID   string `json:"contact_id"`
	WAMID       string `json:"wamid"`
	Direction   string `json:"direction"`
	Text        string `json:"text"`
	Status      string `json:"status"`
	At          string `json:"at"`
	CommittedAt string `json:"committed_at"`
}

// Stats returns the counters, whatever the number of records at the same cost.
func (s *Server) Stats() Stats {
	calls, hits := s.faults.Calls(), s.faults.Faults()
	s.mu.Lock()
	defer s.mu.Unlock()
	people, messages := s.stores[contactType], s.stores[communicationType]
	return Stats{
		Calls: calls, Writes: s.writes, Throttled: s.throttled, Faults: hits,
		Contacts: people.live, Messages: messages.live, DuplicateContacts: people.doubles, DuplicateMessages: messages.doubles,
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
		return st.phones[digits(phone)]
	}
	return slices.DeleteFunc(slices.Clone(st.records), func(r *record) bool { return !r.now.archived.IsZero() })
}

func (s *Server) contact(r *record) Contact {
	st := s.stores[contactType]
	return Contact{
		ID: strconv.FormatInt(r.id, 10), Phone: orElse(r.now.props["phone"], r.now.props["mobilephone"]), Name: fullName(r.now.props),
		Fields: st.all(r, r.now), CreatedAt: stamp(r.created), UpdatedAt: stamp(r.now.updated),
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
			At: r.now.props["hs_timestamp"], CommittedAt: stamp(r.created),
		}
		if len(r.links) > 0 {
			shown.ContactID = strconv.FormatInt(r.links[0].to.id, 10)
		}
		list = append(list, shown)
	}
	return list
}

// Edit is what a person does in the CRM's own pages.
type Edit struct {
	// ID names the contact. Without it the contact with this phone is meant,
	// and if there is none, or New is set, one is created.
	ID     string          `json:"id"`
	Phone  string          `json:"phone"`
	New    bool            `json:"new"`
	Fields map[string]text `json:"fields"`
	// Count seeds that many people instead.
	Count int `json:"count"`
}

// Edit creates or changes a contact as a person would. What HubSpot refuses
// to store is refused here too.
func (s *Server) Edit(e Edit) (Contact, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
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
	it.source, it.sourceID = "CRM_UI", "userId:910901"
	return s.contact(s.commit(it)), nil
}

// Delete moves a contact to the recycle bin as a person would, and reports
// whether there was one.
func (s *Server) Delete(id string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	st := s.stores[contactType]
	r := st.get(id)
	if r != nil {
		s.archive(st, r)
	}
	return r != nil
}

// control answers the calls under /_sim/.
func (s *Server) control(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	switch r.Method + " " + strings.TrimPrefix(r.URL.Path, "/_sim/") {
	case "GET stats":
		tell(w, s.Stats())
	case "GET contacts":
		tell(w, s.Contacts(q.Get("id"), q.Get("phone")))
	case "GET messages":
		tell(w, s.Messages(q.Get("wamid"), q.Get("phone")))
	case "DELETE contacts":
		if !s.Delete(q.Get("id")) {
			wrong(w, http.StatusNotFound, "no contact has the id "+strconv.Quote(q.Get("id")))
			return
		}
		tell(w, map[string]bool{"deleted": true})
	case "POST contacts":
		s.controlContacts(w, r)
	case "POST clock":
		var in struct{ Advance string }
		if !understand(w, r, &in) {
			return
		}
		d, err := time.ParseDuration(in.Advance)
		if err != nil || d < 0 {
			wrong(w, http.StatusBadRequest, fmt.Sprintf("advance %q is not a duration such as \"24h\"", in.Advance))
			return
		}
		s.Advance(d)
		tell(w, map[string]string{"now": stamp(s.Now())})
	case "POST webhook":
		var in struct{ URL string }
		if understand(w, r, &in) {
			s.SetWebhookURL(in.URL)
			tell(w, map[string]string{"url": in.URL})
		}
	default:
		wrong(w, http.StatusNotFound, "no control call is "+r.Method+" "+r.URL.Path)
	}
}

func (s *Server) controlContacts(w http.ResponseWriter, r *http.Request) {
	var e Edit
	if !understand(w, r, &e) {
		return
	}
	if e.Count != 0 {
		if err := s.Seed(e.Count); err != nil {
			wrong(w, http.StatusBadRequest, err.Error())
			return
		}
		tell(w, map[string]int{"created": e.Count})
		return
	}
	if e.ID == "" && e.Phone == "" && len(e.Fields) == 0 {
		wrong(w, http.StatusBadRequest, "say count, or phone and fields, or id and fields")
		return
	}
	contact, err := s.Edit(e)
	if err != nil {
		wrong(w, http.StatusBadRequest, err.Error())
		return
	}
	tell(w, contact)
}

func understand(w http.ResponseWriter, r *http.Request, into any) bool {
	d := json.NewDecoder(http.MaxBytesReader(w, r.Body, 1<<20))
	d.DisallowUnknownFields()
	err := d.Decode(into)
	if err != nil {
		wrong(w, http.StatusBadRequest, err.Error())
	}
	return err == nil
}

func tell(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(append(encode(v), '\n'))
}

func wrong(w http.ResponseWriter, status int, sentence string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(append(encode(map[string]string{"error": sentence}), '\n'))
}
