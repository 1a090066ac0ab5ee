package store

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"crmsync/connectors"
	"crmsync/sync/directory"
)

// RuleNotices is in the place of an account in the lease of whoever tells receivers
// what rules say. No account has such a name.
const RuleNotices = "(rule notices)"

type ruleNoticeRow struct {
	ID          string `gorm:"primaryKey"`
	ContactID   int64
	Receiver    string
	Message     string
	CreatedAt   time.Time
	Attempts    int
	NextAttempt time.Time
}

func (ruleNoticeRow) TableName() string { return "rule_notices" }

type taskRow struct {
	ID        int64 `gorm:"primaryKey;autoIncrement"`
	Key       string
	ContactID int64
	Rule      string
	Account   string
	Title     string
	Text      string
	Owner     string
	Due       *time.Time
	Priority  string
	At        time.Time
	CreatedAt time.Time
}

func (taskRow) TableName() string { return "tasks" }

func (r *taskRow) task() *directory.Task {
	return &directory.Task{
		ID: r.ID, ContactID: r.ContactID, Key: r.Key, Rule: r.Rule, Account: r.Account, Title: r.Title, Text: r.Text, Owner: r.Owner,
		Due: orZero(r.Due), Priority: r.Priority, At: r.At.UTC(),
	}
}

// Standing says where a message stands in its conversation.
func (tx *recordTx) Standing(messageID int64) (s directory.Standing, err error) {
	var row messageRow
	if err := tx.db.Select("id", "contact_id", "at").Where("id = ?", messageID).Take(&row).Error; err != nil {
		return s, fmt.Errorf("read message %d: %w", messageID, err)
	}
	if row.At == nil {
		return s, nil
	}
	at := row.At.UTC()
	err = tx.db.Raw(`SELECT
		(SELECT count(*) FROM messages WHERE contact_id = ? AND direction IN ('in', 'out') AND group_id = '' AND type <> 'reaction' AND at > ? AND at <= ?) AS length,
		NOT EXISTS (SELECT 1 FROM messages WHERE contact_id = ? AND direction = 'in' AND group_id = '' AND type <> 'reaction' AND id < ?) AS first`,
		row.ContactID, utc(at.Add(-24*time.Hour)), utc(at), row.ContactID, messageID).Scan(&s).Error
	if err != nil {
		return s, fmt.Errorf("count the conversation of message %d: %w", messageID, err)
	}
	return s, nil
}

// Turn returns a number for those who take turns under a name.
func (tx *recordTx) Turn(of string) (n int, err error) {
	const longest = 200
	if len(of) > longest {
		of = connectors.Digest([]byte(of))
	}
	err = tx.db.Raw(`INSERT INTO rule_turns (name, taken) VALUES (?, 1)
		ON CONFLICT (name) DO UPDATE SET taken = rule_turns.taken + 1 RETURNING taken - 1`, of).Scan(&n).Error
	if err != nil {
		return 0, fmt.Errorf("take a turn: %w", err)
	}
	return n, nil
}

// SaveNotices stores what receivers are owed.
func (tx *recordTx) SaveNotices(notices []directory.Notice) error {
	rows := make([]ruleNoticeRow, len(notices))
	for i, n := range notices {
		message, err := json.Marshal(n.Message)
		if err != nil {
			return err
		}
		rows[i] = ruleNoticeRow{
			ID: n.ID, ContactID: n.Message.ContactID, Receiver: n.Receiver, Message: connectors.Clean(string(message)), CreatedAt: tx.now, NextAttempt: tx.now,
		}
	}
	return insert(tx.db, "rule notices", rows, clause.OnConflict{DoNothing: true})
}

