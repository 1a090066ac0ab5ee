package store

import (
	"context"
	"fmt"
	"time"

	"gorm.io/gorm/clause"

	"crmsync/sync/directory"
)

// A Volume is how many facts of a kind an account has reported.
type Volume struct {
	Account, Kind string
	N             int64
}

// Volumes counts the facts that were recorded from one time to another.
func (db *DB) Volumes(ctx context.Context, from, to time.Time) ([]Volume, error) {
	var list []Volume
	err := db.gorm.WithContext(ctx).Raw(`SELECT account, kind, count(*) AS n FROM facts
		WHERE recorded_at >= ? AND recorded_at < ? GROUP BY account, kind ORDER BY account, kind`, utc(from), utc(to)).Scan(&list).Error
	if err != nil {
		return nil, fmt.Errorf("count the facts of a day: %w", err)
	}
	return list, nil
}

// LettersBetween counts the letters that became letters from one time to
// another, and those that were settled.
func (db *DB) LettersBetween(ctx context.Context, from, to time.Time) (fresh, settled int64, err error) {
	q := db.gorm.WithContext(ctx).Model(&letterRow{})
	if err := q.Where("created_at >= ? AND created_at < ?", utc(from), utc(to)).Count(&fresh).Error; err != nil {
		return 0, 0, fmt.Errorf("count the dead letters of a day: %w", err)
	}
	q = db.gorm.WithContext(ctx).Model(&letterRow{})
	if err := q.Where("settled_at >= ? AND settled_at < ?", utc(from), utc(to)).Count(&settled).Error; err != nil {
		return 0, 0, fmt.Errorf("count the dead letters settled in a day: %w", err)
	}
	return fresh, settled, nil
}

// SweepsBetween returns the sweeps that were due from one time to another, of
// all accounts, in their order.
func (db *DB) SweepsBetween(ctx context.Context, from, to time.Time) ([]directory.Sweep, error) {
	var rows []sweepRow
	err := db.gorm.WithContext(ctx).Where("due >= ? AND due < ?", utc(from), utc(to)).Order("account, due").Find(&rows).Error
	if err != nil {
		return nil, fmt.Errorf("read the syncs of a day: %w", err)
	}
	list := make([]directory.Sweep, len(rows))
	for i := range rows {
		list[i] = rows[i].sweep()
	}
	return list, nil
}

type loadRow struct {
	Holder string    `gorm:"primaryKey"`
	Ended  time.Time `gorm:"primaryKey"`
	Record string
}

func (loadRow) TableName() string { return "loads" }

// SaveLoad keeps what a worker has done until a time, as JSON.
func (db *DB) SaveLoad(ctx context.Context, holder string, ended time.Time, record []byte) error {
	row := loadRow{holder, utc(ended), string(record)}
	if err := db.gorm.WithContext(ctx).Clauses(clause.OnConflict{UpdateAll: true}).Create(&row).Error; err != nil {
		return fmt.Errorf("keep the load record: %w", err)
	}
	return nil
}

// Loads returns what all workers have done that ended from one time to another.
func (db *DB) Loads(ctx context.Context, from, to time.Time) ([][]byte, error) {
	var texts []string
	err := db.gorm.WithContext(ctx).Model(&loadRow{}).Where("ended > ? AND ended <= ?", utc(from), utc(to)).Order("ended, holder").Pluck("record", &texts).Error
	if err != nil {
		return nil, fmt.Errorf("read the load records: %w", err)
	}
	records := make([][]byte, len(texts))
	for i, t := range texts {
		records[i] = []byte(t)
	}
	return records, nil
}

// ForgetHistory removes the sweeps and load records of before a time. Of each
// account the last sweep stays, and the last complete one.
func (db *DB) ForgetHistory(ctx context.Context, before time.Time) (int64, error) {
	d := db.gorm.WithContext(ctx)
	sweeps := d.Exec(`DELETE FROM sweeps WHERE due < ? AND EXISTS (SELECT 1 FROM sweeps l WHERE l.account = sweeps.account AND l.due > sweeps.due)
		AND (ended IS NULL OR problem <> '' OR kind = 'changes' OR EXISTS (
			SELECT 1 FROM sweeps l WHERE l.account = sweeps.account AND l.due > sweeps.due
			AND l.ended IS NOT NULL AND l.problem = '' AND l.kind <> 'changes'))`, utc(before))
	if sweeps.Error != nil {
		return 0, fmt.Errorf("forget old syncs: %w", sweeps.Error)
	}
	loads := d.Where("ended < ?", utc(before)).Delete(&loadRow{})
	if loads.Error != nil {
		return 0, fmt.Errorf("forget old load records: %w", loads.Error)
	}
	return sweeps.RowsAffected + loads.RowsAffected, nil
}

// ForgetRaw removes the raw parts of facts that were recorded before a time, a
// chunk at a time. Those that could not be read are their letters' matter; see
// [DB.ForgetSettled]. The facts stay: an audit counts them. It returns how many
// parts it has removed.
func (db *DB) ForgetRaw(ctx context.Context, before time.Time) (n int64, err error) {
	for {
		done := db.gorm.WithContext(ctx).Exec(`UPDATE facts SET raw = NULL WHERE id IN (
			SELECT id FROM facts WHERE raw IS NOT NULL AND kind <> 'malformed' AND recorded_at < ? LIMIT ?)`, utc(before), chunk)
		if done.Error != nil {
			return n, fmt.Errorf("forget raw parts: %w", done.Error)
		}
		n += done.RowsAffected
		if done.RowsAffected < chunk {
			return n, nil
		}
	}
}
