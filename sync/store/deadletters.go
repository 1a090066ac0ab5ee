package store

import (
	"context"
	"crypto/rand"
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
				"status": gorm.Expr("excluded.status"), "tried": gorm.Expr("excluded.tried"), "record_id": gorm.Expr("excluded.record_id"), "queued": 0,
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
		Select("id", "account", "class", "code", "field", "reason", "created_at", "due_at").Find(&rows).Error
	if err != nil {
		return nil, fmt.Errorf("group dead letters: %w", err)
	}
	letters := make([]deadletter.Letter, len(rows))
	for i := range rows {
		letters[i] = rows[i].letter()
	}
	return deadletter.Groups(letters), nil
}

// SelectedCount is how many letters of an account a filter selects: those of
// facts, or those of entities.
type SelectedCount struct {
	Account string
	Facts   bool
	N       int64
}

// CountSelected counts the letters that a filter selects, in the order of their
// accounts.
func (db *DB) CountSelected(ctx context.Context, f deadletter.Filter) ([]SelectedCount, error) {
	var counts []SelectedCount
	err := selectLetters(db.gorm.WithContext(ctx).Model(&letterRow{}), f).
		Select("account, kind = '' AS facts, count(*) AS n").Group("account, kind = ''").Order("account").Scan(&counts).Error
	if err != nil {
		return nil, fmt.Errorf("count dead letters: %w", err)
	}
	return counts, nil
}

func selectLetters(q *gorm.DB, f deadletter.Filter) *gorm.DB {
	if c := f.Cause; c != nil {
		q = q.Where("account = ? AND class = ? AND code = ? AND field = ? AND reason = ?", c.Account, string(c.Class), c.Code, c.Field, c.Reason)
	}
	if !f.DueBefore.IsZero() {
		q = q.Where("due_at < ?", utc(f.DueBefore))
	}
	if !f.CreatedBefore.IsZero() {
		q = q.Where("created_at < ?", utc(f.CreatedBefore))
	}
	if f.Code != "" {
		q = q.Where("(code = ? OR code = '' AND (class = ? OR reason = ?))", f.Code, f.Code, f.Code)
	}
	if f.Field != "" {
		q = q.Where("field = ?", f.Field)
	}
	if f.Replay != "" {
		q = q.Where("replay = ?", f.Replay)
	}
	if len(f.IDs) > 0 {
		q = q.Where("id IN ?", f.IDs)
	}
	if f.Account != "" {
		q = q.Where("account = ?", f.Account)
	}
	if f.Accounts != nil {
		q = q.Where("(kind = '' OR account IN ?)", f.Accounts)
	}
	if f.Class != "" {
		q = q.Where("class = ?", f.Class)
	}
	if f.State != "" {
		q = q.Where("state = ?", string(f.State))
	}
	return q
}

// Replay asks for another try of the open letters that a filter selects. It
// returns a name for [deadletter.Filter.Replay] and how many they are. The
// accounts' workers let them in as they have room; see [DB.Reopen].
func (db *DB) Replay(ctx context.Context, f deadletter.Filter, by string) (replay string, n int64, err error) {
	replay = rand.Text()
	n, err = db.settleOpen(ctx, f, func(tx *gorm.DB, rows []letterRow) error {
		now := db.now()
		if err := addActions(tx, rows, deadletter.Action{At: now, By: by, Do: deadletter.Replayed}); err != nil {
			return err
		}
		return updateLetters(tx, rows, map[string]any{
			"state": string(deadletter.Replaying), "settled_by": by, "updated_at": now,
			"replay": replay, "queued": gorm.Expr("CASE WHEN kind = '' THEN 0 ELSE 1 END"),
		})
	})
	return replay, n, err
}

