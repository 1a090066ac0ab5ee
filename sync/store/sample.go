package store

import (
	"context"
	"fmt"

	"crmsync/sync/directory"
)

// Sample returns at most n entities of a kind that an account is in agreement
// about, picked at random.
func (db *DB) Sample(ctx context.Context, account string, kind directory.EntityKind, n int) ([]directory.Work, error) {
	var rows []linkRow
	err := db.gorm.WithContext(ctx).
		Where("account = ? AND kind = ? AND state = 'agreed' AND record_id <> ''", account, string(kind)).
		Order("random()").Limit(n).Find(&rows).Error
	if err != nil {
		return nil, fmt.Errorf("sample the %ss of %s: %w", kind, account, err)
	}
	return db.work(ctx, account, kind, rows)
}

// StillAgreed returns those of the work of one kind whose account has not been
// told anything else meanwhile, and shall not be.
func (db *DB) StillAgreed(ctx context.Context, account string, kind directory.EntityKind, list []directory.Work) ([]directory.Work, error) {
	agreed := make(map[int64]linkRow, len(list))
	ids := make([]int64, len(list))
	for i := range list {
		ids[i] = list[i].Link.Entity.ID
	}
	for part := range chunks(ids) {
		var rows []linkRow
		err := db.gorm.WithContext(ctx).Where("account = ? AND kind = ? AND entity_id IN ? AND state = 'agreed'", account, string(kind), part).Find(&rows).Error
		if err != nil {
			return nil, fmt.Errorf("look again at the %ss of %s: %w", kind, account, err)
		}
		for _, r := range rows {
			agreed[r.EntityID] = r
		}
	}
	var still []directory.Work
	for _, w := range list {
		if r, ok := agreed[w.Link.Entity.ID]; ok && r.Agreed == w.Link.Agreed && r.RecordID == w.Link.RecordID {
			still = append(still, w)
		}
	}
	return still, nil
}

// work loads what links are about.
func (db *DB) work(ctx context.Context, account string, kind directory.EntityKind, rows []linkRow) ([]directory.Work, error) {
	d := db.gorm.WithContext(ctx)
	var work []directory.Work
	for part := range chunks(rows) {
		ids := make([]int64, len(part))
		for i, r := range part {
			ids[i] = r.EntityID
		}
		parts := workParts{}
		if err := parts.load(d, account, kind, ids); err != nil {
			return nil, err
		}
		for i := range part {
			link, err := part[i].link()
			if err != nil {
				return nil, err
			}
			w := directory.Work{Link: link}
			id := link.Entity.ID
			if kind == directory.ContactEntity {
				w.Contact = parts.contacts[id]
			} else if w.Message = parts.messages[id]; w.Message != nil {
				w.ContactRecordID = parts.records[w.Message.ContactID]
			}
			if w.Contact != nil || w.Message != nil {
				work = append(work, w)
			}
		}
	}
	return work, nil
}
