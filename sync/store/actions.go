package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"gorm.io/gorm"

	"crmsync/connectors"
	"crmsync/sync/deadletter"
	"crmsync/sync/directory"
)

// ErrNotOpen says that a letter cannot be edited: there is none, it is settled,
// or it is being tried again.
var ErrNotOpen = errors.New("the letter is not open")

// addActions notes what somebody did about letters.
func addActions(tx *gorm.DB, rows []letterRow, a deadletter.Action) error {
	actions := make([]actionRow, len(rows))
	for i, r := range rows {
		actions[i] = rowOfAction(r.ID, a)
	}
	return insert(tx, "actions", actions)
}

func rowOfAction(letter string, a deadletter.Action) actionRow {
	return actionRow{
		LetterID: letter, At: a.At, Who: connectors.Clean(a.By), Action: a.Do,
		Field: connectors.Clean(a.Field), Was: a.Was, Became: a.Became,
	}
}

// Actions returns what people did about a letter, the oldest first.
func (db *DB) Actions(ctx context.Context, letter string) ([]deadletter.Action, error) {
	var rows []actionRow
	if err := db.gorm.WithContext(ctx).Where("letter_id = ?", letter).Order("id").Find(&rows).Error; err != nil {
		return nil, fmt.Errorf("read what was done about a dead letter: %w", err)
	}
	actions := make([]deadletter.Action, len(rows))
	for i, r := range rows {
		actions[i] = deadletter.Action{LetterID: r.LetterID, At: r.At.UTC(), By: r.Who, Do: r.Action, Field: r.Field, Was: r.Was, Became: r.Became}
	}
	return actions, nil
}

// open locks and returns an open letter.
func (db *DB) open(tx *gorm.DB, letter string) (letterRow, error) {
	var row letterRow
	err := db.lock(tx, "UPDATE").Where("id = ? AND state = 'open'", letter).Take(&row).Error
	if errors.Is(err, gorm.ErrRecordNotFound) {
		return row, ErrNotOpen
	}
	return row, err
}

// EditContact gives fields of the contact that an open letter is about other
// values, of now: what was reported before does not undo them, what is reported
// later does. Accounts that are out of agreement then become pending, but for
// those that have given up on the contact: their letters wait for a replay.
func (db *DB) EditContact(ctx context.Context, letter string, values map[string]string, by string) error {
	err := db.tx(ctx, func(tx *gorm.DB) error {
		if err := db.takeTurn(tx); err != nil {
			return err
		}
		row, err := db.open(tx, letter)
		if err != nil {
			return err
		}
		list, err := contacts(tx, []int64{row.EntityID})
		if err != nil {
			return err
		}
		if row.Kind != string(directory.ContactEntity) || len(list) == 0 {
			return fmt.Errorf("the letter is not about a contact of the directory: %w", ErrNotOpen)
		}
		contact, now := list[0], db.now()
		actions := make([]actionRow, 0, len(values))
		for name, text := range values {
			old, known := contact.Fields[name]
			a := deadletter.Action{At: now, By: by, Do: deadletter.Edited, Field: name, Was: "not known", Became: deadletter.Shape(text)}
			if known {
				a.Was = deadletter.Shape(old.Text)
			}
			contact.Edit(name, text, now, letter)
			actions = append(actions, rowOfAction(letter, a))
		}
		if err := insert(tx, "actions", actions); err != nil {
			return err
		}
		return db.saveEdited(tx, contact, now)
	})
	if err != nil {
		return fmt.Errorf("edit %s: %w", letter, err)
	}
	return nil
}

// saveEdited stores an edited contact and makes accounts owe it.
func (db *DB) saveEdited(tx *gorm.DB, contact *directory.Contact, now time.Time) error {
	r := &recordTx{db: tx, now: now, settleWithin: db.SettleWithin}
	if contact.Changed {
		contact.Version++
	}
	if err := r.SaveContacts([]*directory.Contact{contact}); err != nil || !contact.Changed {
		return err
	}
	entity := directory.Entity{Kind: directory.ContactEntity, ID: contact.ID}
	err := tx.Model(&linkRow{}).Where("kind = ? AND entity_id = ? AND state = 'dead'", string(entity.Kind), entity.ID).
		Update("wanted", contact.Version).Error
	if err != nil {
		return err
	}
	accounts, err := r.LinkedAccounts([]int64{contact.ID})
	if err != nil {
		return err
	}
	var wants []directory.Want
	for _, account := range accounts[contact.ID] {
		wants = append(wants, directory.Want{Account: account, Entity: entity, Version: contact.Version, ReceivedAt: now})
	}
	return r.Want(wants)
}

// EditFact puts other bytes in the place of a part of a webhook that could not
// be read.
func (db *DB) EditFact(ctx context.Context, letter string, raw []byte, by string) error {
	err := db.tx(ctx, func(tx *gorm.DB) error {
		row, err := db.open(tx, letter)
		if err != nil {
			return err
		}
		var was []byte
		if was, err = rawOf(tx, row.FactID); err != nil {
			return err
		}
		changed := tx.Model(&factRow{}).Where("id = ?", row.FactID).Update("raw", raw)
		if changed.Error != nil {
			return changed.Error
		}
		if changed.RowsAffected == 0 {
			return fmt.Errorf("the letter is not about a part of a webhook: %w", ErrNotOpen)
		}
		return addActions(tx, []letterRow{row}, deadletter.Action{
			At: db.now(), By: by, Do: deadletter.Edited, Field: deadletter.RawField, Was: deadletter.Shape(was), Became: deadletter.Shape(raw),
		})
	})
	if err != nil {
		return fmt.Errorf("edit %s: %w", letter, err)
	}
	return nil
}

// Raw returns the part of a webhook that could not be read, nil if it is not
// kept any more.
func (db *DB) Raw(ctx context.Context, factID string) ([]byte, error) {
	return rawOf(db.gorm.WithContext(ctx), factID)
}

func rawOf(tx *gorm.DB, factID string) ([]byte, error) {
	var rows []factRow
	if err := tx.Select("raw").Where("id = ?", factID).Find(&rows).Error; err != nil {
		return nil, fmt.Errorf("read a part of a webhook: %w", err)
	}
	if len(rows) == 0 {
		return nil, nil
	}
	return rows[0].Raw, nil
}

// ForgetSettled removes what letters that were settled before a time hold of
// people: the parts of webhooks that could not be read. Their history stays. It
// returns how many parts it has removed.
func (db *DB) ForgetSettled(ctx context.Context, before time.Time) (int64, error) {
	const settled = "SELECT %s FROM dead_letters WHERE state IN ('delivered', 'discarded') AND settled_at < ?"
	d := db.gorm.WithContext(ctx)
	done := d.Exec("UPDATE facts SET raw = NULL WHERE raw IS NOT NULL AND id IN ("+fmt.Sprintf(settled, "fact_id")+" AND fact_id <> '')", utc(before))
	if done.Error != nil {
		return 0, fmt.Errorf("forget settled dead letters: %w", done.Error)
	}
	if err := d.Exec("DELETE FROM letter_notices WHERE letter_id IN ("+fmt.Sprintf(settled, "id")+")", utc(before)).Error; err != nil {
		return 0, fmt.Errorf("forget settled dead letters: %w", err)
	}
	return done.RowsAffected, nil
}
