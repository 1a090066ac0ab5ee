package zoho

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
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

func TestANewContactIsUpsertedByItsKey(t *testing.T) {
	o, c := newOrg(t)
	o.on(query, nobody)
	o.on(upsert, accept)
	got := c.WriteContacts(t.Context(), []connectors.ContactChange{
		change("393471234567", m{"Last_Name": "Rossi", "Phone": "+393471234567"}, "+393471234567"),
	})
	if got[0].Err != nil || !got[0].Created || got[0].RecordID != "555000000000000000" {
		t.Fatalf("got %+v", got[0])
	}
	a := o.calls(upsert)[0]
	if !strings.Contains(a.body, `"trigger":[]`) || !slices.Equal(a.in.Check, []string{"WA_ID"}) || a.in.Data[0]["WA_ID"] != "393471234567" || a.in.Data[0]["Last_Name"] != "Rossi" {
		t.Errorf("upsert %s", a.body)
	}
	q := o.calls(query)[0].in.Query
	for _, want := range []string{"WA_ID in ('393471234567')", "Phone in ('+393471234567'", "Mobile in (", "'347 123 4567'", "'+39 347 123 4567'"} {
		if !strings.Contains(q, want) {
			t.Errorf("query without %s: %s", want, q)
		}
	}
}

func TestWhoeverHasNoLastNameGetsOneOnlyWhenCreated(t *testing.T) {
	o, c := newOrg(t)
	o.on(query, people(m{"id": "7", "WA_ID": "393470000001", "Last_Name": "Bianchi"}))
	o.on(update, accept)
	o.on(upsert, accept)
	got := c.WriteContacts(t.Context(), []connectors.ContactChange{
		change("393470000001", m{"First_Name": "Anna", "Last_Name": nil}, "+393470000001"),
		change("393470000002", m{"First_Name": "Mario"}, "+393470000002"),
		change("393470000003", m{"Last_Name": ""}, "+393470000003"),
		change("IT.123", nil),
	})
	for i, r := range got {
		if r.Err != nil {
			t.Fatalf("%d: %v", i, r.Err)
		}
	}
	if u := o.calls(update); len(u) != 1 || len(u[0].in.Data) != 1 || u[0].in.Data[0]["id"] != "7" {
		t.Fatalf("updates %+v", u)
	} else if _, ok := u[0].in.Data[0]["Last_Name"]; ok {
		t.Error("an update touched the last name")
	}
	for i, want := range []string{"Mario", "+393470000003", "IT.123"} {
		if got := o.calls(upsert)[0].in.Data[i]["Last_Name"]; got != want {
			t.Errorf("last name %v, want %s", got, want)
		}
	}
}

func TestPeopleEnteredByHandAreRecognised(t *testing.T) {
	tests := map[string]struct {
		people []m
		not    []string
		want   string
	}{
		"by mobile, written in groups":     {[]m{{"id": "11", "Mobile": "347 123 4567"}}, nil, "11"},
		"the exact number before variants": {[]m{{"id": "11", "Phone": "3471234567"}}, nil, "11"},
		"the older of two":                 {[]m{{"id": "99", "Phone": "+393471234567"}, {"id": "100", "Phone": "+393471234567"}}, nil, "99"},
		"the key before the number":        {[]m{{"id": "11", "Phone": "+393471234567"}, {"id": "12", "WA_ID": "393471234567"}}, nil, "12"},
		"not who has another key":          {[]m{{"id": "11", "Phone": "+393471234567", "WA_ID": "491"}}, nil, ""},
		"not who is somebody else":         {[]m{{"id": "11", "Phone": "+393471234567"}}, []string{"11"}, ""},
		"not who has a longer number":      {[]m{{"id": "11", "Phone": "+3934712345678"}}, nil, ""},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			o, c := newOrg(t)
			o.on(query, people(test.people...))
			o.on(update, accept)
			o.on(upsert, accept)
			ch := change("393471234567", m{"Score": int64(3)}, "+393471234567")
			ch.Not = test.not
			got := c.WriteContacts(t.Context(), []connectors.ContactChange{ch})
			if got[0].Err != nil || got[0].Created != (test.want == "") || test.want != "" && got[0].RecordID != test.want {
				t.Errorf("got %+v, want record %q", got[0], test.want)
			}
		})
	}
}

