package store

import (
	"context"
	"fmt"
	"time"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"crmsync/connectors"
	"crmsync/sync/directory"
)

// Records returns the links of contacts to any of the records, and those of the
// contacts in the records' accounts, locked for the rest of the transaction.
func (tx *recordTx) Records(records []directory.RecordKey, contactIDs []int64) ([]directory.Link, error) {
	var rows []linkRow
	for account, ids := range byAccount(records) {
		for part := range chunks(ids) {
			var found []linkRow
			// The plus keeps SQLite from going through all links in that order.
			if err := tx.locked().Where("account = ? AND kind = 'contact' AND record_id IN ?", account, part).Order("+entity_id").Find(&found).Error; err != nil {
				return nil, fmt.Errorf("read the links of records: %w", err)
			}
			rows = append(rows, found...)
		}
		for part := range chunks(contactIDs) {
			var found []linkRow
			if err := tx.locked().Where("account = ? AND kind = 'contact' AND entity_id IN ?", account, part).Order("entity_id").Find(&found).Error; err != nil {
				return nil, fmt.Errorf("read the links of contacts: %w", err)
			}
			rows = append(rows, found...)
		}
	}
	type key struct {
		account string
		id      int64
	}
	known := map[key]bool{}
	var links []directory.Link
	for i := range rows {
		k := key{rows[i].Account, rows[i].EntityID}
		if known[k] {
			continue
		}
		known[k] = true
		link, err := rows[i].link()
		if err != nil {
			return nil, err
		}
		links = append(links, link)
	}
	return links, nil
}

// byAccount are the ids of records, by their accounts.
func byAccount(records []directory.RecordKey) map[string][]string {
	ids := map[string][]string{}
	for _, r := range records {
		ids[r.Account] = append(ids[r.Account], r.ID)
	}
	return ids
}

func (tx *recordTx) locked() *gorm.DB {
	if tx.db.Name() != "postgres" {
		return tx.db // the database is locked as a whole
	}
	return tx.db.Clauses(clause.Locking{Strength: "UPDATE"})
}

// SaveRecords stores what links say of the record: its id and the shadow, and
// the state and why if they have one. One that is new or had no record is owed
// the contact's version.
func (tx *recordTx) SaveRecords(links []directory.Link) error {
	var fresh, gone, seen []linkRow
	for i := range links {
		l := links[i]
		row, err := rowOfLink(&l, tx.now)
		if err != nil {
			return err
		}
		row.SeenAt = &tx.now
		switch l.State {
		case "":
			seen = append(seen, row)
		case directory.Skipped:
			gone = append(gone, row)
		default:
			row.Attempts, row.History, row.NextAttempt, row.Class, row.Reason, row.InDoubtSince = 0, "", nil, "", "", nil
			row.Since = &tx.now
			row.Latest = &tx.now
			fresh = append(fresh, row)
		}
	}
	err := insert(tx.db, "links", gone, clause.OnConflict{Columns: linkKey, DoUpdates: append(
		clause.AssignmentColumns([]string{"record_id", "shadow", "sent", "reason", "wanted", "seen_at", "updated_at"}),
		// Who has written meanwhile, or is to be seen to, gets another record.
		clause.Assignment{Column: clause.Column{Name: "state"}, Value: gorm.Expr(`CASE WHEN EXISTS (SELECT 1 FROM messages m
			JOIN links l ON l.account = links.account AND l.kind = 'message' AND l.entity_id = m.id
			WHERE m.contact_id = links.entity_id AND l.state = 'pending') OR EXISTS (SELECT 1 FROM tasks t
			JOIN links l ON l.account = links.account AND l.kind = 'task' AND l.entity_id = t.id
			WHERE t.contact_id = links.entity_id AND l.state = 'pending') THEN 'pending' ELSE excluded.state END`)},
		clause.Assignment{Column: clause.Column{Name: "since"}, Value: gorm.Expr("CASE WHEN links.state = 'pending' THEN links.since ELSE excluded.updated_at END")},
	)})
	if err != nil {
		return err
	}
	for _, part := range []struct {
		rows    []linkRow
		columns []string
	}{
		{seen, []string{"record_id", "shadow", "seen_at", "updated_at"}},
		{fresh, []string{"record_id", "shadow", "state", "wanted", "since", "latest", "attempts", "history", "next_attempt", "class", "reason", "in_doubt_since", "seen_at", "updated_at"}},
	} {
		err := insert(tx.db, "links", part.rows, clause.OnConflict{Columns: linkKey, DoUpdates: clause.AssignmentColumns(part.columns)})
		if err != nil {
			return err
		}
	}
	return nil
}

