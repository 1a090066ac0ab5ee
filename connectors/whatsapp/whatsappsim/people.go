package whatsappsim

import (
	"encoding/json"
	"fmt"
	"hash/fnv"
	"strings"
	"time"
)

// Person is a WhatsApp user.
type Person struct {
	WaID         string `json:"wa_id,omitempty"`
	Name         string `json:"name,omitempty"`
	Username     string `json:"username,omitempty"`
	UserID       string `json:"user_id,omitempty"`
	ParentUserID string `json:"parent_user_id,omitempty"`
	// Phone says how the phone is left out of webhooks and answers.
	Phone Visibility `json:"phone,omitempty"`
	// Fate is what becomes of messages to this person.
	Fate Fate `json:"fate,omitempty"`
	// Aliases are other numbers under which this person is reached, such as a
	// Brazilian mobile with its ninth digit.
	Aliases []string `json:"aliases,omitempty"`

	created, updated time.Time

	stopped        bool // marketing, by user_preferences
	lastMessage    time.Time
	freeEntryUntil time.Time
}

// Visibility is how a hidden phone number looks. Texts of the Cloud API guide
// differ: a draft had an empty string, later fixtures leave the key out.
type Visibility string

const (
	PhoneShown  Visibility = ""
	PhoneAbsent Visibility = "absent"
	PhoneNull   Visibility = "null"
	PhoneEmpty  Visibility = "empty"
)

// Fate is the life that the statuses of a message tell.
type Fate string

const (
	FateRead           Fate = ""                    // sent, delivered, read
	FateUnread         Fate = "unread"              // sent, delivered: read receipts are off
	FateReadOnly       Fate = "read_only"           // sent, read: the chat was open
	FateDeliveredFirst Fate = "delivered_first"     // delivered, sent, read
	FateEarly          Fate = "early"               // sent arrives before the HTTP answer
	FateFailsLater     Fate = "fails_later"         // sent, failed
	FateSilent         Fate = "silent"              // sent, then nothing: the time to live ran out
	FateNotOnWhatsApp  Fate = "not_on_whatsapp"     // failed 131026
	FateStopped        Fate = "stopped_marketing"   // marketing fails with 131050
	FateCapped         Fate = "marketing_cap"       // marketing fails with 131049
	FateExperiment     Fate = "experiment"          // marketing fails with 130472
	FateUnreachable    Fate = "failed_without_id"   // failed 131026 without any recipient id
	FateMedia          Fate = "media_not_reachable" // failed 131053
)

// SetPerson adds a person or replaces what is known of one.
func (s *Server) SetPerson(p Person) {
	s.mu.Lock()
	defer s.mu.Unlock()
	known := s.lookup(p.WaID, p.UserID)
	if known == nil {
		known = s.newPerson()
	}
	p.created, p.updated = known.created, s.now()
	p.stopped, p.lastMessage, p.freeEntryUntil = known.stopped, known.lastMessage, known.freeEntryUntil
	*known = p
	s.index(known)
}

func (s *Server) index(p *Person) {
	for _, key := range append([]string{p.WaID, p.UserID}, p.Aliases...) {
		if key != "" {
			s.people[key] = p
		}
	}
}

func (s *Server) lookup(waID, userID string) *Person {
	if p := s.people[userID]; p != nil && userID != "" {
		return p
	}
	if waID == "" {
		return nil
	}
	return s.people[waID]
}

