package store

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"crmsync/sync/directory"
)

// A Standing is a contact and how accounts stand to it, as it is stored: taking
// it apart costs more than reading it and can be left to whoever has time.
type Standing struct {
	ID     int64
	fields []byte
	links  []StandingLink
}

// Contact is the contact itself.
func (s *Standing) Contact() (*directory.Contact, error) {
	c := &directory.Contact{ID: s.ID}
	if err := json.Unmarshal(s.fields, &c.Fields); err != nil {
		return nil, fmt.Errorf("contact %d: fields: %w", s.ID, err)
	}
	return c, nil
}

// Links are the contact's, in the order of the accounts. What is known of their
// attempts is left out.
func (s *Standing) Links() []StandingLink { return s.links }

// A StandingLink is how an account stands to a contact.
type StandingLink struct{ row linkRow }

// Account is whose it is.
func (l *StandingLink) Account() string { return l.row.Account }

// State is how the account stands to the contact.
func (l *StandingLink) State() directory.State { return directory.State(l.row.State) }

// Link is the link itself.
func (l *StandingLink) Link() (directory.Link, error) { return l.row.link() }

// Standings returns the contacts behind one, in the order of their ids and at
// most so many: those that have changed since a time, all if it is zero. Who was
// erased or has become a part of another contact is left out.
func (db *DB) Standings(ctx context.Context, after int64, since time.Time, limit int) ([]Standing, error) {
	question, args := "SELECT id, fields FROM contacts WHERE id > ? AND joined_into = 0 AND erased_at IS NULL", []any{after}
	if !since.IsZero() {
		question, args = question+" AND updated_at >= ?", append(args, utc(since))
	}
	rows, err := db.gorm.WithContext(ctx).Raw(question+" ORDER BY id LIMIT ?", append(args, limit)...).Rows()
	if err != nil {
		return nil, fmt.Errorf("read contacts: %w", err)
	}
	defer rows.Close()
	list := make([]Standing, 0, limit)
	for rows.Next() {
		list = append(list, Standing{})
		if err := rows.Scan(&list[len(list)-1].ID, &list[len(list)-1].fields); err != nil {
			return nil, fmt.Errorf("read contacts: %w", err)
		}
	}
	if err := rows.Err(); err != nil || len(list) == 0 {
		return nil, err
	}
	rows.Close() // the embedded database has one connection
	return list, db.linkStandings(ctx, list)
}

// linkStandings reads the links of contacts that are in the order of their ids.
func (db *DB) linkStandings(ctx context.Context, list []Standing) error {
	rows, err := db.gorm.WithContext(ctx).Raw(`SELECT account, entity_id, record_id, shadow, sent, state, reason FROM links
		WHERE kind = 'contact' AND entity_id BETWEEN ? AND ? ORDER BY entity_id, account`, list[0].ID, list[len(list)-1].ID).Rows()
	if err != nil {
		return fmt.Errorf("read the links of contacts: %w", err)
	}
	defer rows.Close()
	i := 0
	for rows.Next() {
		l := linkRow{Kind: string(directory.ContactEntity)}
		if err := rows.Scan(&l.Account, &l.EntityID, &l.RecordID, &l.Shadow, &l.Sent, &l.State, &l.Reason); err != nil {
			return fmt.Errorf("read the links of contacts: %w", err)
		}
		for i < len(list) && list[i].ID < l.EntityID {
			i++
		}
		if i < len(list) && list[i].ID == l.EntityID {
			list[i].links = append(list[i].links, StandingLink{l})
		}
	}
	return rows.Err()
}
