package main

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"crmsync/cmd/internal/app"
	"crmsync/cmd/internal/sandbox"
)

// A mappingFile is the sample mapping, in which the two editable fields of each
// account are filled from other ones.
type mappingFile struct {
	name, sample string
}

func sampleOf(t *testing.T, info sandbox.Info) mappingFile {
	t.Helper()
	name := filepath.Join(filepath.Dir(info.Config), "mapping.yaml")
	sample, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return mappingFile{name, string(sample)}
}

func (m mappingFile) text(first, second string) string {
	text := m.sample
	for _, fields := range editable {
		text = strings.Replace(text, fields[0]+": source_id", fields[0]+": "+first, 1)
		text = strings.Replace(text, fields[1]+": source_headline", fields[1]+": "+second, 1)
	}
	return text
}

func (m mappingFile) write(t *testing.T, text string) {
	t.Helper()
	if err := errors.Join(os.WriteFile(m.name+".new", []byte(text), 0o600), os.Rename(m.name+".new", m.name)); err != nil {
		t.Fatal(err)
	}
}

// inForce writes a mapping and waits until the worker has put it in force.
func (m mappingFile) inForce(t *testing.T, info sandbox.Info, first, second string) (revision string) {
	t.Helper()
	was := ""
	eventually(t, 20*time.Second, "the worker is ready", func() bool { was = readyOrNot(info).Revision; return was != "" })
	m.write(t, m.text(first, second))
	eventually(t, 20*time.Second, "the mapping is in force", func() bool {
		r := readyOrNot(info)
		revision = r.Revision
		return r.Configuration == "ok" && revision != was
	})
	return revision
}

// readyOrNot is what /readyz says, nothing while it is busy.
func readyOrNot(info sandbox.Info) (r readiness) {
	if !ask200(info.Worker.URL+"/readyz", &r) {
		return readiness{}
	}
	return r
}

// pairsIn are the editable fields as a CRM shows them, by contact, of those who
// have a message.
func pairsIn(t *testing.T, crm sandbox.CRM) map[string][2]string {
	t.Helper()
	var people []struct {
		Phone  string
		Fields map[string]any
	}
	get(t, crm.URL+"/_sim/contacts", &people)
	text := func(v any) string {
		if v == nil {
			return ""
		}
		return fmt.Sprint(v)
	}
	pairs := map[string][2]string{}
	for _, p := range people {
		pairs[p.Phone] = [2]string{text(p.Fields[editable[crm.Account][0]]), text(p.Fields[editable[crm.Account][1]])}
	}
	return pairs
}

