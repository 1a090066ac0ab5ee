package store

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"crmsync/connectors"
	"crmsync/sync/deadletter"
	"crmsync/sync/directory"
)

// searchLag is for how long an account may still list what it has deleted.
const searchLag = 5 * time.Minute

type erasedRow struct {
	Account   string `gorm:"primaryKey"`
	RecordID  string `gorm:"primaryKey"`
	ContactID int64
	At        time.Time
}

func (erasedRow) TableName() string { return "erased_records" }

// veil takes the place of the ids of an erased person's facts and messages, which
// hold a number: it says no more than whether an id is that one.
func veil(id string) string {
	if veiled(id) {
		return id
	}
	return veilMark + connectors.Digest([]byte(id))
}

const veilMark = "erased:"

func veiled(id string) bool { return strings.HasPrefix(id, veilMark) }

// Erase leaves nothing of a contact and of those that have become a part of it but
// that there was one, and makes the accounts that have records of theirs owe that
// these are deleted. It returns those accounts.
func (tx *recordTx) Erase(e directory.Erasure) ([]string, error) {
	erasing := eraser{db: tx.db, now: tx.now, e: e}
	for _, step := range []func() error{
		erasing.who, erasing.letters, erasing.links, erasing.facts, erasing.conversation, erasing.promises, erasing.contact, erasing.records,
	} {
		if err := step(); err != nil {
			return nil, fmt.Errorf("erase contact %d: %w", e.Contact, err)
		}
	}
	return erasing.accounts()
}

// eraser is one erasure in its transaction.
type eraser struct {
	db  *gorm.DB
	now time.Time
	e   directory.Erasure
	// people are the contact and those that have become a part of it, messages and
	// tasks theirs.
	people, messages, tasks []int64
}

// who finds out who and what it is about.
func (x *eraser) who() error {
	x.people = []int64{x.e.Contact}
	for next := x.people; len(next) > 0; x.people = append(x.people, next...) {
		var parts []int64
		if err := x.db.Raw("SELECT id FROM contacts WHERE joined_into IN ?", next).Scan(&parts).Error; err != nil {
			return err
		}
		next = slices.DeleteFunc(parts, func(id int64) bool { return slices.Contains(x.people, id) })
	}
	if err := x.db.Model(&taskRow{}).Where("contact_id IN ?", x.people).Order("id").Pluck("id", &x.tasks).Error; err != nil {
		return err
	}
	return x.db.Model(&messageRow{}).Where("contact_id IN ?", x.people).Order("id").Pluck("id", &x.messages).Error
}

// each runs a statement for the contacts' entities of a kind, in parts.
func (x *eraser) each(f func(kind string, ids []int64) error) error {
	for _, of := range []struct {
		kind directory.EntityKind
		ids  []int64
	}{
		{directory.ContactEntity, x.people},
		{directory.MessageEntity, x.messages},
		{directory.FileEntity, x.messages},
		{directory.TaskEntity, x.tasks},
	} {
		for part := range chunks(of.ids) {
			if err := f(string(of.kind), part); err != nil {
				return err
			}
		}
	}
	return nil
}

// letters discards the open letters: what they are about is not owed any more.
func (x *eraser) letters() error {
	return x.each(func(kind string, ids []int64) error {
		var rows []letterRow
		if err := x.db.Where("kind = ? AND entity_id IN ? AND state IN ('open', 'replaying')", kind, ids).Find(&rows).Error; err != nil || len(rows) == 0 {
			return err
		}
		if err := addActions(x.db, rows, deadletter.Action{At: x.now, By: "crmsync", Do: deadletter.Dropped}); err != nil {
			return err
		}
		return updateLetters(x.db, rows, map[string]any{
			"state": string(deadletter.Discarded), "settled_by": "crmsync", "settled_at": x.now, "note": directory.Erased, "updated_at": x.now, "queued": 0,
		})
	})
}

// links makes debts of what accounts have. Files go with their messages.
func (x *eraser) links() error {
	return x.each(func(kind string, ids []int64) error {
		record := "record_id"
		if kind == string(directory.FileEntity) {
			record = "''"
		}
		return x.db.Exec(`UPDATE links SET erase = 1, record_id = `+record+`,
			state = CASE WHEN `+record+` <> '' THEN 'pending' ELSE 'skipped' END, reason = CASE WHEN `+record+` <> '' THEN '' ELSE ? END,
			shadow = '', sent = '', class = '', attempts = 0, history = '', next_attempt = NULL, in_doubt_since = NULL,
			since = ?, latest = ?, updated_at = ? WHERE kind = ? AND entity_id IN ?`,
			directory.Erased, x.now, x.now, x.now, kind, ids).Error
	})
}

