package store

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"time"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"crmsync/sync/deadletter"
	"crmsync/sync/directory"
)

type joinRow struct {
	ID         int64 `gorm:"primaryKey;autoIncrement"`
	SurvivorID int64
	JoinedID   int64
	At         time.Time
	Why        string
	Account    string
	FactID     string
	Waiting    int64
	Moved      string
	SplitAt    *time.Time
	SplitBy    string
}

func (joinRow) TableName() string { return "joins" }

func (r *joinRow) join() (directory.Join, error) {
	j := directory.Join{
		ID: r.ID, Survivor: r.SurvivorID, Joined: r.JoinedID, At: r.At.UTC(), Why: r.Why, Account: r.Account, Fact: r.FactID,
		Waiting: r.Waiting > 0, SplitAt: orZero(r.SplitAt), SplitBy: r.SplitBy,
	}
	if err := json.Unmarshal([]byte(r.Moved), &j.Moved); err != nil {
		return j, fmt.Errorf("join %d: what was moved: %w", r.ID, err)
	}
	return j, nil
}

func joinsOf(rows []joinRow) ([]directory.Join, error) {
	joins := make([]directory.Join, len(rows))
	for i := range rows {
		var err error
		if joins[i], err = rows[i].join(); err != nil {
			return nil, err
		}
	}
	return joins, nil
}

// Survivors returns the contacts that contacts have become a part of, of those
// that have.
func (tx *recordTx) Survivors(contactIDs []int64) (map[int64]int64, error) {
	into := map[int64]int64{}
	for part := range chunks(contactIDs) {
		var rows []struct{ ID, JoinedInto int64 }
		if err := tx.db.Raw("SELECT id, joined_into FROM contacts WHERE id IN ? AND joined_into <> 0", part).Scan(&rows).Error; err != nil {
			return nil, fmt.Errorf("read what contacts have become: %w", err)
		}
		for _, r := range rows {
			into[r.ID] = r.JoinedInto
		}
	}
	return into, nil
}

// Joins returns the joins of two contacts, split ones too.
func (tx *recordTx) Joins(contact, other int64) ([]directory.Join, error) {
	var rows []joinRow
	err := tx.db.Where("survivor_id = ? AND joined_id = ? OR survivor_id = ? AND joined_id = ?", contact, other, other, contact).Order("id").Find(&rows).Error
	if err != nil {
		return nil, fmt.Errorf("read joins: %w", err)
	}
	return joinsOf(rows)
}

// Join returns a join, nil if there is none.
func (tx *recordTx) Join(id int64) (*directory.Join, error) {
	var rows []joinRow
	if err := tx.db.Where("id = ?", id).Find(&rows).Error; err != nil {
		return nil, fmt.Errorf("read a join: %w", err)
	}
	joins, err := joinsOf(rows)
	if err != nil || len(joins) == 0 {
		return nil, err
	}
	return &joins[0], nil
}

// SaveJoin stores a join and gives one with ID 0 its own. Unless it is waiting the
// joined contact is a part of the survivor from then on or, once split, none.
func (tx *recordTx) SaveJoin(j *directory.Join) error {
	moved, err := json.Marshal(j.Moved)
	if err != nil {
		return err
	}
	row := joinRow{
		ID: j.ID, SurvivorID: j.Survivor, JoinedID: j.Joined, At: utc(j.At), Why: j.Why, Account: j.Account, FactID: j.Fact,
		Moved: string(moved), SplitAt: orNull(j.SplitAt), SplitBy: j.SplitBy,
	}
	if j.Waiting {
		row.Waiting = 1
	}
	if err := tx.db.Save(&row).Error; err != nil {
		return fmt.Errorf("write a join: %w", err)
	}
	j.ID = row.ID
	if j.Waiting {
		return nil
	}
	into := j.Survivor
	if !j.SplitAt.IsZero() {
		into = 0
	} else if err := tx.db.Exec("UPDATE tasks SET contact_id = ? WHERE contact_id = ?", j.Survivor, j.Joined).Error; err != nil {
		return fmt.Errorf("move tasks: %w", err)
	}
	return tx.db.Exec("UPDATE contacts SET joined_into = ?, updated_at = ? WHERE id = ?", into, tx.now, j.Joined).Error
}

