package store

import (
	"context"
	"fmt"
	"time"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"crmsync/sync/directory"
)

// InAgreement returns the contacts that an account is in agreement about, with
// what it was last told, in the order of their ids: those behind one.
func (db *DB) InAgreement(ctx context.Context, account string, after int64, limit int) ([]directory.Work, error) {
	var rows []linkRow
	err := db.gorm.WithContext(ctx).
		Where("account = ? AND kind = 'contact' AND entity_id > ? AND state = 'agreed' AND record_id <> '' AND erase = 0", account, after).
		Order("entity_id").Limit(limit).Find(&rows).Error
	if err != nil {
		return nil, fmt.Errorf("read the contacts of %s: %w", account, err)
	}
	return db.work(ctx, account, directory.ContactEntity, rows)
}

// Remap makes contacts pending that an account was in agreement about, and returns
// how many. Nobody has reported anything that waits for them (their since is null),
// so that they come after everything else; see [DB.DueLater].
func (db *DB) Remap(ctx context.Context, account string, contactIDs []int64) (n int64, err error) {
	if len(contactIDs) == 0 {
		return 0, nil
	}
	err = db.tx(ctx, func(tx *gorm.DB) error {
		for part := range chunks(contactIDs) {
			done := tx.Model(&linkRow{}).
				Where("account = ? AND kind = 'contact' AND entity_id IN ? AND state = 'agreed' AND record_id <> '' AND erase = 0", account, part).
				UpdateColumns(map[string]any{"state": string(directory.Pending), "since": nil, "attempts": 0, "history": "", "next_attempt": nil})
			if done.Error != nil {
				return done.Error
			}
			n += done.RowsAffected
		}
		return nil
	})
	if err != nil {
		return 0, fmt.Errorf("owe %s contacts: %w", account, err)
	}
	return n, nil
}

type accountMappingRow struct {
	Account  string `gorm:"primaryKey"`
	Revision string
	At       time.Time
}

func (accountMappingRow) TableName() string { return "account_mappings" }

// InLine returns the revision of the mapping with which all contacts of an account
// were last compared, empty if there is none, and since when.
func (db *DB) InLine(ctx context.Context, account string) (revision string, at time.Time, err error) {
	var rows []accountMappingRow
	if err := db.gorm.WithContext(ctx).Where("account = ?", account).Find(&rows).Error; err != nil || len(rows) == 0 {
		if err != nil {
			err = fmt.Errorf("read with which mapping %s is in line: %w", account, err)
		}
		return "", at, err
	}
	return rows[0].Revision, rows[0].At.UTC(), nil
}

// BroughtInLine notes that all contacts of an account have been compared with a
// revision of the mapping.
func (db *DB) BroughtInLine(ctx context.Context, account, revision string) error {
	row := accountMappingRow{Account: account, Revision: revision, At: db.now()}
	if err := db.gorm.WithContext(ctx).Clauses(clause.OnConflict{UpdateAll: true}).Create(&row).Error; err != nil {
		return fmt.Errorf("note with which mapping %s is in line: %w", account, err)
	}
	return nil
}
