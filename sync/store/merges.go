package store

import (
	"context"
	"fmt"
	"time"

	"gorm.io/gorm"

	"crmsync/connectors"
	"crmsync/sync/directory"
)

type mergeRow struct {
	Account   string `gorm:"primaryKey"`
	Kept      string `gorm:"primaryKey"`
	Other     string `gorm:"primaryKey"`
	ContactID int64
	ByHolder  string
	BegunAt   time.Time
	EndedAt   *time.Time
	RecordID  string
}

func (mergeRow) TableName() string { return "merges" }

// mergeable finds a duplicate that may be merged: its contact has a record, it is
// itself nobody's, there is no unread news of either, and it was not refused
// under this lease.
const mergeable = `SELECT d.account, d.contact_id, l.record_id AS kept, d.record_id AS other, d.seen
	FROM duplicates d JOIN links l ON l.account = d.account AND l.kind = 'contact' AND l.entity_id = d.contact_id
	WHERE d.account = ? AND (d.refused = '' OR d.refused_lease <> ?) AND (d.merge_at IS NULL OR d.merge_at <= ?)
		AND l.record_id <> '' AND l.record_id <> d.record_id AND l.erase = 0
		AND NOT EXISTS (SELECT 1 FROM links o WHERE o.account = d.account AND o.kind = 'contact' AND o.record_id = d.record_id)
		AND NOT EXISTS (SELECT 1 FROM pulls p WHERE p.account = d.account AND p.record_id IN (d.record_id, l.record_id))`

// NextMerge returns a duplicate of the account that may be merged now, nil if
// there is none.
func (db *DB) NextMerge(ctx context.Context, account string, lease int64) (*directory.Merge, error) {
	var found []directory.Merge
	err := db.gorm.WithContext(ctx).Raw(mergeable+" ORDER BY d.found_at, d.record_id LIMIT 1", account, lease, db.now()).Scan(&found).Error
	if err != nil || len(found) == 0 {
		return nil, err
	}
	return &found[0], nil
}

// BeginMerge notes, before the call, that two records are about to be merged and
// who does it. It reports false if they must not be any more. Unless it ends
// otherwise they may be merged again after the pause.
func (db *DB) BeginMerge(ctx context.Context, lease int64, holder string, m directory.Merge, pause time.Duration) (ok bool, err error) {
	err = db.fenced(ctx, m.Account, lease, func(tx *gorm.DB) error {
		var found []directory.Merge
		err := tx.Raw(mergeable+" AND d.record_id = ? AND l.record_id = ? AND d.contact_id = ? AND d.seen = ?",
			m.Account, lease, db.now(), m.Other, m.Kept, m.ContactID, m.Seen).Scan(&found).Error
		if ok = len(found) > 0; err != nil || !ok {
			return err
		}
		if err := putOffMerge(tx, m, db.now().Add(pause)); err != nil {
			return err
		}
		row := mergeRow{Account: m.Account, Kept: m.Kept, Other: m.Other, ContactID: m.ContactID, ByHolder: holder, BegunAt: db.now()}
		return tx.Save(&row).Error
	})
	return ok, err
}

// EndMerge notes which record there is now, empty if that is not known, and has
// both read, so that what is known of them follows. It holds whoever has the
// lease meanwhile.
func (db *DB) EndMerge(ctx context.Context, m directory.Merge, recordID string) error {
	return db.tx(ctx, func(tx *gorm.DB) error {
		if recordID != "" {
			if err := endMerge(tx, m, db.now(), recordID); err != nil {
				return err
			}
		}
		// The one that is linked comes first: the other leads to where it is then.
		// That it is there may not show at once, and does not mean that it is gone.
		return wantPulls(tx, db.now(), []directory.Pull{
			{RecordKey: directory.RecordKey{Account: m.Account, ID: m.Kept}, Change: connectors.RecordUpdated, At: db.now().Add(-time.Millisecond)},
			{RecordKey: directory.RecordKey{Account: m.Account, ID: m.Other}, Change: connectors.RecordMerged, At: db.now()},
		})
	})
}

// ReadBeforeMerge has both records read, since they show something else than is
// known, and puts the merge off.
func (db *DB) ReadBeforeMerge(ctx context.Context, m directory.Merge, pause time.Duration) error {
	return db.tx(ctx, func(tx *gorm.DB) error {
		if err := putOffMerge(tx, m, db.now().Add(pause)); err != nil {
			return err
		}
		return wantPulls(tx, db.now(), []directory.Pull{
			{RecordKey: directory.RecordKey{Account: m.Account, ID: m.Kept}, Change: connectors.RecordUpdated, At: db.now()},
			{RecordKey: directory.RecordKey{Account: m.Account, ID: m.Other}, Change: connectors.RecordUpdated, At: db.now()},
		})
	})
}

// endMerge notes what has become of a merge: no record if it was refused.
func endMerge(tx *gorm.DB, m directory.Merge, at time.Time, recordID string) error {
	err := tx.Model(&mergeRow{}).Where("account = ? AND kept = ? AND other = ?", m.Account, m.Kept, m.Other).
		Updates(map[string]any{"ended_at": at, "record_id": recordID}).Error
	if err != nil {
		return fmt.Errorf("note what has become of a merge: %w", err)
	}
	return nil
}

func putOffMerge(tx *gorm.DB, m directory.Merge, until time.Time) error {
	err := tx.Exec("UPDATE duplicates SET merge_at = ? WHERE account = ? AND record_id = ?", until, m.Account, m.Other).Error
	if err != nil {
		return fmt.Errorf("put a merge off: %w", err)
	}
	return nil
}

// RefuseMerge notes why a duplicate was not merged, or with all why none of the
// account is. It is not tried again under this lease, unless it changes.
func (db *DB) RefuseMerge(ctx context.Context, lease int64, m directory.Merge, why string, all bool) error {
	return db.fenced(ctx, m.Account, lease, func(tx *gorm.DB) error {
		err := tx.Exec("UPDATE duplicates SET refused = ?, refused_lease = ? WHERE account = ? AND (record_id = ? OR ?)",
			connectors.Clean(why), lease, m.Account, m.Other, all).Error
		if err != nil {
			return fmt.Errorf("note a refused merge: %w", err)
		}
		return endMerge(tx, m, db.now(), "")
	})
}
