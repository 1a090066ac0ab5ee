package hubspot_test

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	"crmsync/connectors"
	"crmsync/connectors/connectortest"
	"crmsync/connectors/hubspot"
	"crmsync/connectors/hubspot/hubspotsim"
)

// taskAccount opens an account behind something that may answer in its place.
func taskAccount(t *testing.T, knobs hubspotsim.Knobs, instead func(r *http.Request) (status int, body string)) *connectortest.Account {
	sim := hubspotsim.New(hubspotsim.Options{Token: "pat-na1-secret", Quota: "off", Lag: true, Knobs: knobs})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if instead != nil {
			if status, body := instead(r); status != 0 {
				w.Header().Set("Content-Type", "application/json")
				w.WriteHeader(status)
				_, _ = w.Write([]byte(body))
				return
			}
		}
		sim.ServeHTTP(w, r)
	}))
	t.Cleanup(func() { server.Close(); sim.Close() })
	return &connectortest.Account{
		Connector: hubspot.New(hubspot.Options{BaseURL: server.URL, Token: hubspot.StaticToken("pat-na1-secret"), Timeout: time.Second, BatchTimeout: time.Second}),
		Sim:       server.URL, Secrets: []string{"pat-na1-secret"},
	}
}

func TestTasksCarryTheirKeyInALineWhereHubSpotAllowsNoProperty(t *testing.T) {
	t.Parallel()
	v := vendor
	v.Open = func(t *testing.T) *connectortest.Account {
		return taskAccount(t, hubspotsim.Knobs{PlainTasks: true}, nil)
	}
	connectortest.RunTasks(t, v)
}

func aTask(contact string) []connectors.TaskChange {
	return []connectors.TaskChange{{ContactRecordID: contact, Key: "k1", Title: "Call back", Due: time.Now()}}
}

func newContact(t *testing.T, a *connectortest.Account) string {
	t.Helper()
	r := a.WriteContacts(t.Context(), []connectors.ContactChange{{Key: "393471", Phones: []string{"+393471"}, Fields: map[string]any{"firstname": "Zoe"}}})[0]
	if r.Err != nil {
		t.Fatal(r.Err)
	}
	return r.RecordID
}

func TestATokenThatMayNotWriteTasksIsTheTasksTrouble(t *testing.T) {
	t.Parallel()
	a := taskAccount(t, hubspotsim.Knobs{}, func(r *http.Request) (int, string) {
		if !strings.Contains(r.URL.Path, "/tasks") {
			return 0, ""
		}
		return http.StatusForbidden, `{"status":"error","message":"This app hasn't been granted all required scopes","category":"MISSING_SCOPES",` +
			`"errors":[{"message":"one or more","context":{"requiredGranularScopes":["crm.objects.contacts.write"]}}]}`
	})
	findings, err := a.Setup(t.Context(), nil, true)
	if err != nil || len(findings) != 0 {
		t.Fatalf("set-up finds %+v, error %v, want nothing: no task is wanted yet", findings, err)
	}
	if findings, err = a.SetupTasks(t.Context(), true); err != nil || len(findings) != 1 || findings[0].Fatal || !strings.Contains(findings[0].Problem, "crm.objects.contacts.write") {
		t.Errorf("the set-up of tasks finds %+v, error %v", findings, err)
	}
	r := a.CreateTasks(t.Context(), aTask(newContact(t, a)))[0]
	if r.Err == nil || r.Err.Class != connectors.Rejected || !strings.Contains(r.Err.Reason, "crm.objects.contacts.write") {
		t.Errorf("%v, want it refused with the scope's name", r.Err)
	}
}

func TestNothingIsCreatedForTasksUnlessSomebodySaysSo(t *testing.T) {
	t.Parallel()
	made := 0
	a := taskAccount(t, hubspotsim.Knobs{}, func(r *http.Request) (int, string) {
		if r.Method == http.MethodPost && strings.HasSuffix(r.URL.Path, "/tasks") && strings.Contains(r.URL.Path, "properties") {
			made++
		}
		return 0, ""
	})
	if _, err := a.Setup(t.Context(), nil, true); err != nil || made != 0 {
		t.Fatalf("set-up made %d properties of tasks (error %v), want none", made, err)
	}
	contact, first, second := newContact(t, a), aTask(""), aTask("")
	first[0].ContactRecordID, second[0].ContactRecordID, second[0].Key = contact, contact, "k2"
	if r := a.CreateTasks(t.Context(), first)[0]; r.Err != nil || made != 0 {
		t.Fatalf("%+v, %d properties made; want a task and no property", r, made)
	}
	findings, err := a.SetupTasks(t.Context(), false)
	if err != nil || made != 0 || len(findings) != 1 || findings[0].Fatal || !findings[0].Fixable {
		t.Fatalf("findings %+v, %d properties made, error %v", findings, made, err)
	}
	if findings, err := a.SetupTasks(t.Context(), true); err != nil || made != 1 || len(findings) != 0 {
		t.Fatalf("findings %+v, %d properties made, error %v", findings, made, err)
	}
	if r := a.CreateTasks(t.Context(), second)[0]; r.Err != nil {
		t.Fatal(r.Err)
	}
	// The one from before there was the property is found as well.
	for i, r := range a.FindTasks(t.Context(), append(first, second...)) {
		if r.Err != nil || r.RecordID == "" {
			t.Errorf("task %d: %+v, want it found", i+1, r)
		}
	}
}