// WaitingJoins returns the joins that are yet to be made.
func (tx *recordTx) WaitingJoins() ([]directory.Join, error) {
	var rows []joinRow
	if err := tx.db.Where("waiting > 0").Order("id").Find(&rows).Error; err != nil {
		return nil, fmt.Errorf("read joins: %w", err)
	}
	return joinsOf(rows)
}

// DropJoin forgets a join that was yet to be made.
func (tx *recordTx) DropJoin(id int64) error {
	if err := tx.db.Where("id = ? AND waiting > 0", id).Delete(&joinRow{}).Error; err != nil {
		return fmt.Errorf("forget a join: %w", err)
	}
	return nil
}

// Links returns all links of contacts, locked for the rest of the transaction.
func (tx *recordTx) Links(contactIDs []int64) ([]directory.Link, error) {
	var rows []linkRow
	err := tx.locked().Where("kind = 'contact' AND entity_id IN ?", contactIDs).Order("account, entity_id").Find(&rows).Error
	if err != nil {
		return nil, fmt.Errorf("read the links of contacts: %w", err)
	}
	links := make([]directory.Link, len(rows))
	for i := range rows {
		if links[i], err = rows[i].link(); err != nil {
			return nil, err
		}
	}
	return links, nil
}

// Unlink forgets that accounts knew of a contact.
func (tx *recordTx) Unlink(links []directory.Link) error {
	for _, l := range links {
		err := tx.db.Where("account = ? AND kind = ? AND entity_id = ?", l.Account, string(l.Entity.Kind), l.Entity.ID).Delete(&linkRow{}).Error
		if err != nil {
			return fmt.Errorf("remove a link: %w", err)
		}
	}
	return nil
}

// InDoubt returns the accounts in which it is not known whether messages or tasks of
// a contact are there.
func (tx *recordTx) InDoubt(contactID int64) (accounts []string, err error) {
	err = tx.db.Raw(`SELECT DISTINCT l.account FROM messages m JOIN links l ON l.kind IN ('message', 'file') AND l.entity_id = m.id
		WHERE m.contact_id = ? AND l.in_doubt_since IS NOT NULL AND l.state IN ('pending', 'dead')
		UNION SELECT l.account FROM tasks t JOIN links l ON l.kind = 'task' AND l.entity_id = t.id
		WHERE t.contact_id = ? AND l.in_doubt_since IS NOT NULL AND l.state IN ('pending', 'dead')`, contactID, contactID).Scan(&accounts).Error
	if err != nil {
		return nil, fmt.Errorf("read which messages are in doubt: %w", err)
	}
	return accounts, nil
}

// Owed returns the accounts that are owed messages of a contact.
func (tx *recordTx) Owed(contactID int64) (accounts []string, err error) {
	err = tx.db.Raw(`SELECT DISTINCT l.account FROM messages m JOIN links l ON l.kind = 'message' AND l.entity_id = m.id
		WHERE m.contact_id = ? AND l.state = 'pending'`, contactID).Scan(&accounts).Error
	if err != nil {
		return nil, fmt.Errorf("read which messages are owed: %w", err)
	}
	return accounts, nil
}

// MoveMessages gives messages of a contact to another: those with the ids, nil
// for all. It returns which they were.
func (tx *recordTx) MoveMessages(from, to int64, ids []int64) (moved []int64, err error) {
	if ids == nil {
		if err = tx.db.Model(&messageRow{}).Where("contact_id = ?", from).Order("id").Pluck("id", &ids).Error; err != nil {
			return nil, fmt.Errorf("read the messages of a contact: %w", err)
		}
	}
	for part := range chunks(ids) {
		var there []int64
		if err := tx.db.Model(&messageRow{}).Where("id IN ? AND contact_id = ?", part, from).Order("id").Pluck("id", &there).Error; err != nil {
			return nil, fmt.Errorf("read the messages of a contact: %w", err)
		}
		if len(there) == 0 {
			continue
		}
		if err := tx.db.Model(&messageRow{}).Where("id IN ?", there).Update("contact_id", to).Error; err != nil {
			return nil, fmt.Errorf("move messages: %w", err)
		}
		moved = append(moved, there...)
	}
	return moved, nil
}

