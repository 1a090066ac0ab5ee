package store

import (
	"cmp"
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

// PutLetters puts letters on the worklist. A letter that is there already is
// opened again, with the newest reason.
func (db *DB) PutLetters(ctx context.Context, letters []deadletter.Letter) error {
	rows := make([]letterRow, len(letters))
	for i := range letters {
		rows[i] = rowOfLetter(&letters[i])
	}
	return db.tx(ctx, func(tx *gorm.DB) error {
		// A letter that comes late, after its entity has been delivered or
		// settled, does not open again: it is older than what it would undo.
		return insert(tx, "dead letters", rows, clause.OnConflict{
			Columns: []clause.Column{{Name: "id"}},
			Where:   clause.Where{Exprs: []clause.Expression{gorm.Expr("excluded.updated_at > dead_letters.updated_at")}},
			DoUpdates: clause.Assignments(map[string]any{
				"class": gorm.Expr("excluded.class"), "code": gorm.Expr("excluded.code"), "field": gorm.Expr("excluded.field"),
				"reason": gorm.Expr("excluded.reason"), "attempts": gorm.Expr("excluded.attempts"), "history": gorm.Expr("excluded.history"), "revision": gorm.Expr("excluded.revision"),
				"state": gorm.Expr("excluded.state"), "updated_at": gorm.Expr("excluded.updated_at"),
				// A letter that was never settled keeps its deadline.
				"due_at":     gorm.Expr("CASE WHEN dead_letters.state IN ('delivered', 'discarded') THEN excluded.due_at ELSE dead_letters.due_at END"),
				"settled_at": gorm.Expr("NULL"), "settled_by": gorm.Expr("''"), "note": gorm.Expr("''"),
			}),
		})
	})
}

// Letters returns the letters that a filter selects, the oldest first.
func (db *DB) Letters(ctx context.Context, f deadletter.Filter) ([]deadletter.Letter, error) {
	var rows []letterRow
	q := selectLetters(db.gorm.WithContext(ctx), f).Order("created_at, id")
	if f.Limit > 0 {
		q = q.Limit(f.Limit)
	}
	if err := q.Find(&rows).Error; err != nil {
		return nil, fmt.Errorf("read dead letters: %w", err)
	}
	letters := make([]deadletter.Letter, len(rows))
	for i := range rows {
		letters[i] = rows[i].letter()
	}
	return letters, nil
}

// Groups returns the letters that a filter selects by their causes, the largest
// group first.
func (db *DB) Groups(ctx context.Context, f deadletter.Filter) ([]deadletter.Group, error) {
	var rows []letterRow
	err := selectLetters(db.gorm.WithContext(ctx), f).
		Select("account", "class", "code", "field", "reason", "created_at", "due_at").Find(&rows).Error
	if err != nil {
		return nil, fmt.Errorf("group dead letters: %w", err)
	}
	groups := []deadletter.Group{}
	at := map[deadletter.Cause]int{}
	for _, r := range rows {
		cause := deadletter.Cause{Account: r.Account, Class: connectors.Class(r.Class), Code: r.Code, Field: r.Field, Reason: r.Reason}
		i, known := at[cause]
		if !known {
			i = len(groups)
			at[cause] = i
			groups = append(groups, deadletter.Group{Cause: cause, ID: cause.Group(), CreatedAt: r.CreatedAt.UTC(), DueAt: r.DueAt.UTC()})
		}
		g := &groups[i]
		g.Letters++
		g.CreatedAt, g.DueAt = earlier(g.CreatedAt, r.CreatedAt.UTC()), earlier(g.DueAt, r.DueAt.UTC())
	}
	slices.SortFunc(groups, func(a, b deadletter.Group) int {
		return cmp.Or(cmp.Compare(b.Letters, a.Letters), a.CreatedAt.Compare(b.CreatedAt), cmp.Compare(a.ID, b.ID))
	})
	return groups, nil
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

func selectLetters(q *gorm.DB, f deadletter.Filter) *gorm.DB {
	if c := f.Cause; c != nil {
		q = q.Where("account = ? AND class = ? AND code = ? AND field = ? AND reason = ?", c.Account, string(c.Class), c.Code, c.Field, c.Reason)
	}
	if !f.DueBefore.IsZero() {
		q = q.Where("due_at < ?", utc(f.DueBefore))
	}
	if len(f.IDs) > 0 {
		q = q.Where("id IN ?", f.IDs)
	}
	if f.Account != "" {
		q = q.Where("account = ?", f.Account)
	}
	if f.Class != "" {
		q = q.Where("class = ?", f.Class)
	}
	if f.State != "" {
		q = q.Where("state = ?", string(f.State))
	}
	return q
}

// Replay asks for another try of the open letters that a filter selects and
// returns how many they are. The worker notices within a second or two.
func (db *DB) Replay(ctx context.Context, f deadletter.Filter, by string) (n int64, err error) {
	return db.settleOpen(ctx, f, func(tx *gorm.DB, rows []letterRow) error {
		now := db.now()
		if err := eachLink(tx, rows, map[string]any{
			"state": string(directory.Pending), "attempts": 0, "history": "", "next_attempt": nil, "updated_at": now,
		}); err != nil {
			return err
		}
		if err := updateLetters(tx, rows, map[string]any{
			"state": string(deadletter.Replaying), "settled_by": by, "updated_at": now,
		}); err != nil {
			return err
		}
		// An entity that has reached its account meanwhile needs no try.
		return tx.Exec(`UPDATE dead_letters SET state = 'delivered', settled_at = ?
			WHERE state = 'replaying' AND kind <> '' AND EXISTS (SELECT 1 FROM links l WHERE l.account = dead_letters.account
				AND l.kind = dead_letters.kind AND l.entity_id = dead_letters.entity_id AND l.state = 'agreed')`, now).Error
	})
}

// Discard settles the open letters that a filter selects without delivering
// them, for a reason, and returns how many they are.
func (db *DB) Discard(ctx context.Context, f deadletter.Filter, by, reason string) (n int64, err error) {
	return db.settleOpen(ctx, f, func(tx *gorm.DB, rows []letterRow) error {
		now := db.now()
		if err := eachLink(tx, rows, map[string]any{
			"state": string(directory.Skipped), "reason": "discarded by a person", "updated_at": now,
		}); err != nil {
			return err
		}
		if err := skipOrphans(tx, rows, now); err != nil {
			return err
		}
		return updateLetters(tx, rows, map[string]any{
			"state": string(deadletter.Discarded), "settled_by": by, "settled_at": now, "note": connectors.Clean(reason), "updated_at": now,
		})
	})
}

func (db *DB) settleOpen(ctx context.Context, f deadletter.Filter, settle func(tx *gorm.DB, rows []letterRow) error) (n int64, err error) {
	f.State = deadletter.Open
	err = db.tx(ctx, func(tx *gorm.DB) error {
		var rows []letterRow
		if err := db.lock(selectLetters(tx, f), "UPDATE").Find(&rows).Error; err != nil {
			return fmt.Errorf("read dead letters: %w", err)
		}
		n = int64(len(rows))
		for part := range chunks(rows) {
			if err := settle(tx, part); err != nil {
				return fmt.Errorf("settle dead letters: %w", err)
			}
		}
		return nil
	})
	return n, err
}

// eachLink changes the dead links behind letters.
func eachLink(tx *gorm.DB, rows []letterRow, changes map[string]any) error {
	var where []string
	var args []any
	for _, r := range rows {
		if r.Kind != "" {
			where = append(where, "(account = ? AND kind = ? AND entity_id = ?)")
			args = append(args, r.Account, r.Kind, r.EntityID)
		}
	}
	if len(where) == 0 {
		return nil
	}
	return tx.Model(&linkRow{}).Where("state = 'dead' AND ("+strings.Join(where, " OR ")+")", args...).Updates(changes).Error
}

// skipOrphans skips the messages of discarded contacts that have no record, and
// the files of messages that have none: there is nowhere to write them.
func skipOrphans(tx *gorm.DB, rows []letterRow, now time.Time) error {
	accounts := map[string]bool{}
	for _, r := range rows {
		accounts[r.Account] = true
		if err := skipMessagesOf(tx, r, now); err != nil {
			return err
		}
	}
	for account := range accounts {
		err := tx.Exec(`UPDATE links SET state = 'skipped', reason = 'their message was discarded by a person', updated_at = ?
			WHERE account = ? AND kind = 'file' AND state = 'pending'
			AND EXISTS (SELECT 1 FROM links m WHERE m.account = links.account AND m.kind = 'message' AND m.entity_id = links.entity_id
				AND m.state = 'skipped' AND m.record_id = '')`, now, account).Error
		if err != nil {
			return err
		}
	}
	return nil
}

func skipMessagesOf(tx *gorm.DB, r letterRow, now time.Time) error {
	if r.Kind == string(directory.ContactEntity) {
		return tx.Exec(`UPDATE links SET state = 'skipped', reason = 'their contact was discarded by a person', updated_at = ?
			WHERE account = ? AND kind = 'message' AND state = 'pending'
			AND entity_id IN (SELECT id FROM messages WHERE contact_id = ?)
			AND EXISTS (SELECT 1 FROM links c WHERE c.account = ? AND c.kind = 'contact' AND c.entity_id = ? AND c.record_id = '')`,
			now, r.Account, r.EntityID, r.Account, r.EntityID).Error
	}
	return nil
}

func updateLetters(tx *gorm.DB, rows []letterRow, changes map[string]any) error {
	ids := make([]string, len(rows))
	for i := range rows {
		ids[i] = rows[i].ID
	}
	return tx.Model(&letterRow{}).Where("id IN ?", ids).Updates(changes).Error
}

// Delivered settles the letters of entities that reached their account after
// all, and of facts that could be read after all.
func (db *DB) Delivered(ctx context.Context, letterIDs []string) error {
	if len(letterIDs) == 0 {
		return nil
	}
	now := db.now()
	return db.gorm.WithContext(ctx).Model(&letterRow{}).
		Where("id IN ? AND state IN ('open', 'replaying')", letterIDs).
		Updates(map[string]any{"state": string(deadletter.Delivered), "settled_at": now, "updated_at": now}).Error
}

// Dropped settles the letter of an entity that its account shall not have any
// more, for a reason.
func (db *DB) Dropped(ctx context.Context, letterID, reason string) error {
	now := db.now()
	return db.gorm.WithContext(ctx).Model(&letterRow{}).
		Where("id = ? AND state IN ('open', 'replaying')", letterID).
		Updates(map[string]any{"state": string(deadletter.Discarded), "settled_at": now, "note": reason, "updated_at": now}).Error
}

// FactsToReplay returns letters of unreadable facts whose replay was asked
// for, with the bytes that could not be read.
func (db *DB) FactsToReplay(ctx context.Context, limit int) ([]deadletter.FactReplay, error) {
	var rows []deadletter.FactReplay
	err := db.gorm.WithContext(ctx).Raw(`SELECT d.id AS letter_id, f.account, f.received_at, f.raw
		FROM dead_letters d JOIN facts f ON f.id = d.fact_id
		WHERE d.state = 'replaying' AND d.kind = '' LIMIT ?`, limit).Scan(&rows).Error
	if err != nil {
		return nil, fmt.Errorf("read facts to replay: %w", err)
	}
	return rows, nil
}

// LetterCount is how many letters an account has of a class that nobody has
// settled, and how many of these a person should have settled by now.
type LetterCount struct {
	Account string
	Class   string
	N       int64
	Overdue int64
}

// CountLetters counts the letters that nobody has settled.
func (db *DB) CountLetters(ctx context.Context) ([]LetterCount, error) {
	var counts []LetterCount
	err := db.gorm.WithContext(ctx).Raw(`SELECT account, class, count(*) AS n, sum(CASE WHEN due_at < ? THEN 1 ELSE 0 END) AS overdue FROM dead_letters
		WHERE state IN ('open', 'replaying') GROUP BY account, class`, db.now()).Scan(&counts).Error
	return counts, err
}
