package store

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"gorm.io/gorm"

	"crmsync/connectors"
	"crmsync/sync/audit"
)

// Audit counts what the database holds, at one moment, and finds what does not
// fit together. It hinders nobody. Stream is the one whose recorded events are
// of interest. While letters are on their way to the worklist, dead links
// without one are no fault.
func (db *DB) Audit(ctx context.Context, p audit.Period, stream string, lettersOnTheirWay bool) (*audit.Tally, error) {
	a := auditing{now: db.now(), period: p, tally: &audit.Tally{}, lettersOnTheirWay: lettersOnTheirWay}
	err := db.snapshot(ctx, func(tx *gorm.DB) error {
		a.db = tx
		return a.run(stream)
	})
	if err != nil {
		return nil, fmt.Errorf("audit the database: %w", err)
	}
	return a.tally, nil
}

// auditing is one audit in its transaction.
type auditing struct {
	db                *gorm.DB
	now               time.Time
	period            audit.Period
	tally             *audit.Tally
	lettersOnTheirWay bool
}

func (a *auditing) run(stream string) error {
	if err := a.events(stream); err != nil {
		return err
	}
	steps := []func() error{a.facts, a.links, a.oldest, a.missing, a.stranded, a.letters, a.effects}
	for _, step := range steps {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

// entities are the tables of what links are about, with the columns that say
// when a row was first recorded and last changed.
var entityTables = []struct{ kind, table, id, created, updated string }{
	{"contact", "contacts", "id", "created_at", "updated_at"},
	{"message", "messages", "id", "created_at", "updated_at"},
	{"file", "files", "message_id", "created_at", "created_at"},
	{"task", "tasks", "id", "created_at", "created_at"},
}

// within is the condition that something was recorded or changed in the
// period.
func (a *auditing) within(created, updated string) (condition string, args []any) {
	condition = "1 = 1"
	if !a.period.Since.IsZero() {
		condition += " AND " + updated + " >= ?"
		args = append(args, utc(a.period.Since))
	}
	if !a.period.Until.IsZero() {
		condition += " AND " + created + " < ?"
		args = append(args, utc(a.period.Until))
	}
	return condition, args
}

func (a *auditing) facts() error {
	in, args := a.within("received_at", "received_at")
	return a.db.Raw("SELECT account, outcome, count(*) AS n FROM facts WHERE "+in+" GROUP BY account, outcome", args...).Scan(&a.tally.Facts).Error
}

func (a *auditing) links() error {
	for _, e := range entityTables {
		in, args := a.within("e."+e.created, "e."+e.updated)
		var counts []audit.LinkCount
		err := a.db.Raw(`SELECT l.account, l.kind, l.state, CASE WHEN l.state = 'skipped' THEN l.reason ELSE '' END AS reason, count(*) AS n
			FROM links l JOIN `+e.table+` e ON e.`+e.id+` = l.entity_id
			WHERE l.kind = '`+e.kind+`' AND `+in+`
			GROUP BY l.account, l.kind, l.state, CASE WHEN l.state = 'skipped' THEN l.reason ELSE '' END`, args...).Scan(&counts).Error
		if err != nil {
			return err
		}
		a.tally.Links = append(a.tally.Links, counts...)
	}
	return nil
}

func (a *auditing) oldest() error {
	a.tally.Oldest = map[string]time.Time{}
	var accounts []string
	if err := a.db.Raw("SELECT DISTINCT account FROM links").Scan(&accounts).Error; err != nil {
		return err
	}
	for _, account := range accounts {
		var row linkRow
		err := a.db.Select("since").Where("account = ? AND state = 'pending' AND since IS NOT NULL", account).Order("since").Limit(1).Find(&row).Error
		if err != nil {
			return err
		}
		if row.Since != nil {
			a.tally.Oldest[account] = row.Since.UTC()
		}
	}
	return nil
}

// fed is the condition that an account was fed by another, f, when something
// was recorded.
func fed(at string) string { return at + " >= f.since AND (f.until IS NULL OR " + at + " < f.until)" }

// missing finds what accounts should have and are not even owed.
func (a *auditing) missing() error {
	const nowhere = " AND NOT EXISTS (SELECT 1 FROM links l WHERE l.account = f.feeds AND l.kind = '%s' AND l.entity_id = e.%s)"
	queries := map[string]string{
		"message": `FROM feeds f JOIN messages e ON e.account = f.account WHERE e.contact_id <> 0 AND ` + fed("e.created_at"),
		"file":    `FROM feeds f JOIN messages m ON m.account = f.account JOIN files e ON e.message_id = m.id WHERE m.contact_id <> 0 AND ` + fed("e.created_at"),
		"task":    `FROM (SELECT DISTINCT account AS feeds FROM tasks) f JOIN tasks e ON e.account = f.feeds WHERE e.account <> ''`,
		// A contact is for the accounts that are fed by one that reported any
		// of its values, or of its messages.
		"contact": `FROM feeds f JOIN contacts e ON 1 = 1 WHERE (` + fed("e.created_at") + ` AND e.fields LIKE '%"a":"' || f.account || '"%'
			OR EXISTS (SELECT 1 FROM messages m WHERE m.contact_id = e.id AND m.account = f.account AND ` + fed("m.created_at") + `))`,
	}
	for _, e := range entityTables {
		in, args := a.within("e."+e.created, "e."+e.updated)
		from := queries[e.kind] + fmt.Sprintf(nowhere, e.kind, e.id) + " AND " + in
		found, err := a.find("recorded, and the account is owed nothing of it",
			"SELECT DISTINCT f.feeds AS account, '"+e.kind+"' AS kind, e."+e.id+" AS id "+from, args...)
		if err != nil {
			return err
		}
		for _, f := range found {
			a.tally.Missing = append(a.tally.Missing, audit.LinkCount{Account: f.Account, Kind: e.kind, State: "missing", N: f.Count})
		}
	}
	return nil
}

// putOff is longer than anything puts a delivery off.
const putOff = 25 * time.Hour

// A check is a problem that a link l, with its entity e, has under a condition.
type check struct {
	problem, where string
	args           []any
}

// checks are what may be wrong with the links of a kind: states that nobody
// will ever do anything about.
func (a *auditing) checks(kind string) []check {
	list := []check{
		{"in no known state", "l.state NOT IN ('pending', 'agreed', 'dead', 'skipped')", nil},
		{"said to be in agreement, with an older version than the account should show", "l.state = 'agreed' AND l.agreed < l.wanted", nil},
		{"skipped, and nothing says why", "l.state = 'skipped' AND l.reason = ''", nil},
		{"pending, and put off for longer than a day", "l.state = 'pending' AND l.next_attempt > ?", []any{utc(a.now.Add(putOff))}},
	}
	recordless := check{"said to be in agreement, without a record", "l.state = 'agreed' AND l.record_id = ''", nil}
	const behind = "changed since, and the account is not owed the change"
	waiting := check{"waiting for a contact that will never have a record", `l.state = 'pending' AND l.erase = 0 AND NOT EXISTS (SELECT 1 FROM links c
		WHERE c.account = l.account AND c.kind = 'contact' AND c.entity_id = e.contact_id AND (c.record_id <> '' OR c.state IN ('pending', 'dead')))`, nil}
	switch kind {
	case "task":
		return append(list, recordless, waiting)
	case "contact":
		return append(list, recordless, check{behind, "l.wanted < e.version", nil})
	case "message":
		return append(list, recordless,
			check{behind, `l.wanted < e.version AND EXISTS (SELECT 1 FROM feeds f WHERE f.account = e.account AND f.feeds = l.account
				AND f.until IS NULL AND f.since <= e.updated_at)`, nil}, waiting)
	}
	return append(list, check{"waiting for a message that will never have a record", `l.state = 'pending' AND NOT EXISTS (SELECT 1 FROM links m
		WHERE m.account = l.account AND m.kind = 'message' AND m.entity_id = l.entity_id AND (m.record_id <> '' OR m.state IN ('pending', 'dead')))`, nil})
}

// stranded finds links in states that nobody will ever do anything about, and
// links to what is not there.
func (a *auditing) stranded() error {
	const link = "SELECT l.account, l.kind, l.entity_id AS id"
	for _, e := range entityTables {
		if err := a.strandedOf(e.kind, "FROM links l JOIN "+e.table+" e ON e."+e.id+" = l.entity_id", "e."+e.created, "e."+e.updated); err != nil {
			return err
		}
		in, args := a.within("l.updated_at", "l.updated_at")
		_, err := a.find("linked, and not in the directory", link+" FROM links l WHERE l.kind = '"+e.kind+"' AND "+in+
			" AND NOT EXISTS (SELECT 1 FROM "+e.table+" e WHERE e."+e.id+" = l.entity_id)", args...)
		if err != nil {
			return err
		}
	}
	in, args := a.within("l.updated_at", "l.updated_at")
	_, err := a.find("of no known kind", link+" FROM links l WHERE l.kind NOT IN ('contact', 'message', 'file', 'task') AND "+in, args...)
	return err
}

// strandedOf makes all checks of a kind in one go through its links.
func (a *auditing) strandedOf(kind, from, created, updated string) error {
	checks := a.checks(kind)
	flags, either := make([]string, len(checks)), make([]string, len(checks))
	var args []any
	for i, c := range checks {
		flags[i], either[i] = "WHEN "+c.where+" THEN "+strconv.Itoa(i), "("+c.where+")"
		args = append(args, c.args...)
	}
	in, period := a.within(created, updated)
	args = append(args, period...)
	for _, c := range checks {
		args = append(args, c.args...)
	}
	var rows []struct {
		Account string
		ID      int64
		Problem int
	}
	err := a.db.Raw("SELECT l.account, l.entity_id AS id, CASE "+strings.Join(flags, " ")+" END AS problem "+from+
		" WHERE l.kind = '"+kind+"' AND "+in+" AND ("+strings.Join(either, " OR ")+") ORDER BY 1, 2", args...).Scan(&rows).Error
	if err != nil {
		return err
	}
	found := make([]map[string]*audit.Finding, len(checks))
	for _, r := range rows {
		if found[r.Problem] == nil {
			found[r.Problem] = map[string]*audit.Finding{}
		}
		add(found[r.Problem], r.Account, checks[r.Problem].problem, fmt.Sprintf("%s %d", kind, r.ID))
	}
	for _, f := range found {
		a.keep(f)
	}
	return nil
}

// letters finds dead links without an open letter, or one whose replay has yet
// to begin, and letters without such a link.
func (a *auditing) letters() error {
	const letter = "d.id = l.account || '.' || l.kind || '.' || CAST(l.entity_id AS TEXT)"
	in, args := a.within("l.updated_at", "l.updated_at")
	if !a.lettersOnTheirWay {
		_, err := a.find("dead, and no open letter says so",
			`SELECT l.account, l.kind, l.entity_id AS id FROM links l WHERE l.state = 'dead' AND `+in+`
			AND NOT EXISTS (SELECT 1 FROM dead_letters d WHERE `+letter+` AND (d.state = 'open' OR d.state = 'replaying' AND d.queued > 0))`, args...)
		if err != nil {
			return err
		}
	}
	in, args = a.within("d.created_at", "d.updated_at")
	_, err := a.find("on the worklist, and neither dead nor pending",
		`SELECT d.account, d.kind, d.entity_id AS id FROM dead_letters d WHERE d.kind <> '' AND d.state IN ('open', 'replaying') AND `+in+`
		AND NOT EXISTS (SELECT 1 FROM links l WHERE l.account = d.account AND l.kind = d.kind AND l.entity_id = d.entity_id AND l.state IN ('dead', 'pending'))`, args...)
	return err
}

// effects finds facts that have left no trace, and messages of nobody.
func (a *auditing) effects() error {
	in, args := a.within("f.received_at", "f.received_at")
	checks := []struct{ problem, where string }{
		{"applied, and nothing is there", `f.outcome = 'applied' AND f.entity_kind IS NOT NULL
			AND NOT (f.entity_kind = 'message' AND EXISTS (SELECT 1 FROM messages m WHERE m.id = f.entity_id)
				OR f.entity_kind = 'contact' AND EXISTS (SELECT 1 FROM contacts c WHERE c.id = f.entity_id))`},
		{"unreadable, and no letter says so", `f.outcome LIKE 'malformed%' AND NOT EXISTS (SELECT 1 FROM dead_letters d WHERE d.fact_id = f.id)`},
	}
	for _, c := range checks {
		var rows []struct {
			ID, Account, Kind string
			ReceivedAt        time.Time
		}
		err := a.db.Raw("SELECT f.id, f.account, f.kind, f.received_at FROM facts f WHERE "+in+" AND "+c.where+" ORDER BY f.received_at", args...).Scan(&rows).Error
		if err != nil {
			return err
		}
		found := map[string]*audit.Finding{}
		for _, r := range rows {
			add(found, r.Account, c.problem, factName(r.ID, r.Kind, r.ReceivedAt))
		}
		a.keep(found)
	}
	in, args = a.within("e.created_at", "e.updated_at")
	_, err := a.find("of a contact that is not there", `SELECT e.account, 'message' AS kind, e.id FROM messages e
		WHERE e.contact_id <> 0 AND `+in+` AND NOT EXISTS (SELECT 1 FROM contacts c WHERE c.id = e.contact_id)`, args...)
	return err
}

// factName names a fact without its id, in which there may be a number.
func factName(id, kind string, received time.Time) string {
	return fmt.Sprintf("fact %s (%s, received %s)", connectors.Digest([]byte(id))[:12], kind, received.UTC().Format(time.RFC3339Nano))
}

// find makes findings, one for each account, of what a query selects: account,
// kind and id.
func (a *auditing) find(problem, query string, args ...any) (map[string]*audit.Finding, error) {
	rows, err := a.db.Raw(query+" ORDER BY 1, 3", args...).Rows()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", problem, err)
	}
	defer rows.Close()
	found := map[string]*audit.Finding{}
	for rows.Next() {
		var account, kind string
		var id int64
		if err := rows.Scan(&account, &kind, &id); err != nil {
			return nil, err
		}
		add(found, account, problem, strings.TrimSpace(fmt.Sprintf("%s %d", kind, id)))
	}
	a.keep(found)
	return found, rows.Err()
}

func add(found map[string]*audit.Finding, account, problem, name string) {
	f := found[account]
	if f == nil {
		f = &audit.Finding{Account: account, Problem: problem}
		found[account] = f
	}
	if f.Count++; len(f.Names) < audit.MostNames {
		f.Names = append(f.Names, name)
	}
}

func (a *auditing) keep(found map[string]*audit.Finding) {
	for _, f := range found {
		i := slices.IndexFunc(a.tally.Findings, func(k audit.Finding) bool { return k.Account == f.Account && k.Problem == f.Problem })
		if i < 0 {
			a.tally.Findings = append(a.tally.Findings, *f)
			continue
		}
		k := &a.tally.Findings[i] // of another kind of entity
		k.Count += f.Count
		k.Names = append(k.Names, f.Names[:min(len(f.Names), audit.MostNames-len(k.Names))]...)
	}
}