func TestGuessesDoNotReplaceWhatPeopleHaveEntered(t *testing.T) {
	o, c := newOrg(t)
	o.on(query, people(m{"id": "11", "Phone": "+393471234567", "Last_Name": "Verdi", "Email": nil}))
	o.on(update, accept)
	ch := change("393471234567", m{"First_Name": "mario", "Last_Name": "😎", "Email": "a@b.it"}, "+393471234567")
	ch.Fill = [][]string{{"First_Name", "Last_Name"}, {"Email"}}
	got := c.WriteContacts(t.Context(), []connectors.ContactChange{ch})
	if got[0].Err != nil || !slices.Equal(got[0].Kept, []string{"First_Name", "Last_Name"}) {
		t.Errorf("got %+v", got[0])
	}
	if d := o.calls(update)[0].in.Data[0]; len(d) != 3 || d["Email"] != "a@b.it" || d["WA_ID"] != "393471234567" {
		t.Errorf("written %v", d)
	}
}

func TestANumberWhoseKeyAnotherRecordHas(t *testing.T) {
	o, c := newOrg(t)
	o.on(query, people(m{"id": "11", "Phone": "+393471234567", "Last_Name": "Verdi"}), people(m{"id": "12", "WA_ID": "393471234567"}))
	o.on(update,
		rows(fails("DUPLICATE_DATA", m{"api_name": "WA_ID", "json_path": "$.data[0].WA_ID", "duplicate_record": m{"id": "12"}})),
		accept)
	ch := change("393471234567", m{"Last_Name": "Rossi"}, "+393471234567")
	ch.Fill = [][]string{{"Last_Name"}}
	got := c.WriteContacts(t.Context(), []connectors.ContactChange{ch})
	if got[0].Err != nil || got[0].RecordID != "12" || got[0].Kept != nil {
		t.Errorf("got %+v", got[0])
	}
	if d := o.calls(update)[1].in.Data[0]; d["Last_Name"] != "Rossi" {
		t.Errorf("written %v", d)
	}
}

func TestRowsCountByPositionWhateverTheStatus(t *testing.T) {
	for _, status := range []int{200, 201, 202, 207, 400, 412} {
		o, c := newOrg(t)
		o.on(update, say(status, m{"data": []m{
			done("1"),
			fails("INVALID_DATA", m{"expected_data_type": "email", "api_name": "Email"}),
			fails("INVALID_DATA", m{"api_name": "id", "json_path": "$.data[2].id"}),
			fails("MANDATORY_NOT_FOUND", m{"api_name": "Last_Name"}),
		}}))
		var changes []connectors.ContactChange
		for i := range 4 {
			changes = append(changes, connectors.ContactChange{RecordID: fmt.Sprint(i + 1), Fields: m{"Email": "x@secret.it"}})
		}
		got := c.WriteContacts(t.Context(), changes)
		if got[0].Err != nil || got[0].RecordID != "1" {
			t.Errorf("%d: first %+v", status, got[0])
		}
		for i, want := range []connectors.Error{
			1: {Class: connectors.Rejected, Code: "INVALID_DATA", Field: "Email"},
			2: {Class: connectors.Conflict, Code: recordGone, Field: "id"},
			3: {Class: connectors.Rejected, Code: "MANDATORY_NOT_FOUND", Field: "Last_Name"},
		} {
			if e := got[i].Err; i > 0 && (e == nil || e.Class != want.Class || e.Code != want.Code || e.Field != want.Field || strings.Contains(e.Error(), "secret")) {
				t.Errorf("%d: row %d %v, want %v", status, i, e, &want)
			}
		}
	}
}

