package store

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"gorm.io/gorm"

	"crmsync/sync/directory"
)

type accountRow struct {
	Name     string `gorm:"primaryKey"`
	Kind     string
	Identity string
	Since    time.Time
}

func (accountRow) TableName() string { return "accounts" }

func (r *accountRow) account() directory.Account {
	return directory.Account{Name: r.Name, Kind: r.Kind, Names: strings.Fields(r.Identity), Since: r.Since.UTC()}
}

// Identify notes which account a name stands for now. If records of another one
// are linked under that name it notes nothing, and returns the other.
func (db *DB) Identify(ctx context.Context, lease int64, is directory.Account) (other *directory.Account, err error) {
	err = db.fenced(ctx, is.Name, lease, func(tx *gorm.DB) error {
		var was *directory.Account
		if was, other, err = replaced(tx, is); err != nil || other != nil {
			return err
		}
		row := accountRow{Name: is.Name, Kind: is.Kind, Identity: strings.Join(is.Names, " "), Since: db.now()}
		if was != nil && was.MayBe(is) {
			if len(is.Names) == 0 || slices.Equal(is.Names, was.Names) {
				return nil
			}
			row.Since = was.Since
		}
		return tx.Save(&row).Error
	})
	if err != nil {
		return nil, fmt.Errorf("note which account %s is: %w", is.Name, err)
	}
	return other, nil
}

// Replaced returns the account whose records are linked under a name, if that
// is another than the one which has the name now; else nil.
func (db *DB) Replaced(ctx context.Context, is directory.Account) (*directory.Account, error) {
	_, other, err := replaced(db.gorm.WithContext(ctx), is)
	if err != nil {
		return nil, fmt.Errorf("look which account %s was: %w", is.Name, err)
	}
	return other, nil
}

// replaced also returns which account the name stood for, nil if nobody knows.
func replaced(tx *gorm.DB, is directory.Account) (was, other *directory.Account, err error) {
	var row accountRow
	switch err := tx.Where("name = ?", is.Name).Take(&row).Error; {
	case errors.Is(err, gorm.ErrRecordNotFound):
		return nil, nil, nil
	case err != nil:
		return nil, nil, err
	}
	known := row.account()
	if known.MayBe(is) {
		return &known, nil, nil
	}
	// As the index links_record has it.
	var linked []linkRow
	err = tx.Select("entity_id").Where("account = ? AND kind IN ? AND record_id > ''", is.Name,
		[]directory.EntityKind{directory.ContactEntity, directory.MessageEntity, directory.FileEntity, directory.TaskEntity}).Limit(1).Find(&linked).Error
	if err == nil && len(linked) > 0 {
		other = &known
	}
	return &known, other, err
}
