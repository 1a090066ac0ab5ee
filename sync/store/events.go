package store

import (
	"context"
	"fmt"
	"slices"
	"time"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"crmsync/sync/audit"
	"crmsync/sync/directory"
)

type eventsRow struct {
	Stream string `gorm:"primaryKey"`
	First  uint64 `gorm:"primaryKey;autoIncrement:false"`
	Last   uint64
}

func (eventsRow) TableName() string { return "recorded_events" }

// CountEvents begins to count the recorded events of a stream, of which first
// is the oldest that it still has or the next that it will have. Of a stream
// that is counted already nothing changes.
func (db *DB) CountEvents(ctx context.Context, stream string, first uint64) error {
	row := eventsRow{Stream: stream, Last: max(first, 1) - 1}
	err := db.gorm.WithContext(ctx).Clauses(clause.OnConflict{DoNothing: true}).Create(&row).Error
	if err != nil {
		return fmt.Errorf("count the events of %s: %w", stream, err)
	}
	return nil
}

// Passed notes that events have been recorded, or need not be.
func (tx *recordTx) Passed(events []directory.Event) error {
	numbers := map[string][]uint64{}
	for _, e := range events {
		numbers[e.Stream] = append(numbers[e.Stream], e.Number)
	}
	for stream, list := range numbers {
		slices.Sort(list)
		for first := 0; first < len(list); {
			last := first
			for last+1 < len(list) && list[last+1] <= list[last]+1 {
				last++
			}
			if err := tx.passed(eventsRow{stream, list[first], list[last]}); err != nil {
				return fmt.Errorf("note the events recorded: %w", err)
			}
			first = last + 1
		}
	}
	return nil
}

func (tx *recordTx) passed(r eventsRow) error {
	// Nearly always a batch goes on where the one before ended.
	next := tx.db.Exec("UPDATE recorded_events SET last = ? WHERE stream = ? AND last = ?", r.Last, r.Stream, r.First-1)
	if next.Error != nil || next.RowsAffected > 0 {
		return next.Error
	}
	var near []eventsRow
	if err := tx.db.Where("stream = ? AND first <= ? AND last >= ?", r.Stream, r.Last+1, r.First-1).Find(&near).Error; err != nil {
		return err
	}
	for _, n := range near {
		if n.First <= r.First && n.Last >= r.Last {
			return nil // it has come again
		}
		r.First, r.Last = min(r.First, n.First), max(r.Last, n.Last)
		if err := tx.db.Delete(&n).Error; err != nil {
			return err
		}
	}
	return tx.db.Create(&r).Error
}

// recordedEvents are the recorded events of a stream.
func recordedEvents(tx *gorm.DB, stream string) ([]audit.Range, error) {
	var rows []eventsRow
	if err := tx.Where("stream = ?", stream).Order("first").Find(&rows).Error; err != nil {
		return nil, fmt.Errorf("read the events recorded: %w", err)
	}
	ranges := make([]audit.Range, len(rows))
	for i, r := range rows {
		ranges[i] = audit.Range{First: r.First, Last: r.Last}
	}
	return ranges, nil
}

type feedRow struct {
	Account string    `gorm:"primaryKey"`
	Feeds   string    `gorm:"primaryKey"`
	Since   time.Time `gorm:"primaryKey"`
	Until   *time.Time
}

func (feedRow) TableName() string { return "feeds" }

// Fed returns which accounts feed which, by the account that reports, as it was
// noted last; also those that are not configured any more.
func (db *DB) Fed(ctx context.Context) (map[string][]string, error) {
	var open []feedRow
	if err := db.gorm.WithContext(ctx).Where("until IS NULL").Order("account, feeds").Find(&open).Error; err != nil {
		return nil, fmt.Errorf("read which accounts feed which: %w", err)
	}
	fed := map[string][]string{}
	for _, f := range open {
		fed[f.Account] = append(fed[f.Account], f.Feeds)
	}
	return fed, nil
}

// Feeds notes which accounts feed which from now on, by the account that
// reports.
func (db *DB) Feeds(ctx context.Context, feeds map[string][]string) error {
	now := db.now()
	err := db.tx(ctx, func(tx *gorm.DB) error {
		var open []feedRow
		if err := tx.Where("until IS NULL").Find(&open).Error; err != nil {
			return err
		}
		for _, f := range open {
			if slices.Contains(feeds[f.Account], f.Feeds) {
				continue
			}
			err := tx.Model(&feedRow{}).Where("account = ? AND feeds = ? AND until IS NULL", f.Account, f.Feeds).Update("until", now).Error
			if err != nil {
				return err
			}
		}
		for account, list := range feeds {
			for _, to := range list {
				if slices.ContainsFunc(open, func(f feedRow) bool { return f.Account == account && f.Feeds == to }) {
					continue
				}
				row := feedRow{Account: account, Feeds: to, Since: now}
				if err := tx.Clauses(clause.OnConflict{DoNothing: true}).Create(&row).Error; err != nil {
					return err
				}
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("note which accounts feed which: %w", err)
	}
	return nil
}
