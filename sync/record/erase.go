package record

import (
	"slices"

	"crmsync/mapping"
	"crmsync/sync/directory"
)

// erases reports whether a fact may have a person erased.
func (r *Recorder) erases(f *directory.Fact) bool {
	return f.Observed != nil && f.Observed.Gone && f.Observed.Reported && r.Mapping().OnDelete(f.Account) == mapping.Erase
}

// parts yields facts in their order, those that have people erased apart from the
// others: whoever writes after that is new.
func (r *Recorder) parts(facts []directory.Fact) func(yield func([]directory.Fact) bool) {
	return func(yield func([]directory.Fact) bool) {
		first := 0
		for i := range facts {
			if i > 0 && r.erases(&facts[i]) != r.erases(&facts[i-1]) {
				if !yield(facts[first:i]) {
					return
				}
				first = i
			}
		}
		yield(facts[first:])
	}
}

// erase erases the people whose last record in an account was deleted. While there
// is another one it was the deletion of a duplicate, and that one takes its place.
func (b *batch) erase() error {
	for _, e := range b.erasures {
		left, err := b.tx.Duplicates([]int64{e.Contact})
		if err != nil {
			return err
		}
		if slices.ContainsFunc(left, func(d directory.Duplicate) bool { return d.Account == e.Account }) {
			continue
		}
		accounts, err := b.tx.Erase(e)
		if err != nil {
			return err
		}
		for _, account := range accounts {
			b.triggers = append(b.triggers, directory.Trigger{Account: account, Entity: contactEntity(e.Contact)})
		}
	}
	return nil
}

// ofErased reports whether a fact is about a message of somebody who was erased,
// or is what a record showed until it was deleted for that.
func (b *batch) ofErased(f *directory.Fact) bool {
	for _, key := range messagesOf(f) {
		if m := b.messages[key]; m != nil && m.Erased {
			return true
		}
	}
	if f.Observed == nil {
		return false
	}
	return slices.ContainsFunc(recordsOf(f), func(key directory.RecordKey) bool {
		until, erased := b.erased[key]
		return erased && b.links[key] == nil && !f.Observed.Read.After(until)
	})
}

// withoutErased settles what becomes of a record that was merged into another one,
// if either is an erased person's: what somebody else has a part in is not deleted.
func (b *batch) withoutErased(link, was *directory.Link) (*directory.Link, *directory.Link) {
	leave := func(l *directory.Link) {
		delete(b.links, directory.RecordKey{Account: l.Account, ID: l.RecordID})
		l.RecordID, l.Shadow, l.State, l.Reason = "", nil, directory.Skipped, directory.Erased
		b.seen = append(b.seen, seen{b.contacts[l.Entity.ID], *l})
	}
	switch {
	case was == nil || link == nil || was.Erase == link.Erase:
		return link, was
	case was.Erase:
		leave(was)
		return link, nil
	}
	leave(link)
	return nil, was
}
