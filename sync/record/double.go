package record

import (
	"maps"
	"slices"
	"time"

	"crmsync/connectors"
	"crmsync/sync/directory"
)

// double is whose duplicate a record is; nobody's if contact is nil.
type double struct {
	contact *directory.Contact
	at      time.Time
	seen    string // see [directory.Shown]
}

// vacancy is a contact that has lost its record in an account.
type vacancy struct {
	account string
	contact *directory.Contact
	at      time.Time
}

// saveDoubles stores which records are duplicates, and has those read whose
// contact has lost the other one: one of them takes its place.
func (b *batch) saveDoubles() error {
	var found []directory.Duplicate
	var gone []directory.RecordKey
	for key, d := range b.doubles {
		if d.contact == nil {
			gone = append(gone, key)
		} else {
			found = append(found, directory.Duplicate{RecordKey: key, ContactID: d.contact.ID, FoundAt: d.at, Seen: d.seen})
		}
	}
	if err := b.tx.SaveDuplicates(found, gone); err != nil || len(b.vacated) == 0 {
		return err
	}
	at := map[ownKey]time.Time{}
	ids := map[int64]bool{}
	for _, v := range b.vacated {
		at[ownKey{v.account, v.contact.ID}], ids[v.contact.ID] = v.at, true
	}
	heirs, err := b.tx.Duplicates(slices.Sorted(maps.Keys(ids)))
	if err != nil {
		return err
	}
	var pulls []directory.Pull
	for _, h := range heirs {
		if at, lost := at[ownKey{h.Account, h.ContactID}]; lost {
			pulls = append(pulls, directory.Pull{RecordKey: h.RecordKey, Change: connectors.RecordUpdated, At: at})
		}
	}
	return b.tx.WantPulls(pulls)
}
