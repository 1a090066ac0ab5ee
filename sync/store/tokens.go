package store

import (
	"context"
	"errors"
	"fmt"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"
)

// RefreshToken returns the refresh token that an account's vendor gave last in
// place of another, which instead names; empty if it gave none.
func (db *DB) RefreshToken(ctx context.Context, account, instead string) (string, error) {
	var row tokenRow
	err := db.gorm.WithContext(ctx).Where("account = ? AND instead = ?", account, instead).Take(&row).Error
	if err != nil && !errors.Is(err, gorm.ErrRecordNotFound) {
		return "", fmt.Errorf("read the refresh token of %s: %w", account, err)
	}
	return row.Token, nil
}

// KeepRefreshToken stores the refresh token that is to be used from now on in
// place of another.
func (db *DB) KeepRefreshToken(ctx context.Context, account, instead, token string) error {
	row := tokenRow{Account: account, Instead: instead, Token: token, UpdatedAt: db.now()}
	err := db.gorm.WithContext(ctx).Clauses(clause.OnConflict{
		Columns:   []clause.Column{{Name: "account"}, {Name: "instead"}},
		DoUpdates: clause.AssignmentColumns([]string{"token", "updated_at"}),
	}).Create(&row).Error
	if err != nil {
		return fmt.Errorf("keep the refresh token of %s: %w", account, err)
	}
	return nil
}