func TestABatchNamesNobodyTwice(t *testing.T) {
	o, c := newOrg(t)
	o.on(query, nobody)
	o.on(upsert, accept)
	o.on(update, accept)
	got := c.WriteContacts(t.Context(), []connectors.ContactChange{
		change("IT.abc", m{"Last_Name": "A", "Score": int64(1)}), change("it.ABC", m{"Score": int64(2)}),
		{RecordID: "5", Fields: m{"Score": int64(1)}},
		{RecordID: "5", Fields: m{"Points": 1.5}},
	})
	for i, r := range got {
		if r.Err != nil || r.RecordID == "" {
			t.Errorf("%d: %+v", i, r)
		}
	}
	if d := o.calls(upsert)[0].in.Data; len(d) != 1 || d[0]["Score"] != 2.0 || d[0]["Last_Name"] != "A" {
		t.Errorf("upserted %v", d)
	}
	if d := o.calls(update)[0].in.Data; len(d) != 1 || d[0]["Score"] != 1.0 || d[0]["Points"] != 1.5 {
		t.Errorf("updated %v", d)
	}
}

func TestAnUpsertWhoseAnswerIsLostCanBeRepeated(t *testing.T) {
	o, c := newOrg(t)
	o.on(query, nobody, people(m{"id": "12", "WA_ID": "393471234567"}))
	o.on(upsert, say(0, nil))
	o.on(update, accept)
	ch := []connectors.ContactChange{change("393471234567", m{"Last_Name": "Rossi"}, "+393471234567")}
	if got := c.WriteContacts(t.Context(), ch); got[0].Err == nil || got[0].Err.Class != connectors.Transient {
		t.Fatalf("lost: %+v", got[0])
	}
	if got := c.WriteContacts(t.Context(), ch); got[0].Err != nil || got[0].RecordID != "12" || got[0].Created {
		t.Errorf("again: %+v", got[0])
	}
}

func TestAnAnswerThatDoesNotAccountForAll(t *testing.T) {
	o, c := newOrg(t)
	o.on(update, rows(done("1")))
	got := c.WriteContacts(t.Context(), []connectors.ContactChange{{RecordID: "1", Fields: m{"Score": 1}}, {RecordID: "2", Fields: m{"Score": 1}}})
	for i, r := range got {
		if r.Err == nil || r.Err.Class != connectors.UnknownOutcome {
			t.Errorf("%d: %+v", i, r)
		}
	}
	if n := len(o.calls(update)); n != 1 {
		t.Errorf("%d calls", n)
	}
}

func TestACallRefusedAsAWholeIsHalved(t *testing.T) {
	o, c := newOrg(t)
	o.on(update, func(a ask) (int, any) {
		for _, d := range a.in.Data {
			if d["id"] == "3" {
				return 400, m{"code": "INVALID_DATA", "details": m{"expected_data_type": "jsonobject"}, "message": "body", "status": "error"}
			}
		}
		return accept(a)
	})
	var changes []connectors.ContactChange
	for i := range 8 {
		changes = append(changes, connectors.ContactChange{RecordID: fmt.Sprint(i + 1), Fields: m{"Score": 1}})
	}
	for i, r := range c.WriteContacts(t.Context(), changes) {
		if (r.Err != nil) != (i == 2) {
			t.Errorf("%d: %+v", i, r)
		}
	}
}

func TestAnotherUniqueFieldDoesNotPickTheRecord(t *testing.T) {
	o, c := newOrg(t)
	o.on(query, nobody)
	o.on(upsert, accept)
	o.on(update, rows(fails("DUPLICATE_DATA", m{"api_name": "Customer_No", "duplicate_record": m{"id": "3"}})))
	got := c.WriteContacts(t.Context(), []connectors.ContactChange{change("IT.1", m{"Last_Name": "A", "Customer_No": "K1"})})
	if e := got[0].Err; e == nil || e.Class != connectors.Rejected || e.Field != "Customer_No" || e.RecordID != "" {
		t.Errorf("got %+v", got[0])
	}
	if d := o.calls(upsert)[0].in.Data[0]; d["Customer_No"] != nil {
		t.Errorf("upserted %v", d)
	}
}

