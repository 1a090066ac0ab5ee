package store

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"time"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"crmsync/connectors"
	"crmsync/sync/deadletter"
	"crmsync/sync/directory"
)

// chunk is how many rows one statement carries: SQLite takes at most 32,766
// variables.
const chunk = 500

// Record runs f in one transaction. Recorders of all replicas take turns.
func (db *DB) Record(ctx context.Context, f func(tx directory.Tx) error) error {
	return db.tx(ctx, func(tx *gorm.DB) error {
		if err := db.takeTurn(tx); err != nil {
			return err
		}
		return f(&recordTx{db: tx, now: db.now(), settleWithin: db.SettleWithin})
	})
}

// takeTurn waits until nobody else changes the directory.
func (db *DB) takeTurn(tx *gorm.DB) error {
	if !db.postgres {
		return nil // the database is locked as a whole
	}
	return tx.Exec("SELECT pg_advisory_xact_lock(hashtext('crmsync.record'))").Error
}

// recordTx is a transaction of the recorder.
type recordTx struct {
	db           *gorm.DB
	now          time.Time
	settleWithin time.Duration
	// known are the facts that had been recorded when they were asked for.
	known map[string]bool
}

// Known returns which of the facts have been recorded before.
func (tx *recordTx) Known(facts []directory.Fact) (map[string]bool, error) {
	ids := make([]string, len(facts), 2*len(facts))
	behind := make(map[string]string, len(facts))
	for i := range facts {
		ids[i] = facts[i].ID
		behind[veil(ids[i])] = ids[i]
	}
	ids = slices.AppendSeq(ids, maps.Keys(behind))
	var found []string
	if err := tx.db.Model(&factRow{}).Where("id IN ?", ids).Pluck("id", &found).Error; err != nil {
		return nil, fmt.Errorf("read facts: %w", err)
	}
	known := make(map[string]bool, len(found))
	for _, id := range found {
		if fact, is := behind[id]; is {
			id = fact
		}
		known[id] = true
	}
	tx.known = maps.Clone(known)
	return known, nil
}

// SaveFacts stores new facts, and the letters of those that could not be read:
// whatever happens next, they are on the worklist.
func (tx *recordTx) SaveFacts(outcomes []directory.FactOutcome) error {
	rows := make([]factRow, len(outcomes))
	var letters []letterRow
	for i, o := range outcomes {
		rows[i] = factRow{
			ID: o.Fact.ID, Account: o.Fact.Account, Kind: string(o.Fact.Kind), Type: connectors.Clean(o.Fact.Type),
			At: utc(o.Fact.When()), ReceivedAt: utc(o.Fact.ReceivedAt), RecordedAt: tx.now,
			Outcome: o.Outcome, Raw: o.Raw,
			EntityKind: (*string)(&outcomes[i].Entity.Kind), EntityID: &outcomes[i].Entity.ID,
		}
		if o.Outcome == directory.SkippedErased {
			rows[i].ID = veil(o.Fact.ID)
		}
		if o.Fact.Kind == connectors.KindMalformed {
			letter := deadletter.OfFact(o.Fact, "", tx.now, tx.settleWithin)
			letters = append(letters, rowOfLetter(&letter))
		}
	}
	if err := insert(tx.db, "facts", rows); err != nil {
		return err
	}
	return insert(tx.db, "dead letters", letters, clause.OnConflict{DoNothing: true})
}

// Identities returns all holders, past and present, of any of the keys.
func (tx *recordTx) Identities(keys []directory.IdentityKey) ([]directory.Identity, error) {
	values := make([]string, len(keys))
	kinds := map[string]bool{} // which the index begins with
	for i := range keys {
		values[i], kinds[string(keys[i].Kind)] = keys[i].Value, true
	}
	var found []directory.Identity
	for part := range chunks(values) {
		var rows []identityRow
		if err := tx.db.Where("kind IN ? AND value IN ?", slices.Collect(maps.Keys(kinds)), part).Find(&rows).Error; err != nil {
			return nil, fmt.Errorf("read identities: %w", err)
		}
		for _, r := range rows {
			found = append(found, r.identity())
		}
	}
	return found, nil
}

