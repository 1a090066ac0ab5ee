package app

import (
	"context"
	"slices"
	"strings"
	"time"

	"crmsync/sync/deadletter"
	"crmsync/sync/directory"
	"crmsync/sync/store"
)

// ContactShown is a contact as it is now.
type ContactShown struct {
	ContactHead
	// Fields are the values by crmsync's own names: texts, numbers, times,
	// lists of labels, null for one that is known to be empty.
	Fields   map[string]any   `json:"fields"`
	Accounts []ContactAccount `json:"accounts"`
	Messages ContactMessages  `json:"messages"`
	Pending  []ContactDebt    `json:"pending"`
}

// ContactHead says who it is.
type ContactHead struct {
	ID        int64         `json:"contact"`
	Name      string        `json:"name,omitempty"`
	Version   int64         `json:"version"`
	CreatedAt time.Time     `json:"created_at"`
	UpdatedAt time.Time     `json:"updated_at"`
	KnownAs   []ContactName `json:"known_as"`
	// Erased is set of somebody of whom nothing else is known any more.
	Erased *ContactErased `json:"erased,omitempty"`
}

// ContactErased says when a person was erased, and because of which record that
// was deleted.
type ContactErased struct {
	At      time.Time `json:"at"`
	Account string    `json:"account"`
	Record  string    `json:"record_id"`
}

// ContactName is a name by which the contact is found: a phone number (digits)
// or a user id. Until is set of one that was given up.
type ContactName struct {
	Kind  string     `json:"kind"`
	Value string     `json:"value"`
	Until *time.Time `json:"until,omitempty"`
}

// ContactAccount is how an account stands to the contact. State is a link's
// (pending, agreed, dead, skipped), or unknown if the account has never heard
// of the contact.
type ContactAccount struct {
	Account  string `json:"account"`
	RecordID string `json:"record_id,omitempty"`
	State    string `json:"state"`
	// Since is since when: what is pending, since its webhook arrived.
	Since *time.Time `json:"since,omitempty"`
	// WrittenAt is when it was last told something, under MappingRevision;
	// SeenAt when its record last showed something new.
	WrittenAt       *time.Time `json:"written_at,omitempty"`
	MappingRevision string     `json:"mapping_revision,omitempty"`
	SeenAt          *time.Time `json:"seen_at,omitempty"`
	Reason          string     `json:"reason,omitempty"`
	// Messages, Files and Tasks count the contact's by their state in the account.
	Messages map[directory.State]int64 `json:"messages,omitempty"`
	Files    map[directory.State]int64 `json:"files,omitempty"`
	Tasks    map[directory.State]int64 `json:"tasks,omitempty"`
}

// ContactMessages is how many messages there are, and from when.
type ContactMessages struct {
	Received int64      `json:"received"`
	Sent     int64      `json:"sent"`
	First    *time.Time `json:"first,omitempty"`
	Last     *time.Time `json:"last,omitempty"`
}

// ContactDebt is something that an account does not show yet, or a record that
// waits to be read. Of many messages the oldest are listed.
type ContactDebt struct {
	Account string `json:"account"`
	// Entity is what, such as "contact 42"; "record 51" is to be read.
	Entity string     `json:"entity"`
	State  string     `json:"state"`
	Since  *time.Time `json:"since,omitempty"`
	// Attempts failed because of it. History says what became of each, and the
	// next is not made before NextAttempt.
	Attempts    int        `json:"attempts,omitempty"`
	History     []string   `json:"history,omitempty"`
	NextAttempt *time.Time `json:"next_attempt,omitempty"`
	DeadLetter  string     `json:"dead_letter,omitempty"`
	Reason      string     `json:"reason,omitempty"`
	// MappingRevision is the mapping under which it was last written, empty if it
	// never was.
	MappingRevision string `json:"mapping_revision,omitempty"`
}

// Show returns a contact, by whatever [Book.Find] understands.
func (b *Book) Show(ctx context.Context, who string) (*ContactShown, error) {
	p, err := b.profile(ctx, who)
	if err != nil {
		return nil, err
	}
	talk := p.Talk
	return &ContactShown{
		ContactHead: headOf(p), Fields: p.Contact.View(), Accounts: b.accounts(p), Pending: debtsOf(p),
		Messages: ContactMessages{talk.Received, talk.Sent, orNil(talk.First), orNil(talk.Last)},
	}, nil
}

func headOf(p *store.Profile) ContactHead {
	h := ContactHead{ID: p.Contact.ID, Version: p.Contact.Version, CreatedAt: p.Contact.CreatedAt, UpdatedAt: p.UpdatedAt, KnownAs: []ContactName{}}
	if e := p.Contact.Erased; e.Is() {
		h.Erased = &ContactErased{e.At, e.Account, e.Record}
	}
	view := p.Contact.View() // where a name's parts are what people have entered
	given, _ := view["first_name"].(string)
	family, _ := view["last_name"].(string)
	h.Name = strings.TrimSpace(given + " " + family)
	for _, i := range p.Identities {
		h.KnownAs = append(h.KnownAs, ContactName{string(i.Kind), i.Value, orNil(i.RetiredAt)})
	}
	return h
}

// accounts are those that have heard of the contact, and the CRMs of the
// configuration that have not.
func (b *Book) accounts(p *store.Profile) []ContactAccount {
	list := make([]ContactAccount, 0, len(p.Links))
	for _, l := range p.Links {
		a := ContactAccount{
			Account: l.Account, RecordID: l.RecordID, State: string(l.State), Since: orNil(l.UpdatedAt), Reason: l.Reason,
			WrittenAt: orNil(l.WrittenAt), MappingRevision: l.Revision, SeenAt: orNil(l.SeenAt),
		}
		if l.State == directory.Pending {
			a.Since = orNil(l.Since)
		}
		for _, c := range p.Settling {
			if c.Account != l.Account {
				continue
			}
			counts := &a.Messages
			switch c.Kind {
			case directory.FileEntity:
				counts = &a.Files
			case directory.TaskEntity:
				counts = &a.Tasks
			}
			if *counts == nil {
				*counts = map[directory.State]int64{}
			}
			(*counts)[c.State] += c.N
		}
		list = append(list, a)
	}
	for _, name := range CRMs(b.config) {
		if !slices.ContainsFunc(list, func(a ContactAccount) bool { return a.Account == name }) {
			list = append(list, ContactAccount{Account: name, State: "unknown"})
		}
	}
	return list
}

// debtsOf is what is pending, dead or waits to be read.
func debtsOf(p *store.Profile) []ContactDebt {
	debts := []ContactDebt{}
	for _, l := range slices.Concat(p.Links, p.Owed) {
		if l.State != directory.Pending && l.State != directory.Dead {
			continue
		}
		d := ContactDebt{
			Account: l.Account, Entity: l.Entity.String(), State: string(l.State), Since: orNil(l.Since),
			Attempts: l.Attempts, History: l.History, Reason: l.Reason, MappingRevision: l.Revision,
		}
		if l.State == directory.Pending {
			d.NextAttempt = orNil(l.NextAttempt)
		}
		id := deadletter.ForEntity(l.Account, l.Entity)
		if slices.ContainsFunc(p.Letters, func(letter Letter) bool { return letter.ID == id }) {
			d.DeadLetter = id
		}
		debts = append(debts, d)
	}
	for _, pull := range p.Pulls {
		debts = append(debts, ContactDebt{Account: pull.Account, Entity: "record " + pull.ID, State: "to be read", Since: orNil(pull.At)})
	}
	return debts
}