// SaveTasks stores tasks and gives them their IDs. One that is there keeps its own.
func (tx *recordTx) SaveTasks(tasks []*directory.Task) error {
	for _, t := range tasks {
		row := taskRow{
			Key: t.Key, ContactID: t.ContactID, Rule: t.Rule, Account: t.Account, Title: t.Title, Text: t.Text, Owner: t.Owner, Due: orNull(t.Due), Priority: t.Priority,
			At: utc(t.At), CreatedAt: tx.now,
		}
		if err := tx.db.Clauses(clause.OnConflict{Columns: []clause.Column{{Name: "key"}}, DoNothing: true}).Create(&row).Error; err != nil {
			return fmt.Errorf("write tasks: %w", err)
		}
		var kept taskRow
		if err := tx.db.Select("id").Where("key = ?", t.Key).Take(&kept).Error; err != nil {
			return fmt.Errorf("write tasks: %w", err)
		}
		t.ID = kept.ID
	}
	return nil
}

// Tasks returns the tasks with the ids, in any order.
func (db *DB) Tasks(ctx context.Context, ids []int64) (tasks []*directory.Task, err error) {
	for part := range chunks(ids) {
		var rows []taskRow
		if err := db.gorm.WithContext(ctx).Where("id IN ?", part).Find(&rows).Error; err != nil {
			return nil, fmt.Errorf("read tasks: %w", err)
		}
		for i := range rows {
			tasks = append(tasks, rows[i].task())
		}
	}
	return tasks, nil
}

// promises forgets what rules have made of a person.
func (x *eraser) promises() error {
	if err := x.db.Where("contact_id IN ?", x.people).Delete(&ruleNoticeRow{}).Error; err != nil {
		return err
	}
	return x.db.Exec("UPDATE tasks SET title = '', text = '', owner = '' WHERE contact_id IN ?", x.people).Error
}

// ReceiversDue returns the receivers that are owed a notice now.
func (db *DB) ReceiversDue(ctx context.Context) (names []string, err error) {
	err = db.gorm.WithContext(ctx).Model(&ruleNoticeRow{}).Distinct("receiver").Where("next_attempt <= ?", db.now()).Order("receiver").Pluck("receiver", &names).Error
	if err != nil {
		return nil, fmt.Errorf("look for rule notices: %w", err)
	}
	return names, nil
}

// NoticesDue returns notices that a receiver is owed now, those due first first.
func (db *DB) NoticesDue(ctx context.Context, receiver string, most int) ([]directory.Notice, error) {
	var rows []ruleNoticeRow
	err := db.gorm.WithContext(ctx).Where("receiver = ? AND next_attempt <= ?", receiver, db.now()).
		Order("next_attempt, created_at, id").Limit(most).Find(&rows).Error
	if err != nil {
		return nil, fmt.Errorf("read rule notices: %w", err)
	}
	notices := make([]directory.Notice, len(rows))
	for i, r := range rows {
		notices[i] = directory.Notice{ID: r.ID, Receiver: r.Receiver, CreatedAt: r.CreatedAt.UTC(), Attempts: r.Attempts}
		if err := json.Unmarshal([]byte(r.Message), &notices[i].Message); err != nil {
			return nil, fmt.Errorf("rule notice %s: %w", r.ID, err)
		}
	}
	return notices, nil
}

// NoticeAgain notes that a notice was tried in vain and when it is next.
func (db *DB) NoticeAgain(ctx context.Context, id string, next time.Time) error {
	return db.tx(ctx, func(tx *gorm.DB) error {
		return tx.Exec("UPDATE rule_notices SET attempts = attempts + 1, next_attempt = ? WHERE id = ?", utc(next), id).Error
	})
}

// NoticeOver forgets a notice that was told or is given up.
func (db *DB) NoticeOver(ctx context.Context, id string) error {
	return db.tx(ctx, func(tx *gorm.DB) error {
		return tx.Where("id = ?", id).Delete(&ruleNoticeRow{}).Error
	})
}

// NoticesOwed returns how many notices wait, by receiver.
func (db *DB) NoticesOwed(ctx context.Context) (map[string]int, error) {
	var rows []struct {
		Receiver string
		N        int
	}
	if err := db.gorm.WithContext(ctx).Raw("SELECT receiver, count(*) AS n FROM rule_notices GROUP BY receiver").Scan(&rows).Error; err != nil {
		return nil, fmt.Errorf("count rule notices: %w", err)
	}
	owed := make(map[string]int, len(rows))
	for _, r := range rows {
		owed[r.Receiver] = r.N
	}
	return owed, nil
}
