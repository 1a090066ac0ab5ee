package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"crmsync/sync/deadletter"
	"crmsync/sync/directory"
)

// ErrFenced says that somebody else works for the account now: nothing was
// stored, and nothing more may be sent.
var ErrFenced = errors.New("another worker holds the lease of the account")

// Acquire takes or prolongs the lease of an account for holder. The number
// rises whenever the account changes hands, also to a later run of the same
// holder, which says so by takeOver. It reports false while another holder's
// lease has not expired.
func (db *DB) Acquire(ctx context.Context, account, holder string, takeOver bool, ttl time.Duration) (number int64, ok bool, err error) {
	now := db.now()
	err = db.tx(ctx, func(tx *gorm.DB) error {
		row := leaseRow{Account: account, Holder: "", ExpiresAt: now}
		if err := tx.Clauses(clause.OnConflict{DoNothing: true}).Create(&row).Error; err != nil {
			return err
		}
		if err := db.lock(tx, "UPDATE").Where("account = ?", account).Take(&row).Error; err != nil {
			return err
		}
		mine := row.Holder == holder
		if !mine && row.ExpiresAt.After(now) {
			return nil
		}
		if !mine || takeOver {
			row.Number++
		}
		row.Holder, row.ExpiresAt = holder, utc(now.Add(ttl))
		number, ok = row.Number, true
		return tx.Save(&row).Error
	})
	if err != nil {
		return 0, false, fmt.Errorf("lease of %s: %w", account, err)
	}
	return number, ok, nil
}

// Release gives a lease back, so that another worker need not wait.
func (db *DB) Release(ctx context.Context, account string, number int64) error {
	return db.gorm.WithContext(ctx).Model(&leaseRow{}).
		Where("account = ? AND number = ?", account, number).
		Update("expires_at", db.now()).Error
}

// fenced runs f in a transaction that fails with ErrFenced unless the lease
// still has the given number.
func (db *DB) fenced(ctx context.Context, account string, number int64, f func(tx *gorm.DB) error) error {
	return db.tx(ctx, func(tx *gorm.DB) error {
		var row leaseRow
		err := db.lock(tx, "SHARE").Where("account = ? AND number = ?", account, number).Take(&row).Error
		if errors.Is(err, gorm.ErrRecordNotFound) {
			return ErrFenced
		}
		if err != nil {
			return err
		}
		return f(tx)
	})
}

// lock locks the rows read, where the database is not locked as a whole.
func (db *DB) lock(tx *gorm.DB, strength string) *gorm.DB {
	if !db.postgres {
		return tx
	}
	return tx.Clauses(clause.Locking{Strength: strength})
}

// Due returns pending contacts, messages and tasks of an account whose next attempt
// may be made, the longest waiting first. Messages and tasks of a contact that has
// no record there yet are not due.
func (db *DB) Due(ctx context.Context, account string, limit int) ([]directory.Entity, error) {
	return db.due(ctx, account, "l.since IS NOT NULL", limit)
}

// DueLater returns those for which nothing that somebody has reported waits; see
// [DB.Remap].
func (db *DB) DueLater(ctx context.Context, account string, limit int) ([]directory.Entity, error) {
	return db.due(ctx, account, "l.since IS NULL", limit)
}

func (db *DB) due(ctx context.Context, account, which string, limit int) ([]directory.Entity, error) {
	var rows []linkRow
	err := db.gorm.WithContext(ctx).Raw(`SELECT l.kind, l.entity_id FROM links l
		WHERE l.account = ? AND l.state = 'pending' AND `+which+` AND (l.next_attempt IS NULL OR l.next_attempt <= ?)
		AND (l.kind = 'contact' OR l.kind = 'message' AND l.erase = 1 OR l.kind = 'message' AND EXISTS (
			SELECT 1 FROM messages m JOIN links c ON c.account = l.account AND c.kind = 'contact' AND c.entity_id = m.contact_id
			WHERE m.id = l.entity_id AND c.record_id <> '')
			OR l.kind = 'task' AND l.erase = 1 OR l.kind = 'task' AND EXISTS (
			SELECT 1 FROM tasks t JOIN links c ON c.account = l.account AND c.kind = 'contact' AND c.entity_id = t.contact_id
			WHERE t.id = l.entity_id AND c.record_id <> ''))
		ORDER BY l.since LIMIT ?`, account, db.now(), limit).Scan(&rows).Error
	if err != nil {
		return nil, fmt.Errorf("read what is due for %s: %w", account, err)
	}
	return entities(rows), nil
}

