package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"crmsync/cmd/internal/app"
	"crmsync/cmd/internal/sandbox"
	"crmsync/mapping"
	"crmsync/sync/directory"
	"crmsync/sync/store"
)

// populate puts people into the directory of a worker that has never run, all of
// whom every CRM has been told by the mapping of the configuration.
func populate(t *testing.T, info sandbox.Info, people int) { populateFrom(t, info, 0, people) }

// populateFrom adds those from a number on.
func populateFrom(t *testing.T, info sandbox.Info, from, people int) {
	t.Helper()
	dir := filepath.Join(filepath.Dir(info.Config), "data")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	db, err := store.OpenSQLite(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	m := mappingIn(t, info)
	for first := from; first < people; first += 5000 {
		list := make([]*directory.Contact, min(5000, people-first))
		for i := range list {
			list[i] = somebodyKnown(first + i)
		}
		err := db.Record(t.Context(), func(tx directory.Tx) error {
			if err := tx.SaveContacts(list); err != nil {
				return err
			}
			var links []directory.Link
			for _, c := range list {
				for _, account := range m.Accounts() {
					fields, _ := m.Translate(account, c.View())
					l := directory.Link{
						Account: account, Entity: directory.Entity{Kind: directory.ContactEntity, ID: c.ID}, RecordID: fmt.Sprint(1000 + c.ID),
						State: directory.Agreed, Wanted: 1, Agreed: 1, Shadow: map[string]string{},
					}
					for name, v := range fields {
						l.Shadow[name] = directory.ShadowOf(v)
					}
					links = append(links, l)
				}
			}
			return tx.SaveRecords(links)
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

func mappingIn(t *testing.T, info sandbox.Info) *mapping.Mapping {
	t.Helper()
	source, err := os.ReadFile(mappingPath(info))
	if err != nil {
		t.Fatal(err)
	}
	m, err := mapping.Compile("mapping.yaml", source)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func mappingPath(info sandbox.Info) string {
	return filepath.Join(filepath.Dir(info.Config), "mapping.yaml")
}

// somebodyKnown is a contact with a conversation. Every tenth has an e-mail address.
func somebodyKnown(n int) *directory.Contact {
	at := time.Date(2026, 11, 1, 9, 0, 0, 0, time.UTC).Add(time.Duration(n) * time.Second)
	c := &directory.Contact{Version: 1, Fields: map[string]directory.Value{}}
	set := func(name, text string) {
		c.Fields[name] = directory.Value{Text: text, At: at, Fact: fmt.Sprintf("whatsapp/message:106540352242922:wamid.HBgLMTYzMTU1NTEyMzQVAgASGBQ%08d", n), Account: "whatsapp"}
	}
	set("wa_id", fmt.Sprintf("1631%07d", n))
	set("phone", fmt.Sprintf("+1631%07d", n))
	set("profile_name", fmt.Sprintf("Given%d Family%d", n, n))
	set("country", "US")
	set("language", "en")
	set("labels", "new\nvip")
	set("business_number", "106540352242922")
	set("business_phone", "+15550783881")
	if n%10 == 0 {
		set("email", fmt.Sprintf("n%d@example.com", n))
	}
	for _, name := range []string{"first_message_at", "first_inbound_at", "last_message_at", "last_inbound_at"} {
		c.Fields[name] = directory.Value{Text: directory.TimeText(at), At: at}
	}
	for name, text := range map[string]string{
		"last_message_text": "Does it come in another colour? I would need it before the end of next week, if that can be done.", "last_message_direction": "in", "unread_count": "1",
	} {
		c.Fields[name] = directory.Value{Text: text, At: at}
	}
	return c
}

// another writes another mapping beside the configuration's, with changes.
func another(t *testing.T, info sandbox.Info, changes ...string) string {
	t.Helper()
	source, err := os.ReadFile(mappingPath(info))
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(filepath.Dir(info.Config), "new.yaml")
	if err := os.WriteFile(file, source, 0o600); err != nil {
		t.Fatal(err)
	}
	for i := 0; i+1 < len(changes); i += 2 {
		edit(t, file, changes[i], changes[i+1])
	}
	return file
}

func diffOf(t *testing.T, info sandbox.Info, file string, args ...string) (d app.MappingDiff) {
	t.Helper()
	out, errs, code := runCommand(t, append([]string{"mapping", "diff", file, "--config", info.Config, "--output", "json"}, args...)...)
	if code != 0 {
		t.Fatalf("exit code %d: %s%s", code, out, errs)
	}
	if err := json.Unmarshal([]byte(out), &d); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return d
}

// in is what would change in a field of an account, nothing if it is not there.
func in(d app.MappingDiff, account, field string) (f app.FieldDiff) {
	for _, a := range d.Accounts {
		for _, f := range a.Fields {
			if a.Account == account && f.Field == field {
				return f
			}
		}
	}
	return f
}

func TestAMappingIsComparedBeforeItIsInForce(t *testing.T) {
	t.Parallel()
	info := simulate(t)
	populate(t, info, 30)

	same := diffOf(t, info, mappingPath(info))
	if same.Contacts != 30 || len(same.Accounts) != 3 {
		t.Fatalf("the mapping itself: %+v", same)
	}
	for _, a := range same.Accounts {
		if a.Contacts != 30 || a.Changed != 0 || len(a.Fields) != 0 {
			t.Errorf("the mapping itself changes something in %s: %+v", a.Account, a)
		}
	}

	file := another(t, info,
		"      firstname: first_name\n", "      firstname: last_name\n      jobtitle: profile_name\n",
		"      Email: email\n", "",
		"      EMAIL: email\n", "      EMAIL: {field: email, direction: from}\n")
	d := diffOf(t, info, file)
	hubspot, zoho := d.Accounts[0], d.Accounts[1]
	if hubspot.Account != "hubspot" || hubspot.Changed != 30 || zoho.Changed != 0 || d.Accounts[2].Changed != 0 {
		t.Errorf("%+v", d)
	}
	if f := in(d, "hubspot", "firstname"); f.Changed != 30 || f.Added+f.Cleared+f.Stopped != 0 || f.From != "last_name" || f.Line == 0 || len(f.Examples) != 3 {
		t.Errorf("firstname: %+v", f)
	} else if e := f.Examples[0]; e.Contact != 1 || e.Record != "1001" || e.What != "changed" || e.Before != "Xxxxx9" || e.After != "Xxxxxx9" {
		t.Errorf("an example %+v", e)
	}
	if f := in(d, "hubspot", "jobtitle"); f.Added != 30 || f.Changed+f.Stopped != 0 {
		t.Errorf("jobtitle: %+v", f)
	}
	if f := in(d, "zoho", "Email"); f.Stopped != 3 || f.Added+f.Changed+f.Cleared != 0 || f.Line != 0 {
		t.Errorf("Email: %+v", f)
	}
	if f := in(d, "bitrix24", "EMAIL"); f.Stopped != 3 || f.Line == 0 {
		t.Errorf("EMAIL: %+v", f)
	}
	if e := in(diffOf(t, info, file, "--values"), "hubspot", "firstname").Examples[0]; e.Before != "Given0" || e.After != "Family0" {
		t.Errorf("with values an example is %+v", e)
	}
	if back := diffOf(t, info, mappingPath(info), "--old", file); in(back, "hubspot", "firstname").Changed != 0 || back.Accounts[0].Changed != 0 {
		t.Errorf("the one that the accounts were told by, compared with another: %+v", back)
	}
	if one := diffOf(t, info, file, "--account", "zoho"); len(one.Accounts) != 1 || one.Accounts[0].Account != "zoho" {
		t.Errorf("--account: %+v", one.Accounts)
	}
	if none := diffOf(t, info, file, "--since", time.Now().Add(time.Hour).Format(time.RFC3339)); none.Contacts != 0 || none.Since == nil {
		t.Errorf("--since: %+v", none)
	}
	if recent := diffOf(t, info, file, "--since", "1h"); recent.Contacts != 30 {
		t.Errorf("--since 1h: %d contacts", recent.Contacts)
	}

	out, errs, code := runCommand(t, "mapping", "diff", file, "--config", info.Config)
	for _, want := range []string{
		"hubspot  30 of 30 contacts would change\n", "zoho  0 of 30 contacts would change\n", "contact:1 ", "Xxxxxx9", "Nothing was written",
		"What is no longer written stays in the account as it is.", "zoho: what people enter", "--values shows them",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("the output does not say %q (exit code %d):\n%s%s", want, code, out, errs)
		}
	}
	for _, private := range []string{"Given", "Family", "example.com", "1631"} {
		if strings.Contains(out, private) {
			t.Errorf("the output says %q:\n%s", private, out)
		}
	}
	t.Log(out)
}

func TestAMappingThatIsNotValidIsNotCompared(t *testing.T) {
	t.Parallel()
	info := simulate(t)
	populate(t, info, 1)
	file := another(t, info, "firstname: first_name", "firstname: frst_name", "      Email: email\n", "      Email: emial\n")
	for command, args := range map[string][]string{
		"diff": {"mapping", "diff", file, "--config", info.Config},
		"try":  {"mapping", "try", file, "--config", info.Config, "--contact", "contact:1"},
	} {
		out, _, code := runCommand(t, args...)
		if code != exitFailed || !strings.Contains(out, "did you mean first_name?") || !strings.Contains(out, "did you mean email?") || strings.Count(out, "new.yaml:") != 2 {
			t.Errorf("%s: exit code %d: %s", command, code, out)
		}
		out, _, code = runCommand(t, append(args, "--output", "json")...)
		var report struct {
			OK       bool
			Findings []mapping.Finding
		}
		if err := json.Unmarshal([]byte(out), &report); err != nil || code != exitFailed || report.OK || len(report.Findings) != 2 || report.Findings[0].Line == 0 {
			t.Errorf("%s: %v, exit code %d: %s", command, err, code, out)
		}
	}
	for what, args := range map[string][]string{
		"an account of WhatsApp":   {"mapping", "diff", mappingPath(info), "--config", info.Config, "--account", "whatsapp"},
		"a time that is none":      {"mapping", "diff", mappingPath(info), "--config", info.Config, "--since", "soon"},
		"nothing to compare":       {"mapping", "diff", "--config", info.Config},
		"a contact without a book": {"mapping", "try", mappingPath(info), "--contact", "contact:1"},
	} {
		if out, errs, code := runCommand(t, args...); code != exitUsage {
			t.Errorf("%s: exit code %d: %s%s", what, code, out, errs)
		}
	}
}

// All contacts of a large directory are compared in seconds, in constant memory.
func TestMeasureMappingDiff(t *testing.T) {
	if !*measure {
		t.Skip("it takes a minute; -measure")
	}
	info := simulate(t)
	file := another(t, info, "      firstname: first_name\n", "      firstname: last_name\n", "      Email: email\n", "")
	path, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	last := 0
	for _, people := range []int{*manyPeople / 10, *manyPeople} {
		populateFrom(t, info, last, people)
		last = people
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
		defer cancel()
		cmd := exec.CommandContext(ctx, path, "mapping", "diff", file, "--config", info.Config, "--output", "json")
		var out strings.Builder
		cmd.Stdout = &out
		began := time.Now()
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		var most atomic.Int64
		go func() {
			for ctx.Err() == nil {
				most.Store(max(most.Load(), int64(residentMiB(t, cmd.Process.Pid))))
				time.Sleep(50 * time.Millisecond)
			}
		}()
		if err := cmd.Wait(); err != nil {
			t.Fatal(err)
		}
		cancel()
		took := time.Since(began)
		var d app.MappingDiff
		if err := json.Unmarshal([]byte(out.String()), &d); err != nil {
			t.Fatal(err)
		}
		if d.Contacts != int64(people) || d.Accounts[0].Changed != int64(people) || in(d, "zoho", "Email").Stopped != int64(people/10) {
			t.Errorf("%+v", d)
		}
		t.Logf("%d contacts in 3 accounts: %v, %.0f contacts/s, most memory %d MiB, processor time %v",
			people, took.Round(10*time.Millisecond), float64(people)/took.Seconds(), most.Load(), (cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()).Round(10*time.Millisecond))
		if people >= 100_000 && (took > 30*time.Second || most.Load() > 150) {
			t.Errorf("%v and %d MiB, want at most 30 s and 150 MiB", took, most.Load())
		}
	}
}
