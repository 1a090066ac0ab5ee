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
	// Factless is how many of them have left no fact of their own: they had come
	// before, or are not stored. For what was recorded before this was counted it
	// is what makes the sum close.
	Factless int64
}

func (eventsRow) TableName() string { return "recorded_events" }

// CountEvents begins to count the recorded events of a stream, of which first
// is the oldest that it still has or the next that it will have. Of a stream
// that is counted already nothing changes.
func (db *DB) CountEvents(ctx context.Context, stream string, first uint64) error {
	row := eventsRow{Stream: stream, Last: max(first, 1) - 1}
	err := db.tx(ctx, func(tx *gorm.DB) error {
		var counted, facts int64
		if err := tx.Model(&eventsRow{}).Count(&counted).Error; err != nil {
			return err
		}
		if counted == 0 { // what has been recorded until now
			if err := tx.Model(&factRow{}).Count(&facts).Error; err != nil {
				return err
			}
		}
		row.Factless = int64(row.Last) + 1 - facts
		return tx.Clauses(clause.OnConflict{DoNothing: true}).Create(&row).Error
	})
	if err != nil {
		return fmt.Errorf("count the events of %s: %w", stream, err)
	}
	return nil
}

// SetBack reports whether more events of a stream have been recorded than it has
// stored: an older copy of it was put in its place, and its numbers come again.
// What was recorded is then another stream's.
func (db *DB) SetBack(ctx context.Context, stream string, stored uint64) (bool, error) {
	var beyond int64
	err := db.tx(ctx, func(tx *gorm.DB) error {
		if err := tx.Model(&eventsRow{}).Where("stream = ? AND last > ?", stream, stored).Count(&beyond).Error; err != nil || beyond == 0 {
			return err
		}
		until := stream + " until it was set back at " + db.now().Format(time.RFC3339Nano)
		for _, table := range []string{"recorded_events", "lost_events"} {
			if err := tx.Exec("UPDATE "+table+" SET stream = ? WHERE stream = ?", until, stream).Error; err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return false, fmt.Errorf("see whether %s was set back: %w", stream, err)
	}
	return beyond > 0, nil
}

// Passed notes that events have been recorded, or need not be, and how many of
// them leave no fact. It goes by what Known has said, and not by what is saved:
// else an audit could not tell that something was not.
func (tx *recordTx) Passed(events []directory.Event) error {
	numbers, factless := map[string][]uint64{}, map[directory.Event]bool{}
	seen := map[string]bool{}
	for _, e := range events {
		key := directory.Event{Stream: e.Stream, Number: e.Number}
		if _, twice := factless[key]; twice {
			continue
		}
		numbers[e.Stream] = append(numbers[e.Stream], e.Number)
		factless[key] = e.Fact == "" || tx.known[e.Fact] || seen[e.Fact]
		seen[e.Fact] = true
	}
	for stream, list := range numbers {
		slices.Sort(list)
		without := func(n uint64) bool { return factless[directory.Event{Stream: stream, Number: n}] }
		for first := 0; first < len(list); {
			last := first
			for last+1 < len(list) && list[last+1] == list[last]+1 {
				last++
			}
			if err := tx.passed(eventsRow{Stream: stream, First: list[first], Last: list[last]}, without); err != nil {
				return fmt.Errorf("note the events recorded: %w", err)
			}
			first = last + 1
		}
	}
	return nil
}

// passed notes a range of events; without says which of them leave no fact.
func (tx *recordTx) passed(r eventsRow, without func(n uint64) bool) error {
	count := func(near []eventsRow) (n int64) {
		for number := r.First; number <= r.Last; number++ {
			again := slices.ContainsFunc(near, func(e eventsRow) bool { return e.First <= number && number <= e.Last })
			if !again && without(number) {
				n++
			}
		}
		return n
	}
	// Nearly always a batch goes on where the one before ended.
	next := tx.db.Exec(`UPDATE recorded_events SET last = ?, factless = factless + ? WHERE stream = ? AND last = ?
		AND NOT EXISTS (SELECT 1 FROM recorded_events o WHERE o.stream = ? AND o.first BETWEEN ? AND ?)`,
		r.Last, count(nil), r.Stream, r.First-1, r.Stream, r.First, r.Last)
	if next.Error != nil || next.RowsAffected > 0 {
		return next.Error
	}
	var near []eventsRow
	if err := tx.db.Where("stream = ? AND first <= ? AND last >= ?", r.Stream, r.Last+1, r.First-1).Find(&near).Error; err != nil {
		return err
	}
	r.Factless = count(near)
	for _, n := range near {
		if n.First <= r.First && n.Last >= r.Last {
			return nil // it has come again
		}
		r.First, r.Last, r.Factless = min(r.First, n.First), max(r.Last, n.Last), r.Factless+n.Factless
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
		a.tally.Owed += int64(r.Last-r.First) + 1 - r.Factless
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
	if err := a.db.Model(&factRow{}).Count(&a.tally.Kept).Error; err != nil {
		return fmt.Errorf("count the facts: %w", err)
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