// DueFiles returns the messages of which an account should get the file, the
// longest waiting first: those that it shows, whose next attempt may be made,
// and that came from other WhatsApp accounts than the excepted ones.
func (db *DB) DueFiles(ctx context.Context, account string, except []string, limit int) ([]int64, error) {
	var ids []int64
	err := db.gorm.WithContext(ctx).Raw(`SELECT l.entity_id FROM links l
		JOIN messages m ON m.id = l.entity_id
		JOIN links s ON s.account = l.account AND s.kind = 'message' AND s.entity_id = l.entity_id AND s.record_id <> ''
		WHERE l.account = ? AND l.kind = 'file' AND l.state = 'pending' AND (l.next_attempt IS NULL OR l.next_attempt <= ?)
		AND m.account NOT IN ?
		ORDER BY l.since LIMIT ?`, account, db.now(), append([]string{""}, except...), limit).Scan(&ids).Error
	if err != nil {
		return nil, fmt.Errorf("read which files are due for %s: %w", account, err)
	}
	return ids, nil
}

// WaitingFor returns the pending messages and tasks of the contacts.
func (db *DB) WaitingFor(ctx context.Context, account string, contactIDs []int64) ([]directory.Entity, error) {
	var all []directory.Entity
	for part := range chunks(contactIDs) {
		var rows []linkRow
		now := db.now()
		err := db.gorm.WithContext(ctx).Raw(`SELECT l.kind, l.entity_id, l.since FROM messages m
			JOIN links l ON l.account = ? AND l.kind = 'message' AND l.entity_id = m.id
			WHERE m.contact_id IN ? AND l.state = 'pending' AND (l.next_attempt IS NULL OR l.next_attempt <= ?)
			UNION ALL SELECT l.kind, l.entity_id, l.since FROM tasks t
			JOIN links l ON l.account = ? AND l.kind = 'task' AND l.entity_id = t.id
			WHERE t.contact_id IN ? AND l.state = 'pending' AND (l.next_attempt IS NULL OR l.next_attempt <= ?)
			ORDER BY since`, account, part, now, account, part, now).Scan(&rows).Error
		if err != nil {
			return nil, fmt.Errorf("read what waits for contacts in %s: %w", account, err)
		}
		all = append(all, entities(rows)...)
	}
	return all, nil
}

func entities(rows []linkRow) []directory.Entity {
	list := make([]directory.Entity, len(rows))
	for i, r := range rows {
		list[i] = directory.Entity{Kind: directory.EntityKind(r.Kind), ID: r.EntityID}
	}
	return list
}

