package bitrix24

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"crmsync/connectors"
)

func TestFiftyNewPeopleCostThreeRequests(t *testing.T) {
	p, c := newPortal(t)
	p.on(contactAdd, growing(900))
	var changes []connectors.ContactChange
	var wanted []string
	for i := range 50 {
		changes = append(changes, change(fmt.Sprintf("39347%07d", i), "PHONE", fmt.Sprintf("+39347%07d", i)))
		wanted = append(wanted, fmt.Sprintf("+%d", 901+i))
	}
	want(t, c.WriteContacts(t.Context(), changes), wanted...)
	if n := p.took(); n > 3 {
		t.Errorf("took %d requests", n)
	}
	has(t, p.calls(contactAdd)[7], "fields[NAME]", "N393470000007", "fields["+keyField+"]", "393470000007",
		"fields[ORIGINATOR_ID]", "crmsync", "fields[ORIGIN_ID]", "393470000007",
		"fields[PHONE][0][VALUE]", "+393470000007", "fields[PHONE][0][VALUE_TYPE]", "MOBILE")
	for _, q := range p.calls(findByComm) {
		if len(q) > 22 {
			t.Errorf("%d parameters in one search", len(q))
		}
		has(t, q, "type", "PHONE", "entity_type", "CONTACT")
	}
}

func TestFiftyKnownPeopleCostOneRequest(t *testing.T) {
	p, c := newPortal(t)
	p.on(contactUpdate, always(true))
	var changes []connectors.ContactChange
	for i := range 50 {
		changes = append(changes, recorded(fmt.Sprint(1+i), change(fmt.Sprintf("39347%07d", i), "LAST_NAME", nil)))
	}
	for i, r := range c.WriteContacts(t.Context(), changes) {
		if r.Err != nil || r.RecordID != fmt.Sprint(1+i) || r.Created {
			t.Errorf("got %+v", r)
		}
	}
	if n := p.took(); n != 1 {
		t.Errorf("took %d requests", n)
	}
	has(t, p.calls(contactUpdate)[2], "id", "3", "fields[LAST_NAME]", "", "fields["+keyField+"]", "-", "fields[ORIGIN_ID]", "-")
}

func TestValuesAreWrittenAsBitrix24HasThem(t *testing.T) {
	p, c := newPortal(t)
	p.on(contactUpdate, always(true))
	p.on(userGet, always([]m{{"ID": "8", "ACTIVE": false, "EMAIL": "ada@crm.io"}, {"ID": "9", "ACTIVE": true, "EMAIL": "Ada@crm.io", "NAME": "Ada"}}))
	at := time.Date(2026, 11, 21, 9, 30, 5, 7e8, time.FixedZone("", 3600))
	want(t, c.WriteContacts(t.Context(), []connectors.ContactChange{recorded("5", change("393470000001",
		"NAME", strings.Repeat("é", 60), "COMMENTS", "[b]x[/b] [Image] a", "UF_CRM_NUMBER", int64(7), "UF_CRM_SCORE", 1.5, "UF_CRM_OPT_IN", true,
		"OPENED", false, "UF_CRM_SINCE", at, "BIRTHDATE", at, "UF_CRM_LEVEL", "silver", "UF_CRM_LABELS", []string{"new", "vip", "new"}, "ASSIGNED_BY_ID", "ada@CRM.io",
	)), recorded("6", change("393470000002", "UF_CRM_LABELS", []string{}, "UF_CRM_LEVEL", nil, "UF_CRM_SINCE", nil))}), "5", "6")
	q := p.calls(contactUpdate)
	has(t, q[0], "fields[NAME]", strings.Repeat("é", 50), "fields[COMMENTS]", "&#91;b]x&#91;/b] [Image] a", "fields[UF_CRM_NUMBER]", "7",
		"fields[UF_CRM_SCORE]", "1.5", "fields[UF_CRM_OPT_IN]", "1", "fields[OPENED]", "N", "fields[UF_CRM_SINCE]", "2026-11-21T08:30:05+00:00",
		"fields[BIRTHDATE]", "2026-11-21", "fields[UF_CRM_LEVEL]", "101", "fields[UF_CRM_LABELS][0]", "101", "fields[UF_CRM_LABELS][1]", "100",
		"fields[UF_CRM_LABELS][2]", "-", "fields[ASSIGNED_BY_ID]", "9")
	has(t, q[1], "fields[UF_CRM_LABELS][0]", "", "fields[UF_CRM_LEVEL]", "", "fields[UF_CRM_SINCE]", "")
}