// SaveIdentities stores identities; one that exists takes the given
// retirement.
func (tx *recordTx) SaveIdentities(identities []directory.Identity) error {
	rows := make([]identityRow, len(identities))
	for i, id := range identities {
		rows[i] = identityRow{string(id.Kind), id.Value, id.ContactID, orNull(id.RetiredAt)}
	}
	return insert(tx.db, "identities", rows, clause.OnConflict{
		Columns:   []clause.Column{{Name: "kind"}, {Name: "value"}, {Name: "contact_id"}},
		DoUpdates: clause.AssignmentColumns([]string{"retired_at"}),
	})
}

// Contacts returns the contacts with the ids, in any order.
func (tx *recordTx) Contacts(ids []int64) ([]*directory.Contact, error) {
	return contacts(tx.db, ids)
}

func contacts(db *gorm.DB, ids []int64) ([]*directory.Contact, error) {
	found := make([]*directory.Contact, 0, len(ids))
	for part := range chunks(ids) {
		var rows []contactRow
		if err := db.Where("id IN ?", part).Find(&rows).Error; err != nil {
			return nil, fmt.Errorf("read contacts: %w", err)
		}
		for i := range rows {
			c, err := rows[i].contact()
			if err != nil {
				return nil, err
			}
			found = append(found, c)
		}
	}
	return found, nil
}

// SaveContacts stores contacts and gives new ones their ID.
func (tx *recordTx) SaveContacts(list []*directory.Contact) error {
	var fresh []*directory.Contact
	var freshRows, rows []contactRow
	for _, c := range list {
		fields, err := json.Marshal(c.Fields)
		if err != nil {
			return err
		}
		r := contactRow{ID: c.ID, Version: c.Version, Fields: string(fields), CreatedAt: utc(c.CreatedAt), UpdatedAt: tx.now}
		if c.ID == 0 {
			r.CreatedAt = tx.now
			fresh, freshRows = append(fresh, c), append(freshRows, r)
		} else {
			rows = append(rows, r)
		}
	}
	if err := insert(tx.db, "contacts", freshRows); err != nil {
		return err
	}
	for i := range fresh {
		fresh[i].ID = freshRows[i].ID
	}
	return insert(tx.db, "contacts", rows, clause.OnConflict{
		Columns:   []clause.Column{{Name: "id"}},
		DoUpdates: clause.AssignmentColumns([]string{"version", "fields", "updated_at"}),
	})
}

// Messages returns the messages with the keys, in any order.
func (tx *recordTx) Messages(keys []directory.MessageKey) ([]*directory.Message, error) {
	wamids := make([]string, 0, 2*len(keys))
	numbers := map[string]bool{} // which the index begins with
	wanted := make(map[directory.MessageKey]string, 2*len(keys))
	for _, k := range keys {
		behind := directory.MessageKey{BusinessNumber: k.BusinessNumber, WAMID: veil(k.WAMID)}
		wamids = append(wamids, k.WAMID, behind.WAMID)
		numbers[k.BusinessNumber], wanted[k], wanted[behind] = true, k.WAMID, k.WAMID
	}
	var found []*directory.Message
	for part := range chunks(wamids) {
		var rows []messageRow
		if err := tx.db.Where("business_number IN ? AND wamid IN ?", slices.Collect(maps.Keys(numbers)), part).Find(&rows).Error; err != nil {
			return nil, fmt.Errorf("read messages: %w", err)
		}
		for i := range rows {
			m := rows[i].message()
			if wamid, is := wanted[m.Key()]; is {
				m.WAMID = wamid
				found = append(found, m)
			}
		}
	}
	return found, nil
}

// SaveMessages stores messages and gives new ones their ID.
func (tx *recordTx) SaveMessages(list []*directory.Message) error {
	var fresh []*directory.Message
	var freshRows, rows []messageRow
	for _, m := range list {
		if m.ID == 0 {
			fresh, freshRows = append(fresh, m), append(freshRows, rowOfMessage(m, tx.now))
		} else {
			rows = append(rows, rowOfMessage(m, tx.now))
		}
	}
	if err := insert(tx.db, "messages", freshRows); err != nil {
		return err
	}
	for i := range fresh {
		fresh[i].ID = freshRows[i].ID
	}
	return insert(tx.db, "messages", rows, clause.OnConflict{
		Columns: []clause.Column{{Name: "id"}},
		DoUpdates: clause.AssignmentColumns([]string{
			"version", "contact_id", "direction", "type", "text", "text_at", "text_rank", "at",
			"status", "status_at", "error_code", "group_id", "updated_at",
		}),
	})
}

