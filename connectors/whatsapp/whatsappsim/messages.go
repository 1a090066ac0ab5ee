package whatsappsim

// Message is one message of the number, in or out.
type Message struct {
	ID          string `json:"id"`
	ContactID   string `json:"contact_id"`
	WAMID       string `json:"wamid"`
	Phone       string `json:"phone,omitempty"`
	Direction   string `json:"direction"`
	Type        string `json:"type"`
	Text        string `json:"text"`
	Status      string `json:"status"`
	At          string `json:"at"`
	CommittedAt string `json:"committed_at"`
	// Input is the recipient as it was written in the request.
	Input string `json:"input,omitempty"`
	// Callback is biz_opaque_callback_data.
	Callback string `json:"biz_opaque_callback_data,omitempty"`
	// Warnings are things that Meta accepts and that go wrong at times.
	Warnings []string `json:"warnings,omitempty"`
	// Read says that an inbound message was marked as read.
	Read bool `json:"read,omitempty"`
}

const keptMessages = 100_000

// messageLog keeps the newest messages of either direction.
type messageLog struct {
	kept []*Message
	byID map[string]*Message
}

func (l *messageLog) add(m *Message) {
	if l.byID == nil {
		l.byID = map[string]*Message{}
	}
	l.kept = append(l.kept, m)
	l.byID[m.WAMID] = m
	if len(l.kept) > keptMessages {
		if old := l.kept[0]; l.byID[old.WAMID] == old {
			delete(l.byID, old.WAMID)
		}
		l.kept[0] = nil
		l.kept = l.kept[1:]
	}
}

// MessageFilter selects messages; an empty field selects all.
type MessageFilter struct {
	WAMID, Phone, Direction string
}

// Messages returns the newest messages, oldest first.
func (s *Server) Messages(f MessageFilter) []Message {
	s.mu.Lock()
	defer s.mu.Unlock()
	phone := digits(f.Phone)
	found := []Message{}
	for _, m := range s.messages.kept {
		if (f.WAMID == "" || f.WAMID == m.WAMID) &&
			(phone == "" || phone == m.Phone || phone == digits(m.Input)) &&
			(f.Direction == "" || f.Direction == m.Direction) {
			found = append(found, *m)
		}
	}
	return found
}

// lastTo is the newest message the business wrote to a person, or a made-up
// one, as from a time before the simulator started.
func (s *Server) lastTo(p Person) string { return s.last(p, "out") }

// lastFrom is the newest message of the person.
func (s *Server) lastFrom(p Person) string { return s.last(p, "in") }

func (s *Server) last(p Person, direction string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := len(s.messages.kept) - 1; i >= max(0, len(s.messages.kept)-1000); i-- {
		m := s.messages.kept[i]
		if m.Direction == direction && (m.ContactID == p.UserID || m.Phone != "" && m.Phone == p.WaID) {
			return m.WAMID
		}
	}
	return newWAMID(p.WaID, direction == "out")
}