func TestATaskThatIsThereAlreadyIsAsGoodAsCreated(t *testing.T) {
	t.Parallel()
	a := taskAccount(t, hubspotsim.Knobs{}, nil)
	if _, err := a.Setup(t.Context(), nil, true); err != nil {
		t.Fatal(err)
	}
	if _, err := a.SetupTasks(t.Context(), true); err != nil {
		t.Fatal(err)
	}
	contact := newContact(t, a)
	first := a.CreateTasks(t.Context(), aTask(contact))[0]
	again := a.CreateTasks(t.Context(), aTask(contact))[0]
	if first.Err != nil || again.Err != nil || again.Created || first.RecordID != again.RecordID {
		t.Errorf("first %+v, again %+v, want the same task", first, again)
	}
}

// The key's holder may be out of sight, such as in the recycle bin.
func TestATaskWhoseKeyIsTakenOutOfSightIsNoSuccess(t *testing.T) {
	t.Parallel()
	hidden := false
	a := taskAccount(t, hubspotsim.Knobs{}, func(r *http.Request) (int, string) {
		if hidden && strings.HasSuffix(r.URL.Path, "/tasks/batch/read") {
			return http.StatusMultiStatus, `{"status":"COMPLETE","results":[],"numErrors":1,"errors":[{"status":"error","category":"OBJECT_NOT_FOUND","context":{"ids":["k1"]}}]}`
		}
		return 0, ""
	})
	if _, err := a.Setup(t.Context(), nil, true); err != nil {
		t.Fatal(err)
	}
	if _, err := a.SetupTasks(t.Context(), true); err != nil {
		t.Fatal(err)
	}
	contact := newContact(t, a)
	if r := a.CreateTasks(t.Context(), aTask(contact))[0]; r.Err != nil {
		t.Fatal(r.Err)
	}
	hidden = true
	if r := a.CreateTasks(t.Context(), aTask(contact))[0]; r.Err == nil || r.RecordID != "" {
		t.Errorf("%+v, want a failure", r)
	}
}

// What strangers write is no markup in HubSpot, and keeps its lines.
func TestATaskShowsWhatWasWritten(t *testing.T) {
	t.Parallel()
	for name, knobs := range map[string]hubspotsim.Knobs{"with a property": {}, "with a last line": {PlainTasks: true}} {
		sent := ""
		a := taskAccount(t, knobs, func(r *http.Request) (int, string) {
			if strings.HasSuffix(r.URL.Path, "/tasks/batch/create") {
				body, _ := io.ReadAll(r.Body)
				r.Body = io.NopCloser(bytes.NewReader(body))
				var call struct {
					Inputs []struct{ Properties map[string]string }
				}
				if err := json.Unmarshal(body, &call); err == nil && len(call.Inputs) == 1 {
					sent = call.Inputs[0].Properties["hs_task_body"]
				}
			}
			return 0, ""
		})
		if _, err := a.Setup(t.Context(), nil, true); err != nil {
			t.Fatal(err)
		}
		contact := newContact(t, a)
		for text, want := range map[string]string{
			"<a href=\"https://evil.example\">Login</a> & more\nsecond line": `&lt;a href="https://evil.example"&gt;Login&lt;/a&gt; &amp; more<br>second line`,
			"&lt;b&gt;":                      "&amp;lt;b&amp;gt;",
			"":                               "",
			strings.Repeat("&", 20000) + "x": strings.Repeat("&amp;", 13000),
		} {
			task := aTask(contact)
			task[0].Key, task[0].Text = "key "+strconv.Itoa(len(text)), text
			r := a.CreateTasks(t.Context(), task)[0]
			if r.Err != nil || !strings.HasPrefix(sent, want) || connectors.Length(sent) > 65536 || strings.Count(sent, "&")*5 > len(sent)+200 && len(text) > 1000 {
				t.Errorf("%s: of %.40q HubSpot gets %.80q…%q (%d), error %v", name, text, sent, sent[max(0, len(sent)-30):], connectors.Length(sent), r.Err)
			}
			if found := a.FindTasks(t.Context(), task)[0]; found.RecordID != r.RecordID {
				t.Errorf("%s: %.40q is not found: %+v", name, text, found)
			}
		}
	}
}