// IdentitiesOf returns all names of contacts.
func (tx *recordTx) IdentitiesOf(contactIDs []int64) ([]directory.Identity, error) {
	var rows []identityRow
	if err := tx.db.Where("contact_id IN ?", contactIDs).Order("contact_id, kind, value").Find(&rows).Error; err != nil {
		return nil, fmt.Errorf("read identities: %w", err)
	}
	found := make([]directory.Identity, len(rows))
	for i, r := range rows {
		found[i] = directory.Identity{
			IdentityKey: directory.IdentityKey{Kind: directory.IdentityKind(r.Kind), Value: r.Value}, ContactID: r.ContactID, RetiredAt: orZero(r.RetiredAt),
		}
	}
	return found, nil
}

// RemoveIdentities removes names of contacts.
func (tx *recordTx) RemoveIdentities(identities []directory.Identity) error {
	for _, i := range identities {
		err := tx.db.Where("kind = ? AND value = ? AND contact_id = ?", string(i.Kind), i.Value, i.ContactID).Delete(&identityRow{}).Error
		if err != nil {
			return fmt.Errorf("remove identities: %w", err)
		}
	}
	return nil
}

// SettleLetters discards the open letters about a contact.
func (tx *recordTx) SettleLetters(contactID int64, note string) error {
	var rows []letterRow
	err := tx.locked().Where("kind = 'contact' AND entity_id = ? AND state IN ('open', 'replaying')", contactID).Find(&rows).Error
	if err != nil || len(rows) == 0 {
		return err
	}
	if err := addActions(tx.db, rows, deadletter.Action{At: tx.now, By: "crmsync", Do: deadletter.Dropped}); err != nil {
		return err
	}
	return updateLetters(tx.db, rows, map[string]any{
		"state": string(deadletter.Discarded), "settled_by": "crmsync", "settled_at": tx.now, "note": note, "updated_at": tx.now, "queued": 0,
	})
}

// bury makes of what became of contacts that have become parts of others in the
// meantime what it is: nothing of it counts.
func bury(tx *gorm.DB, rows []linkRow) error {
	var ids []int64
	for _, r := range rows {
		if r.Kind == string(directory.ContactEntity) {
			ids = append(ids, r.EntityID)
		}
	}
	if len(ids) == 0 {
		return nil
	}
	var joined []int64
	if err := tx.Raw("SELECT id FROM contacts WHERE id IN ? AND joined_into <> 0", ids).Scan(&joined).Error; err != nil {
		return fmt.Errorf("read what contacts have become: %w", err)
	}
	for i := range rows {
		r := &rows[i]
		if r.Kind == string(directory.ContactEntity) && slices.Contains(joined, r.EntityID) {
			*r = linkRow{
				Account: r.Account, Kind: r.Kind, EntityID: r.EntityID, State: string(directory.Skipped), Reason: directory.Joined,
				Wanted: math.MaxInt64, // nothing has overtaken it
				Agreed: r.Agreed, UpdatedAt: r.UpdatedAt,
			}
		}
	}
	return nil
}

// JoinList returns joins, the newest first; with open only those that have not
// been split. A limit of 0 is none.
func (db *DB) JoinList(ctx context.Context, open bool, limit int) ([]directory.Join, error) {
	query := db.gorm.WithContext(ctx).Where("waiting = 0").Order("id DESC")
	if limit > 0 {
		query = query.Limit(limit)
	}
	if open {
		query = query.Where("split_at IS NULL")
	}
	var rows []joinRow
	if err := query.Find(&rows).Error; err != nil {
		return nil, fmt.Errorf("read joins: %w", err)
	}
	return joinsOf(rows)
}

type duplicateRow struct {
	Account   string `gorm:"primaryKey"`
	RecordID  string `gorm:"primaryKey"`
	ContactID int64
	FoundAt   time.Time
	Seen      string
}

func (duplicateRow) TableName() string { return "duplicates" }

func duplicatesOf(rows []duplicateRow) []directory.Duplicate {
	list := make([]directory.Duplicate, len(rows))
	for i, r := range rows {
		list[i] = directory.Duplicate{RecordKey: directory.RecordKey{Account: r.Account, ID: r.RecordID}, ContactID: r.ContactID, FoundAt: r.FoundAt.UTC(), Seen: r.Seen}
	}
	return list
}