// meet finds or makes the person and lets learn change what is known. It does
// nothing if there is no id at all.
func (s *Server) meet(waID, userID string, learn func(*Person)) {
	if waID == "" && userID == "" {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.lookup(waID, userID)
	if p == nil {
		p = s.newPerson()
		if waID == "" {
			p.Phone = PhoneAbsent
		}
	}
	set(&p.UserID, userID)
	set(&p.WaID, waID)
	learn(p)
	p.updated = s.now()
	s.index(p)
}

func (s *Server) newPerson() *Person {
	p := &Person{created: s.now()}
	s.met = append(s.met, p)
	return p
}

// Contact is a person as the control plane shows one.
type Contact struct {
	ID        string            `json:"id"`
	Phone     string            `json:"phone"`
	Name      string            `json:"name"`
	Fields    map[string]string `json:"fields"`
	CreatedAt string            `json:"created_at"`
	UpdatedAt string            `json:"updated_at"`
}

// Contacts returns the people seen on WhatsApp, in the order met: all, those
// of a phone number, or the one of an id, which is a wa_id or a user id.
func (s *Server) Contacts(phone, id string) []Contact {
	s.mu.Lock()
	defer s.mu.Unlock()
	number := digits(phone)
	if s.people[number] == nil {
		number = canonical(number)
	}
	found := []Contact{}
	for _, p := range s.met {
		if phone != "" && s.people[number] != p || id != "" && id != p.WaID && id != p.UserID {
			continue
		}
		c := Contact{ID: orElse(p.UserID, p.WaID), Name: p.Name, Fields: map[string]string{}, CreatedAt: stamp(p.created), UpdatedAt: stamp(p.updated)}
		if p.WaID != "" {
			c.Phone = "+" + p.WaID
		}
		for key, value := range map[string]string{"wa_id": p.WaID, "user_id": p.UserID, "parent_user_id": p.ParentUserID, "username": p.Username} {
			if value != "" {
				c.Fields[key] = value
			}
		}
		found = append(found, c)
	}
	return found
}

// canonical returns the wa_id for a dialled number. Cloud API guide: a phone
// number and its WhatsApp id may differ. Brazilian mobiles outside the area
// codes 11-19, 21, 22, 24, 27 and 28 lose their ninth digit, Mexican numbers
// have a 1 after the country code, Argentine ones a 9.
func canonical(phone string) string {
	switch {
	case strings.HasPrefix(phone, "55") && len(phone) == 13 && phone[4] == '9' && phone[5] >= '6':
		switch area := phone[2:4]; {
		case area >= "11" && area <= "19", area == "21", area == "22", area == "24", area == "27", area == "28":
			return phone
		}
		return phone[:4] + phone[5:]
	case strings.HasPrefix(phone, "52") && len(phone) == 12:
		return "521" + phone[2:]
	case strings.HasPrefix(phone, "54") && len(phone) == 12 && phone[2] != '9':
		return "549" + phone[2:]
	}
	return phone
}

// userID derives the business-scoped user id of a phone number: country, dot,
// digits. The real one is random; this one is stable over restarts.
func userID(waID string) string {
	if waID == "" {
		return ""
	}
	country := "US"
	for _, c := range []struct{ prefix, iso string }{
		{"39", "IT"},
		{"55", "BR"},
		{"52", "MX"},
		{"54", "AR"},
		{"49", "DE"},
		{"44", "GB"},
		{"33", "FR"},
		{"34", "ES"},
		{"41", "CH"},
		{"43", "AT"},
		{"91", "IN"},
		{"972", "IL"},
		{"966", "SA"},
		{"7", "RU"},
	} {
		if strings.HasPrefix(waID, c.prefix) {
			country = c.iso
			break
		}
	}
	h := fnv.New64a()
	h.Write([]byte("business-scoped " + waID))
	return fmt.Sprintf("%s.%020d", country, h.Sum64())
}

// phone returns what stands in the place of the phone, and whether anything
// does.
func (v Visibility) phone(waID string) (any, bool) {
	switch v {
	case PhoneAbsent:
		return nil, false
	case PhoneNull:
		return nil, true
	case PhoneEmpty:
		return "", true
	}
	return waID, waID != ""
}

// wrote opens the customer service window, or keeps it open.
func (p *Person) wrote(at time.Time) {
	if at.After(p.lastMessage) {
		p.lastMessage = at
	}
}

// contact is this person's element of value.contacts.
func (p Person) contact() map[string]any {
	c := map[string]any{}
	profile := map[string]any{}
	if p.Name != "" {
		profile["name"] = p.Name
	}
	if p.Username != "" {
		profile["username"] = p.Username
	}
	if len(profile) > 0 {
		c["profile"] = profile
	}
	if phone, ok := p.Phone.phone(p.WaID); ok {
		c["wa_id"] = phone
	}
	if p.UserID != "" {
		c["user_id"] = p.UserID
	}
	if p.ParentUserID != "" {
		c["parent_user_id"] = p.ParentUserID
	}
	return c
}

// UnmarshalJSON rejects words that name no visibility.
func (v *Visibility) UnmarshalJSON(raw []byte) error {
	var word string
	if err := json.Unmarshal(raw, &word); err != nil {
		return err
	}
	switch Visibility(word) {
	case PhoneShown, PhoneAbsent, PhoneNull, PhoneEmpty:
		*v = Visibility(word)
		return nil
	}
	return fmt.Errorf("phone is absent, null or empty, not %q", word)
}
