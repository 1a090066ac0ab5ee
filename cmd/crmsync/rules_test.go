package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// A complaint reaches a human within 20 s, once, with its conversation given to
// somebody; and whoever changes that in the CRM is right.
func TestAComplaintReachesAHuman(t *testing.T) {
	t.Parallel()
	type call struct {
		path, id, body string
		at             time.Time
	}
	var mu sync.Mutex
	var calls []call
	receiver := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		mu.Lock()
		defer mu.Unlock()
		calls = append(calls, call{r.URL.Path, r.Header.Get("Idempotency-Key"), string(body), time.Now()})
		if len(calls) == 1 {
			w.WriteHeader(http.StatusServiceUnavailable) // whoever is first is told again
		}
	}))
	defer receiver.Close()
	told := func(path string) (all []call) {
		mu.Lock()
		defer mu.Unlock()
		for _, c := range calls {
			if c.path == path {
				all = append(all, c)
			}
		}
		return all
	}

	info := simulate(t)
	remap(t, info, "version: 1\n", `version: 1
tables:
  zoho_users: {greta@example.com: priya.raman@example.com}
  bitrix24_users: {greta@example.com: "1"}
teams: {support: [greta@example.com]}
rules:
  - name: complaint
    when: {keyword: [refund, reclamo]}
    do:
      - add_label: complaint
      - assign: {team: support, unless_owned: true}
      - task: {title: "Complaint of ${name}", due: 4h, to: owner, account: hubspot}
      - notify: {to: support, text: "Complaint: ${name} wrote ${text}"}
      - reply: {to: sender, template: complaint_received, language: it}
    stop: true
  - name: never with a complaint
    do: [add_label: other]
`)
	remap(t, info, "      Owner: owner\n", "      Owner: {field: owner, write: \"lookup('zoho_users', value)\", when_empty: keep}\n")
	remap(t, info, "      ASSIGNED_BY_ID: owner\n", "      ASSIGNED_BY_ID: {field: owner, write: \"lookup('bitrix24_users', value)\", when_empty: keep}\n")
	if out, _, code := runCommand(t, "check", "--config", info.Config); code != 1 || !strings.Contains(out, `rule "complaint" tells "support", which is no receiver`) || !strings.Contains(out, "mapping.yaml:") {
		t.Errorf("without the receivers check says (exit %d):\n%s", code, out)
	}
	file, err := os.OpenFile(info.Config, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprintf(file, "notify:\n  - {name: support, url: '%[1]s/support', format: slack, private: true, rules_only: true}\n  - {name: sender, url: '%[1]s/sender', private: true}\n", receiver.URL)
	file.Close()

	worker := serve(t, info, "CRMSYNC_LOG_LEVEL=debug")
	worker.working(info)
	load := newLoad(info)
	const ada = "16315551234"
	began := time.Now()
	load.post("wamid.1", ada, "I want a refund, s3cret")
	eventually(t, 40*time.Second, "support and the sender are told", func() bool {
		support, sender := told("/support"), told("/sender")
		return len(support) > 0 && len(sender) > 0 && len(support)+len(sender) == 3
	})
	support, sender := told("/support"), told("/sender")
	for _, all := range [][]call{support, sender} {
		if took := all[len(all)-1].at.Sub(began); took > 20*time.Second {
			t.Errorf("it took %v", took)
		} else {
			t.Logf("%s was told after %v", all[0].path, took)
		}
		for _, c := range all {
			if c.id == "" || c.id != all[0].id || c.body != all[0].body {
				t.Errorf("what is repeated is %+v after %+v", c, all[0])
			}
		}
	}
	if want := `{"text":"Complaint: `; !strings.HasPrefix(support[0].body, want) || !strings.Contains(support[0].body, "wrote I want a refund, s3cret") {
		t.Errorf("support was told %s", support[0].body)
	}
	var reply map[string]any
	if err := json.Unmarshal([]byte(sender[0].body), &reply); err != nil || reply["event"] != "template_reply" || reply["template"] != "complaint_received" ||
		reply["language"] != "it" || reply["phone"] != "+"+ada || reply["id"] != sender[0].id || reply["business_number"] == nil {
		t.Errorf("the sender was told %s", sender[0].body)
	}

	hubspot := info.CRMs()[0]
	owner := func(want string) bool { return fmt.Sprint(fieldsIn(t, hubspot, ada)["hubspot_owner_id"]) == want }
	eventually(t, 20*time.Second, "HubSpot shows the owner and the label", func() bool {
		return owner("41629779") && strings.Contains(fmt.Sprint(fieldsIn(t, hubspot, ada)["crmsync_labels"]), "complaint")
	})
	eventually(t, 20*time.Second, "HubSpot has the task", func() bool { return len(tasksIn(t, hubspot)) == 1 })
	if task := tasksIn(t, hubspot)[0]; !strings.HasPrefix(task.Title, "Complaint of ") || task.Owner != "41629779" {
		t.Errorf("the task is %+v", task)
	}
	for _, crm := range info.CRMs() {
		eventually(t, 20*time.Second, crm.Name+" has the message", func() bool { return len(textsIn(t, crm, ada)) == 1 })
	}
	if n := metric(t, info, `crmsync_rules_fired_total{rule="complaint"}`); n != 1 {
		t.Errorf("the rule has fired %v times", n)
	}
	out, errs, code := runCommand(t, "contacts", "explain", "+"+ada, "--config", info.Config)
	if code != 0 || !strings.Contains(out, "rule complaint, mapping.yaml:") {
		t.Errorf("explain says\n%s%s", out, errs)
	}

	// Somebody else takes it, and is not argued with.
	editIn(t, hubspot, ada, `{"hubspot_owner_id":"41629780"}`)
	load.post("wamid.2", ada, "another refund")
	eventually(t, 20*time.Second, "support is told of the next one", func() bool { return len(told("/support")) == len(support)+1 })
	syncOnce(t, info)
	settled(t, info)
	if !owner("41629780") {
		t.Errorf("the owner is %v", fieldsIn(t, hubspot, ada)["hubspot_owner_id"])
	}

	// What was told is not told again.
	if code := worker.stop(); code != 0 {
		t.Errorf("exit code %d", code)
	}
	before := len(told("/support")) + len(told("/sender"))
	again := serve(t, info)
	load.post("wamid.1", ada, "I want a refund, s3cret")
	load.post("wamid.3", ada, "all well")
	eventually(t, 20*time.Second, "the last message is there", func() bool { return slices.Contains(textsIn(t, hubspot, ada), "all well") })
	time.Sleep(2 * time.Second)
	if now := len(told("/support")) + len(told("/sender")); now != before {
		t.Errorf("told %d times after the restart, %d before", now, before)
	}
	for _, p := range []*process{worker, again} {
		for _, secret := range []string{"s3cret", ada, receiver.URL + "/support"} {
			if p.says(secret) {
				t.Errorf("the log holds %q", secret)
			}
		}
	}
}
