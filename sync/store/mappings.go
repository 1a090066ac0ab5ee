package store

import (
	"context"
	"fmt"
	"time"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"
)

// MappingEvent is what has become of a revision of the mapping.
type MappingEvent struct {
	ID int64 `gorm:"primaryKey;autoIncrement"`
	At time.Time
	// Event is one of those below.
	Event    string
	Revision string
	File     string
	// Holder names the replica that has put it in force, as in leases, and Who
	// its machine; of what people do Who they are.
	Holder, Who string
}

// The events of a revision.
const (
	MappingInForce    = "in_force"
	MappingReplaced   = "replaced"
	MappingRolledBack = "rolled_back"
)

// TableName is gorm's.
func (MappingEvent) TableName() string { return "mapping_history" }

type mappingRow struct {
	Revision string `gorm:"primaryKey"`
	Text     []byte
	KeptAt   time.Time
}

func (mappingRow) TableName() string { return "mapping_revisions" }

const (
	// mappingsKept is how many texts of mappings are kept, those used last, and
	// mappingEvents how much of what has become of them.
	mappingsKept  = 100
	mappingEvents = 1000
)

// KeepMapping keeps the text of a mapping and notes what has become of it, now.
// That a replica puts in force what it had in force before is nothing new.
func (db *DB) KeepMapping(ctx context.Context, e MappingEvent, text []byte) error {
	e.At = db.now()
	row := mappingRow{Revision: e.Revision, Text: text, KeptAt: e.At}
	err := db.tx(ctx, func(tx *gorm.DB) error {
		if err := tx.Clauses(clause.OnConflict{Columns: []clause.Column{{Name: "revision"}}, DoUpdates: clause.AssignmentColumns([]string{"kept_at"})}).
			Create(&row).Error; err != nil {
			return err
		}
		if e.Event == MappingInForce {
			var last []MappingEvent
			if err := tx.Where("holder = ? AND event = ?", e.Holder, e.Event).Order("id DESC").Limit(1).Find(&last).Error; err != nil {
				return err
			}
			if len(last) > 0 && last[0].Revision == e.Revision && last[0].File == e.File {
				return nil
			}
		}
		if err := tx.Create(&e).Error; err != nil {
			return err
		}
		if err := tx.Exec(`DELETE FROM mapping_revisions WHERE revision NOT IN
			(SELECT revision FROM mapping_revisions ORDER BY kept_at DESC, revision LIMIT ?)`, mappingsKept).Error; err != nil {
			return err
		}
		return tx.Exec("DELETE FROM mapping_history WHERE id <= ? OR revision NOT IN (SELECT revision FROM mapping_revisions)", e.ID-mappingEvents).Error
	})
	if err != nil {
		return fmt.Errorf("keep the mapping's revision %s: %w", e.Revision, err)
	}
	return nil
}

// MappingHistory returns what has become of the revisions that are kept, the
// newest first.
func (db *DB) MappingHistory(ctx context.Context) ([]MappingEvent, error) {
	var list []MappingEvent
	if err := db.gorm.WithContext(ctx).Order("id DESC").Find(&list).Error; err != nil {
		return nil, fmt.Errorf("read the mapping's history: %w", err)
	}
	for i := range list {
		list[i].At = list[i].At.UTC()
	}
	return list, nil
}

// MappingText returns the text of a revision, nil if it is not kept.
func (db *DB) MappingText(ctx context.Context, revision string) ([]byte, error) {
	var rows []mappingRow
	if err := db.gorm.WithContext(ctx).Where("revision = ?", revision).Find(&rows).Error; err != nil || len(rows) == 0 {
		if err != nil {
			err = fmt.Errorf("read the mapping's revision %s: %w", revision, err)
		}
		return nil, err
	}
	return rows[0].Text, nil
}
