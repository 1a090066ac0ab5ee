package zoho

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"crmsync/connectors"
)

// An org answers what it is told to, path by path, and remembers what it was
// asked. Tokens and metadata it answers by itself.
type org struct {
	t       *testing.T
	url     string
	mu      sync.Mutex
	answers map[string][]reply
	asked   []ask
	fields  map[string][]m
	issued  int
	// grant replaces what the accounts server answers.
	grant func(n int) (status int, body any)
	// valid says which tokens the API takes; all if nil.
	valid func(token string) bool
}

type m = map[string]any

type ask struct {
	path, body string
	query      string
	header     http.Header
	in         struct {
		Data    []m      `json:"data"`
		Trigger []string `json:"trigger"`
		Check   []string `json:"duplicate_check_fields"`
		Query   string   `json:"select_query"`
		Tags    []m      `json:"tags"`
		IDs     []string `json:"ids"`
		Over    *bool    `json:"over_write"`
		Watch   []m      `json:"watch"`
		Fields  []m      `json:"fields"`
		Modules []m      `json:"modules"`
	}
}

// A reply is what a path answers. Status 0 breaks the connection off.
type reply func(a ask) (status int, body any)

func field(name, dataType string, more ...m) m {
	f := m{"id": "9" + fmt.Sprint(len(name)), "api_name": name, "field_label": strings.ReplaceAll(name, "_", " "), "data_type": dataType, "unique": m{}, "custom_field": true}
	for _, x := range more {
		for k, v := range x {
			f[k] = v
		}
	}
	return f
}

var once = m{"unique": m{"case_sensitive": false}}

func contactFields() []m {
	return []m{
		field("WA_ID", "text", once), field("Last_Name", "text", m{"system_mandatory": true, "length": 80}), field("First_Name", "text"),
		field("Phone", "phone"), field("Mobile", "phone"), field("Email", "email"), field("Owner", "ownerlookup"),
		field("Tag", "text"), field("Score", "integer"), field("Points", "double"), field("Big", "bigint"), field("Opt_In", "boolean"),
		field("Seen", "datetime"), field("Birthday", "date"), field("Kinds", "multiselectpicklist"), field("Account_Name", "lookup"),
		field("Stage", "picklist", m{"pick_list_values": []m{{"display_value": "-None-", "actual_value": "-None-"}, {"display_value": "New", "actual_value": "new"}}}),
		field("Customer_No", "text", once), field("Full_Name", "text", m{"read_only": true}), field("Description", "textarea"),
	}
}

func moduleMeta() []m {
	return []m{
		field("Name", "text"), field("WA_Message_ID", "text", once), field("WAMID", "text"), field("Contact", "lookup"),
		field("Direction", "picklist"), field("Body", "textarea"), field("Status", "picklist"), field("Sent_Time", "datetime"),
	}
}

func newOrg(t *testing.T, change ...func(*Options)) (*org, *Client) {
	t.Helper()
	o := &org{t: t, answers: map[string][]reply{}, fields: map[string][]m{contacts: contactFields(), messageModule: moduleMeta()}}
	s := httptest.NewServer(o)
	o.url = s.URL
	opts := Options{
		AccountsURL: s.URL + "/accounts/", ClientID: "client", ClientSecret: "s3cret", RefreshToken: "1000.refresh",
		Region: "IT", Timeout: 2 * time.Second, BatchTimeout: 2 * time.Second,
	}
	for _, f := range change {
		f(&opts)
	}
	c := New(opts)
	t.Cleanup(func() { c.rest.CloseIdle(); c.tokens.rest.CloseIdle(); s.Close() })
	return o, c
}

// on adds answers to a path; the last one is given for ever.
func (o *org) on(path string, replies ...reply) {
	o.answers[path] = append(o.answers[path], replies...)
}

func (o *org) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	o.mu.Lock()
	defer o.mu.Unlock()
	b, _ := io.ReadAll(r.Body)
	a := ask{path: r.Method + " " + strings.TrimPrefix(r.URL.Path, "/api/crm/v8/"), body: string(b), query: r.URL.RawQuery, header: r.Header}
	_ = json.Unmarshal(b, &a.in)
	o.asked = append(o.asked, a)
	status, body := o.answer(a)
	if status == 0 {
		panic(http.ErrAbortHandler)
	}
	if h, ok := body.(http.Header); ok {
		for k := range h {
			w.Header().Set(k, h.Get(k))
		}
		body = nil
	}
	w.WriteHeader(status)
	switch body := body.(type) {
	case nil:
	case string:
		_, _ = io.WriteString(w, body)
	default:
		_ = json.NewEncoder(w).Encode(body)
	}
}

func (o *org) answer(a ask) (int, any) {
	if a.path == "POST /accounts/oauth/v2/token" {
		o.issued++
		if want := "client_id=client&client_secret=s3cret&grant_type=refresh_token&refresh_token=1000.refresh"; a.body != want {
			o.t.Errorf("token asked for with %s", a.body)
		}
		if o.grant != nil {
			return o.grant(o.issued)
		}
		return 200, m{"access_token": fmt.Sprint("1000.access", o.issued), "api_domain": o.url + "/api", "token_type": "Bearer", "expires_in": 3600}
	}
	token, ok := strings.CutPrefix(a.header.Get("Authorization"), "Zoho-oauthtoken ")
	if !ok || o.valid != nil && !o.valid(token) {
		return 401, m{"code": "INVALID_TOKEN", "details": m{}, "message": "invalid oauth token", "status": "error"}
	}
	queue := o.answers[a.path]
	if len(queue) == 0 {
		if a.path == "GET settings/fields" {
			fields := o.fields[strings.TrimPrefix(a.query, "module=")]
			if fields == nil {
				return 400, m{"code": "INVALID_MODULE", "details": m{"resource_path_index": 0}, "message": "the module name given seems to be invalid", "status": "error"}
			}
			return 200, m{"fields": fields}
		}
		o.t.Errorf("unexpected %s %s", a.path, a.body)
		return 404, nil
	}
	if len(queue) > 1 {
		o.answers[a.path] = queue[1:]
	}
	return queue[0](a)
}

func (o *org) calls(path string) (list []ask) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, a := range o.asked {
		if a.path == path {
			list = append(list, a)
		}
	}
	return list
}

const (
	upsert = "POST Contacts/upsert"
	update = "PUT Contacts"
	query  = "POST coql"
)

func say(status int, body any) reply { return func(ask) (int, any) { return status, body } }

func done(id string) m {
	return m{"code": "SUCCESS", "details": m{"id": id, "Modified_Time": "2026-01-31T10:00:00+05:30"}, "message": "record updated", "status": "success"}
}

func fails(code string, details m) m {
	return m{"code": code, "details": details, "message": "invalid data", "status": "error"}
}

// accept answers a write as Zoho does when all is well.
func accept(a ask) (int, any) {
	var rows []m
	for i, r := range a.in.Data {
		if id, ok := r["id"].(string); ok {
			rows = append(rows, done(id))
			continue
		}
		row := done(fmt.Sprint("55500000000000000", i))
		row["action"], row["duplicate_field"] = "insert", nil
		rows = append(rows, row)
	}
	return 200, m{"data": rows}
}

func rows(list ...m) reply { return say(200, m{"data": list}) }

func nobody(ask) (int, any) { return 204, nil }

func people(list ...m) reply {
	return say(200, m{"data": list, "info": m{"count": len(list), "more_records": false}})
}

func change(key string, fields m, phones ...string) connectors.ContactChange {
	return connectors.ContactChange{Key: key, Phones: phones, Fields: fields}
}