// SaveFiles stores the files of messages. A message has one: the first.
func (tx *recordTx) SaveFiles(files []directory.File) error {
	rows := make([]fileRow, len(files))
	for i, f := range files {
		rows[i] = fileRow{
			MessageID: f.MessageID, MediaID: connectors.Clean(f.Media.ID), MIMEType: connectors.Clean(f.Media.MIMEType),
			SHA256: connectors.Clean(f.Media.SHA256), Filename: connectors.Clean(f.Media.Filename), CreatedAt: tx.now,
		}
	}
	return insert(tx.db, "files", rows, clause.OnConflict{DoNothing: true})
}

// Conversations sums up the one-to-one messages of each contact.
func (tx *recordTx) Conversations(contactIDs []int64) (map[int64]directory.Conversation, error) {
	found := make(map[int64]directory.Conversation, len(contactIDs))
	for part := range chunks(contactIDs) {
		if err := conversations(tx.db, found, conversationSQL, part); err != nil {
			return nil, fmt.Errorf("sum up conversations: %w", err)
		}
	}
	return found, nil
}

// conversationSQL answers every column with a seek in messages_contact, so
// that a long conversation costs no more than a short one.
const conversationSQL = `SELECT c.id,
	(SELECT m.at FROM messages m WHERE m.contact_id = c.id AND m.direction = 'in' AND m.group_id = '' AND m.at IS NOT NULL ORDER BY m.at LIMIT 1) AS first_in,
	(SELECT m.at FROM messages m WHERE m.contact_id = c.id AND m.direction = 'out' AND m.group_id = '' AND m.at IS NOT NULL ORDER BY m.at LIMIT 1) AS first_out,
	(SELECT m.id FROM messages m WHERE m.contact_id = c.id AND m.direction = 'in' AND m.group_id = '' AND m.at IS NOT NULL ORDER BY m.at DESC, m.wamid DESC LIMIT 1) AS last_in,
	(SELECT m.id FROM messages m WHERE m.contact_id = c.id AND m.direction = 'out' AND m.group_id = '' AND m.at IS NOT NULL ORDER BY m.at DESC, m.wamid DESC LIMIT 1) AS last_out,
	(SELECT count(*) FROM messages m WHERE m.contact_id = c.id AND m.direction = 'in' AND m.group_id = '' AND m.at > COALESCE(
		(SELECT max(o.at) FROM messages o WHERE o.contact_id = c.id AND o.direction = 'out' AND o.group_id = ''), '0001-01-01 00:00:00+00:00')) AS unanswered
	FROM contacts c WHERE c.id IN ?`

func conversations(db *gorm.DB, into map[int64]directory.Conversation, sql string, args ...any) error {
	var rows []struct {
		ID         int64
		FirstIn    *time.Time
		FirstOut   *time.Time
		LastIn     *int64
		LastOut    *int64
		Unanswered int
	}
	if err := db.Raw(sql, args...).Scan(&rows).Error; err != nil {
		return err
	}
	var ids []int64
	for _, r := range rows {
		for _, id := range []*int64{r.LastIn, r.LastOut} {
			if id != nil {
				ids = append(ids, *id)
			}
		}
	}
	newest := make(map[int64]*directory.Message, len(ids))
	list, err := messages(db, ids)
	if err != nil {
		return err
	}
	for _, m := range list {
		newest[m.ID] = m
	}
	for _, r := range rows {
		c := directory.Conversation{FirstIn: orZero(r.FirstIn), FirstOut: orZero(r.FirstOut), Unanswered: r.Unanswered}
		if r.LastIn != nil {
			c.LastIn = newest[*r.LastIn]
		}
		if r.LastOut != nil {
			c.LastOut = newest[*r.LastOut]
		}
		into[r.ID] = c
	}
	return nil
}

func messages(db *gorm.DB, ids []int64) ([]*directory.Message, error) {
	found := make([]*directory.Message, 0, len(ids))
	for part := range chunks(ids) {
		var rows []messageRow
		if err := db.Where("id IN ?", part).Find(&rows).Error; err != nil {
			return nil, fmt.Errorf("read messages: %w", err)
		}
		for i := range rows {
			found = append(found, rows[i].message())
		}
	}
	return found, nil
}

