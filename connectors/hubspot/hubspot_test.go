package hubspot

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"crmsync/connectors"
)

// A portal answers what it is told to, path by path, and remembers what it was
// asked.
type portal struct {
	t       *testing.T
	mu      sync.Mutex
	answers map[string][]reply
	asked   []ask
}

type ask struct {
	path  string
	query url.Values
	body  string
	in    batch
}

// A reply is what a path answers, given the inputs of the batch.
type reply func(in batch) (status int, body any)

func newPortal(t *testing.T) (*portal, *Client) {
	t.Helper()
	p := &portal{t: t, answers: map[string][]reply{}}
	s := httptest.NewServer(p)
	c := New(Options{BaseURL: s.URL + "/", Token: StaticToken("pat-secret"), Timeout: 2 * time.Second, BatchTimeout: 2 * time.Second})
	t.Cleanup(func() { c.rest.CloseIdle(); s.Close() })
	return p, c
}

// on adds answers to a path; the last one is given for ever.
func (p *portal) on(path string, replies ...reply) {
	p.answers[path] = append(p.answers[path], replies...)
}

func (p *portal) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	defer p.mu.Unlock()
	body, _ := io.ReadAll(r.Body)
	path := strings.TrimPrefix(r.URL.Path, "/crm/")
	if r.Header.Get("Authorization") != "Bearer pat-secret" {
		p.t.Errorf("%s without the token", path)
	}
	a := ask{path: r.Method + " " + path, query: r.URL.Query(), body: string(body)}
	_ = json.Unmarshal(body, &a.in)
	p.asked = append(p.asked, a)
	queue := p.answers[a.path]
	if len(queue) == 0 {
		p.t.Errorf("unexpected %s", a.path)
		w.WriteHeader(404)
		return
	}
	if len(queue) > 1 {
		p.answers[a.path] = queue[1:]
	}
	status, answer := queue[0](a.in)
	if status == 0 {
		panic(http.ErrAbortHandler)
	}
	w.WriteHeader(status)
	if s, ok := answer.(string); ok {
		_, _ = io.WriteString(w, s)
		return
	}
	_ = json.NewEncoder(w).Encode(answer)
}

func (p *portal) calls(path string) (list []ask) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, a := range p.asked {
		if a.path == path {
			list = append(list, a)
		}
	}
	return list
}

func (p *portal) order() (list []string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, a := range p.asked {
		list = append(list, a.path[strings.LastIndex(a.path, "/")+1:])
	}
	return list
}

const (
	update  = "POST objects/2026-09/contacts/batch/update"
	upsert  = "POST objects/2026-09/contacts/batch/upsert"
	readOut = "POST objects/2026-09/contacts/batch/read"
	find    = "POST objects/2026-09/contacts/search"

	createMessages = "POST objects/2026-09/communications/batch/create"
	updateMessages = "POST objects/2026-09/communications/batch/update"
	readMessages   = "POST objects/2026-09/communications/batch/read"
)

type m = map[string]any

func say(status int, body any) reply { return func(batch) (int, any) { return status, body } }

// accept answers a batch as HubSpot does when all is well, backwards.
func accept(in batch) (int, any) {
	var results []m
	for i, x := range slices.Backward(in.Inputs) {
		id := x.ID
		if x.IDProperty != "" || id == "" {
			id = fmt.Sprint(9000 + i)
		}
		results = append(results, m{"id": id, "properties": x.Properties, "new": x.IDProperty != ""})
	}
	return 200, m{"status": "COMPLETE", "results": results}
}

func nobody(batch) (int, any) { return 200, m{"total": 0, "results": []m{}} }

func people(p ...m) reply { return say(200, m{"results": p}) }

func person(id string, properties ...string) m {
	p := m{}
	for i := 0; i < len(properties); i += 2 {
		p[properties[i]] = properties[i+1]
	}
	return m{"id": id, "properties": p}
}

