package record

import (
	"maps"
	"slices"
	"time"

	"crmsync/sync/directory"
)

// Why two contacts become one.
const (
	whyPhone   = "a record shows the number of the other"
	whyEmail   = "a record shows the e-mail address of the other"
	whyChanged = "WhatsApp says that the number was changed"
	whyMerged  = "the records were merged in the account"
)

// handOver is how long before a change of number the new one may have been in
// use by the same person. Numbers that are given to somebody else rest for longer.
const handOver = 30 * 24 * time.Hour

// joining is two contacts of the working set that are one person.
type joining struct {
	survivor, joined *directory.Contact
	why              string
	fact             *directory.Fact
}

// join notes that two contacts are one person. That is brought about when all
// else is stored.
func (b *batch) join(survivor, joined *directory.Contact, why string, f *directory.Fact) {
	b.joins = append(b.joins, joining{survivor, joined, why, f})
}

// onlyInCRMs reports whether nobody has ever talked with a contact, and WhatsApp
// does not know it.
func (b *batch) onlyInCRMs(c *directory.Contact) bool {
	return c.AccountKey() == "" && !c.Talked() && !b.talked[c.ID]
}

// carryOut makes one contact of two that are one person.
func (b *batch) carryOut(j joining) error {
	return b.attempt(&directory.Join{
		Survivor: j.survivor.ID, Joined: j.joined.ID, At: j.fact.ReceivedAt, Why: j.why, Account: j.fact.Account, Fact: j.fact.ID,
	})
}

// retry makes the joins that have had to wait.
func (b *batch) retry() error {
	waiting, err := b.tx.WaitingJoins()
	for i := range waiting {
		if err := b.attempt(&waiting[i]); err != nil {
			return err
		}
	}
	return err
}

// attempt makes a join, unless a person has split the two before. One that cannot
// be made yet waits.
func (b *batch) attempt(j *directory.Join) error {
	if err := b.update(j); err != nil {
		return err
	}
	past, err := b.tx.Joins(j.Survivor, j.Joined)
	if err != nil {
		return err
	}
	split := func(p directory.Join) bool { return !p.SplitAt.IsZero() }
	waits := func(p directory.Join) bool { return p.Waiting && p.ID != j.ID }
	if j.Survivor == j.Joined || slices.ContainsFunc(past, split) || slices.ContainsFunc(past, waits) {
		return b.tx.DropJoin(j.ID)
	}
	m := merger{tx: b.tx, record: j}
	accounts, made, err := m.run()
	switch {
	case err != nil:
		return err
	case !made && j.Waiting:
		return nil
	case !made:
		j.Waiting = true
		return b.tx.SaveJoin(j)
	}
	for _, account := range accounts {
		b.triggers = append(b.triggers, directory.Trigger{Account: account, Entity: contactEntity(j.Survivor)})
	}
	return nil
}

// update puts the contacts that two have become by now in the place of two.
func (b *batch) update(j *directory.Join) error {
	for {
		into, err := b.tx.Survivors([]int64{j.Survivor, j.Joined})
		if err != nil || len(into) == 0 {
			return err
		}
		if id := into[j.Survivor]; id != 0 {
			j.Survivor = id
		}
		if id := into[j.Joined]; id != 0 {
			j.Joined = id
		}
	}
}

// merger carries out one join.
type merger struct {
	tx               directory.Tx
	record           *directory.Join
	survivor, joined *directory.Contact
}

// run makes the joined contact a part of the survivor and returns the accounts
// that hear of it. It does nothing as long as messages of both are in doubt in an
// account where each has a record: one of them would be looked for in the wrong
// place. They are while they are being written.
func (m *merger) run() (accounts []string, made bool, err error) {
	j := m.record
	if m.survivor, m.joined, err = bothOf(m.tx, j.Survivor, j.Joined); err != nil {
		return nil, false, err
	}
	if m.survivor == nil || m.joined == nil {
		return nil, true, m.tx.DropJoin(j.ID) // erased
	}
	links, err := m.tx.Links([]int64{j.Survivor, j.Joined})
	if err != nil {
		return nil, false, err
	}
	mine, err := m.tx.InDoubt(j.Survivor)
	if err != nil {
		return nil, false, err
	}
	theirs, err := m.tx.InDoubt(j.Joined)
	if err != nil {
		return nil, false, err
	}
	pairs := pairsOf(links, j.Survivor)
	for account, p := range pairs {
		if p.recordless() || !slices.Contains(mine, account) || !slices.Contains(theirs, account) {
			continue
		}
		return nil, false, nil
	}
	if err := m.contents(); err != nil {
		return nil, false, err
	}
	m.survivor.Version++
	if err := m.tx.SaveContacts([]*directory.Contact{m.survivor}); err != nil {
		return nil, false, err
	}
	if err := m.moveLinks(pairs, theirs); err != nil {
		return nil, false, err
	}
	j.Waiting = false
	if err := m.tx.SaveJoin(j); err != nil {
		return nil, false, err
	}
	accounts, err = wantEverywhere(m.tx, m.survivor, j.At)
	return accounts, true, err
}

func bothOf(tx directory.Tx, a, b int64) (first, second *directory.Contact, err error) {
	list, err := tx.Contacts([]int64{a, b})
	for _, c := range list {
		if c.Erased.Is() {
			continue
		}
		if c.ID == a {
			first = c
		} else {
			second = c
		}
	}
	return first, second, err
}