func TestOnlyWhatZohoHasIsWritten(t *testing.T) {
	o, c := newOrg(t)
	got := c.WriteContacts(t.Context(), []connectors.ContactChange{
		{RecordID: "1", Fields: m{"Nope": "x"}}, {RecordID: "2", Fields: m{"Full_Name": "x"}}, {Fields: m{"Score": 1}},
	})
	for i, code := range []string{"NO_SUCH_FIELD", "READ_ONLY_FIELD", ""} {
		if e := got[i].Err; e == nil || e.Class != connectors.Rejected || e.Code != code {
			t.Errorf("%d: %+v", i, e)
		}
	}
	if n := len(o.calls("GET settings/fields")); n > 3 {
		t.Errorf("metadata read %d times", n)
	}
}

func TestWithoutTheKeyNothingIsWritten(t *testing.T) {
	o, c := newOrg(t)
	o.fields[contacts] = []m{field("WA_ID", "text"), field("Last_Name", "text")}
	if got := c.WriteContacts(t.Context(), []connectors.ContactChange{change("1", nil)}); got[0].Err == nil || got[0].Err.Class != connectors.Transient || got[0].Err.Code != "NO_KEY" {
		t.Errorf("got %+v", got[0])
	}
}

func TestHeavyCallsAreCountedTwice(t *testing.T) {
	var mu sync.Mutex
	var all, heavy int
	o, c := newOrg(t, func(o *Options) {
		o.Pace = func(context.Context) error { mu.Lock(); defer mu.Unlock(); all++; return nil }
		o.PaceHeavy = func(context.Context) error { mu.Lock(); defer mu.Unlock(); heavy++; return nil }
	})
	o.on(update, accept)
	few := make([]connectors.ContactChange, 10)
	for i := range few {
		few[i] = connectors.ContactChange{RecordID: fmt.Sprint(i + 1), Fields: m{"Score": 1}}
	}
	c.WriteContacts(t.Context(), few)
	if all != 3 || heavy != 0 {
		t.Errorf("10 records: %d calls, %d heavy", all, heavy)
	}
	c.WriteContacts(t.Context(), append(few, connectors.ContactChange{RecordID: "99", Fields: m{"Score": 1}}))
	if all != 4 || heavy != 1 {
		t.Errorf("11 records: %d calls, %d heavy", all, heavy)
	}
}

func TestNoMoreCallsAtOnceThanZohoTakes(t *testing.T) {
	o, c := newOrg(t, func(o *Options) { o.Concurrency = 1 })
	o.on(query, nobody)
	o.on(users, oneUser)
	if _, err := c.learned(t.Context()); err != nil {
		t.Fatal(err)
	}
	c.slots <- struct{}{}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if _, err := c.query(ctx, "select"); err == nil || err.Class != connectors.Transient {
		t.Errorf("got %v", err)
	}
	<-c.slots
	for range maxHeavy {
		c.heavy <- struct{}{}
	}
	ctx, cancel = context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if _, err := c.query(ctx, "select"); err == nil || len(o.calls(query)) != 0 {
		t.Errorf("got %v", err)
	}
	if _, err := c.ListUsers(t.Context()); err != nil {
		t.Errorf("a light call waits: %v", err)
	}
	<-c.heavy
	if _, err := c.query(t.Context(), "select"); err != nil || len(c.slots) != 0 || len(c.heavy) != maxHeavy-1 {
		t.Errorf("got %v, %d, %d", err, len(c.slots), len(c.heavy))
	}
}
