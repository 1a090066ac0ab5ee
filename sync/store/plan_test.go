package store

import (
	"context"
	"database/sql"
	"strings"
	"sync"
	"testing"
	"time"

	"gorm.io/gorm/logger"

	"crmsync/connectors"
	"crmsync/sync/deadletter"
	"crmsync/sync/directory"
	"crmsync/sync/store/storetest"
)

// heard notes the statements that are executed.
type heard struct {
	logger.Interface
	mu         sync.Mutex
	statements []string
}

func (h *heard) LogMode(logger.LogLevel) logger.Interface { return h }

func (h *heard) Trace(_ context.Context, _ time.Time, statement func() (string, int64), _ error) {
	sql, _ := statement()
	h.mu.Lock()
	defer h.mu.Unlock()
	h.statements = append(h.statements, sql)
}

// What is done for every message costs the same however many there are: no
// statement of recording and delivering goes through a whole table.
func TestNoTableIsReadFromEndToEnd(t *testing.T) {
	ctx := t.Context()
	db, err := OpenSQLite(ctx, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	h := &heard{Interface: logger.Discard}
	db.gorm.Logger = h
	check := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	m := &directory.Message{Version: 1, BusinessNumber: "1", WAMID: "w", Direction: connectors.In, Text: "x", At: time.Now()}
	c := &directory.Contact{Version: 1}
	check(db.Record(ctx, func(tx directory.Tx) error {
		f := directory.Fact{ID: "a/1", Account: "a", ReceivedAt: time.Now()}
		_, err := tx.Known([]directory.Fact{f})
		check(err)
		check(tx.SaveFacts([]directory.FactOutcome{{Fact: &f, Outcome: directory.Applied}}))
		check(tx.SaveContacts([]*directory.Contact{c}))
		m.ContactID = c.ID
		check(tx.SaveMessages([]*directory.Message{m}))
		check(tx.SaveFiles([]directory.File{{MessageID: m.ID}}))
		key := directory.IdentityKey{Kind: "wa_id", Value: "1"}
		check(tx.SaveIdentities([]directory.Identity{{IdentityKey: key, ContactID: c.ID}}))
		_, err = tx.Identities([]directory.IdentityKey{key})
		check(err)
		_, err = tx.Messages([]directory.MessageKey{m.Key(), {BusinessNumber: "2", WAMID: "v"}})
		check(err)
		_, err = tx.Contacts([]int64{c.ID})
		check(err)
		_, err = tx.Conversations([]int64{c.ID})
		check(err)
		_, err = tx.LinkedAccounts([]int64{c.ID})
		check(err)
		var wants []directory.Want
		for _, e := range []directory.Entity{{Kind: directory.ContactEntity, ID: c.ID}, {Kind: directory.MessageEntity, ID: m.ID}, {Kind: directory.FileEntity, ID: m.ID}} {
			wants = append(wants, directory.Want{Account: "crm", Entity: e, Version: 1, ReceivedAt: time.Now()})
		}
		check(tx.Want(wants))
		record := []directory.RecordKey{{Account: "crm", ID: "501"}}
		_, err = tx.Records(record, []int64{c.ID})
		check(err)
		_, err = tx.Survivors([]int64{c.ID})
		check(err)
		_, err = tx.Duplicates([]int64{c.ID})
		check(err)
		_, err = tx.ErasedRecords(record)
		check(err)
		_, err = tx.IdentitiesOf([]int64{c.ID})
		check(err)
		check(tx.SaveDuplicates(nil, record))
		return tx.WantPulls([]directory.Pull{{RecordKey: record[0], Change: connectors.RecordUpdated, At: time.Now()}})
	}))
	pulls, err := db.Pulls(ctx, "crm", 10)
	check(err)
	check(db.Pulled(ctx, pulls))
	_, err = db.Shadows(ctx, "crm", []string{"501"})
	check(err)
	_, err = db.SeenDuplicates(ctx, "crm", []string{"501"})
	check(err)
	number, _, err := db.Acquire(ctx, "crm", "me", true, time.Minute)
	check(err)
	_, err = db.Due(ctx, "crm", 10)
	check(err)
	_, err = db.DueLater(ctx, "crm", 10)
	check(err)
	_, err = db.DueFiles(ctx, "crm", []string{"a"}, 10)
	check(err)
	_, err = db.WaitingFor(ctx, "crm", []int64{c.ID})
	check(err)
	for kind, id := range map[directory.EntityKind]int64{directory.ContactEntity: c.ID, directory.MessageEntity: m.ID, directory.FileEntity: m.ID} {
		work, err := db.Load(ctx, "crm", kind, []int64{id})
		check(err)
		check(db.Doubt(ctx, "crm", number, []directory.Entity{{Kind: kind, ID: id}}))
		link := work[0].Link
		link.State, link.RecordID, link.Agreed = directory.Agreed, "501", 1
		_, err = db.Settle(ctx, "crm", number, []directory.Outcome{{Link: link, Loaded: 1}})
		check(err)
	}
	for _, kind := range []string{"hubspot", "zoho"} {
		_, err = db.Identify(ctx, number, directory.Account{Name: "crm", Kind: kind, Names: []string{"7"}})
		check(err)
	}
	_, err = db.Holders(ctx, "crm", []string{"501"})
	check(err)
	check(db.Delivered(ctx, []string{"x"}))
	e := directory.Entity{Kind: directory.ContactEntity, ID: c.ID}
	check(db.PutLetters(ctx, []deadletter.Letter{{ID: deadletter.ForEntity("crm", e), Account: "crm", Entity: e, State: deadletter.Open, UpdatedAt: time.Now()}}))
	replay, n, err := db.Replay(ctx, deadletter.Filter{IDs: []string{deadletter.ForEntity("crm", e)}}, "me")
	check(err)
	list, err := db.Reopen(ctx, "crm", 10, 10)
	check(err)
	if n != 1 || len(list) != 1 {
		t.Fatalf("replayed %d, let in %v", n, list)
	}
	_, _, err = db.CountReplay(ctx, replay)
	check(err)
	_, err = db.Recall(ctx, []string{"crm"})
	check(err)
	_, err = db.Actions(ctx, deadletter.ForEntity("crm", e))
	check(err)

	pool, err := db.gorm.DB()
	check(err)
	seen := 0
	for _, statement := range h.statements {
		seen += plan(t, pool, statement)
	}
	if seen < 20 {
		t.Errorf("%d steps of plans seen", seen)
	}
}

// What people did is only ever added to, whoever writes to the database.
func TestWhatPeopleDidCannotBeChanged(t *testing.T) {
	db, err := OpenSQLite(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	onlyAdded(t, db)
	t.Run("postgres", func(t *testing.T) {
		db, err := OpenPostgres(t.Context(), storetest.Postgres(t))
		if err != nil {
			t.Fatal(err)
		}
		defer db.Close()
		onlyAdded(t, db)
	})
}

func onlyAdded(t *testing.T, db *DB) {
	t.Helper()
	row := actionRow{LetterID: "a", At: db.now(), Who: "anna", Action: "discard"}
	if err := db.gorm.Create(&row).Error; err != nil {
		t.Fatal(err)
	}
	for _, statement := range []string{"UPDATE letter_actions SET who = 'nobody'", "DELETE FROM letter_actions"} {
		if err := db.gorm.Exec(statement).Error; err == nil || !strings.Contains(err.Error(), "only added to") {
			t.Errorf("%s: error %v", statement, err)
		}
	}
}

// plan checks how SQLite would go about a statement, and returns in how many
// steps.
func plan(t *testing.T, pool *sql.DB, statement string) (steps int) {
	t.Helper()
	rows, err := pool.QueryContext(t.Context(), "EXPLAIN QUERY PLAN "+statement)
	if err != nil {
		t.Fatalf("%s: %v", statement, err)
	}
	defer rows.Close()
	for rows.Next() {
		var id, parent, unused int
		var detail string
		if err := rows.Scan(&id, &parent, &unused, &detail); err != nil {
			t.Fatal(err)
		}
		steps++
		// A scan in the order of an index ends at the LIMIT.
		if strings.HasPrefix(detail, "SCAN ") && !strings.Contains(detail, "USING") && !strings.Contains(detail, "CONSTANT ROW") {
			t.Errorf("%s: %s", detail, statement)
		}
		// Through all links of an account, in an order that is wanted.
		if strings.Contains(detail, " links ") && strings.HasSuffix(detail, "(account=? AND kind=?)") {
			t.Errorf("%s: %s", detail, statement)
		}
		if strings.Contains(detail, "SCAN") && strings.Contains(detail, "USING") && !strings.Contains(detail, "(") {
			t.Errorf("%s: %s", detail, statement)
		}
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return steps
}

// The metrics count every few seconds what is in no agreement, and read nothing
// else: of what is, there is more every day.
func TestCountingWhatIsOwedReadsNothingElse(t *testing.T) {
	db, err := OpenSQLite(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	h := &heard{Interface: logger.Discard}
	db.gorm.Logger = h
	if _, err := db.CountLinks(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := db.Waiting(t.Context()); err != nil {
		t.Fatal(err)
	}
	var details []string
	for _, statement := range h.statements {
		var steps []struct{ Detail string }
		if err := db.gorm.Raw("EXPLAIN QUERY PLAN " + statement).Scan(&steps).Error; err != nil {
			t.Fatal(err)
		}
		for _, s := range steps {
			if s := s.Detail; strings.Contains(s, " links ") && !strings.Contains(s, "links_pending") && !strings.Contains(s, "links_exceptions") {
				t.Errorf("%s: %s", s, statement)
			}
			details = append(details, s.Detail)
		}
	}
	if !strings.Contains(strings.Join(details, "\n"), "links_exceptions") {
		t.Errorf("the plans are %q", details)
	}
}
