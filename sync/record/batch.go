package record

import (
	"maps"
	"slices"
	"time"

	"crmsync/connectors"
	"crmsync/mapping"
	"crmsync/sync/directory"
)

// batch is the working set of one transaction: what its facts touch, loaded
// once, changed in memory, stored once.
type batch struct {
	tx        directory.Tx
	deliverTo func(account string) []string
	wantsFile func(account string) bool
	mapping   *mapping.Mapping
	region    string
	words     func() Words
	looked    func(contactID int64, f *directory.Fact, fired []mapping.Fired, trace []mapping.Looked)

	facts      []*directory.Fact
	outcomes   []directory.FactOutcome
	malformed  []*directory.Fact
	contacts   map[int64]*directory.Contact // new ones under a negative id until stored
	messages   map[directory.MessageKey]*directory.Message
	identities []directory.Identity

	links         map[directory.RecordKey]*directory.Link  // of the records observed
	own           map[ownKey]*directory.Link               // of the contacts in these accounts
	again         []directory.Pull                         // records that have to be read once more
	made          map[*directory.Link]bool                 // of own, those that have got a record
	seen          []seen                                   // what became of the links
	doubles       map[directory.RecordKey]double           // records that have turned out to be duplicates, or none any more
	vacated       []vacancy                                // contacts that have lost their record
	joins         []joining                                // contacts that are one person
	erased        map[directory.RecordKey]time.Time        // until when what is read of records counts for nothing
	erasures      []directory.Erasure                      // people who may have to be erased
	newIdentities []int                                    // indexes into identities
	heard         map[*directory.Message][]*directory.Fact // what was reported of a message
	files         map[*directory.Message]connectors.Media  // what came with a message
	touched       map[int64][]*directory.Fact              // what was reported of a contact
	talked        map[int64]bool                           // contacts whose messages changed
	triggers      []directory.Trigger

	fresh       map[*directory.Contact]*directory.Fact // contacts that are new, with what has brought them
	occurrences []occurrence                           // what rules look at
	fired       []Fired
	notices     []directory.Notice
	tasks       []*directory.Task
	tasked      map[string]*directory.Fact // by the task's key
}

// load reads everything that the new ones among the facts refer to.
func (b *batch) load(facts []directory.Fact) error {
	known, err := b.tx.Known(facts)
	if err != nil {
		return err
	}
	var keys []directory.IdentityKey
	var messageKeys []directory.MessageKey
	var records []directory.RecordKey
	for i := range facts {
		f := &facts[i]
		if known[f.ID] {
			continue
		}
		known[f.ID] = true // a batch may hold a fact twice
		b.facts = append(b.facts, f)
		keys = append(keys, directory.KeysOf(f.Person)...)
		if f.Identity != nil {
			keys = append(keys, directory.KeysOf(&f.Identity.New)...)
		}
		if f.Observed != nil {
			keys = append(keys, b.keysOf(f)...)
			records = append(records, recordsOf(f)...)
		}
		messageKeys = append(messageKeys, messagesOf(f)...)
	}
	b.contacts = map[int64]*directory.Contact{}
	b.messages = map[directory.MessageKey]*directory.Message{}
	b.heard = map[*directory.Message][]*directory.Fact{}
	b.files = map[*directory.Message]connectors.Media{}
	b.touched = map[int64][]*directory.Fact{}
	b.talked = map[int64]bool{}
	b.doubles = map[directory.RecordKey]double{}
	b.fresh = map[*directory.Contact]*directory.Fact{}
	b.tasked = map[string]*directory.Fact{}

	messages, err := b.tx.Messages(messageKeys)
	if err != nil {
		return err
	}
	var ids []int64
	for _, m := range messages {
		b.messages[m.Key()] = m
		ids = append(ids, m.ContactID)
	}
	if b.identities, err = b.tx.Identities(keys); err != nil {
		return err
	}
	for _, i := range b.identities {
		ids = append(ids, i.ContactID)
	}
	linked, err := b.loadLinks(records, ids)
	if err != nil {
		return err
	}
	if b.erased, err = b.tx.ErasedRecords(records); err != nil {
		return err
	}
	ids = append(ids, linked...)
	slices.Sort(ids)
	contacts, err := b.tx.Contacts(slices.Compact(ids))
	for _, c := range contacts {
		b.contacts[c.ID] = c
	}
	if err != nil {
		return err
	}
	return b.loadFormer()
}