// contents moves messages, names and fields.
func (m *merger) contents() (err error) {
	j := m.record
	if j.Moved.Messages, err = m.tx.MoveMessages(j.Joined, j.Survivor, nil); err != nil {
		return err
	}
	names, err := m.tx.IdentitiesOf([]int64{j.Survivor, j.Joined})
	if err != nil {
		return err
	}
	var given, old []directory.Identity
	for _, n := range names {
		if n.ContactID != j.Joined {
			continue
		}
		i := slices.IndexFunc(names, func(s directory.Identity) bool { return s.ContactID == j.Survivor && s.IdentityKey == n.IdentityKey })
		j.Moved.Identities = append(j.Moved.Identities, directory.MovedIdentity{Kind: n.Kind, Value: n.Value, RetiredAt: n.RetiredAt, Had: i >= 0})
		old = append(old, n)
		if i >= 0 && names[i].RetiredAt.IsZero() {
			continue
		}
		n.ContactID = j.Survivor
		given = append(given, n)
	}
	if err := m.tx.RemoveIdentities(old); err != nil {
		return err
	}
	if err := m.tx.SaveIdentities(given); err != nil {
		return err
	}
	j.Moved.Fields = m.survivor.Absorb(m.joined)
	talks, err := m.tx.Conversations([]int64{j.Survivor})
	if err != nil {
		return err
	}
	m.survivor.SumUp(talks[j.Survivor])
	return nil
}

// pair is what two contacts have in an account; nil for what the account has
// never heard of.
type pair struct{ survivor, joined *directory.Link }

func pairsOf(links []directory.Link, survivor int64) map[string]*pair {
	pairs := map[string]*pair{}
	for i := range links {
		l := &links[i]
		p := pairs[l.Account]
		if p == nil {
			p = &pair{}
			pairs[l.Account] = p
		}
		if l.Entity.ID == survivor {
			p.survivor = l
		} else {
			p.joined = l
		}
	}
	return pairs
}

// recordless reports whether one of the two has no record.
func (p *pair) recordless() bool {
	return p.survivor == nil || p.joined == nil || p.survivor.RecordID == "" || p.joined.RecordID == ""
}

// moveLinks gives the survivor the joined contact's records, where it has none.
// Where both have one it keeps its own, unless messages of the other one are in
// doubt there and have to be looked for where they may be. What is left over is a
// duplicate.
func (m *merger) moveLinks(pairs map[string]*pair, theirs []string) error {
	j := m.record
	var stored []directory.Link
	var doubles []directory.Duplicate
	for _, account := range slices.Sorted(maps.Keys(pairs)) {
		p := pairs[account]
		if p.joined == nil {
			continue
		}
		moved := directory.MovedLink{Account: account, Record: p.joined.RecordID, Shadow: p.joined.Shadow, Had: p.survivor != nil}
		if p.joined.State == directory.Skipped {
			moved.Skipped = p.joined.Reason
		}
		if p.survivor != nil {
			moved.Survivor, moved.SurvivorShadow = p.survivor.RecordID, p.survivor.Shadow
		}
		j.Moved.Links = append(j.Moved.Links, moved)
		takes := moved.Record != "" && (moved.Survivor == "" || slices.Contains(theirs, account))
		other := moved.Record
		switch {
		case takes:
			other = moved.Survivor
			stored = append(stored, directory.Link{
				Account: account, Entity: contactEntity(j.Survivor), RecordID: moved.Record, Shadow: moved.Shadow, State: directory.Pending, Wanted: m.survivor.Version,
			})
		case p.survivor == nil && moved.Skipped != "":
			stored = append(stored, directory.Link{Account: account, Entity: contactEntity(j.Survivor), State: directory.Skipped, Reason: moved.Skipped, Wanted: m.survivor.Version})
		case p.survivor == nil, moved.Survivor == "" && p.survivor.State == directory.Skipped && moved.Skipped == "":
			// The account is owed messages of the other one.
			stored = append(stored, directory.Link{Account: account, Entity: contactEntity(j.Survivor), State: directory.Pending, Wanted: m.survivor.Version})
		}
		if other != "" {
			doubles = append(doubles, directory.Duplicate{RecordKey: directory.RecordKey{Account: account, ID: other}, ContactID: j.Survivor, FoundAt: j.At})
		}
		stored = append(stored, directory.Link{
			Account: account, Entity: contactEntity(j.Joined), State: directory.Skipped, Reason: directory.Joined, Wanted: max(p.joined.Wanted, m.joined.Version),
		})
	}
	if err := m.tx.SaveRecords(stored); err != nil {
		return err
	}
	if err := m.tx.MoveDuplicates(j.Joined, j.Survivor); err != nil {
		return err
	}
	if err := m.tx.SaveDuplicates(doubles, nil); err != nil {
		return err
	}
	return m.tx.SettleLetters(j.Joined, directory.Joined)
}

// wantEverywhere makes all accounts that have heard of a contact owe it as it is
// now, and returns them.
func wantEverywhere(tx directory.Tx, c *directory.Contact, at time.Time) ([]string, error) {
	linked, err := tx.LinkedAccounts([]int64{c.ID})
	if err != nil {
		return nil, err
	}
	wants := make([]directory.Want, len(linked[c.ID]))
	for i, account := range linked[c.ID] {
		wants[i] = directory.Want{Account: account, Entity: contactEntity(c.ID), Version: c.Version, ReceivedAt: at}
	}
	return linked[c.ID], tx.Want(wants)
}
