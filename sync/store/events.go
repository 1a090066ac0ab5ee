package store

import (
	"context"
	"fmt"
	"slices"
	"time"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"crmsync/connectors"
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

// events reads which events of a stream have been recorded, where the streams
// before it ended, and which losses are settled.
func (a *auditing) events(stream string) error {
	var rows []eventsRow
	if err := a.db.Order("stream, first").Find(&rows).Error; err != nil {
		return fmt.Errorf("read the events recorded: %w", err)
	}
	for _, r := range rows {
		n := len(a.tally.Former)
		switch {
		case r.Stream == stream:
			a.tally.Recorded = append(a.tally.Recorded, audit.Range{First: r.First, Last: r.Last})
		case n > 0 && a.tally.Former[n-1].Stream == r.Stream:
			a.tally.Former[n-1].Last = r.Last
		default:
			a.tally.Former = append(a.tally.Former, audit.Loss{Stream: r.Stream, Range: audit.Range{Last: r.Last}})
		}
	}
	var settled []lossRow
	if err := a.db.Order("settled_at, stream, first").Find(&settled).Error; err != nil {
		return fmt.Errorf("read the losses settled: %w", err)
	}
	for _, r := range settled {
		a.tally.Settled = append(a.tally.Settled, audit.SettledLoss{
			Loss: audit.Loss{Stream: r.Stream, Range: audit.Range{First: r.First, Last: r.Last}},
			At:   r.SettledAt.UTC(), By: r.SettledBy, Reason: r.Reason,
		})
	}
	return nil
}

type lossRow struct {
	Stream    string `gorm:"primaryKey"`
	First     uint64 `gorm:"primaryKey;autoIncrement:false"`
	Last      uint64
	SettledAt time.Time
	SettledBy string
	Reason    string
}

func (lossRow) TableName() string { return "lost_events" }

// SettleLosses notes that a person knows of losses, for a reason. One that is
// settled already stays as it is.
func (db *DB) SettleLosses(ctx context.Context, losses []audit.Loss, by, reason string) error {
	rows := make([]lossRow, len(losses))
	for i, l := range losses {
		rows[i] = lossRow{l.Stream, l.First, l.Last, db.now(), connectors.Clean(by), connectors.Clean(reason)}
	}
	return insert(db.gorm.WithContext(ctx), "losses", rows, clause.OnConflict{DoNothing: true})
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
