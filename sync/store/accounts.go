package store

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"crmsync/connectors"
	"crmsync/sync/directory"
)

// A Pause says that nothing is delivered to an account for now.
type Pause struct {
	Account  string `gorm:"primaryKey"`
	PausedBy string
	PausedAt time.Time
	Reason   string
}

// A Report is how a replica sees an account.
type Report struct {
	Account string `gorm:"primaryKey"`
	// Holder names the replica, as in leases.
	Holder string `gorm:"primaryKey"`
	// State is what the replica does about the account, Problem why it can
	// do no more.
	State, Problem string
	// QuotaUsed is the share of the account's quota in use.
	QuotaUsed float64
	// Revision is the mapping that the replica has in force.
	Revision string
	// LastSuccess is when the replica last brought something about there,
	// zero if it has not.
	LastSuccess *time.Time
	ReportedAt  time.Time
}

// Waiting is what an account does not show yet.
type Waiting struct {
	Account string
	N       int64
	Oldest  time.Time
}

// Pauses returns the accounts that are paused.
func (db *DB) Pauses(ctx context.Context) ([]Pause, error) {
	var list []Pause
	if err := db.gorm.WithContext(ctx).Find(&list).Error; err != nil {
		return nil, fmt.Errorf("read which accounts are paused: %w", err)
	}
	return list, nil
}

// Pause pauses an account until somebody resumes it, and returns since when
// and by whom it is paused: of one that is paused already nothing changes, and
// fresh is false.
func (db *DB) Pause(ctx context.Context, account, by, reason string) (p Pause, fresh bool, err error) {
	p = Pause{Account: account, PausedBy: by, PausedAt: db.now(), Reason: connectors.Clean(reason)}
	err = db.tx(ctx, func(tx *gorm.DB) error {
		made := tx.Clauses(clause.OnConflict{DoNothing: true}).Create(&p)
		if made.Error != nil || made.RowsAffected > 0 {
			fresh = true
			return made.Error
		}
		return tx.Where("account = ?", account).Take(&p).Error
	})
	if err != nil {
		return p, false, fmt.Errorf("pause %s: %w", account, err)
	}
	return p, fresh, nil
}

// Resume ends the pause of an account and returns what it was. It reports
// false if the account was not paused.
func (db *DB) Resume(ctx context.Context, account string) (was Pause, ok bool, err error) {
	err = db.tx(ctx, func(tx *gorm.DB) error {
		if err := tx.Where("account = ?", account).Take(&was).Error; err != nil {
			return err
		}
		return tx.Where("account = ?", account).Delete(&Pause{}).Error
	})
	switch {
	case errors.Is(err, gorm.ErrRecordNotFound):
		return was, false, nil
	case err != nil:
		return was, false, fmt.Errorf("resume %s: %w", account, err)
	}
	return was, true, nil
}

// KeepReports stores how a replica sees its accounts. A success that it does
// not know of any more, since it was before its start, is kept.
func (db *DB) KeepReports(ctx context.Context, reports []Report) error {
	if len(reports) == 0 {
		return nil
	}
	now := db.now()
	for i := range reports {
		r := &reports[i]
		r.ReportedAt = now
		if r.LastSuccess != nil {
			at := utc(*r.LastSuccess)
			r.LastSuccess = &at
		}
	}
	err := db.gorm.WithContext(ctx).Clauses(clause.OnConflict{
		Columns: []clause.Column{{Name: "account"}, {Name: "holder"}},
		DoUpdates: clause.Assignments(map[string]any{
			"state": gorm.Expr("excluded.state"), "problem": gorm.Expr("excluded.problem"), "quota_used": gorm.Expr("excluded.quota_used"), "revision": gorm.Expr("excluded.revision"),
			"last_success": gorm.Expr("COALESCE(excluded.last_success, reports.last_success)"), "reported_at": gorm.Expr("excluded.reported_at"),
		}),
	}).Create(&reports).Error
	if err != nil {
		return fmt.Errorf("keep reports of the accounts: %w", err)
	}
	return nil
}

// Reports returns how the replicas saw their accounts last.
func (db *DB) Reports(ctx context.Context) ([]Report, error) {
	var list []Report
	if err := db.gorm.WithContext(ctx).Order("account, reported_at DESC").Find(&list).Error; err != nil {
		return nil, fmt.Errorf("read reports of the accounts: %w", err)
	}
	return list, nil
}

// LeaseHolders returns who works for each account now; accounts for which
// nobody does are left out.
func (db *DB) LeaseHolders(ctx context.Context) (map[string]string, error) {
	var rows []leaseRow
	if err := db.gorm.WithContext(ctx).Where("expires_at > ?", db.now()).Find(&rows).Error; err != nil {
		return nil, fmt.Errorf("read who works for the accounts: %w", err)
	}
	holders := make(map[string]string, len(rows))
	for _, r := range rows {
		holders[r.Account] = r.Holder
	}
	return holders, nil
}

// Waiting returns how much each account does not show yet, and since when the
// oldest of it waits.
func (db *DB) Waiting(ctx context.Context) ([]Waiting, error) {
	var counts []struct {
		Account string
		N       int64
	}
	d := db.gorm.WithContext(ctx)
	if err := d.Raw("SELECT account, count(*) AS n FROM links WHERE state = 'pending' GROUP BY account").Scan(&counts).Error; err != nil {
		return nil, fmt.Errorf("count what waits: %w", err)
	}
	list := make([]Waiting, len(counts))
	for i, c := range counts {
		list[i] = Waiting{Account: c.Account, N: c.N}
		// A column, not a function of it: SQLite knows the type of the former.
		var oldest []linkRow
		err := d.Select("since").Where("account = ? AND state = 'pending' AND since IS NOT NULL", c.Account).Order("since").Limit(1).Find(&oldest).Error
		if err != nil {
			return nil, fmt.Errorf("find what waits longest: %w", err)
		}
		if len(oldest) > 0 {
			list[i].Oldest = orZero(oldest[0].Since)
		}
	}
	return list, nil
}

// ConversationsWithout sums up the one-to-one messages of each contact, but for
// those that came through the named WhatsApp accounts.
func (db *DB) ConversationsWithout(ctx context.Context, except []string, contactIDs []int64) (map[int64]directory.Conversation, error) {
	found := make(map[int64]directory.Conversation, len(contactIDs))
	for part := range chunks(contactIDs) {
		args := map[string]any{"ids": part, "except": except}
		if err := conversations(db.gorm.WithContext(ctx), found, ownConversationSQL, args); err != nil {
			return nil, fmt.Errorf("sum up conversations: %w", err)
		}
	}
	return found, nil
}

var ownConversationSQL = strings.NewReplacer(
	"m.group_id = ''", "m.group_id = '' AND m.account NOT IN @except",
	"o.group_id = ''", "o.group_id = '' AND o.account NOT IN @except",
	"IN ?", "IN @ids").Replace(conversationSQL)
