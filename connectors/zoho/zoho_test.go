package zoho

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"crmsync/connectors"
)

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