func TestWhatCannotBeWrittenIsRefusedAloneAndBeforehand(t *testing.T) {
	tests := map[string]struct {
		field string
		value any
		want  string
	}{
		"no such field":       {"UF_CRM_OTHER", "x", "rejected NO_SUCH_FIELD"},
		"read-only":           {"DATE_MODIFY", "x", "rejected READ_ONLY_FIELD"},
		"no such option":      {"UF_CRM_LEVEL", "Bronze", "rejected INVALID_OPTION"},
		"labels in one value": {"UF_CRM_NUMBER", []string{"x"}, "rejected SINGLE_VALUE"},
		"odd type":            {"NAME", struct{}{}, "rejected INVALID_VALUE"},
		"no such colleague":   {"ASSIGNED_BY_ID", "x@crm.io", "rejected INVALID_OWNER"},
		"no colleague at all": {"ASSIGNED_BY_ID", "somebody", "rejected INVALID_OWNER"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			p, c := newPortal(t)
			p.on(contactUpdate, always(true))
			p.on(userGet, always([]m{}))
			got := c.WriteContacts(t.Context(), []connectors.ContactChange{
				recorded("5", change("393470000001", tt.field, tt.value)), recorded("6", change("393470000002")),
			})
			want(t, got, tt.want, "6")
			if got[0].Err.Field != tt.field {
				t.Errorf("names field %q", got[0].Err.Field)
			}
		})
	}
}

func TestUnknownLabelsAreAddedToTheList(t *testing.T) {
	p, c := newPortal(t)
	p.on(contactUpdate, always(true))
	p.on(fieldList, always([]m{{"ID": "77", "FIELD_NAME": "UF_CRM_LABELS"}}))
	p.on(fieldUpdate, func(url.Values) any {
		f := fields()
		f["UF_CRM_LABELS"].(m)["items"] = []m{{"ID": "100", "VALUE": "vip"}, {"ID": "101", "VALUE": "new"}, {"ID": "102", "VALUE": "late"}}
		p.methods[contactFields] = always(f)
		return true
	})
	ch := recorded("5", change("393470000001", "UF_CRM_LABELS", []string{"late", "vip"}))
	want(t, c.WriteContacts(t.Context(), []connectors.ContactChange{ch}), "5")
	has(t, p.calls(fieldUpdate)[0], "id", "77", "fields[LIST][0][ID]", "100", "fields[LIST][1][VALUE]", "new", "fields[LIST][2][VALUE]", "late", "fields[LIST][2][ID]", "-")
	has(t, p.calls(contactUpdate)[0], "fields[UF_CRM_LABELS][0]", "102", "fields[UF_CRM_LABELS][1]", "100")
}

func TestALabelThatMayNotBeAddedIsTheRecordsTrouble(t *testing.T) {
	p, c := newPortal(t)
	p.on(fieldList, always(no{400, "", "Access denied."}))
	ch := recorded("5", change("393470000001", "UF_CRM_LABELS", []string{"late"}))
	want(t, c.WriteContacts(t.Context(), []connectors.ContactChange{ch}), "rejected INVALID_OPTION")
}

