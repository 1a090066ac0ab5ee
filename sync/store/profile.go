package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"gorm.io/gorm"

	"crmsync/connectors"
	"crmsync/sync/deadletter"
	"crmsync/sync/directory"
)

// A Profile is everything that is known of a contact, as it was at one moment.
type Profile struct {
	Contact   *directory.Contact
	UpdatedAt time.Time
	// Identities are the names under which the contact goes, and went.
	Identities []directory.Identity
	// Links say how each account stands to the contact, in the order of the
	// accounts.
	Links []directory.Link
	// Facts are what set the contact's fields, by id. One that is not kept any
	// more is left out.
	Facts map[string]FactNote
	Talk  Talk
	// Settling counts the contact's messages, files and tasks by how each account
	// stands to them.
	Settling []EntityCount
	// Owed are the oldest of the messages, files and tasks that are pending or dead,
	// at most mostOwed of them.
	Owed []directory.Link
	// Letters are those of the contact, its messages, files and tasks that are open.
	Letters []deadletter.Letter
	// Pulls are records of the contact that wait to be read.
	Pulls []directory.Pull
}

// mostOwed is how many entities a profile lists one by one.
const mostOwed = 20

// A FactNote says where a fact came from.
type FactNote struct {
	ID, Account                string
	Kind                       connectors.Kind
	Type                       string
	At, ReceivedAt, RecordedAt time.Time
}

// A Talk is how many messages there are of a contact, and of when: zero where
// there is none.
type Talk struct {
	Received, Sent int64
	First, Last    time.Time
}

// An EntityCount is how many entities of a kind are in a state in an account.
type EntityCount struct {
	Account string
	Kind    directory.EntityKind
	State   directory.State
	N       int64
}

// snapshot runs f in a transaction that sees the database as it is at one moment.
func (db *DB) snapshot(ctx context.Context, f func(tx *gorm.DB) error) error {
	o := &sql.TxOptions{ReadOnly: true}
	if db.postgres {
		o.Isolation = sql.LevelRepeatableRead
	}
	return db.gorm.WithContext(ctx).Transaction(f, o)
}