// Load returns what is still to be done about entities of one kind, as the
// directory is now. Entities that are not pending, or whose next attempt may
// not be made yet, are left out.
func (db *DB) Load(ctx context.Context, account string, kind directory.EntityKind, ids []int64) ([]directory.Work, error) {
	d := db.gorm.WithContext(ctx)
	var rows []linkRow
	err := d.Where("account = ? AND kind = ? AND entity_id IN ? AND state = 'pending' AND (next_attempt IS NULL OR next_attempt <= ?)",
		account, string(kind), ids, db.now()).Find(&rows).Error
	if err != nil {
		return nil, fmt.Errorf("load links of %s: %w", account, err)
	}
	pending := make([]int64, len(rows))
	for i, r := range rows {
		pending[i] = r.EntityID
	}
	parts := workParts{}
	if err := parts.load(d, account, kind, pending); err != nil {
		return nil, err
	}
	if kind == directory.ContactEntity {
		if err := parts.loadNamesakes(d, account, rows); err != nil {
			return nil, err
		}
	}
	work := make([]directory.Work, 0, len(rows))
	for i := range rows {
		link, err := rows[i].link()
		if err != nil {
			return nil, err
		}
		w := directory.Work{Link: link, Namesakes: parts.namesakes[link.Entity.ID]}
		id := link.Entity.ID
		if kind == directory.ContactEntity {
			w.Contact = parts.contacts[id]
		} else if w.Task = parts.tasks[id]; w.Task != nil {
			w.ContactRecordID = parts.records[w.Task.ContactID]
		} else if w.Message = parts.messages[id]; w.Message != nil {
			w.ContactRecordID = parts.records[w.Message.ContactID]
			w.File, w.MessageRecordID = parts.files[id], parts.logged[id]
		}
		if (w.Contact != nil || w.Message != nil || w.Task != nil) && (kind != directory.FileEntity || w.File != nil) {
			work = append(work, w)
		}
	}
	return work, nil
}

// workParts are the contacts, messages, files and tasks behind a batch, by id, and
// the record ids of the messages' and tasks' contacts and of the files' messages.
type workParts struct {
	contacts map[int64]*directory.Contact
	messages map[int64]*directory.Message
	files    map[int64]*directory.File
	tasks    map[int64]*directory.Task
	records  map[int64]string
	logged   map[int64]string
	// namesakes are by contact.
	namesakes map[int64][]directory.Link
}

func (p *workParts) load(d *gorm.DB, account string, kind directory.EntityKind, ids []int64) error {
	if kind == directory.ContactEntity {
		list, err := contacts(d, ids)
		p.contacts = make(map[int64]*directory.Contact, len(list))
		for _, c := range list {
			p.contacts[c.ID] = c
		}
		return err
	}
	if kind == directory.TaskEntity {
		return p.loadTasks(d, account, ids)
	}
	if kind == directory.FileEntity {
		if err := p.loadFiles(d, account, ids); err != nil {
			return err
		}
	}
	list, err := messages(d, ids)
	if err != nil {
		return err
	}
	p.messages = make(map[int64]*directory.Message, len(list))
	people := make([]int64, len(list))
	for i, m := range list {
		p.messages[m.ID] = m
		people[i] = m.ContactID
	}
	p.records, err = recordIDs(d, account, directory.ContactEntity, people)
	return err
}

func (p *workParts) loadTasks(d *gorm.DB, account string, ids []int64) error {
	var rows []taskRow
	if err := d.Where("id IN ?", ids).Find(&rows).Error; err != nil {
		return fmt.Errorf("load tasks: %w", err)
	}
	p.tasks = make(map[int64]*directory.Task, len(rows))
	people := make([]int64, len(rows))
	for i := range rows {
		p.tasks[rows[i].ID] = rows[i].task()
		people[i] = rows[i].ContactID
	}
	var err error
	p.records, err = recordIDs(d, account, directory.ContactEntity, people)
	return err
}

func (p *workParts) loadFiles(d *gorm.DB, account string, ids []int64) error {
	var rows []fileRow
	if err := d.Where("message_id IN ?", ids).Find(&rows).Error; err != nil {
		return fmt.Errorf("load files: %w", err)
	}
	p.files = make(map[int64]*directory.File, len(rows))
	for i := range rows {
		p.files[rows[i].MessageID] = rows[i].file()
	}
	var err error
	p.logged, err = recordIDs(d, account, directory.MessageEntity, ids)
	return err
}