func TestSomebodyWhoIsThereAlreadyIsFound(t *testing.T) {
	ours := []any{"ORIGINATOR_ID", "crmsync", "ORIGIN_ID"}
	tests := map[string]struct {
		people []m
		not    []string
		want   string
	}{
		"by key":                             {[]m{person("51", "5215512345678")}, nil, "51"},
		"by origin":                          {[]m{person("51", "", append(ours, "5215512345678")...)}, nil, "51"},
		"by number":                          {[]m{person("51", "", "PHONE", rowsOf("+5215512345678"))}, nil, "51"},
		"by a variant of the number":         {[]m{person("51", "", "PHONE", rowsOf("+525512345678"))}, nil, "51"},
		"by number rather than variant":      {[]m{person("51", "", "PHONE", rowsOf("+525512345678")), person("52", "", "PHONE", rowsOf("+5215512345678"))}, nil, "52"},
		"by key rather than number":          {[]m{person("51", "", "PHONE", rowsOf("+5215512345678")), person("52", "5215512345678")}, nil, "52"},
		"the oldest of two":                  {[]m{person("9", "5215512345678"), person("52", "5215512345678")}, nil, "9"},
		"not who has another key":            {[]m{person("51", "4915112345678", "PHONE", rowsOf("+5215512345678"))}, nil, "+901"},
		"not whom we made for somebody else": {[]m{person("51", "", append(ours, "49151", "PHONE", rowsOf("+5215512345678"))...)}, nil, "+901"},
		"not who is known to be another":     {[]m{person("51", "", "PHONE", rowsOf("+5215512345678"))}, []string{"51"}, "+901"},
		"nobody":                             {nil, nil, "+901"},
		"a key that differs in capitals":     {[]m{person("51", "IT.a", "ORIGIN_ID", "IT.a")}, nil, "+901"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			p, c := newPortal(t)
			p.people(tt.people...)
			key := "5215512345678"
			if name == "a key that differs in capitals" {
				key = "it.A"
				p.on(contactList, always(tt.people))
			}
			p.on(contactAdd, growing(900))
			p.on(contactUpdate, always(true))
			got := c.WriteContacts(t.Context(), []connectors.ContactChange{{
				Key: key, Phones: []string{"+5215512345678", "+525512345678"}, Fields: m{"LAST_NAME": "L"}, Not: tt.not,
			}})
			want(t, got, tt.want)
			for _, q := range p.calls(contactUpdate) {
				has(t, q, "id", tt.want, "fields[LAST_NAME]", "L", "fields[ORIGIN_ID]", "-")
			}
		})
	}
}

func TestWhatPeopleHaveEnteredIsKept(t *testing.T) {
	p, c := newPortal(t)
	p.people(person("51", "", "LAST_NAME", "Bianchi", "PHONE", rowsOf("347 0000001")),
		person("52", "393470000002", "LAST_NAME", "N", "ORIGINATOR_ID", "crmsync", "ORIGIN_ID", "393470000002"))
	p.on(contactUpdate, always(true))
	p.on(findByComm, always(m{"CONTACT": []int{51}}))
	fill := [][]string{{"NAME", "LAST_NAME"}, {"BIRTHDATE"}}
	a, b := change("393470000001", "UF_CRM_NUMBER", 3), change("393470000002")
	a.Fill, b.Fill = fill, fill
	got := c.WriteContacts(t.Context(), []connectors.ContactChange{a, b})
	want(t, got, "51", "52")
	if !slices.Equal(got[0].Kept, []string{"NAME", "LAST_NAME"}) || got[1].Kept != nil {
		t.Errorf("kept %v and %v", got[0].Kept, got[1].Kept)
	}
	q := p.calls(contactUpdate)
	has(t, q[0], "fields[NAME]", "-", "fields[UF_CRM_NUMBER]", "3", "fields["+keyField+"]", "393470000001")
	has(t, q[1], "fields[NAME]", "N393470000002")
}