// SaveDuplicates notes records of people who have another one in the same
// account, and forgets those that are not any more.
func (tx *recordTx) SaveDuplicates(found []directory.Duplicate, gone []directory.RecordKey) error {
	for account, ids := range byAccount(gone) {
		for part := range chunks(ids) {
			if err := tx.db.Where("account = ? AND record_id IN ?", account, part).Delete(&duplicateRow{}).Error; err != nil {
				return fmt.Errorf("forget duplicates: %w", err)
			}
		}
	}
	rows := make([]duplicateRow, len(found))
	for i, d := range found {
		rows[i] = duplicateRow{d.Account, d.ID, d.ContactID, utc(d.FoundAt), d.Seen}
	}
	return insert(tx.db, "duplicates", rows, clause.OnConflict{
		Columns: []clause.Column{{Name: "account"}, {Name: "record_id"}},
		DoUpdates: append(clause.AssignmentColumns([]string{"contact_id", "seen"}),
			clause.Assignment{Column: clause.Column{Name: "refused"}, Value: gorm.Expr(
				"CASE WHEN duplicates.seen = excluded.seen AND duplicates.contact_id = excluded.contact_id THEN duplicates.refused ELSE '' END")}),
	})
}

// Duplicates returns those of the contacts, the oldest first.
func (tx *recordTx) Duplicates(contactIDs []int64) ([]directory.Duplicate, error) {
	var all []duplicateRow
	for part := range chunks(contactIDs) {
		var rows []duplicateRow
		if err := tx.db.Where("contact_id IN ?", part).Order("found_at, record_id").Find(&rows).Error; err != nil {
			return nil, fmt.Errorf("read duplicates: %w", err)
		}
		all = append(all, rows...)
	}
	return duplicatesOf(all), nil
}

// SeenDuplicates returns what those of the records that are duplicates showed, by
// record; see [directory.Shown].
func (db *DB) SeenDuplicates(ctx context.Context, account string, records []string) (map[string]string, error) {
	seen := map[string]string{}
	for part := range chunks(records) {
		var rows []duplicateRow
		if err := db.gorm.WithContext(ctx).Where("account = ? AND record_id IN ?", account, part).Find(&rows).Error; err != nil {
			return nil, fmt.Errorf("read duplicates in %s: %w", account, err)
		}
		for _, r := range rows {
			seen[r.RecordID] = r.Seen
		}
	}
	return seen, nil
}

// MoveDuplicates gives the duplicates of a contact to another.
func (tx *recordTx) MoveDuplicates(from, to int64) error {
	if err := tx.db.Model(&duplicateRow{}).Where("contact_id = ?", from).Updates(map[string]any{"contact_id": to, "refused": ""}).Error; err != nil {
		return fmt.Errorf("move duplicates: %w", err)
	}
	return nil
}

// A Double is a contact with more than one record in an account.
type Double struct {
	Account   string `json:"account"`
	ContactID int64  `json:"contact_id"`
	// Linked is the record that crmsync works with, empty if there is none at
	// the moment.
	Linked string  `json:"linked_record"`
	Others []Other `json:"other_records"`
}

// An Other is one of the records with which crmsync does not work.
type Other struct {
	Record string    `json:"record"`
	Found  time.Time `json:"found_at"`
	// NotMerged is why it was not merged where the mapping says so, empty if
	// nothing has spoken against it.
	NotMerged string `json:"not_merged,omitempty"`
}

// Doubles returns contacts with several records in an account, empty for all
// accounts, by account and contact.
func (db *DB) Doubles(ctx context.Context, account string) ([]Double, error) {
	var rows []struct {
		Account, RecordID, Linked, Refused string
		ContactID                          int64
		FoundAt                            time.Time
	}
	err := db.gorm.WithContext(ctx).Raw(`SELECT d.account, d.record_id, d.contact_id, d.found_at, d.refused, COALESCE(l.record_id, '') AS linked
		FROM duplicates d LEFT JOIN links l ON l.account = d.account AND l.kind = 'contact' AND l.entity_id = d.contact_id
		WHERE ? IN ('', d.account) ORDER BY d.account, d.contact_id, d.found_at, d.record_id`, account).Scan(&rows).Error
	if err != nil {
		return nil, fmt.Errorf("read duplicates: %w", err)
	}
	list := []Double{}
	for _, r := range rows {
		if n := len(list); n == 0 || list[n-1].Account != r.Account || list[n-1].ContactID != r.ContactID {
			list = append(list, Double{Account: r.Account, ContactID: r.ContactID, Linked: r.Linked})
		}
		d := &list[len(list)-1]
		d.Others = append(d.Others, Other{r.RecordID, r.FoundAt.UTC(), r.Refused})
	}
	return list, nil
}
