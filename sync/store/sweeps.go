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

type sweepRow struct {
	Account    string    `gorm:"primaryKey"`
	Due        time.Time `gorm:"primaryKey"`
	Began      time.Time
	SeenAt     *time.Time
	Ended      *time.Time
	Problem    string
	Kind       string
	AskedBy    string
	MassChange int64
	Cursor     string
	Known      int64
	Read       int64
	Compared   int64
	Skipped    int64
	Changed    int64
	There      int64
	Conflicts  int64
	Gone       int64
	Emptied    int64
	Missed     int64
	Repeated   int64
	Partial    int64
	Calls      int64
	WorkedMs   int64
	Remapped   int64
}

func (sweepRow) TableName() string { return "sweeps" }

func rowOfSweep(s *directory.Sweep) sweepRow {
	return sweepRow{
		Account: s.Account, Due: utc(s.Due), Began: utc(s.Began), SeenAt: orNull(s.SeenAt), Ended: orNull(s.Ended), Problem: s.Problem,
		Kind: string(s.Kind), AskedBy: connectors.Clean(s.AskedBy), MassChange: oneIf(s.MassChange), Cursor: s.Cursor, Known: s.Known,
		Read: s.Read, Compared: s.Compared, Skipped: s.Skipped, Changed: s.Changed, There: s.There, Conflicts: s.Conflicts,
		Gone: s.Gone, Emptied: s.Emptied, Missed: s.Missed, Repeated: s.Repeated, Partial: oneIf(s.Partial),
		Calls: s.Calls, WorkedMs: s.Worked.Milliseconds(), Remapped: s.Remapped,
	}
}

func (r *sweepRow) sweep() directory.Sweep {
	return directory.Sweep{
		Account: r.Account, Due: r.Due.UTC(), Began: r.Began.UTC(), SeenAt: orZero(r.SeenAt), Ended: orZero(r.Ended), Problem: r.Problem,
		Kind: directory.SweepKind(r.Kind), AskedBy: r.AskedBy, MassChange: r.MassChange > 0, Cursor: r.Cursor, Known: r.Known,
		Read: r.Read, Compared: r.Compared, Skipped: r.Skipped, Changed: r.Changed, There: r.There, Conflicts: r.Conflicts,
		Gone: r.Gone, Emptied: r.Emptied, Missed: r.Missed, Repeated: r.Repeated, Partial: r.Partial > 0,
		Calls: r.Calls, Worked: time.Duration(r.WorkedMs) * time.Millisecond, Remapped: r.Remapped,
	}
}

func oneIf(yes bool) int64 {
	if yes {
		return 1
	}
	return 0
}

// SaveSweep stores how far a sweep has come.
func (db *DB) SaveSweep(ctx context.Context, s *directory.Sweep) error {
	row := rowOfSweep(s)
	if err := db.gorm.WithContext(ctx).Clauses(clause.OnConflict{UpdateAll: true}).Create(&row).Error; err != nil {
		return fmt.Errorf("note how far the sync of %s has come: %w", s.Account, err)
	}
	return nil
}

// AskSweep asks the account's worker for a sweep now. If somebody has asked for
// one already that nobody has begun, that one is returned, with what either
// allows.
func (db *DB) AskSweep(ctx context.Context, account, by string, massChange bool) (s directory.Sweep, err error) {
	err = db.tx(ctx, func(tx *gorm.DB) error {
		var rows []sweepRow
		err := db.lock(tx, "UPDATE").Where("account = ? AND asked_by <> '' AND seen_at IS NULL AND ended IS NULL", account).Limit(1).Find(&rows).Error
		if err != nil {
			return err
		}
		if len(rows) == 0 {
			now := db.now()
			rows = []sweepRow{{Account: account, Due: now, Began: now, Kind: string(directory.Whole), AskedBy: connectors.Clean(by)}}
		}
		rows[0].MassChange = max(rows[0].MassChange, oneIf(massChange))
		s = rows[0].sweep()
		return tx.Save(&rows[0]).Error
	})
	if err != nil {
		return s, fmt.Errorf("ask for a sync of %s: %w", account, err)
	}
	return s, nil
}