// Admins edit the mapping. Nobody writes, and yet the next full sync has every
// contact shown as the mapping says; one more writes nothing, and a rehearsal
// neither.
func TestAnEditedMappingIsBroughtAboutByTheNextFullSync(t *testing.T) {
	t.Parallel()
	info := simulate(t, "--quota", "off")
	m := sampleOf(t, info)
	worker := serve(t, info, withoutQuota(info)...)
	l := newLoad(info)
	const people = 12
	for n := range people {
		l.deliverFrom(fmt.Sprintf("wamid.R%d", n), fmt.Sprintf("1555%07d", n), fmt.Sprintf("Ada%d Lovelace%d", n, n))
	}
	eventually(t, 60*time.Second, "all are in the CRMs", func() bool {
		for _, crm := range info.CRMs() {
			if statsOf(t, crm).Messages < people {
				return false
			}
		}
		return true
	})
	compared(t, info, time.Minute)
	settled(t, info)

	revision := m.inForce(t, info, "last_name", "first_name")
	before := writesTo(t, info)
	if out, errs, code := runCommand(t, "sync", "now", "--dry-run", "--config", info.Config); code != 0 {
		t.Fatalf("exit %d: %s%s", code, out, errs)
	}
	settled(t, info)
	if now := writesTo(t, info); now != before {
		t.Errorf("a rehearsal has written %d times", now-before)
	}
	out, errs, code := runCommand(t, "sync", "now", "--config", info.Config, "-o", "json")
	var syncs []app.Sync
	if err := json.Unmarshal([]byte(out), &syncs); code != 0 || err != nil || len(syncs) != 3 {
		t.Fatalf("exit %d: %s%s", code, out, errs)
	}
	for _, s := range syncs {
		if s.Remapped != people {
			t.Errorf("%s: %d remapped, want %d", s.Account, s.Remapped, people)
		}
	}
	shown := func(crm sandbox.CRM) bool {
		right := 0
		for phone, pair := range pairsIn(t, crm) {
			n := strings.TrimPrefix(phone, "+1555")
			n = strings.TrimLeft(n[:len(n)-1], "0") + n[len(n)-1:]
			if pair == [2]string{"Lovelace" + n, "Ada" + n} {
				right++
			}
		}
		return right == people
	}
	for _, crm := range info.CRMs() {
		eventually(t, 60*time.Second, crm.Name+" shows what the mapping says", func() bool { return shown(crm) })
	}
	settled(t, info)
	for account, s := range syncStatuses(t, info) {
		if s.MappingRevision != revision || s.InLine == nil {
			t.Errorf("%s is in line with %q since %v, want %s", account, s.MappingRevision, s.InLine, revision)
		}
	}
	before = writesTo(t, info)
	for range 2 {
		if out, errs, code := runCommand(t, "sync", "now", "--config", info.Config, "-o", "json"); code != 0 || strings.Count(out, `"remapped":0`) != 3 {
			t.Errorf("exit %d: %s%s", code, out, errs)
		}
		settled(t, info)
	}
	if now := writesTo(t, info); now != before {
		t.Errorf("two further syncs have written %d times", now-before)
	}
	if n := strings.Count(worker.errors.String(), "contacts are brought into line"); n != 6 { // at the start, and once
		t.Errorf("the log speaks %d times of contacts that are brought into line, want 6:\n%s", n, worker.errors)
	}
}

func writesTo(t *testing.T, info sandbox.Info) (n int) {
	t.Helper()
	for _, crm := range info.CRMs() {
		n += statsOf(t, crm).Writes
	}
	return n
}