// messagesOf are the messages that a fact names.
func messagesOf(f *directory.Fact) []directory.MessageKey {
	var keys []directory.MessageKey
	if f.Message != nil {
		keys = append(keys, messageKey(f, f.Message.WAMID))
		if f.Message.Target != "" {
			keys = append(keys, messageKey(f, f.Message.Target))
		}
	}
	if f.Status != nil {
		keys = append(keys, messageKey(f, f.Status.WAMID))
	}
	return keys
}

func messageKey(f *directory.Fact, wamid string) directory.MessageKey {
	return directory.MessageKey{BusinessNumber: connectors.Clean(f.BusinessNumber), WAMID: connectors.Clean(wamid)}
}

func (b *batch) newContact() int64 {
	id := -int64(len(b.contacts)) - 1
	b.contacts[id] = &directory.Contact{ID: id}
	return id
}

// touch notes that a fact says something about a contact.
func (b *batch) touch(contactID int64, f *directory.Fact) {
	b.touched[contactID] = append(b.touched[contactID], f)
}

// save stores the working set.
func (b *batch) save() error {
	if err := b.nameNewContacts(); err != nil {
		return err
	}
	messages := make([]*directory.Message, 0, len(b.heard))
	for m := range b.heard {
		if m.Changed {
			m.Version++
			messages = append(messages, m)
			b.talked[m.ContactID] = true
		}
	}
	slices.SortFunc(messages, func(x, y *directory.Message) int { return x.At.Compare(y.At) })
	if err := b.tx.SaveMessages(messages); err != nil {
		return err
	}
	b.traceEffects()
	if err := b.tx.SaveFacts(b.outcomes); err != nil {
		return err
	}
	files := make([]directory.File, 0, len(b.files))
	for m, media := range b.files {
		files = append(files, directory.File{MessageID: m.ID, Media: media})
	}
	if err := b.tx.SaveFiles(files); err != nil {
		return err
	}
	delete(b.talked, 0)
	talks, err := b.tx.Conversations(slices.Sorted(maps.Keys(b.talked)))
	if err != nil {
		return err
	}
	for id, talk := range talks {
		b.contacts[id].SumUp(talk)
	}
	if err := b.fire(); err != nil {
		return err
	}
	var changed, dirty []*directory.Contact
	for _, id := range slices.Sorted(maps.Keys(b.contacts)) {
		c := b.contacts[id]
		if c.Changed {
			c.Version++
			changed = append(changed, c)
		}
		if c.Dirty {
			dirty = append(dirty, c)
		}
	}
	if err := b.tx.SaveContacts(dirty); err != nil {
		return err
	}
	identities := make([]directory.Identity, len(b.newIdentities))
	for i, at := range b.newIdentities {
		identities[i] = b.identities[at]
	}
	if err := b.tx.SaveIdentities(lastOfEach(identities)); err != nil {
		return err
	}
	if err := b.saveSeen(); err != nil {
		return err
	}
	if err := b.saveDoubles(); err != nil {
		return err
	}
	if err := b.tx.WantPulls(b.again); err != nil {
		return err
	}
	if err := b.want(changed, messages); err != nil {
		return err
	}
	if err := b.erase(); err != nil {
		return err
	}
	if err := b.retry(); err != nil {
		return err
	}
	for _, j := range b.joins {
		if err := b.carryOut(j); err != nil {
			return err
		}
	}
	return nil
}

// traceEffects notes what each fact has brought about, now that all of it has
// an id.
func (b *batch) traceEffects() {
	effects := make(map[*directory.Fact]directory.Entity, len(b.facts))
	for id, facts := range b.touched {
		for _, f := range facts {
			effects[f] = contactEntity(id)
		}
	}
	for m, facts := range b.heard {
		for _, f := range facts {
			effects[f] = directory.Entity{Kind: directory.MessageEntity, ID: m.ID}
		}
	}
	for i := range b.outcomes {
		b.outcomes[i].Entity = effects[b.outcomes[i].Fact]
	}
}

// nameNewContacts stores new contacts, which gives them an id, and puts it in
// place of their negative one.
func (b *batch) nameNewContacts() error {
	var fresh []*directory.Contact
	var old []int64
	for _, id := range slices.Backward(slices.Sorted(maps.Keys(b.contacts))) {
		if id < 0 {
			fresh, old = append(fresh, b.contacts[id]), append(old, id)
			b.contacts[id].ID = 0
		}
	}
	if err := b.tx.SaveContacts(fresh); err != nil {
		return err
	}
	renamed := make(map[int64]int64, len(old))
	for i, c := range fresh {
		renamed[old[i]] = c.ID
		b.contacts[c.ID] = c
		b.touched[c.ID] = b.touched[old[i]]
		b.talked[c.ID] = b.talked[old[i]]
		delete(b.contacts, old[i])
		delete(b.touched, old[i])
		delete(b.talked, old[i])
	}
	for i := range b.identities {
		if id, ok := renamed[b.identities[i].ContactID]; ok {
			b.identities[i].ContactID = id
		}
	}
	for m := range b.heard {
		if id, ok := renamed[m.ContactID]; ok {
			m.ContactID = id
		}
	}
	return nil
}

