package deliver

import (
	"context"

	"crmsync/mapping"
	"crmsync/sync/directory"
)

// A Remap goes through the contacts that an account is in agreement about, and
// owes it those again which a mapping translates otherwise than they were written.
// It calls no account and keeps a page in memory. One that was broken off is begun
// again, and finds less to do.
type Remap struct {
	Account string
	Store   interface {
		InAgreement(ctx context.Context, account string, after int64, limit int) ([]directory.Work, error)
		Remap(ctx context.Context, account string, contactIDs []int64) (int64, error)
	}
	Mapping *mapping.Mapping
}

// Remapped is what has come of a [Remap].
type Remapped struct {
	// Compared are the contacts, and Owed those of them that are to be written
	// again. Refused are those that the mapping does not let through: they stay
	// as they are, and become dead letters when they change.
	Compared, Owed, Refused int64
}

// perRemap is how many contacts are compared at a time.
const perRemap = 200

// Run goes through all of them.
func (r *Remap) Run(ctx context.Context) (found Remapped, err error) {
	for after := int64(0); ; {
		page, err := r.Store.InAgreement(ctx, r.Account, after, perRemap)
		if err != nil || len(page) == 0 {
			return found, err
		}
		var owed []int64
		for i := range page {
			todo := &page[i]
			after = todo.Link.Entity.ID
			found.Compared++
			fields, refused := r.Mapping.Translate(r.Account, todo.Contact.View())
			if len(refused) > 0 {
				found.Refused++
				continue
			}
			if diff, _ := changed(fields, &todo.Link); len(diff) > 0 {
				owed = append(owed, after)
			}
		}
		n, err := r.Store.Remap(ctx, r.Account, owed)
		if err != nil {
			return found, err
		}
		found.Owed += n
	}
}