// recordIDs are the records that entities of one kind have in an account.
func recordIDs(d *gorm.DB, account string, kind directory.EntityKind, ids []int64) (map[int64]string, error) {
	var links []linkRow
	err := d.Select("entity_id", "record_id").
		Where("account = ? AND kind = ? AND entity_id IN ?", account, string(kind), ids).Find(&links).Error
	if err != nil {
		return nil, fmt.Errorf("load records of %ss in %s: %w", kind, account, err)
	}
	records := make(map[int64]string, len(links))
	for _, l := range links {
		records[l.EntityID] = l.RecordID
	}
	return records, nil
}

func (p *workParts) loadNamesakes(d *gorm.DB, account string, rows []linkRow) error {
	var unlinked []int64
	for i := range rows {
		if rows[i].RecordID == "" {
			unlinked = append(unlinked, rows[i].EntityID)
		}
	}
	if len(unlinked) == 0 {
		return nil
	}
	var pairs []struct{ Self, Other int64 }
	err := d.Raw(`SELECT DISTINCT mine.contact_id AS self, other.contact_id AS other FROM identities mine
		JOIN identities other ON other.kind = mine.kind AND other.value = mine.value AND other.contact_id <> mine.contact_id
		WHERE mine.contact_id IN ?`, unlinked).Scan(&pairs).Error
	if err != nil {
		return fmt.Errorf("load namesakes: %w", err)
	}
	if len(pairs) == 0 {
		return nil
	}
	others := make([]int64, len(pairs))
	for i := range pairs {
		others[i] = pairs[i].Other
	}
	var found []linkRow
	err = d.Where("account = ? AND kind = 'contact' AND entity_id IN ? AND record_id <> ''", account, others).Find(&found).Error
	if err != nil {
		return fmt.Errorf("load namesakes in %s: %w", account, err)
	}
	links := make(map[int64]directory.Link, len(found))
	for i := range found {
		if links[found[i].EntityID], err = found[i].link(); err != nil {
			return err
		}
	}
	p.namesakes = make(map[int64][]directory.Link, len(pairs))
	for _, pair := range pairs {
		if link, ok := links[pair.Other]; ok {
			p.namesakes[pair.Self] = append(p.namesakes[pair.Self], link)
		}
	}
	return nil
}

// Holders returns the contacts that are linked to records of an account.
func (db *DB) Holders(ctx context.Context, account string, recordIDs []string) (map[string][]int64, error) {
	var rows []linkRow
	err := db.gorm.WithContext(ctx).Select("entity_id", "record_id").
		Where("account = ? AND kind = 'contact' AND record_id IN ?", account, recordIDs).Find(&rows).Error
	if err != nil {
		return nil, fmt.Errorf("read holders of records of %s: %w", account, err)
	}
	holders := make(map[string][]int64, len(rows))
	for _, r := range rows {
		holders[r.RecordID] = append(holders[r.RecordID], r.EntityID)
	}
	return holders, nil
}

// Doubt notes, before the call, that entities are about to be created in the
// account: should the answer be lost, they are looked up first.
func (db *DB) Doubt(ctx context.Context, account string, lease int64, list []directory.Entity) error {
	if len(list) == 0 {
		return nil
	}
	ids := make([]int64, len(list))
	for i := range list {
		ids[i] = list[i].ID
	}
	return db.fenced(ctx, account, lease, func(tx *gorm.DB) error {
		return tx.Model(&linkRow{}).
			Where("account = ? AND kind = ? AND entity_id IN ?", account, string(list[0].Kind), ids).
			Update("in_doubt_since", db.now()).Error
	})
}

// Sending notes, before the call, what is about to be sent to the contacts' records
// of the fields that people enter: should the answer be lost, crmsync knows its
// own hand. What is noted takes the place of what was.
func (db *DB) Sending(ctx context.Context, account string, lease int64, sent map[int64]map[string][]string) error {
	if len(sent) == 0 {
		return nil
	}
	var values []string
	var args []any
	for _, id := range slices.Sorted(maps.Keys(sent)) {
		text, err := json.Marshal(sent[id])
		if err != nil {
			return err
		}
		values, args = append(values, "(CAST(? AS BIGINT), ?)"), append(args, id, string(text))
	}
	return db.fenced(ctx, account, lease, func(tx *gorm.DB) error {
		return tx.Exec("UPDATE links SET sent = v.column2 FROM (VALUES "+strings.Join(values, ", ")+
			") AS v WHERE account = ? AND kind = 'contact' AND entity_id = v.column1 AND erase = 0", append(args, account)...).Error
	})
}

