package main

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"crmsync/cmd/internal/app"
	"crmsync/cmd/internal/sandbox"
)

// simTask is a task as a simulator shows it.
type simTask struct {
	ID        string `json:"id"`
	ContactID string `json:"contact_id"`
	Title     string `json:"title"`
	Text      string `json:"text"`
	Owner     string `json:"owner"`
	Due       string `json:"due"`
	Priority  string `json:"priority"`
}

func tasksIn(t *testing.T, crm sandbox.CRM) (all []simTask) {
	t.Helper()
	get(t, crm.URL+"/_sim/tasks", &all)
	return all
}

// taskCounts are how many tasks a CRM has, and how many of them are there twice.
func taskCounts(t *testing.T, crm sandbox.CRM) (n, doubled int) {
	t.Helper()
	var s struct {
		Tasks   int
		Doubled int `json:"duplicate_tasks"`
	}
	get(t, crm.URL+"/_sim/stats", &s)
	return s.Tasks, s.Doubled
}

// withTasks has the mapping make a task of each complaint in every CRM.
func withTasks(t *testing.T, info sandbox.Info) {
	t.Helper()
	rules := "\nrules:\n  - name: complaint\n    when: {keyword: complaint}\n    do:\n"
	for _, crm := range info.CRMs() {
		rules += fmt.Sprintf("      - task: {account: %s, title: \"Complaint of ${wa_id}\", text: \"${text}\", due: 4h, priority: high}\n", crm.Account)
	}
	remap(t, info, "\naccounts:\n", rules+"\naccounts:\n")
}

// A complaint is a task in each CRM within seconds, also of somebody new, and once
// however often its webhook comes and whenever the worker dies.
func TestAComplaintIsATaskInEveryCRM(t *testing.T) {
	t.Parallel()
	info := simulate(t)
	withTasks(t, info)
	p := serve(t, info)
	l := newLoad(info)
	const ada = "16315551234"
	began := time.Now()
	l.post("wamid.1", ada, "a complaint about the lamp")
	var took []string
	for _, crm := range info.CRMs() {
		eventually(t, 20*time.Second, crm.Name+" has the task", func() bool { n, _ := taskCounts(t, crm); return n == 1 })
		took = append(took, fmt.Sprintf("%s %.1f s", crm.Name, time.Since(began).Seconds()))
		task := tasksIn(t, crm)[0]
		if task.Title != "Complaint of "+ada || !strings.HasPrefix(task.Text, "a complaint about the lamp") || task.ContactID != recordsOf(t, crm, ada)[0] || task.Due == "" {
			t.Errorf("%s shows %+v", crm.Name, task)
		}
	}
	t.Logf("somebody new has complained: %s", strings.Join(took, ", "))
	began = time.Now()
	l.post("wamid.2", ada, "another complaint")
	for _, crm := range info.CRMs() {
		eventually(t, 20*time.Second, crm.Name+" has the other task", func() bool { n, _ := taskCounts(t, crm); return n == 2 })
	}
	t.Logf("somebody known has complained: %.1f s", time.Since(began).Seconds())

	l.post("wamid.1", ada, "a complaint about the lamp") // once more
	p.kill()
	p = serve(t, info)
	l.post("wamid.2", ada, "another complaint")
	l.post("wamid.3", ada, "thank you")
	for _, crm := range info.CRMs() {
		eventually(t, 30*time.Second, crm.Name+" has the thanks", func() bool { return len(textsIn(t, crm, ada)) == 3 })
		if n, doubled := taskCounts(t, crm); n != 2 || doubled != 0 {
			t.Errorf("%s has %d tasks, %d of them doubled; want two", crm.Name, n, doubled)
		}
	}
	settled(t, info)
	var shown app.ContactShown
	contactsAsJSON(t, &shown, "show", "+"+ada, "--config", info.Config, "--output", "json")
	for _, a := range shown.Accounts {
		if a.Tasks["agreed"] != 2 {
			t.Errorf("contacts show: %s has tasks %v, want two agreed", a.Account, a.Tasks)
		}
	}
	if r, code := auditOf(t, info, nil); code != 0 || !r.Closes {
		t.Errorf("the audit does not close: %+v", r.Findings)
	}
	if errs := p.errors.String(); strings.Contains(errs, "lamp") || strings.Contains(errs, ada) {
		t.Errorf("the log says %s", errs)
	}
}