func contact(key string, fields ...any) connectors.ContactChange {
	ch := connectors.ContactChange{Key: key, Phones: []string{"+" + key}, Fields: map[string]any{"firstname": "N" + key}}
	for i := 0; i < len(fields); i += 2 {
		ch.Fields[fields[i].(string)] = fields[i+1]
	}
	return ch
}

func recorded(id string, ch connectors.ContactChange) connectors.ContactChange {
	ch.RecordID = id
	return ch
}

func want(t *testing.T, got []connectors.Result, want ...string) {
	t.Helper()
	var list []string
	for _, r := range got {
		s := r.RecordID
		if r.Created {
			s = "+" + s
		}
		if r.Err != nil {
			s = string(r.Err.Class)
			if r.Err.RecordID != "" {
				s += " " + r.Err.RecordID
			}
			for _, private := range []string{"39347", "pat-", "N39", "hello"} {
				if strings.Contains(r.Err.Error(), private) {
					t.Errorf("error %q tells a value", r.Err)
				}
			}
		}
		list = append(list, s)
	}
	if !slices.Equal(list, want) {
		t.Errorf("got results %q, want %q", list, want)
	}
}

func TestNewPeopleAreUpsertedByKeyAndMatchedByValueNotOrder(t *testing.T) {
	p, c := newPortal(t)
	p.on(find, nobody)
	p.on(upsert, accept)
	at := time.Date(2026, 11, 21, 9, 30, 0, 5e6, time.FixedZone("", 3600))
	got := c.WriteContacts(t.Context(), []connectors.ContactChange{
		contact("393470000001", "email", "Mario@Example.COM", "labels", []string{"vip", "new"}, "since", at, "vip", true, "n", 1.5, "k", int64(7), "old", nil),
		contact("393470000002"),
	})
	want(t, got, "+9000", "+9001")
	in := p.calls(upsert)[0].in.Inputs
	wantProperties := map[string]string{
		"crmsync_wa_id": "393470000001", "firstname": "N393470000001", "email": "mario@example.com", "labels": "vip;new",
		"since": "2026-11-21T08:30:00.005Z", "vip": "true", "n": "1.5", "k": "7", "old": "",
	}
	if !maps.Equal(in[0].Properties, wantProperties) || in[0].ID != "393470000001" || in[0].IDProperty != keyProperty {
		t.Errorf("got %+v, want %v", in[0], wantProperties)
	}
	if in[0].TraceID == "" || in[0].TraceID == in[1].TraceID {
		t.Errorf("trace ids %q and %q must be there and differ", in[0].TraceID, in[1].TraceID)
	}
}

func TestKnownRecordsAreWrittenBeforeNewOnes(t *testing.T) {
	p, c := newPortal(t)
	p.on(find, nobody)
	p.on(update, accept)
	p.on(upsert, accept)
	got := c.WriteContacts(t.Context(), []connectors.ContactChange{
		contact("393470000001"),
		recorded("51", contact("393470000009")), // frees 393470000001
	})
	want(t, got, "+9000", "51")
	if order := p.order(); !slices.Equal(order, []string{"update", "search", "upsert"}) {
		t.Errorf("order %v", order)
	}
	if got := p.calls(update)[0].in.Inputs[0].Properties[keyProperty]; got != "393470000009" {
		t.Errorf("the update carries key %q", got)
	}
}

func TestTwoChangesOfOneContactAreOneInput(t *testing.T) {
	p, c := newPortal(t)
	p.on(find, nobody)
	p.on(upsert, accept)
	p.on(update, accept)
	got := c.WriteContacts(t.Context(), []connectors.ContactChange{
		contact("393470000001", "a", "1", "b", "1"),
		contact("393470000001", "b", "2"),
		recorded("51", contact("393470000002", "a", "1")),
		recorded("51", contact("393470000003", "a", "2")),
	})
	want(t, got, "+9000", "+9000", "51", "51")
	if in := p.calls(upsert)[0].in.Inputs; len(in) != 1 || in[0].Properties["a"] != "1" || in[0].Properties["b"] != "2" {
		t.Errorf("got %+v", in)
	}
	if in := p.calls(update)[0].in.Inputs; len(in) != 1 || in[0].Properties["a"] != "2" {
		t.Errorf("got %+v", in)
	}
}