// facts leaves of facts that they were recorded. That which has brought the
// erasure about says so.
func (x *eraser) facts() error {
	err := x.each(func(kind string, ids []int64) error {
		var found []string
		err := x.db.Model(&factRow{}).Where("entity_kind = ? AND entity_id IN ? AND id <> ?", kind, ids, x.e.Fact).Pluck("id", &found).Error
		if err != nil {
			return err
		}
		for some := range chunks(slices.DeleteFunc(found, veiled)) {
			if err := x.veilAll("UPDATE facts SET id = v.column2, raw = NULL", "id = v.column1", some); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	return x.db.Exec("UPDATE facts SET outcome = ? WHERE id = ?", directory.Applied+": "+directory.Erased, x.e.Fact).Error
}

// veilAll runs an update with ids as column1 and their veils as column2.
func (x *eraser) veilAll(update, where string, ids []string, more ...any) error {
	if len(ids) == 0 {
		return nil
	}
	values, args := make([]string, len(ids)), make([]any, 0, 2*len(ids)+len(more))
	for i, id := range ids {
		values[i] = "(?, ?)"
		args = append(args, id, veil(id))
	}
	return x.db.Exec(update+" FROM (VALUES "+strings.Join(values, ", ")+") AS v WHERE "+where, append(args, more...)...).Error
}

// conversation leaves of messages and files that there were some.
func (x *eraser) conversation() error {
	for part := range chunks(x.messages) {
		var wamids []string
		if err := x.db.Model(&messageRow{}).Where("id IN ?", part).Pluck("wamid", &wamids).Error; err != nil {
			return err
		}
		wamids = slices.DeleteFunc(slices.Compact(slices.Sorted(slices.Values(wamids))), veiled)
		// One wamid may be of two business numbers, and of two people.
		if err := x.veilAll("UPDATE messages SET wamid = v.column2", "wamid = v.column1 AND id IN ?", wamids, part); err != nil {
			return err
		}
		err := x.db.Exec(`UPDATE messages SET type = '', text = '', text_at = NULL, text_rank = 0, status = '', status_at = NULL,
			error_code = 0, group_id = '', updated_at = ? WHERE id IN ?`, x.now, part).Error
		if err != nil {
			return err
		}
		err = x.db.Exec("UPDATE files SET media_id = '', mime_type = '', sha256 = '', filename = '' WHERE message_id IN ?", part).Error
		if err != nil {
			return err
		}
	}
	return nil
}

// contact leaves the tombstone, and nobody is led to it.
func (x *eraser) contact() error {
	if err := x.db.Where("contact_id IN ?", x.people).Delete(&identityRow{}).Error; err != nil {
		return err
	}
	if err := x.db.Where("survivor_id IN ? OR joined_id IN ?", x.people, x.people).Delete(&joinRow{}).Error; err != nil {
		return err
	}
	return x.db.Exec("UPDATE contacts SET fields = '{}', erased_at = ?, erased_account = ?, erased_record = ?, updated_at = ? WHERE id IN ?",
		utc(x.e.At), x.e.Account, x.e.Record, x.now, x.people).Error
}

// records notes which records were the person's. Those that are known to be
// duplicates are deleted like the others, one after the other.
func (x *eraser) records() error {
	rows := []erasedRow{{x.e.Account, x.e.Record, x.e.Contact, x.now}}
	var links []linkRow
	if err := x.db.Where("kind = 'contact' AND entity_id IN ?", x.people).Order("account").Find(&links).Error; err != nil {
		return err
	}
	var doubles []duplicateRow
	if err := x.db.Where("contact_id IN ?", x.people).Find(&doubles).Error; err != nil {
		return err
	}
	for _, d := range doubles {
		rows = append(rows, erasedRow{d.Account, d.RecordID, x.e.Contact, x.now})
	}
	for _, l := range links {
		if l.RecordID != "" {
			rows = append(rows, erasedRow{l.Account, l.RecordID, x.e.Contact, x.now})
		}
	}
	if err := noteErased(x.db, rows); err != nil {
		return err
	}
	if err := x.db.Exec("UPDATE duplicates SET contact_id = ?, seen = '', refused = '' WHERE contact_id IN ?", x.e.Contact, x.people).Error; err != nil {
		return err
	}
	for i := range links {
		l := &links[i]
		if l.RecordID != "" || l.EntityID != x.e.Contact {
			continue
		}
		if err := promote(x.db, l, x.now); err != nil {
			return err
		}
		if l.RecordID == "" {
			continue
		}
		if err := x.db.Save(l).Error; err != nil {
			return err
		}
	}
	return nil
}

// noteErased notes that records are deleted, or are about to be.
func noteErased(tx *gorm.DB, rows []erasedRow) error {
	slices.SortFunc(rows, func(a, b erasedRow) int { return strings.Compare(a.Account+"\n"+a.RecordID, b.Account+"\n"+b.RecordID) })
	rows = slices.CompactFunc(rows, func(a, b erasedRow) bool { return a.Account == b.Account && a.RecordID == b.RecordID })
	return insert(tx, "erased records", rows, clause.OnConflict{
		Columns:   []clause.Column{{Name: "account"}, {Name: "record_id"}},
		DoUpdates: clause.AssignmentColumns([]string{"contact_id", "at"}),
	})
}

// promote makes the next of the person's records in the account what is owed, if
// there is one.
func promote(tx *gorm.DB, l *linkRow, now time.Time) error {
	var next []duplicateRow
	err := tx.Where("account = ? AND contact_id = ?", l.Account, l.EntityID).Order("found_at, record_id").Limit(1).Find(&next).Error
	if err != nil || len(next) == 0 {
		return err
	}
	l.owe(next[0].RecordID, now)
	return tx.Delete(&next[0]).Error
}

// owe makes it a debt to delete a record.
func (r *linkRow) owe(record string, now time.Time) {
	*r = linkRow{
		Account: r.Account, Kind: r.Kind, EntityID: r.EntityID, RecordID: record, State: string(directory.Pending), Erase: 1,
		Wanted: r.Wanted, Agreed: r.Agreed, Since: &now, Latest: &now, UpdatedAt: now,
	}
}

// accounts are those that owe something.
func (x *eraser) accounts() (accounts []string, err error) {
	err = x.db.Model(&linkRow{}).Where("kind = 'contact' AND entity_id = ? AND state = 'pending'", x.e.Contact).Order("account").Pluck("account", &accounts).Error
	return accounts, err
}

// ErasedRecords returns until when what was read of records counts for nothing,
// as they were deleted, of those of erased people.
func (tx *recordTx) ErasedRecords(records []directory.RecordKey) (map[directory.RecordKey]time.Time, error) {
	until := map[directory.RecordKey]time.Time{}
	for account, ids := range byAccount(records) {
		for part := range chunks(ids) {
			var rows []erasedRow
			if err := tx.db.Where("account = ? AND record_id IN ?", account, part).Find(&rows).Error; err != nil {
				return nil, fmt.Errorf("read which records were erased: %w", err)
			}
			for _, r := range rows {
				until[directory.RecordKey{Account: account, ID: r.RecordID}] = r.At.UTC().Add(searchLag)
			}
		}
	}
	return until, nil
}

// ErasedHolder returns the erased contact whose record of an account it was; none
// if there is none.
func (db *DB) ErasedHolder(ctx context.Context, account, record string) (contacts []int64, err error) {
	err = db.gorm.WithContext(ctx).Model(&erasedRow{}).Where("account = ? AND record_id = ?", account, record).Pluck("contact_id", &contacts).Error
	if err != nil {
		return nil, fmt.Errorf("read whose record of %s it was: %w", account, err)
	}
	return contacts, nil
}

// settleErased stores what became of entities whose people were erased: the
// records of which their workers know, as debts, until they are deleted.
func (db *DB) settleErased(tx *gorm.DB, outcomes []directory.Outcome) error {
	first := outcomes[0].Link
	ids := make([]int64, len(outcomes))
	byID := make(map[int64]*directory.Outcome, len(outcomes))
	for i := range outcomes {
		ids[i] = outcomes[i].Link.Entity.ID
		byID[ids[i]] = &outcomes[i]
	}
	var rows []linkRow
	err := db.lock(tx, "UPDATE").Where("account = ? AND kind = ? AND entity_id IN ? AND erase = 1", first.Account, string(first.Entity.Kind), ids).
		Order("entity_id").Find(&rows).Error
	if err != nil {
		return err
	}
	for i := range rows {
		if err := db.settleErasure(tx, &rows[i], byID[rows[i].EntityID]); err != nil {
			return err
		}
		if err := tx.Save(&rows[i]).Error; err != nil {
			return err
		}
	}
	return nil
}

func (db *DB) settleErasure(tx *gorm.DB, now *linkRow, o *directory.Outcome) error {
	at := db.now()
	switch {
	case !o.Before.Erase && o.Link.RecordID != "" && now.Kind != string(directory.FileEntity):
		// It was written while the person was being erased.
		now.owe(o.Link.RecordID, at)
		if now.Kind != string(directory.ContactEntity) {
			return nil
		}
		return noteErased(tx, []erasedRow{{now.Account, now.RecordID, now.EntityID, at}})
	case !o.Before.Erase, o.Before.RecordID != now.RecordID:
		return nil // there is another record by now
	case o.Link.State != directory.Skipped:
		row, err := rowOfLink(&o.Link, at)
		row.Erase, row.Since, row.Latest = 1, now.Since, now.Latest
		row.Wanted = now.Wanted
		*now = row
		return err
	}
	record := now.RecordID
	now.owe("", at)
	now.State, now.Reason = string(directory.Skipped), directory.Erased
	if now.Kind != string(directory.ContactEntity) {
		return nil
	}
	if record != "" {
		if err := noteErased(tx, []erasedRow{{now.Account, record, now.EntityID, at}}); err != nil {
			return err
		}
	}
	return promote(tx, now, at)
}