// Profile returns everything that is known of a contact, nil if there is none
// with the id.
func (db *DB) Profile(ctx context.Context, id int64) (p *Profile, err error) {
	err = db.snapshot(ctx, func(tx *gorm.DB) error {
		p, err = profileOf(tx, id)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("read contact %d: %w", id, err)
	}
	return p, nil
}

func profileOf(tx *gorm.DB, id int64) (*Profile, error) {
	var rows []contactRow
	if err := tx.Where("id = ?", id).Find(&rows).Error; err != nil || len(rows) == 0 {
		return nil, err
	}
	contact, err := rows[0].contact()
	if err != nil {
		return nil, err
	}
	p := &Profile{Contact: contact, UpdatedAt: rows[0].UpdatedAt.UTC()}
	for _, part := range []func(tx *gorm.DB) error{p.identities, p.links, p.facts, p.talk, p.owed, p.letters, p.pulls} {
		if err := part(tx); err != nil {
			return nil, err
		}
	}
	return p, nil
}

func (p *Profile) identities(tx *gorm.DB) error {
	var rows []identityRow
	err := tx.Where("contact_id = ?", p.Contact.ID).Order("kind, value").Find(&rows).Error
	for _, r := range rows {
		p.Identities = append(p.Identities, r.identity())
	}
	return err
}

func (r *identityRow) identity() directory.Identity {
	return directory.Identity{
		IdentityKey: directory.IdentityKey{Kind: directory.IdentityKind(r.Kind), Value: r.Value},
		ContactID:   r.ContactID, RetiredAt: orZero(r.RetiredAt),
	}
}

func (p *Profile) links(tx *gorm.DB) error {
	var rows []linkRow
	if err := tx.Where("kind = 'contact' AND entity_id = ?", p.Contact.ID).Order("account").Find(&rows).Error; err != nil {
		return err
	}
	var err error
	p.Links, err = linksOf(rows)
	return err
}

func linksOf(rows []linkRow) ([]directory.Link, error) {
	links := make([]directory.Link, len(rows))
	for i := range rows {
		var err error
		if links[i], err = rows[i].link(); err != nil {
			return nil, err
		}
		links[i].UpdatedAt = rows[i].UpdatedAt.UTC()
	}
	return links, nil
}

func (p *Profile) facts(tx *gorm.DB) error {
	var ids []string
	for _, v := range p.Contact.Fields {
		if v.Fact != "" {
			ids = append(ids, v.Fact)
		}
	}
	p.Facts = make(map[string]FactNote, len(ids))
	for part := range chunks(ids) {
		var rows []factRow
		if err := tx.Omit("raw").Where("id IN ?", part).Find(&rows).Error; err != nil {
			return err
		}
		for _, r := range rows {
			p.Facts[r.ID] = FactNote{
				ID: r.ID, Account: r.Account, Kind: connectors.Kind(r.Kind), Type: r.Type,
				At: r.At.UTC(), ReceivedAt: r.ReceivedAt.UTC(), RecordedAt: r.RecordedAt.UTC(),
			}
		}
	}
	return nil
}

func (p *Profile) talk(tx *gorm.DB) error {
	id := p.Contact.ID
	var counts []struct {
		Direction string
		N         int64
	}
	if err := tx.Raw("SELECT direction, count(*) AS n FROM messages WHERE contact_id = ? GROUP BY direction", id).Scan(&counts).Error; err != nil {
		return err
	}
	for _, c := range counts {
		if c.Direction == string(connectors.In) {
			p.Talk.Received += c.N
		} else {
			p.Talk.Sent += c.N
		}
	}
	for order, at := range map[string]*time.Time{"at": &p.Talk.First, "at DESC": &p.Talk.Last} {
		var rows []messageRow
		if err := tx.Select("at").Where("contact_id = ? AND at IS NOT NULL", id).Order(order).Limit(1).Find(&rows).Error; err != nil {
			return err
		}
		if len(rows) > 0 {
			*at = orZero(rows[0].At)
		}
	}
	return tx.Raw(`SELECT l.account, l.kind, l.state, count(*) AS n FROM messages m
		JOIN links l ON l.kind IN ('message', 'file') AND l.entity_id = m.id
		WHERE m.contact_id = ? GROUP BY l.account, l.kind, l.state
		UNION ALL SELECT l.account, l.kind, l.state, count(*) AS n FROM tasks t
		JOIN links l ON l.kind = 'task' AND l.entity_id = t.id
		WHERE t.contact_id = ? GROUP BY l.account, l.kind, l.state
		ORDER BY 1, 2 DESC, 3`, id, id).Scan(&p.Settling).Error
}

func (p *Profile) owed(tx *gorm.DB) error {
	var rows []linkRow
	err := tx.Raw(`SELECT l.* FROM messages m JOIN links l ON l.kind IN ('message', 'file') AND l.entity_id = m.id
		WHERE m.contact_id = ? AND l.state IN ('pending', 'dead')
		UNION ALL SELECT l.* FROM tasks t JOIN links l ON l.kind = 'task' AND l.entity_id = t.id
		WHERE t.contact_id = ? AND l.state IN ('pending', 'dead') ORDER BY since, account LIMIT ?`, p.Contact.ID, p.Contact.ID, mostOwed).Scan(&rows).Error
	if err != nil {
		return err
	}
	p.Owed, err = linksOf(rows)
	return err
}

func (p *Profile) letters(tx *gorm.DB) error {
	var rows []letterRow
	err := tx.Where(`state IN ('open', 'replaying') AND (kind = 'contact' AND entity_id = ?
		OR kind IN ('message', 'file') AND entity_id IN (SELECT id FROM messages WHERE contact_id = ?)
		OR kind = 'task' AND entity_id IN (SELECT id FROM tasks WHERE contact_id = ?))`, p.Contact.ID, p.Contact.ID, p.Contact.ID).
		Order("created_at, id").Find(&rows).Error
	for i := range rows {
		p.Letters = append(p.Letters, rows[i].letter())
	}
	return err
}

func (p *Profile) pulls(tx *gorm.DB) error {
	for _, l := range p.Links {
		if l.RecordID == "" {
			continue
		}
		var rows []pullRow
		if err := tx.Where("account = ? AND record_id = ?", l.Account, l.RecordID).Find(&rows).Error; err != nil {
			return err
		}
		for _, r := range rows {
			p.Pulls = append(p.Pulls, r.pull())
		}
	}
	return nil
}

// Holding returns all holders, past and present, of any of the keys.
func (db *DB) Holding(ctx context.Context, keys []directory.IdentityKey) ([]directory.Identity, error) {
	tx := &recordTx{db: db.gorm.WithContext(ctx)}
	return tx.Identities(keys)
}

// ContactsWith returns the contacts whose field has a text, in capitals or not.
// It looks at every contact.
func (db *DB) ContactsWith(ctx context.Context, field, text string) ([]int64, error) {
	value, err := json.Marshal(text)
	if err != nil {
		return nil, err
	}
	pattern := "%" + strings.NewReplacer("!", "!!", "%", "!%", "_", "!_").Replace(`"`+field+`":{"v":`+string(value)) + "%"
	var ids []int64
	err = db.gorm.WithContext(ctx).Model(&contactRow{}).
		Where("lower(fields) LIKE ? ESCAPE '!'", strings.ToLower(pattern)).Order("id").Pluck("id", &ids).Error
	if err != nil {
		return nil, fmt.Errorf("look for contacts by %s: %w", field, err)
	}
	return ids, nil
}

// Unfit returns the links of contacts whose record shows values that are not of
// their field's type (see [directory.KeptAs]), of one account or of all, in the
// order of the accounts and contacts, those behind one.
func (db *DB) Unfit(ctx context.Context, account string, after directory.Link, limit int) ([]directory.Link, error) {
	q := db.gorm.WithContext(ctx).Where("kind = 'contact' AND record_id <> '' AND shadow LIKE '%u0000kept%'").
		Where("account > ? OR account = ? AND entity_id > ?", after.Account, after.Account, after.Entity.ID)
	if account != "" {
		q = q.Where("account = ?", account)
	}
	var rows []linkRow
	if err := q.Order("account, entity_id").Limit(limit).Find(&rows).Error; err != nil {
		return nil, fmt.Errorf("look for values that are not of their field's type: %w", err)
	}
	return linksOf(rows)
}