func TestSomebodyWhoIsInHubSpotAlreadyIsFoundByPhone(t *testing.T) {
	change := connectors.ContactChange{
		Key: "5215512345678", Phones: []string{"+5215512345678", "+525512345678"},
		Fields: map[string]any{"firstname": "N"},
	}
	tests := map[string]struct {
		people []m
		want   string
	}{
		"exact":                          {[]m{person("70", "phone", "+52 1 55 1234-5678")}, "70"},
		"mobile":                         {[]m{person("70", "mobilephone", "0052 1 55 1234 5678")}, "70"},
		"variant":                        {[]m{person("70", "phone", "+52 55 1234 5678")}, "70"},
		"exact before variant":           {[]m{person("60", "phone", "+525512345678"), person("70", "phone", "+5215512345678")}, "70"},
		"two equal, the older":           {[]m{person("700", "phone", "+5215512345678"), person("90", "phone", "+5215512345678")}, "90"},
		"our key before everything":      {[]m{person("60", "phone", "+5215512345678"), person("70", "phone", "", keyProperty, "5215512345678")}, "70"},
		"same digits in another country": {[]m{person("70", "phone", "+1 55 1234 5678")}, "+9000"},
		"another contact of ours":        {[]m{person("70", "phone", "+5215512345678", keyProperty, "999")}, "+9000"},
		"nobody":                         {nil, "+9000"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			p, c := newPortal(t)
			p.on(find, people(tt.people...))
			p.on(update, accept)
			p.on(upsert, accept)
			want(t, c.WriteContacts(t.Context(), []connectors.ContactChange{change}), tt.want)
			if u := p.calls(update); len(u) > 0 && u[0].in.Inputs[0].Properties[keyProperty] != change.Key {
				t.Errorf("the key is not set: %s", u[0].body)
			}
			for _, number := range []string{"15512345678", `"5512345678"`, "5215512345678"} {
				if !strings.Contains(p.calls(find)[0].body, number) {
					t.Errorf("search %s lacks %s", p.calls(find)[0].body, number)
				}
			}
		})
	}
}

func TestOneRecordIsNotGivenToTwoContacts(t *testing.T) {
	p, c := newPortal(t)
	p.on(find, people(person("70", "phone", "+525512345678")))
	p.on(update, accept)
	p.on(upsert, accept)
	got := c.WriteContacts(t.Context(), []connectors.ContactChange{
		{Key: "5215512345678", Phones: []string{"+5215512345678", "+525512345678"}, Fields: map[string]any{"firstname": "A"}},
		{Key: "525512345678", Phones: []string{"+525512345678"}, Fields: map[string]any{"firstname": "B"}},
	})
	want(t, got, "+9000", "70")
}

func TestSearchesStayWithinHubSpotsThreeThousandCharacters(t *testing.T) {
	p, c := newPortal(t)
	c.paceSearch = nil
	p.on(find, nobody)
	p.on(upsert, accept)
	var changes []connectors.ContactChange
	for i := range 150 {
		changes = append(changes, contact(fmt.Sprintf("39347%07d", i)))
	}
	got := c.WriteContacts(t.Context(), changes)
	for i, r := range got {
		if r.Err != nil || !r.Created {
			t.Fatalf("contact %d: %+v", i, r)
		}
	}
	numbers := 0
	for _, a := range p.calls(find) {
		if len(a.body) > 3000 {
			t.Errorf("a search of %d characters", len(a.body))
		}
		numbers += strings.Count(a.body, `"39347`)
	}
	if numbers != 300 {
		t.Errorf("got %d numbers in the searches, want 150 twice", numbers)
	}
	if got := p.calls(upsert); len(got) != 2 || len(got[0].in.Inputs) != 100 || len(got[1].in.Inputs) != 50 {
		t.Errorf("got %d upserts", len(got))
	}
}

