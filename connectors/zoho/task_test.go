package zoho_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"crmsync/connectors"
	"crmsync/connectors/connectortest"
	"crmsync/connectors/zoho"
	"crmsync/connectors/zoho/zohosim"
)

// taskAccount opens an organisation that refuses to create fields of tasks, if it
// is to, or whose token has these scopes only.
func taskAccount(t *testing.T, knobs zohosim.Knobs, noFields bool, scopes []string) *connectortest.Account {
	o := zohosim.Options{ClientID: "1000.CLIENT", ClientSecret: "clientsecret", RefreshToken: "1000.refreshtoken", Quota: "off", Lag: true, Knobs: knobs}
	if scopes != nil {
		o.Grants = map[string]zohosim.Grant{"1000.limited": {Scopes: scopes}}
	}
	sim := zohosim.New(o)
	if scopes != nil {
		o.RefreshToken = "1000.limited"
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if noFields && r.Method == http.MethodPost && r.URL.Query().Get("module") == "Tasks" {
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(http.StatusForbidden)
			_, _ = w.Write([]byte(`{"code":"NO_PERMISSION","details":{"permissions":["Crm_Implied_Customize_Zoho_CRM"]},"message":"permission denied","status":"error"}`))
			return
		}
		sim.ServeHTTP(w, r)
	}))
	t.Cleanup(func() { server.Close(); sim.Close() })
	return &connectortest.Account{
		Connector: zoho.New(zoho.Options{
			AccountsURL: server.URL, ClientID: o.ClientID, ClientSecret: o.ClientSecret, RefreshToken: o.RefreshToken,
			Timeout: time.Second, BatchTimeout: 3 * time.Second,
		}),
		Sim: server.URL, Secrets: []string{o.ClientSecret, o.RefreshToken},
	}
}

func TestTasksAreToldApartWhateverZohoAllows(t *testing.T) {
	t.Parallel()
	for name, open := range map[string]func(t *testing.T) *connectortest.Account{
		"a field that is not unique": func(t *testing.T) *connectortest.Account {
			return taskAccount(t, zohosim.Knobs{PlainTasks: true}, false, nil)
		},
		"no field": func(t *testing.T) *connectortest.Account { return taskAccount(t, zohosim.Knobs{}, true, nil) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			v := vendor
			v.Open = open
			connectortest.RunTasks(t, v)
		})
	}
}

func TestATokenWithoutTheScopeForTasksIsTheTasksTrouble(t *testing.T) {
	t.Parallel()
	a := taskAccount(t, zohosim.Knobs{}, false, []string{
		"ZohoCRM.modules.contacts.ALL", "ZohoCRM.modules.custom.ALL", "ZohoCRM.modules.notes.ALL", "ZohoCRM.settings.ALL", "ZohoCRM.users.READ", "ZohoCRM.coql.READ",
	})
	findings, err := a.Setup(t.Context(), nil, true)
	for _, f := range findings {
		if f.Object == "Tasks" || f.Fatal {
			t.Errorf("set-up finds %+v: no task is wanted yet", f)
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	if findings, err = a.SetupTasks(t.Context(), true); err != nil || len(findings) != 1 || findings[0].Fatal || !strings.Contains(findings[0].Problem, "ZohoCRM.modules.tasks") {
		t.Errorf("the set-up of tasks finds %+v, error %v", findings, err)
	}
	c := a.WriteContacts(t.Context(), []connectors.ContactChange{{Key: "393471", Phones: []string{"+393471"}, Fields: map[string]any{"Last_Name": "Zoe"}}})[0]
	if c.Err != nil {
		t.Fatal(c.Err)
	}
	r := a.CreateTasks(t.Context(), []connectors.TaskChange{{ContactRecordID: c.RecordID, Key: "k1", Title: "Call back", Due: time.Now()}})[0]
	if r.Err == nil || r.Err.Class != connectors.Rejected || !strings.Contains(r.Err.Reason, "ZohoCRM.modules.tasks") {
		t.Errorf("%v, want it refused with the scope's name", r.Err)
	}
}