type pullRow struct {
	Account  string `gorm:"primaryKey"`
	RecordID string `gorm:"primaryKey"`
	Change   string
	NewsAt   time.Time
	DueAt    time.Time
	Tries    int
}

func (pullRow) TableName() string { return "pulls" }

// WantPulls notes records that have to be read. News of one that waits already
// does not make it wait for longer.
func (tx *recordTx) WantPulls(pulls []directory.Pull) error { return wantPulls(tx.db, tx.now, pulls) }

// WantPulls is [recordTx.WantPulls] in a transaction of its own.
func (db *DB) WantPulls(ctx context.Context, pulls []directory.Pull) error {
	return db.tx(ctx, func(tx *gorm.DB) error { return wantPulls(tx, db.now(), pulls) })
}

func wantPulls(tx *gorm.DB, now time.Time, pulls []directory.Pull) error {
	var rows []pullRow
	at := map[directory.RecordKey]int{} // PostgreSQL does not take one twice
	for _, p := range pulls {
		row := pullRow{Account: p.Account, RecordID: connectors.Clean(p.ID), Change: string(p.Change), NewsAt: now, DueAt: utc(p.At)}
		key := directory.RecordKey{Account: row.Account, ID: row.RecordID}
		if i, twice := at[key]; twice {
			rows[i] = row
			continue
		}
		at[key] = len(rows)
		rows = append(rows, row)
	}
	return insert(tx, "pulls", rows, clause.OnConflict{
		Columns:   []clause.Column{{Name: "account"}, {Name: "record_id"}},
		DoUpdates: clause.AssignmentColumns([]string{"change", "news_at", "tries"}),
	})
}

// ReadAgain notes records that have to be read once more, for want of certainty.
func (db *DB) ReadAgain(ctx context.Context, pulls []directory.Pull) error {
	return db.tx(ctx, func(tx *gorm.DB) error { return (&recordTx{db: tx, now: db.now()}).WantPulls(pulls) })
}

// Pulls returns records of an account that have to be read and may be by now,
// those that have waited longest first.
func (db *DB) Pulls(ctx context.Context, account string, limit int) ([]directory.Pull, error) {
	var rows []pullRow
	err := db.gorm.WithContext(ctx).Where("account = ? AND due_at <= ?", account, db.now()).Order("due_at").Limit(limit).Find(&rows).Error
	if err != nil {
		return nil, fmt.Errorf("read which records of %s have to be read: %w", account, err)
	}
	pulls := make([]directory.Pull, len(rows))
	for i, r := range rows {
		pulls[i] = r.pull()
	}
	return pulls, nil
}

func (r *pullRow) pull() directory.Pull {
	return directory.Pull{
		RecordKey: directory.RecordKey{Account: r.Account, ID: r.RecordID},
		Change:    connectors.RecordChange(r.Change), At: r.NewsAt.UTC(), Tries: r.Tries,
	}
}

// Pulled ends the debt of records that have been read, but for those of which
// there has been news since.
func (db *DB) Pulled(ctx context.Context, pulls []directory.Pull) error {
	return db.tx(ctx, func(tx *gorm.DB) error {
		for _, p := range pulls {
			err := tx.Where("account = ? AND record_id = ? AND news_at <= ?", p.Account, p.ID, utc(p.At)).Delete(&pullRow{}).Error
			if err != nil {
				return fmt.Errorf("note which records have been read: %w", err)
			}
		}
		return nil
	})
}

// PullLater puts records off that could not be read, or were not there.
func (db *DB) PullLater(ctx context.Context, pulls []directory.Pull, after time.Duration) error {
	return db.tx(ctx, func(tx *gorm.DB) error {
		for _, p := range pulls {
			err := tx.Model(&pullRow{}).Where("account = ? AND record_id = ?", p.Account, p.ID).
				Updates(map[string]any{"due_at": utc(db.now().Add(after)), "tries": p.Tries}).Error
			if err != nil {
				return fmt.Errorf("put off reading records: %w", err)
			}
		}
		return nil
	})
}

// Shadows returns the links of contacts to records of an account, by record.
func (db *DB) Shadows(ctx context.Context, account string, records []string) (map[string]directory.Link, error) {
	links := make(map[string]directory.Link, len(records))
	for part := range chunks(records) {
		var rows []linkRow
		err := db.gorm.WithContext(ctx).Where("account = ? AND kind = 'contact' AND record_id IN ?", account, part).Find(&rows).Error
		if err != nil {
			return nil, fmt.Errorf("read what records of %s last showed: %w", account, err)
		}
		for i := range rows {
			link, err := rows[i].link()
			if err != nil {
				return nil, err
			}
			link.UpdatedAt = rows[i].UpdatedAt.UTC()
			links[link.RecordID] = link
		}
	}
	return links, nil
}