// LinkedAccounts returns the accounts that have heard of each contact.
func (tx *recordTx) LinkedAccounts(contactIDs []int64) (map[int64][]string, error) {
	accounts := make(map[int64][]string, len(contactIDs))
	for part := range chunks(contactIDs) {
		var rows []linkRow
		err := tx.db.Select("account", "entity_id").Where("kind = 'contact' AND entity_id IN ?", part).Find(&rows).Error
		if err != nil {
			return nil, fmt.Errorf("read links: %w", err)
		}
		for _, r := range rows {
			accounts[r.EntityID] = append(accounts[r.EntityID], r.Account)
		}
	}
	return accounts, nil
}

// Want makes accounts owe the given versions. What was settled becomes
// pending again; a dead one gets a fresh start.
func (tx *recordTx) Want(wants []directory.Want) error {
	var rows, revived []linkRow
	for _, w := range wants {
		received := orNull(w.ReceivedAt)
		row := linkRow{
			Account: w.Account, Kind: string(w.Entity.Kind), EntityID: w.Entity.ID,
			State: string(directory.Pending), Wanted: w.Version, Since: received, Latest: received, UpdatedAt: tx.now,
		}
		if w.Revive {
			revived = append(revived, row)
		} else {
			rows = append(rows, row)
		}
	}
	if err := tx.want(revived, "(excluded.wanted > links.wanted OR links.state = 'skipped' AND links.reason = ?)", directory.Deleted); err != nil {
		return err
	}
	return tx.want(rows, "excluded.wanted > links.wanted AND NOT (links.state = 'skipped' AND links.reason = ?)", directory.Deleted)
}

// want stores debts, of those that are there already where the condition holds.
func (tx *recordTx) want(rows []linkRow, condition string, args ...any) error {
	condition = "links.erase = 0 AND (" + condition + ")"
	return insert(tx.db, "links", rows, clause.OnConflict{
		Columns: linkKey,
		Where:   clause.Where{Exprs: []clause.Expression{gorm.Expr(condition, args...)}},
		DoUpdates: clause.Assignments(map[string]any{
			"wanted":       gorm.Expr("excluded.wanted"),
			"latest":       gorm.Expr("excluded.latest"),
			"since":        gorm.Expr("CASE WHEN links.state = 'pending' THEN COALESCE(links.since, excluded.since) ELSE excluded.since END"),
			"attempts":     gorm.Expr("CASE WHEN links.state = 'dead' THEN 0 ELSE links.attempts END"),
			"history":      gorm.Expr("CASE WHEN links.state = 'dead' THEN '' ELSE links.history END"),
			"next_attempt": gorm.Expr("CASE WHEN links.state = 'dead' OR links.attempts = 0 THEN NULL ELSE links.next_attempt END"),
			"state":        gorm.Expr("'pending'"),
			"updated_at":   gorm.Expr("excluded.updated_at"),
		}),
	})
}

var _ directory.Tx = (*recordTx)(nil)

var linkKey = []clause.Column{{Name: "account"}, {Name: "kind"}, {Name: "entity_id"}}

// insert stores rows in statements of bounded size.
func insert[R any](db *gorm.DB, table string, rows []R, clauses ...clause.Expression) error {
	_, err := insertCounted(db, table, rows, clauses...)
	return err
}

// insertCounted is insert, and returns how many rows it has stored.
func insertCounted[R any](db *gorm.DB, table string, rows []R, clauses ...clause.Expression) (n int64, err error) {
	for start := 0; start < len(rows); start += chunk {
		part := rows[start:min(start+chunk, len(rows))]
		done := db.Clauses(clauses...).Create(&part)
		if done.Error != nil {
			return n, fmt.Errorf("write %s: %w", table, done.Error)
		}
		n += done.RowsAffected
	}
	return n, nil
}

// chunks yields a slice in parts of bounded size, none if it is empty.
func chunks[T any](all []T) func(yield func([]T) bool) {
	return func(yield func([]T) bool) {
		for start := 0; start < len(all); start += chunk {
			if !yield(all[start:min(start+chunk, len(all))]) {
				return
			}
		}
	}
}