// lastOfEach keeps the last state of each identity.
func lastOfEach(all []directory.Identity) []directory.Identity {
	type key struct {
		directory.IdentityKey
		contact int64
	}
	at := map[key]int{}
	var kept []directory.Identity
	for _, i := range all {
		k := key{i.IdentityKey, i.ContactID}
		if n, seen := at[k]; seen {
			kept[n] = i
			continue
		}
		at[k] = len(kept)
		kept = append(kept, i)
	}
	return kept
}

// want makes the accounts owe what has changed: those that the reporting
// accounts feed, and those that know the contact already.
func (b *batch) want(contacts []*directory.Contact, messages []*directory.Message) error {
	var ids []int64
	changed := map[int64]bool{}
	for _, c := range contacts {
		ids = append(ids, c.ID)
		changed[c.ID] = true
	}
	for _, m := range messages {
		if m.ContactID != 0 && !changed[m.ContactID] {
			ids = append(ids, m.ContactID)
		}
	}
	slices.Sort(ids)
	linked, err := b.tx.LinkedAccounts(slices.Compact(ids))
	if err != nil {
		return err
	}
	needed := map[int64]bool{} // by a task
	for _, t := range b.tasks {
		needed[t.ContactID] = true
	}
	var wants []directory.Want
	asked := map[directory.Trigger]bool{}
	add := func(e directory.Entity, version int64, facts []*directory.Fact, accounts []string) {
		received := time.Time{}
		for _, f := range facts {
			if received.IsZero() || f.ReceivedAt.Before(received) {
				received = f.ReceivedAt
			}
		}
		slices.Sort(accounts)
		for _, account := range slices.Compact(accounts) {
			trigger := directory.Trigger{Account: account, Entity: e}
			if asked[trigger] {
				continue
			}
			asked[trigger] = true
			wants = append(wants, directory.Want{
				Account: account, Entity: e, Version: version, ReceivedAt: received,
				Revive: e.Kind != directory.ContactEntity || b.talked[e.ID] || needed[e.ID],
			})
			if e.Kind == directory.FileEntity {
				continue // its message comes first; the store says when
			}
			b.triggers = append(b.triggers, trigger)
		}
	}
	for _, c := range contacts {
		add(contactEntity(c.ID), c.Version, b.touched[c.ID], append(b.fed(b.touched[c.ID]), linked[c.ID]...))
	}
	for _, m := range messages {
		if m.ContactID == 0 {
			continue
		}
		accounts := b.fed(b.heard[m])
		if !changed[m.ContactID] {
			// An account that has never heard of the contact needs it first.
			without := slices.DeleteFunc(slices.Clone(accounts), func(a string) bool { return slices.Contains(linked[m.ContactID], a) })
			add(contactEntity(m.ContactID), b.contacts[m.ContactID].Version, b.heard[m], without)
			linked[m.ContactID] = append(linked[m.ContactID], without...)
		}
		add(directory.Entity{Kind: directory.MessageEntity, ID: m.ID}, m.Version, b.heard[m], accounts)
	}
	for m := range b.files {
		add(directory.Entity{Kind: directory.FileEntity, ID: m.ID}, 1, b.heard[m], b.fed(b.heard[m]))
	}
	for _, t := range b.tasks {
		because := []*directory.Fact{b.tasked[t.Key]}
		add(contactEntity(t.ContactID), b.contacts[t.ContactID].Version, because, []string{t.Account})
		add(directory.Entity{Kind: directory.TaskEntity, ID: t.ID}, 1, because, []string{t.Account})
	}
	return b.tx.Want(wants)
}

// fed are the accounts that facts are for.
func (b *batch) fed(facts []*directory.Fact) []string {
	var accounts []string
	for _, f := range facts {
		accounts = append(accounts, b.deliverTo(f.Account)...)
	}
	return accounts
}

func contactEntity(id int64) directory.Entity {
	return directory.Entity{Kind: directory.ContactEntity, ID: id}
}

func (b *batch) result() Result {
	return Result{Triggers: b.triggers, Malformed: b.malformed, Recorded: b.facts, Fired: b.fired}
}