// Answers are lost and the worker dies while people complain.
func TestLostAnswersAndCrashesDoubleNoTask(t *testing.T) {
	t.Parallel()
	info := simulate(t)
	withTasks(t, info)
	p := serve(t, info)
	l := newLoad(info)
	const people, rounds = 4, 6
	for round := range rounds {
		for _, crm := range info.CRMs() {
			if round%2 == 1 {
				ask(t, crm.URL+"/_sim/faults", map[string]any{"mode": "reset_after_commit", "for": "2s"}, nil)
			}
		}
		for n := range people {
			l.post(fmt.Sprintf("wamid.%d.%d", round, n), fmt.Sprintf("1631555%04d", n), fmt.Sprintf("complaint %d", round))
		}
		time.Sleep(1500 * time.Millisecond)
		if round == 3 {
			p.kill()
			p = serve(t, info)
		}
	}
	for _, crm := range info.CRMs() {
		eventually(t, 90*time.Second, crm.Name+" has all tasks", func() bool { n, _ := taskCounts(t, crm); return n >= people*rounds })
	}
	settled(t, info)
	for _, crm := range info.CRMs() {
		if n, doubled := taskCounts(t, crm); n != people*rounds || doubled != 0 {
			t.Errorf("%s has %d tasks, %d of them doubled; want %d", crm.Name, n, doubled, people*rounds)
		}
		if s := statsOf(t, crm); s.Faults == 0 || s.DuplicateMessages != 0 {
			t.Errorf("%s: %+v, want faults and no message twice", crm.Name, s)
		}
	}
	if r, code := auditOf(t, info, nil); code != 0 || !r.Closes {
		t.Errorf("the audit does not close: %+v", r.Findings)
	}
}

// What tasks need is looked at where a rule makes some, and a task for somebody whom
// a CRM does not know is a dead letter that says so, with nothing else held up.
func TestWhatStandsInTheWayOfATaskIsSaid(t *testing.T) {
	t.Parallel()
	info := simulate(t)
	needs := func(fix ...string) string {
		out, errs, _ := runCommand(t, append([]string{"check", "--live", "--config", info.Config}, fix...)...)
		return out + errs
	}
	if said := needs("--fix"); strings.Contains(strings.ToLower(said), "task_key") {
		t.Errorf("without such a rule check --live says:\n%s", said)
	}
	withTasks(t, info)
	if said := needs(); !strings.Contains(said, "crmsync_task_key") || !strings.Contains(said, "Crmsync_Task_Key") {
		t.Errorf("check --live says:\n%s", said)
	}
	if said := needs("--fix"); strings.Contains(said, "crmsync_task_key") || strings.Contains(said, "Crmsync_Task_Key") {
		t.Errorf("check --live --fix says:\n%s", said)
	}
	remap(t, info, "priority: high}", "priority: high, to: nobody@example.com}") // in the first of the CRMs
	serve(t, info)
	const ada = "16315551234"
	newLoad(info).post("wamid.1", ada, "a complaint about the lamp")
	for _, crm := range info.CRMs() {
		eventually(t, 30*time.Second, crm.Name+" has the message", func() bool { return len(textsIn(t, crm, ada)) == 1 })
	}
	first := info.CRMs()[0]
	var letters []struct {
		ID, Account, Code, Reason, Field string
	}
	eventually(t, 20*time.Second, "there is a letter", func() bool {
		out, _, code := runCommand(t, "deadletters", "list", "--config", info.Config, "--output", "json")
		return code == 0 && json.Unmarshal([]byte(out), &letters) == nil && len(letters) == 1
	})
	l := letters[0]
	if l.Account != first.Account || !strings.HasPrefix(l.ID, first.Account+".task.") || !strings.Contains(l.Reason, "no active owner") || strings.Contains(l.Reason, "nobody@") {
		t.Errorf("the letter is %+v", l)
	}
	out, errs, code := runCommand(t, "deadletters", "edit", l.ID, "--set", "first_name=Ada", "--config", info.Config)
	if code == 0 || !strings.Contains(errs, "stays as its rule has made it") {
		t.Errorf("edit: %s%s (exit code %d)", out, errs, code)
	}
	for _, crm := range info.CRMs()[1:] {
		if n, _ := taskCounts(t, crm); n != 1 {
			t.Errorf("%s has %d tasks, want one", crm.Name, n)
		}
	}
	if out, errs, code := runCommand(t, "contacts", "show", "+"+ada, "--config", info.Config); code != 0 || !strings.Contains(out, "1 task agreed") || !strings.Contains(out, "1 task dead") || !strings.Contains(out, l.ID) {
		t.Errorf("contacts show: %s%s", out, errs)
	}
	if r, code := auditOf(t, info, nil); code != 0 || !r.Closes {
		t.Errorf("the audit does not close: %+v", r.Findings)
	}
}