// Forget unties an entity from a record that is not its own any more, unless
// it has another by now. It becomes pending again.
func (db *DB) Forget(ctx context.Context, account string, lease int64, e directory.Entity, recordID string) error {
	return db.fenced(ctx, account, lease, func(tx *gorm.DB) error {
		return tx.Model(&linkRow{}).
			Where("account = ? AND kind = ? AND entity_id = ? AND record_id = ? AND erase = 0", account, string(e.Kind), e.ID, recordID).
			Updates(map[string]any{
				"record_id": "", "shadow": "", "agreed": 0, "state": string(directory.Pending), "updated_at": db.now(),
			}).Error
	})
}

// Settle stores what became of a batch of entities of one kind. One that changed
// while it was being written stays pending; Settle returns those. What was
// observed of a contact's record meanwhile stays; see [directory.Outcome.Over].
func (db *DB) Settle(ctx context.Context, account string, lease int64, outcomes []directory.Outcome) (still []directory.Entity, err error) {
	if len(outcomes) == 0 {
		return nil, nil
	}
	now := db.now()
	var ids []int64 // those that are not pending by their own outcome
	for i := range outcomes {
		if l := &outcomes[i].Link; l.State != directory.Pending {
			ids = append(ids, l.Entity.ID)
		}
	}
	kind := string(outcomes[0].Link.Entity.Kind)
	overtaken := "links.wanted > excluded.wanted"
	keep := func(column, otherwise string) clause.Expr {
		return gorm.Expr("CASE WHEN " + overtaken + " AND excluded.state <> 'pending' THEN " + column + " ELSE " + otherwise + " END")
	}
	all := outcomes
	err = db.fenced(ctx, account, lease, func(tx *gorm.DB) error {
		outcomes, err := db.over(tx, outcomes)
		if err != nil {
			return err
		}
		rows := make([]linkRow, len(outcomes))
		for i, o := range outcomes {
			if rows[i], err = rowOfLink(&o.Link, now); err != nil {
				return err
			}
			rows[i].Wanted = o.Loaded
		}
		discarded, err := db.heed(tx, outcomes, rows)
		if err != nil {
			return err
		}
		if err := bury(tx, rows); err != nil {
			return err
		}
		stored, err := insertCounted(tx, "links", rows, clause.OnConflict{
			Columns: linkKey,
			Where:   clause.Where{Exprs: []clause.Expression{gorm.Expr("links.erase = 0")}},
			DoUpdates: clause.Assignments(map[string]any{
				"record_id":      gorm.Expr("excluded.record_id"),
				"shadow":         gorm.Expr("excluded.shadow"),
				"agreed":         gorm.Expr("excluded.agreed"),
				"in_doubt_since": gorm.Expr("excluded.in_doubt_since"),
				"class":          gorm.Expr("excluded.class"),
				"reason":         gorm.Expr("excluded.reason"),
				"revision":       gorm.Expr("excluded.revision"),
				"updated_at":     gorm.Expr("excluded.updated_at"),
				"written_at":     gorm.Expr("COALESCE(excluded.written_at, links.written_at)"),
				"sent":           gorm.Expr("CASE WHEN excluded.state = 'agreed' THEN '' ELSE links.sent END"),
				"state":          keep("'pending'", "excluded.state"),
				"since":          keep("links.latest", "links.since"),
				"attempts":       keep("0", "excluded.attempts"),
				"history":        keep("''", "excluded.history"),
				"next_attempt":   keep("NULL", "excluded.next_attempt"),
			}),
		})
		if err == nil && stored < int64(len(all)) {
			err = db.settleErased(tx, all)
		}
		if err != nil || len(ids) == 0 {
			return err
		}
		if err := skipOrphans(tx, discarded, now); err != nil {
			return err
		}
		var pending []linkRow
		err = tx.Select("kind", "entity_id").
			Where("account = ? AND kind = ? AND entity_id IN ? AND state = 'pending'", account, kind, ids).
			Find(&pending).Error
		still = entities(pending)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("settle %d of %s: %w", len(outcomes), account, err)
	}
	return still, nil
}

// over makes of outcomes about contacts what is to be stored, as the links are
// now. They are locked, so that they stay so.
func (db *DB) over(tx *gorm.DB, outcomes []directory.Outcome) ([]directory.Outcome, error) {
	first := outcomes[0].Link
	if first.Entity.Kind != directory.ContactEntity {
		return outcomes, nil
	}
	ids := make([]int64, len(outcomes))
	for i := range outcomes {
		ids[i] = outcomes[i].Link.Entity.ID
	}
	var rows []linkRow
	err := db.lock(tx, "UPDATE").Where("account = ? AND kind = ? AND entity_id IN ?", first.Account, string(first.Entity.Kind), ids).
		Order("entity_id").Find(&rows).Error
	if err != nil {
		return nil, err
	}
	links := make(map[int64]directory.Link, len(rows))
	for i := range rows {
		if links[rows[i].EntityID], err = rows[i].link(); err != nil {
			return nil, err
		}
	}
	stored := make([]directory.Outcome, 0, len(outcomes))
	for _, o := range outcomes {
		store := true
		if now, there := links[o.Link.Entity.ID]; there {
			o.Link, store = o.Over(&now)
		}
		if store {
			stored = append(stored, o)
		}
	}
	return stored, nil
}

// heed makes of entities that are to be dead what somebody has wanted since, who
// was faster: a letter is on the worklist before its link says so. It returns
// the letters of those that were discarded.
func (db *DB) heed(tx *gorm.DB, outcomes []directory.Outcome, rows []linkRow) (discarded []letterRow, err error) {
	dead := map[string]int{}
	var ids []string
	for i, o := range outcomes {
		if o.Link.State == directory.Dead && len(o.Link.AttemptedAt) > 0 {
			id := deadletter.ForEntity(o.Link.Account, o.Link.Entity)
			dead[id], ids = i, append(ids, id)
		}
	}
	if len(ids) == 0 {
		return nil, nil
	}
	var letters []letterRow
	if err := db.lock(tx, "UPDATE").Where("id IN ? AND state IN ('replaying', 'discarded')", ids).Find(&letters).Error; err != nil {
		return nil, err
	}
	for _, l := range letters {
		i := dead[l.ID]
		attempts, row := outcomes[i].Link.AttemptedAt, &rows[i]
		switch {
		case !l.UpdatedAt.After(utc(attempts[len(attempts)-1])): // it is about an earlier time
		case l.State == string(deadletter.Discarded):
			row.State, row.Reason = string(directory.Skipped), discardedReason
			discarded = append(discarded, l)
		case l.Queued == 0:
			row.State, row.Attempts, row.History, row.NextAttempt = string(directory.Pending), 0, "", nil
		}
	}
	return discarded, nil
}

// StateCount is how many links of an account are in a state.
type StateCount struct {
	Account string
	State   directory.State
	N       int64
}

// CountLinks counts the links of every account that are in no agreement, by
// state. It takes as long as there are such links, however many others.
func (db *DB) CountLinks(ctx context.Context) ([]StateCount, error) {
	var counts []StateCount
	err := db.gorm.WithContext(ctx).Raw(`SELECT account, state, count(*) AS n FROM links WHERE state = 'pending' GROUP BY account, state
		UNION ALL SELECT account, state, count(*) AS n FROM links WHERE state IN ('dead', 'skipped') GROUP BY account, state`).Scan(&counts).Error
	return counts, err
}