func TestPhonesAndAddressesAreRows(t *testing.T) {
	const number, mail = "+393470000001", "b@x.it"
	type ops = []string // key, value, key, value
	tests := map[string]struct {
		known bool
		key   string
		have  []any
		field string
		value any
		want  ops
	}{
		"first number":                        {true, "", nil, "PHONE", number, ops{"[PHONE][0][VALUE]", number, "[PHONE][0][VALUE_TYPE]", "MOBILE", "[PHONE][0][ID]", "-"}},
		"the number is there":                 {true, "", []any{"PHONE", rowsOf("+391", number)}, "PHONE", number, ops{"[PHONE][0][VALUE]", "-"}},
		"the number, as people write":         {true, "", []any{"PHONE", rowsOf("+391", "347 000.0001")}, "PHONE", number, ops{"[PHONE][0][ID]", "32", "[PHONE][0][VALUE]", number, "[PHONE][1][ID]", "-"}},
		"another number":                      {true, "", []any{"PHONE", rowsOf("+391")}, "PHONE", number, ops{"[PHONE][0][VALUE]", number, "[PHONE][0][ID]", "-"}},
		"the former number of the contact":    {true, "393479999999", []any{"PHONE", rowsOf("+391", "+393479999999")}, "PHONE", number, ops{"[PHONE][0][ID]", "32", "[PHONE][0][VALUE]", number}},
		"no number any more":                  {true, "", []any{"PHONE", rowsOf("+391", number)}, "PHONE", nil, ops{"[PHONE][0][ID]", "32", "[PHONE][0][DELETE]", "Y", "[PHONE][1][ID]", "-"}},
		"first address":                       {true, "", nil, "EMAIL", mail, ops{"[EMAIL][0][VALUE]", mail, "[EMAIL][0][VALUE_TYPE]", "WORK"}},
		"the address is there":                {true, "", []any{"EMAIL", rowsOf("B@x.it", "c@x.it")}, "EMAIL", mail, ops{"[EMAIL][0][ID]", "-"}},
		"the address is not the first":        {true, "", []any{"EMAIL", rowsOf("c@x.it", mail)}, "EMAIL", mail, ops{"[EMAIL][0][ID]", "31", "[EMAIL][0][VALUE]", mail, "[EMAIL][1][ID]", "32", "[EMAIL][1][VALUE]", "c@x.it"}},
		"another address":                     {true, "", []any{"EMAIL", rowsOf("a@x.it")}, "EMAIL", mail, ops{"[EMAIL][0][ID]", "31", "[EMAIL][0][VALUE]", mail, "[EMAIL][1][VALUE]", "-"}},
		"no address any more":                 {true, "", []any{"EMAIL", rowsOf("a@x.it", "c@x.it")}, "EMAIL", nil, ops{"[EMAIL][0][ID]", "31", "[EMAIL][0][DELETE]", "Y", "[EMAIL][1][ID]", "-"}},
		"no address in the first place":       {true, "", nil, "EMAIL", nil, ops{"[EMAIL][0][ID]", "-"}},
		"the address of a stranger's record":  {false, "", []any{"PHONE", rowsOf(number), "EMAIL", rowsOf("a@x.it")}, "EMAIL", mail, ops{"[EMAIL][0][ID]", "31", "[EMAIL][0][VALUE]", mail, "[EMAIL][1][VALUE]", "a@x.it", "[EMAIL][1][ID]", "-"}},
		"the number of a stranger's record":   {false, "", []any{"PHONE", rowsOf("+391", number)}, "PHONE", number, ops{"[PHONE][0][VALUE]", "-"}},
		"the number in a stranger's spelling": {false, "", []any{"PHONE", rowsOf("3470000001")}, "PHONE", number, ops{"[PHONE][0][ID]", "31", "[PHONE][0][VALUE]", number}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			p, c := newPortal(t)
			p.people(person("51", tt.key, tt.have...))
			p.on(contactUpdate, always(true))
			ch := connectors.ContactChange{Key: "393470000001", Phones: []string{number}, Fields: m{tt.field: tt.value, "LAST_NAME": "L"}}
			if tt.known {
				ch.RecordID = "51"
			}
			want(t, c.WriteContacts(t.Context(), []connectors.ContactChange{ch}), "51")
			q := p.calls(contactUpdate)
			if len(q) != 1 {
				t.Fatalf("%d updates", len(q))
			}
			for i := 0; i < len(tt.want); i += 2 {
				has(t, q[0], "fields"+tt.want[i], tt.want[i+1])
			}
		})
	}
}

func TestOneRecordThatIsRefusedHoldsUpNoOther(t *testing.T) {
	p, c := newPortal(t)
	p.on(contactUpdate, func(q url.Values) any {
		switch q.Get("id") {
		case "2":
			return no{code: "", text: "Contact is not found"}
		case "3":
			return no{code: "ERROR_CORE", text: "The field Work e-mail contains an invalid address"}
		case "4":
			return whole{}
		}
		return true
	})
	p.on(contactAdd, func(q url.Values) any {
		switch q.Get("fields[ORIGIN_ID]") {
		case "393470000012":
			return no{code: "INTERNAL_SERVER_ERROR", text: "Internal server error"}
		case "393470000013":
			return whole{}
		case "393470000014":
			return no{code: "CRM_FIELD_ERROR_REQUIRED", text: "The field 39347 is required"}
		}
		return 900
	})
	var changes []connectors.ContactChange
	for i := 1; i < 5; i++ {
		changes = append(changes, recorded(fmt.Sprint(i), change(fmt.Sprintf("39347000000%d", i))))
	}
	for i := 11; i < 15; i++ {
		changes = append(changes, change(fmt.Sprintf("3934700000%d", i)))
	}
	changes = append(changes, connectors.ContactChange{}, recorded("x", change("39347")))
	want(t, c.WriteContacts(t.Context(), changes), "1", "conflict NOT_FOUND", "rejected INVALID_EMAIL", "transient",
		"+900", "unknown_outcome INTERNAL_SERVER_ERROR", "unknown_outcome", "rejected CRM_FIELD_ERROR_REQUIRED", "rejected", "conflict NOT_FOUND")
}