// Reopen lets replayed letters of an account in, those due first first, at most
// so many of contacts and messages and so many of files: their entities are
// pending again, with a fresh start, behind what is pending already. It returns
// those. Letters whose entities have reached the account meanwhile, or shall not
// any more, are settled.
func (db *DB) Reopen(ctx context.Context, account string, limit, files int) ([]directory.Entity, error) {
	var ids []string
	for condition, most := range map[string]int{"kind <> 'file'": limit, "kind = 'file'": files} {
		if most <= 0 {
			continue
		}
		var some []string
		err := db.gorm.WithContext(ctx).Model(&letterRow{}).Where("account = ? AND queued > 0 AND "+condition, account).
			Order("due_at, id").Limit(most).Pluck("id", &some).Error
		if err != nil {
			return nil, fmt.Errorf("read replayed dead letters: %w", err)
		}
		ids = append(ids, some...)
	}
	if len(ids) == 0 {
		return nil, nil
	}
	var list []directory.Entity
	err := db.tx(ctx, func(tx *gorm.DB) error {
		var rows []letterRow
		if err := db.lock(tx, "UPDATE").Where("id IN ? AND queued > 0 AND state = 'replaying'", ids).Order("due_at, id").Find(&rows).Error; err != nil {
			return err
		}
		if len(rows) == 0 {
			return nil
		}
		now := db.now()
		if err := eachLink(tx, rows, map[string]any{
			"state": string(directory.Pending), "attempts": 0, "history": "", "next_attempt": nil, "since": now, "updated_at": now,
		}); err != nil {
			return err
		}
		if err := updateLetters(tx, rows, map[string]any{"queued": 0}); err != nil {
			return err
		}
		for _, r := range rows {
			list = append(list, directory.Entity{Kind: directory.EntityKind(r.Kind), ID: r.EntityID})
		}
		for link, letter := range map[directory.State]deadletter.State{directory.Agreed: deadletter.Delivered, directory.Skipped: deadletter.Discarded} {
			err := tx.Exec(`UPDATE dead_letters SET state = ?, settled_at = ?
				WHERE id IN ? AND state = 'replaying' AND EXISTS (SELECT 1 FROM links l WHERE l.account = dead_letters.account
					AND l.kind = dead_letters.kind AND l.entity_id = dead_letters.entity_id AND l.state = ?)`,
				string(letter), now, ids, string(link)).Error
			if err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("reopen dead letters of %s: %w", account, err)
	}
	return list, nil
}

// CountReplay counts the letters of a replay by state, and how many of them
// wait for accounts that are paused.
func (db *DB) CountReplay(ctx context.Context, replay string) (counts map[deadletter.State]int64, paused int64, err error) {
	var rows []struct {
		State     string
		N, Paused int64
	}
	err = db.gorm.WithContext(ctx).Raw(`SELECT d.state, count(*) AS n, count(p.account) AS paused FROM dead_letters d
		LEFT JOIN pauses p ON p.account = d.account AND d.kind <> '' AND d.state = 'replaying'
		WHERE d.replay = ? AND d.replay <> '' GROUP BY d.state`, replay).Scan(&rows).Error
	if err != nil {
		return nil, 0, fmt.Errorf("count replayed dead letters: %w", err)
	}
	counts = map[deadletter.State]int64{}
	for _, r := range rows {
		counts[deadletter.State(r.State)] = r.N
		paused += r.Paused
	}
	return counts, paused, nil
}

// Recall opens replayed letters again that no worker will try, because their
// accounts are not among those that there are. It returns how many they are.
func (db *DB) Recall(ctx context.Context, accounts []string) (int64, error) {
	r := db.gorm.WithContext(ctx).Model(&letterRow{}).
		Where("state = 'replaying' AND kind <> '' AND account NOT IN ?", append([]string{""}, accounts...)).
		Updates(map[string]any{"state": string(deadletter.Open), "queued": 0, "settled_by": ""})
	if r.Error != nil {
		return 0, fmt.Errorf("open dead letters of accounts that are gone: %w", r.Error)
	}
	return r.RowsAffected, nil
}

// Working reports whether a worker is alive: some account's lease has not run
// out.
func (db *DB) Working(ctx context.Context) (bool, error) {
	var n int64
	err := db.gorm.WithContext(ctx).Model(&leaseRow{}).Where("expires_at > ? AND account <> ?", db.now(), Notifications).Count(&n).Error
	return n > 0, err
}

// discardedReason is why a link is skipped of which somebody has discarded the
// letter.
const discardedReason = "discarded by a person"

// Discard settles the open letters that a filter selects without delivering
// them, for a reason, and returns how many they are.
func (db *DB) Discard(ctx context.Context, f deadletter.Filter, by, reason string) (n int64, err error) {
	return db.settleOpen(ctx, f, func(tx *gorm.DB, rows []letterRow) error {
		now := db.now()
		if err := eachLink(tx, rows, map[string]any{
			"state": string(directory.Skipped), "reason": discardedReason, "updated_at": now,
		}); err != nil {
			return err
		}
		if err := skipOrphans(tx, rows, now); err != nil {
			return err
		}
		if err := addActions(tx, rows, deadletter.Action{At: now, By: by, Do: deadletter.Dropped}); err != nil {
			return err
		}
		return updateLetters(tx, rows, map[string]any{
			"state": string(deadletter.Discarded), "settled_by": by, "settled_at": now, "note": connectors.Clean(reason), "updated_at": now,
		})
	})
}

// settleOpen settles open letters, some at a time, with as long a pause after
// each part as it took: where the database is locked as a whole, the recorder
// and the workers get in between.
func (db *DB) settleOpen(ctx context.Context, f deadletter.Filter, settle func(tx *gorm.DB, rows []letterRow) error) (n int64, err error) {
	const some = 100
	f.State = deadletter.Open
	var ids []string
	if err := selectLetters(db.gorm.WithContext(ctx).Model(&letterRow{}), f).Order("due_at, id").Pluck("id", &ids).Error; err != nil {
		return 0, fmt.Errorf("read dead letters: %w", err)
	}
	for part := range slices.Chunk(ids, some) {
		began := time.Now()
		settled, err := db.settlePart(ctx, part, settle)
		n += settled
		if err != nil {
			return n, fmt.Errorf("settle dead letters: %w", err)
		}
		if len(ids) > some {
			time.Sleep(time.Since(began))
		}
	}
	return n, nil
}

func (db *DB) settlePart(ctx context.Context, ids []string, settle func(tx *gorm.DB, rows []letterRow) error) (n int64, err error) {
	var rows []letterRow
	err = db.tx(ctx, func(tx *gorm.DB) error {
		if err := db.lock(tx, "UPDATE").Where("id IN ? AND state = 'open'", ids).Find(&rows).Error; err != nil || len(rows) == 0 {
			return err
		}
		return settle(tx, rows)
	})
	if err != nil {
		return 0, err
	}
	return int64(len(rows)), nil
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

// skipOrphans skips the messages and tasks of discarded contacts that have no record, and
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
			WHERE account = ? AND state = 'pending'
			AND (kind = 'message' AND entity_id IN (SELECT id FROM messages WHERE contact_id = ?)
				OR kind = 'task' AND entity_id IN (SELECT id FROM tasks WHERE contact_id = ?))
			AND EXISTS (SELECT 1 FROM links c WHERE c.account = ? AND c.kind = 'contact' AND c.entity_id = ? AND c.record_id = '')`,
			now, r.Account, r.EntityID, r.EntityID, r.Account, r.EntityID).Error
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