func TestSearchesAreAtMostFiveInAnySecond(t *testing.T) {
	p, c := newPortal(t)
	p.on(find, nobody)
	p.on(upsert, accept)
	start := time.Now()
	for i := range 4 {
		c.WriteContacts(t.Context(), []connectors.ContactChange{contact(fmt.Sprintf("39347%07d", i))})
	}
	if took := time.Since(start); took < 700*time.Millisecond {
		t.Errorf("four searches in %v", took)
	}
}

func TestOneBadContactDoesNotFailTheOthers(t *testing.T) {
	bad := m{"category": "VALIDATION_ERROR", "message": `Property values were not valid: [{"isValid":false,"message":"Email address x is invalid","error":"INVALID_EMAIL","name":"email"}]`}
	t.Run("named by its trace id", func(t *testing.T) {
		p, c := newPortal(t)
		p.on(find, nobody)
		p.on(upsert, func(in batch) (int, any) {
			good := in
			good.Inputs = slices.Delete(slices.Clone(in.Inputs), 1, 2)
			_, a := accept(good)
			e := maps.Clone(bad)
			e["context"] = m{"objectWriteTraceId": []string{in.Inputs[1].TraceID}}
			a.(m)["errors"] = []m{e}
			return 207, a
		})
		got := c.WriteContacts(t.Context(), []connectors.ContactChange{contact("393470000001"), contact("393470000002"), contact("393470000003")})
		want(t, got, "+9000", "rejected", "+9001")
		if e := got[1].Err; e.Code != "INVALID_EMAIL" || e.Field != "email" {
			t.Errorf("got %+v", e)
		}
	})
	t.Run("refused as a whole", func(t *testing.T) {
		p, c := newPortal(t)
		c.paceSearch = nil
		p.on(find, nobody)
		p.on(upsert, func(in batch) (int, any) {
			if slices.ContainsFunc(in.Inputs, func(i input) bool { return i.ID == "393470000042" }) {
				return 400, bad
			}
			return accept(in)
		})
		var changes []connectors.ContactChange
		for i := range 100 {
			changes = append(changes, contact(fmt.Sprintf("3934700000%02d", i)))
		}
		for i, r := range c.WriteContacts(t.Context(), changes) {
			if ok := r.Err == nil; ok != (i != 42) {
				t.Errorf("contact %d: %+v", i, r)
			}
		}
		if n := len(p.calls(upsert)); n > 15 {
			t.Errorf("it took %d calls", n)
		}
	})
	t.Run("a value that cannot be written", func(t *testing.T) {
		p, c := newPortal(t)
		p.on(find, nobody)
		p.on(upsert, accept)
		want(t, c.WriteContacts(t.Context(), []connectors.ContactChange{contact("393470000001", "x", struct{}{}), contact("393470000002"), {}}), "rejected", "+9000", "rejected")
	})
}

func TestAnErrorWithoutANameBelongsToTheOnlyContactLeft(t *testing.T) {
	p, c := newPortal(t)
	p.on(find, nobody)
	p.on(upsert, func(in batch) (int, any) {
		good := in
		good.Inputs = in.Inputs[:1]
		_, a := accept(good)
		a.(m)["errors"] = []m{{"category": "VALIDATION_ERROR", "message": "no"}}
		return 207, a
	})
	want(t, c.WriteContacts(t.Context(), []connectors.ContactChange{contact("393470000001"), contact("393470000002")}), "+9000", "rejected")
}