// OpenSweeps returns the sweeps of an account that have not ended, the oldest
// first: those under way, and those that somebody has asked for.
func (db *DB) OpenSweeps(ctx context.Context, account string) ([]directory.Sweep, error) {
	return db.sweeps(ctx, account, "account = ? AND ended IS NULL", "due", 100)
}

// Sweeps returns the newest sweeps of an account, the newest first.
func (db *DB) Sweeps(ctx context.Context, account string, limit int) ([]directory.Sweep, error) {
	return db.sweeps(ctx, account, "account = ?", "due DESC", limit)
}

// CompleteSweeps returns the newest sweeps of an account that went through all
// contacts and came to their end, the newest first.
func (db *DB) CompleteSweeps(ctx context.Context, account string, limit int) ([]directory.Sweep, error) {
	return db.sweeps(ctx, account, "account = ? AND kind <> 'changes' AND ended IS NOT NULL AND problem = ''", "began DESC", limit)
}

func (db *DB) sweeps(ctx context.Context, account, where, order string, limit int) ([]directory.Sweep, error) {
	var rows []sweepRow
	if err := db.gorm.WithContext(ctx).Where(where, account).Order(order).Limit(limit).Find(&rows).Error; err != nil {
		return nil, fmt.Errorf("read the syncs of %s: %w", account, err)
	}
	list := make([]directory.Sweep, len(rows))
	for i := range rows {
		list[i] = rows[i].sweep()
	}
	return list, nil
}

// EverSwept reports whether a sweep of all contacts of an account has ever come
// to its end.
func (db *DB) EverSwept(ctx context.Context, account string) (bool, error) {
	complete, err := db.CompleteSweeps(ctx, account, 1)
	return len(complete) > 0, err
}

// EndWait lets those be delivered to an account whose turn comes after a sweep of
// its contacts.
func (db *DB) EndWait(ctx context.Context, account string) error {
	err := db.gorm.WithContext(ctx).Model(&linkRow{}).
		Where("account = ? AND kind = 'contact' AND state = 'pending' AND attempts = 0 AND next_attempt IS NOT NULL", account).
		Update("next_attempt", nil).Error
	if err != nil {
		return fmt.Errorf("end the wait for the contacts of %s: %w", account, err)
	}
	return nil
}

// CountRecords is how many contacts of an account have a record.
func (db *DB) CountRecords(ctx context.Context, account string) (int64, error) {
	var n int64
	err := db.gorm.WithContext(ctx).Model(&linkRow{}).Where("account = ? AND kind = 'contact' AND record_id <> '' AND erase = 0", account).Count(&n).Error
	if err != nil {
		return 0, fmt.Errorf("count the records of %s: %w", account, err)
	}
	return n, nil
}

// ContactsOf returns contacts by id.
func (db *DB) ContactsOf(ctx context.Context, ids []int64) (map[int64]*directory.Contact, error) {
	all := make(map[int64]*directory.Contact, len(ids))
	for part := range chunks(ids) {
		list, err := contacts(db.gorm.WithContext(ctx), part)
		if err != nil {
			return nil, err
		}
		for _, c := range list {
			all[c.ID] = c
		}
	}
	return all, nil
}

// LinkedRecords returns the links of an account's contacts that have a record,
// in the order of the contacts, those behind one. Shadows are left out.
func (db *DB) LinkedRecords(ctx context.Context, account string, after int64, limit int) ([]directory.Link, error) {
	var rows []linkRow
	err := db.gorm.WithContext(ctx).Select("account", "kind", "entity_id", "record_id", "updated_at").
		Where("account = ? AND kind = 'contact' AND entity_id > ? AND record_id <> '' AND erase = 0", account, after).
		Order("entity_id").Limit(limit).Find(&rows).Error
	if err != nil {
		return nil, fmt.Errorf("read the records of %s: %w", account, err)
	}
	links := make([]directory.Link, len(rows))
	for i, r := range rows {
		links[i] = directory.Link{Account: r.Account, Entity: directory.Entity{Kind: directory.ContactEntity, ID: r.EntityID}, RecordID: r.RecordID, UpdatedAt: r.UpdatedAt.UTC()}
	}
	return links, nil
}