func TestTheSameContactTwiceIsWrittenOnce(t *testing.T) {
	p, c := newPortal(t)
	p.on(contactAdd, growing(900))
	p.on(contactUpdate, always(true))
	want(t, c.WriteContacts(t.Context(), []connectors.ContactChange{
		change("393470000001", "LAST_NAME", "a"), change("393470000001", "LAST_NAME", "b"),
		recorded("51", change("393470000002", "LAST_NAME", "a")), recorded("51", change("393470000002", "NAME", "b")),
	}), "+901", "+901", "51", "51")
	has(t, p.calls(contactAdd)[0], "fields[LAST_NAME]", "b")
	has(t, p.calls(contactUpdate)[0], "fields[LAST_NAME]", "a", "fields[NAME]", "b")
	if a, u := len(p.calls(contactAdd)), len(p.calls(contactUpdate)); a != 1 || u != 1 {
		t.Errorf("%d adds and %d updates", a, u)
	}
}

func TestAKnownRecordFreesItsKeyFirst(t *testing.T) {
	p, c := newPortal(t)
	p.people(person("51", "393470000001"))
	p.on(contactAdd, growing(900))
	p.on(contactUpdate, always(true))
	freed := recorded("51", change("393470000009"))
	freed.Key = "393470000009"
	want(t, c.WriteContacts(t.Context(), []connectors.ContactChange{change("393470000001"), freed}), "+901", "51")
	if first := p.requests[1]; first[0] != contactUpdate {
		t.Errorf("began with %v", first)
	}
}

func TestANamelessContactIsNamedByItsNumber(t *testing.T) {
	p, c := newPortal(t)
	p.on(contactAdd, growing(900))
	want(t, c.WriteContacts(t.Context(), []connectors.ContactChange{
		{Key: "393470000001", Phones: []string{"+393470000001"}}, {Key: "IT.77", Fields: m{"LAST_NAME": ""}},
	}), "+901", "+902")
	has(t, p.calls(contactAdd)[0], "fields[NAME]", "+393470000001")
	has(t, p.calls(contactAdd)[1], "fields[NAME]", "IT.77")
}

func TestLookUpsThatFailAddNobody(t *testing.T) {
	tests := map[string]struct {
		method string
		answer any
		want   string
	}{
		"the search is blocked":  {findByComm, no{code: "OPERATION_TIME_LIMIT", text: "Method is blocked due to operation time limit."}, "throttled OPERATION_TIME_LIMIT"},
		"the list is forbidden":  {contactList, no{code: "", text: "Access denied."}, "rejected ACCESS_DENIED"},
		"the field is not there": {contactList, []m{person("1", "x")}, "transient NO_SUCH_FIELD"},
		"no answer":              {contactList, whole{}, "transient"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			p, c := newPortal(t)
			p.on(tt.method, always(tt.answer))
			want(t, c.WriteContacts(t.Context(), []connectors.ContactChange{change("393470000001")}), tt.want)
			if n := len(p.calls(contactAdd)); n > 0 {
				t.Errorf("%d were added", n)
			}
		})
	}
}

func TestWithoutTheKeyFieldNobodyIsWritten(t *testing.T) {
	p, c := newPortal(t)
	f := fields()
	delete(f, keyField)
	p.on(contactFields, always(f))
	want(t, c.WriteContacts(t.Context(), []connectors.ContactChange{change("393470000001"), recorded("5", change("393470000002"))}),
		"transient NO_SUCH_FIELD", "transient NO_SUCH_FIELD")
}

func TestANumberThatManyHaveIsAskedForAlone(t *testing.T) {
	p, c := newPortal(t)
	p.people(person("51", "", "PHONE", rowsOf("+393470000001")))
	p.on(contactUpdate, always(true))
	p.on(contactAdd, growing(900))
	p.on(findByComm, func(q url.Values) any {
		var many []int
		for i := range 20 {
			many = append(many, 1000+i)
		}
		if len(q) == 12 { // both of them
			return m{"CONTACT": many}
		}
		return m{"CONTACT": []int{51}}
	})
	want(t, c.WriteContacts(t.Context(), []connectors.ContactChange{change("393470000001"), change("393470000002")}), "51", "+901")
}
