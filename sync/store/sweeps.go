package store

import (
	"context"
	"fmt"
	"time"

	"gorm.io/gorm/clause"

	"crmsync/sync/directory"
)

type sweepRow struct {
	Account  string    `gorm:"primaryKey"`
	Due      time.Time `gorm:"primaryKey"`
	Began    time.Time
	Ended    *time.Time
	Problem  string
	Cursor   string
	Read     int64
	Compared int64
	Changed  int64
	Gone     int64
	Emptied  int64
	Repeated int64
	Partial  int64
	Calls    int64
}

func (sweepRow) TableName() string { return "sweeps" }

// SaveSweep stores how far a sweep has come.
func (db *DB) SaveSweep(ctx context.Context, s *directory.Sweep) error {
	row := sweepRow{
		Account: s.Account, Due: utc(s.Due), Began: utc(s.Began), Ended: orNull(s.Ended), Problem: s.Problem, Cursor: s.Cursor,
		Read: s.Read, Compared: s.Compared, Changed: s.Changed, Gone: s.Gone, Emptied: s.Emptied, Repeated: s.Repeated, Calls: s.Calls,
	}
	if s.Partial {
		row.Partial = 1
	}
	if err := db.gorm.WithContext(ctx).Clauses(clause.OnConflict{UpdateAll: true}).Create(&row).Error; err != nil {
		return fmt.Errorf("note how far the sync of %s has come: %w", s.Account, err)
	}
	return nil
}

// Sweeps returns the newest sweeps of an account, the newest first.
func (db *DB) Sweeps(ctx context.Context, account string, limit int) ([]directory.Sweep, error) {
	var rows []sweepRow
	if err := db.gorm.WithContext(ctx).Where("account = ?", account).Order("due DESC").Limit(limit).Find(&rows).Error; err != nil {
		return nil, fmt.Errorf("read the syncs of %s: %w", account, err)
	}
	list := make([]directory.Sweep, len(rows))
	for i := range rows {
		list[i] = rows[i].sweep()
	}
	return list, nil
}

func (r *sweepRow) sweep() directory.Sweep {
	return directory.Sweep{
		Account: r.Account, Due: r.Due.UTC(), Began: r.Began.UTC(), Ended: orZero(r.Ended), Problem: r.Problem, Cursor: r.Cursor,
		Read: r.Read, Compared: r.Compared, Changed: r.Changed, Gone: r.Gone, Emptied: r.Emptied, Repeated: r.Repeated,
		Partial: r.Partial > 0, Calls: r.Calls,
	}
}

// EverSwept reports whether a sweep of an account has ever come to its end.
func (db *DB) EverSwept(ctx context.Context, account string) (bool, error) {
	var n int64
	err := db.gorm.WithContext(ctx).Model(&sweepRow{}).Where("account = ? AND ended IS NOT NULL AND problem = ''", account).Limit(1).Count(&n).Error
	return n > 0, err
}

// LinkedRecords returns the links of an account's contacts that have a record,
// in the order of the contacts, those behind one. Shadows are left out.
func (db *DB) LinkedRecords(ctx context.Context, account string, after int64, limit int) ([]directory.Link, error) {
	var rows []linkRow
	err := db.gorm.WithContext(ctx).Select("account", "kind", "entity_id", "record_id", "updated_at").
		Where("account = ? AND kind = 'contact' AND entity_id > ? AND record_id <> ''", account, after).
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
