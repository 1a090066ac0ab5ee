package store

import (
	"context"
	"fmt"
	"time"

	"gorm.io/gorm/clause"

	"crmsync/sync/deadletter"
)

// Notifications is in the place of an account in the lease of whoever tells
// receivers. No account has such a name.
const Notifications = "(notifications)"

// Unnoticed returns the letters that should have been settled by now and of
// which a receiver has not been told since a time, those due first first.
func (db *DB) Unnoticed(ctx context.Context, receiver string, since time.Time) ([]deadletter.Letter, error) {
	var rows []letterRow
	err := db.gorm.WithContext(ctx).Raw(`SELECT d.id, d.account, d.class, d.code, d.field, d.reason, d.created_at, d.due_at FROM dead_letters d
		LEFT JOIN letter_notices n ON n.letter_id = d.id AND n.receiver = ?
		WHERE d.state IN ('open', 'replaying') AND d.due_at < ? AND (n.sent_at IS NULL OR n.sent_at <= ?)
		ORDER BY d.due_at, d.id`, receiver, db.now(), utc(since)).Scan(&rows).Error
	if err != nil {
		return nil, fmt.Errorf("read overdue dead letters: %w", err)
	}
	letters := make([]deadletter.Letter, len(rows))
	for i := range rows {
		letters[i] = rows[i].letter()
	}
	return letters, nil
}

// Noticed says that a receiver has been told of letters now.
func (db *DB) Noticed(ctx context.Context, receiver string, letters []deadletter.Letter) error {
	rows := make([]noticeRow, len(letters))
	for i := range letters {
		rows[i] = noticeRow{LetterID: letters[i].ID, Receiver: receiver, SentAt: db.now()}
	}
	return insert(db.gorm.WithContext(ctx), "notices", rows, clause.OnConflict{
		Columns:   []clause.Column{{Name: "letter_id"}, {Name: "receiver"}},
		DoUpdates: clause.AssignmentColumns([]string{"sent_at"}),
	})
}