func TestAnEmailThatSomebodyElseHasIsAConflictThatNamesThem(t *testing.T) {
	p, c := newPortal(t)
	p.on(find, nobody)
	p.on(upsert, func(in batch) (int, any) {
		return 207, m{"status": "COMPLETE", "errors": []m{{"category": "CONFLICT", "message": "Contact already exists. Existing ID: 171591000198", "context": m{"objectWriteTraceId": []string{in.Inputs[0].TraceID}}}}}
	})
	want(t, c.WriteContacts(t.Context(), []connectors.ContactChange{contact("393470000001")}), "conflict 171591000198")
}

func TestAMergedRecordIsFollowedAndADeletedOneIsNot(t *testing.T) {
	p, c := newPortal(t)
	p.on(update, func(in batch) (int, any) {
		return 207, m{"status": "COMPLETE", "results": []m{{"id": "3"}}, "errors": []m{{"category": "OBJECT_NOT_FOUND", "context": m{"ids": []string{"1", "2"}}}}}
	}, accept)
	p.on("GET objects/2026-09/contacts/1", say(200, person("100")))
	p.on("GET objects/2026-09/contacts/2", say(404, m{"status": "error", "message": "resource not found"}))
	got := c.WriteContacts(t.Context(), []connectors.ContactChange{
		recorded("1", contact("393470000001")), recorded("2", contact("393470000002")), recorded("3", contact("393470000003")),
	})
	want(t, got, "100", "conflict", "3")
}

func TestAPersonWhoWasFoundButIsNotTheOneIsUpserted(t *testing.T) {
	for name, answer := range map[string]m{
		"deleted since":        {"category": "OBJECT_NOT_FOUND", "context": m{"ids": []string{"70"}}},
		"another has our key":  {"category": "VALIDATION_ERROR", "message": "Cannot set PropertyValueCoordinates{propertyName=crmsync_wa_id, value=393470000001} on 70. 71 already has that value.", "context": m{"objectWriteTraceId": []string{"0"}}},
		"merged into its twin": {"category": "OBJECT_NOT_FOUND", "context": m{"ids": []string{"70"}}},
	} {
		t.Run(name, func(t *testing.T) {
			p, c := newPortal(t)
			p.on(find, people(person("70", "phone", "+393470000001")))
			p.on(update, say(207, m{"errors": []m{answer}}))
			p.on("GET objects/2026-09/contacts/70", say(404, m{"message": "resource not found"}))
			p.on(upsert, accept)
			want(t, c.WriteContacts(t.Context(), []connectors.ContactChange{contact("393470000001")}), "+9000")
		})
	}
}

func TestACreateHasANameAndAnUpdateKeepsIts(t *testing.T) {
	p, c := newPortal(t)
	p.on(find, nobody)
	p.on(readOut, people(person("51", keyProperty, "393470000001")))
	p.on(update, accept)
	p.on(upsert, accept)
	var changes []connectors.ContactChange
	for _, k := range []string{"393470000001", "393470000002"} {
		changes = append(changes, connectors.ContactChange{Key: k, Phones: []string{"+" + k}, Fields: map[string]any{"city": "Roma"}})
	}
	changes = append(changes, connectors.ContactChange{Key: "IT.134", Fields: map[string]any{"city": "Roma"}})
	want(t, c.WriteContacts(t.Context(), changes), "51", "+9000", "+9001")
	if name, ok := p.calls(update)[0].in.Inputs[0].Properties["firstname"]; ok {
		t.Errorf("the update renames to %q", name)
	}
	in := p.calls(upsert)[0].in.Inputs
	if in[0].Properties["firstname"] != "+393470000002" || in[1].Properties["firstname"] != "IT.134" {
		t.Errorf("got %+v", in)
	}
}

