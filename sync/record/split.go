package record

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"crmsync/sync/directory"
)

// ErrNoJoin says that there is no such join, or none any more.
var ErrNoJoin = errors.New("there is no such join")

// Split undoes a join and returns it: the contacts are two again, as they were,
// with what has been heard of each name since. What was recorded of the
// conversation since then stays with the survivor. They are not joined again
// by themselves.
func Split(tx directory.Tx, id int64, who string, now time.Time) (*directory.Join, error) {
	j, err := tx.Join(id)
	switch {
	case err != nil:
		return nil, err
	case j == nil || j.Waiting:
		return nil, fmt.Errorf("%w: %d", ErrNoJoin, id)
	case !j.SplitAt.IsZero():
		return nil, fmt.Errorf("%w any more: %d was split by %s", ErrNoJoin, id, j.SplitBy)
	}
	into, err := tx.Survivors([]int64{j.Survivor})
	if err != nil {
		return nil, err
	}
	if next := into[j.Survivor]; next != 0 {
		return nil, fmt.Errorf("contact %d has become a part of contact %d since: split that join first", j.Survivor, next)
	}
	s := splitter{tx: tx, record: j}
	if s.survivor, s.joined, err = bothOf(tx, j.Survivor, j.Joined); err != nil {
		return nil, err
	}
	if s.survivor == nil || s.joined == nil {
		return nil, fmt.Errorf("%w any more: the contacts of %d are erased", ErrNoJoin, id)
	}
	if err := s.run(who, now); err != nil {
		return nil, err
	}
	return j, nil
}

// splitter undoes one join.
type splitter struct {
	tx               directory.Tx
	record           *directory.Join
	survivor, joined *directory.Contact
}

func (s *splitter) run(who string, now time.Time) error {
	j := s.record
	doubtful, err := s.tx.InDoubt(j.Survivor)
	if err != nil {
		return err
	}
	if len(doubtful) > 0 {
		return fmt.Errorf("messages of contact %d are on their way to %s: try again when they are there", j.Survivor, doubtful[0])
	}
	if len(j.Moved.Messages) > 0 {
		if _, err := s.tx.MoveMessages(j.Survivor, j.Joined, j.Moved.Messages); err != nil {
			return err
		}
	}
	if err := s.names(); err != nil {
		return err
	}
	s.survivor.GiveBack(s.joined, j.Moved.Fields)
	talks, err := s.tx.Conversations([]int64{j.Survivor, j.Joined})
	if err != nil {
		return err
	}
	for _, c := range []*directory.Contact{s.survivor, s.joined} {
		c.Recount(talks[c.ID])
		c.Version++
	}
	if err := s.tx.SaveContacts([]*directory.Contact{s.survivor, s.joined}); err != nil {
		return err
	}
	if err := s.links(); err != nil {
		return err
	}
	j.SplitAt, j.SplitBy = now, who
	if err := s.tx.SaveJoin(j); err != nil {
		return err
	}
	for _, c := range []*directory.Contact{s.survivor, s.joined} {
		if _, err := wantEverywhere(s.tx, c, now); err != nil {
			return err
		}
	}
	return nil
}

// names gives back the names, as far as they are still in force.
func (s *splitter) names() error {
	held, err := s.tx.IdentitiesOf([]int64{s.record.Survivor})
	if err != nil {
		return err
	}
	var back, taken []directory.Identity
	for _, m := range s.record.Moved.Identities {
		n := directory.Identity{IdentityKey: directory.IdentityKey{Kind: m.Kind, Value: m.Value}, ContactID: s.record.Joined, RetiredAt: m.RetiredAt}
		i := slices.IndexFunc(held, func(h directory.Identity) bool { return h.IdentityKey == n.IdentityKey })
		if i >= 0 && !m.Had {
			n.RetiredAt = held[i].RetiredAt
			taken = append(taken, held[i])
		}
		back = append(back, n)
	}
	if err := s.tx.RemoveIdentities(taken); err != nil {
		return err
	}
	return s.tx.SaveIdentities(back)
}

// links gives back the records that are still there.
func (s *splitter) links() error {
	j := s.record
	all, err := s.tx.Links([]int64{j.Survivor, j.Joined})
	if err != nil {
		return err
	}
	listed, err := s.tx.Duplicates([]int64{j.Survivor})
	if err != nil {
		return err
	}
	owed, err := s.tx.Owed(j.Joined)
	if err != nil {
		return err
	}
	pairs := pairsOf(all, j.Survivor)
	var stored, none []directory.Link
	var taken []directory.RecordKey
	// free is the record if it is there and nobody's.
	free := func(account, record string) string {
		key := directory.RecordKey{Account: account, ID: record}
		if !slices.ContainsFunc(listed, func(d directory.Duplicate) bool { return d.RecordKey == key }) {
			return ""
		}
		taken = append(taken, key)
		return record
	}
	for _, m := range j.Moved.Links {
		back := directory.Link{Account: m.Account, Entity: contactEntity(j.Joined), State: directory.Pending, Wanted: s.joined.Version}
		now := pairs[m.Account].survivor
		switch {
		case m.Record == "" && m.Skipped != "":
			back.State, back.Reason = directory.Skipped, m.Skipped
		case m.Record == "":
		case now != nil && now.RecordID == m.Record:
			back.RecordID, back.Shadow = m.Record, now.Shadow
		default:
			if back.RecordID, back.Shadow = free(m.Account, m.Record), m.Shadow; back.RecordID == "" {
				back.Shadow, back.State, back.Reason = nil, directory.Skipped, directory.Deleted
			}
		}
		if back.State == directory.Skipped && slices.Contains(owed, m.Account) {
			back.State, back.Reason = directory.Pending, "" // its messages wait for it
		}
		stored = append(stored, back)
		if now == nil || now.RecordID != m.Record || m.Record == "" && m.Had {
			continue // the survivor's own
		}
		own := directory.Link{Account: m.Account, Entity: contactEntity(j.Survivor), State: directory.Pending, Wanted: s.survivor.Version}
		if own.RecordID = free(m.Account, m.Survivor); own.RecordID != "" {
			own.Shadow = m.SurvivorShadow
		}
		if own.RecordID == "" && !m.Had && !s.survivor.Talked() {
			none = append(none, own) // the account did not know of it
		} else {
			stored = append(stored, own)
		}
	}
	if err := s.tx.SaveRecords(stored); err != nil {
		return err
	}
	if err := s.tx.Unlink(none); err != nil {
		return err
	}
	return s.tx.SaveDuplicates(nil, taken)
}