// The mapping is edited while 1,000 messages a minute come in, into something valid
// and not. Each message arrives once, no contact is ever shown half by one mapping
// and half by another, and every link names a mapping that was in force. The next full
// sync brings all contacts into line with the last.
func TestTheMappingIsEditedUnderLoad(t *testing.T) {
	lasting := 12 * time.Second
	if *measure {
		lasting = 2 * time.Minute
	}
	info := simulate(t)
	m := sampleOf(t, info)
	m.write(t, m.text("first_name", "last_name"))
	worker := serve(t, info)
	worker.deliversTo(info, info.Worker.URL, 20*time.Second)
	l := newLoad(info)
	ctx, cancel := context.WithTimeout(t.Context(), lasting)
	defer cancel()
	over := make(chan struct{})
	go func() { defer close(over); l.run(ctx, 20, 60) }()

	looks := 0
	whole := func() {
		t.Helper()
		for _, crm := range info.CRMs() {
			for phone, pair := range pairsIn(t, crm) {
				if pair[0] == pair[1] && pair[0] != "" || (pair[0] == "") != (pair[1] == "") {
					t.Errorf("%s shows %s half by one mapping and half by another: %q", crm.Name, phone[len(phone)-3:], pair)
				}
				looks++
			}
		}
	}
	edits, refused := 0, 0
	for n := 0; ctx.Err() == nil; n++ {
		for range 5 {
			time.Sleep(200 * time.Millisecond)
			whole()
		}
		switch n % 3 {
		case 0:
			m.inForce(t, info, "last_name", "first_name")
			edits++
		case 1:
			m.write(t, strings.Replace(m.text("first_name", "first_name"), "country: country", "country: contry", 1))
			eventually(t, 15*time.Second, "the mapping is refused", func() bool { return strings.Contains(readyOrNot(info).Configuration, "not valid") })
			refused++
		case 2:
			m.inForce(t, info, "first_name", "last_name")
			edits++
		}
	}
	<-over
	m.inForce(t, info, "last_name", "last_message_direction")
	last := m.inForce(t, info, "last_name", "first_name")
	if len(l.refused)+len(l.unknown) > 0 || len(l.acked) == 0 {
		t.Errorf("%d acknowledged, %d refused, %d not answered", len(l.acked), len(l.refused), len(l.unknown))
	}
	wamids := slices.Sorted(maps.Keys(l.acked))
	for _, crm := range info.CRMs() {
		eventually(t, 3*time.Minute, "every message is in "+crm.Name, func() bool { return statsOf(t, crm).Messages >= len(wamids) })
		for _, wamid := range wamids {
			if shown := messagesIn(t, crm, wamid); len(shown) != 1 {
				t.Errorf("%s shows %s %d times", crm.Name, wamid, len(shown))
			}
		}
		if s := statsOf(t, crm); s.Messages != len(wamids) || s.DuplicateMessages+s.DuplicateContacts > 0 {
			t.Errorf("%s: %+v, want %d messages", crm.Name, s, len(wamids))
		}
	}
	settled(t, info)
	whole()
	if _, errs, code := runCommand(t, "sync", "now", "--config", info.Config); code != 0 {
		t.Fatalf("exit %d: %s", code, errs)
	}
	for _, crm := range info.CRMs() {
		eventually(t, time.Minute, crm.Name+" is in line with the last mapping", func() bool {
			pairs := pairsIn(t, crm)
			for _, pair := range pairs {
				if pair[1] != "Person" || !strings.HasPrefix(pair[0], "1555") {
					return false
				}
			}
			return len(pairs) == 60
		})
	}
	settled(t, info)
	if code := worker.stop(); code != 0 {
		t.Errorf("exit code %d", code)
	}
	was, now := revisionsOf(t, info)
	var known []string
	for _, e := range now.Events {
		known = append(known, e.Revision)
	}
	written := map[string]int{}
	for key, n := range was {
		kind, revision, _ := strings.Cut(key, " ")
		if written[kind] += n; !slices.Contains(known, revision) || kind == "contact" && revision != last {
			t.Errorf("%d links of a %s name the mapping %q; in force were %v", n, kind, revision, known)
		}
	}
	if written["contact"] != 3*60 || written["message"] != 3*len(wamids) || len(was) < 3 {
		t.Errorf("links name these mappings: %v", was)
	}
	t.Logf("%d messages in %v, %d valid and %d invalid edits, %d looks at contacts, %d revisions", len(wamids), lasting, edits, refused, looks, len(known))
}

// revisionsOf counts the links with a record by kind and revision, once the worker
// has stopped, and returns which revisions were in force.
func revisionsOf(t *testing.T, info sandbox.Info) (links map[string]int, h app.MappingHistory) {
	t.Helper()
	out, errs, code := runCommand(t, "mapping", "history", "--config", info.Config, "-o", "json")
	if err := json.Unmarshal([]byte(out), &h); err != nil || code != 0 {
		t.Fatalf("exit %d: %s%s", code, out, errs)
	}
	files, err := filepath.Glob(filepath.Join(filepath.Dir(info.Config), "*", "crmsync.db"))
	if err != nil || len(files) != 1 {
		t.Fatalf("the database is one of %v, error %v", files, err)
	}
	db, err := sql.Open("sqlite", files[0])
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	rows, err := db.QueryContext(t.Context(), "SELECT kind || ' ' || revision, count(*) FROM links WHERE record_id <> '' GROUP BY 1")
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	links = map[string]int{}
	for rows.Next() {
		var key string
		var n int
		if err := rows.Scan(&key, &n); err != nil {
			t.Fatal(err)
		}
		links[key] = n
	}
	return links, h
}