func TestTwoHundredWithNothingWrittenIsNotSuccess(t *testing.T) {
	p, c := newPortal(t)
	p.on(find, nobody)
	p.on(update, say(200, m{"results": []m{}, "errors": []m{}}))
	p.on(upsert, say(200, m{"results": []m{}, "errors": []m{}}))
	want(t, c.WriteContacts(t.Context(), []connectors.ContactChange{contact("393470000001"), recorded("5", contact("393470000002"))}), "unknown_outcome", "unknown_outcome")
}

func TestAnEchoWithoutTheKeyIsLookedUp(t *testing.T) {
	p, c := newPortal(t)
	p.on(find, nobody)
	p.on(upsert, say(200, m{"results": []m{
		{"id": "61", "properties": m{"hs_is_contact": "true"}, "new": true}, {"id": "62", "properties": m{"hs_is_contact": "true"}},
	}}))
	p.on(readOut, people(person("62", keyProperty, "393470000001"), person("61", keyProperty, "393470000002"), person("63", keyProperty, "393470000003")))
	got := c.WriteContacts(t.Context(), []connectors.ContactChange{contact("393470000001"), contact("393470000002"), contact("393470000003")})
	want(t, got, "62", "+61", "unknown_outcome")
}

func TestTroubleWithTheAccountIsNobodysFault(t *testing.T) {
	for name, tt := range map[string]struct {
		answer reply
		want   string
	}{
		"outage":           {say(503, "<html>"), "transient"},
		"lost answer":      {say(0, nil), "transient"}, // upserting again does no harm
		"HTML":             {say(200, "<html>"), "transient"},
		"throttled":        {say(429, m{"policyName": "TEN_SECONDLY_ROLLING"}), "throttled"},
		"unauthorized":     {say(401, m{"category": "INVALID_AUTHENTICATION"}), "unauthorized"},
		"wrong version":    {say(404, m{"message": "no"}), "transient"},
		"our key is gone":  {say(400, m{"message": "Unable to perform update/upsert by non-unique 0-1 property crmsync_wa_id in portal ID 1", "category": "VALIDATION_ERROR"}), "transient"},
		"cut off by proxy": {say(302, ""), "transient"},
	} {
		t.Run(name, func(t *testing.T) {
			p, c := newPortal(t)
			c.paceSearch = nil
			p.on(find, nobody)
			p.on(upsert, tt.answer)
			var changes []connectors.ContactChange
			var wants []string
			for i := range 120 {
				changes = append(changes, contact(fmt.Sprintf("39347%07d", i)))
				wants = append(wants, tt.want)
			}
			want(t, c.WriteContacts(t.Context(), changes), wants...)
			if n := len(p.calls(upsert)); n != 1 {
				t.Errorf("%d calls for one trouble", n)
			}
		})
	}
}

func TestWithoutASearchNobodyIsCreated(t *testing.T) {
	p, c := newPortal(t)
	p.on(find, say(429, m{"policyName": "SECONDLY"}))
	p.on(upsert, accept)
	got := c.WriteContacts(t.Context(), []connectors.ContactChange{contact("393470000001"), {Key: "IT.1", Fields: map[string]any{"firstname": "A"}}})
	want(t, got, "throttled", "+9000")
	if got[0].Err.RetryAfter != time.Second {
		t.Errorf("got %v", got[0].Err.RetryAfter)
	}
}

func TestEveryVersionHasItsPaths(t *testing.T) {
	for version, want := range map[string]paths{
		"v3":      {"/crm/v3/objects/", "/crm/v3/properties/", "/crm/v4/objects/", "/crm/v3/owners", "/account-info/v3/details", "/files/v3/files"},
		"2026-03": {"/crm/objects/2026-03/", "/crm/properties/2026-03/", "/crm/objects/2026-03/", "/crm/owners/2026-03", "/account-info/2026-03/details", "/files/2026-03/files"},
	} {
		if got := pathsOf(version); got != want {
			t.Errorf("%s: got %+v, want %+v", version, got, want)
		}
	}
}
