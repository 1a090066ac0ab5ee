package zohosim_test

import (
	"strings"
	"testing"
	"time"

	"crmsync/connectors/zoho/zohosim"
)

func (a *org) query(text string) answer {
	a.t.Helper()
	return a.post("/coql", obj{"select_query": text})
}

func TestSearchLagsAndCOQLDoesNot(t *testing.T) {
	t.Parallel()
	a := open(t, zohosim.Options{Lag: true})
	a.person(obj{"Last_Name": "ABC Inc", "Email": "a@example.com", "Mobile": "+49 151 1234567"})
	byEmail := "/Contacts/search?email=A@example.com&fields=Last_Name"
	a.get(byEmail).silent(t, 204)
	a.query("select Last_Name from Contacts where Email = 'a@example.com'").says(t, 200, "ABC Inc")
	a.pass(1900 * time.Millisecond)
	a.get(byEmail).silent(t, 204)
	a.pass(1200 * time.Millisecond)
	a.get(byEmail).says(t, 200, "ABC Inc")
	a.get("/Contacts/search?criteria=(Last_Name:equals:abc)").says(t, 200, "ABC Inc")
	a.get("/Contacts/search?criteria=((Last_Name:starts_with:abc)and(Mobile:equals:%2B49%20151))&email=ignored@x.de").says(t, 200)
	a.get("/Contacts/search?phone=1511234").says(t, 200)
	a.get("/Contacts/search?word=inc").says(t, 200)
	a.get("/Contacts/search?criteria=(Last_Name:in:x,y)").silent(t, 204)
	a.get(`/Contacts/search?criteria=(Last_Name:equals:a\)b)`).silent(t, 204)
	a.get("/Contacts/search").says(t, 400, "EXPECTED_PARAM_MISSING", "criteria")
	a.get("/Contacts/search?criteria=(Nothing:equals:x)").says(t, 400, "INVALID_QUERY", `"api_name":"Nothing"`)
	a.get("/Contacts/search?criteria=(Last_Name:sounds:x)").says(t, 400, "INVALID_QUERY", `"operator":"sounds"`)
	a.get("/Contacts/search?criteria=("+strings.Repeat("(Last_Name:equals:x)or", 10)+"(Last_Name:equals:x))").says(t, 400, "CRITERIA_LIMIT_EXCEEDED")
	a.get("/Contacts/search?word=x&page=11").says(t, 400, "LIMIT_REACHED", `"limit":"2000"`)
	a.get("/Notes/search?word=x").says(t, 400, "NOT_SUPPORTED")
	same(t, "count", a.get("/Contacts/actions/count?email=a@example.com").at("count"), 1)
}

func TestSearchShowsWhatWasBeforeAChange(t *testing.T) {
	t.Parallel()
	a := open(t, zohosim.Options{Lag: true})
	id := a.person(obj{"Last_Name": "Before"})
	a.pass(time.Minute)
	found := func(name string) (searched, queried, counted bool) {
		return a.get("/Contacts/search?criteria=(Last_Name:equals:"+name+")").status == 200,
			a.query("select id from Contacts where Last_Name = '"+name+"'").status == 200,
			a.get("/Contacts/actions/count?word="+name).at("count") == 1.0
	}
	see := func(what, name string, search, coql bool) {
		t.Helper()
		searched, queried, counted := found(name)
		same(t, what+": "+name, []bool{searched, queried, counted}, []bool{search, coql, search})
	}
	see("stored", "Before", true, true)
	a.put("/Contacts/"+id, rows(obj{"Last_Name": "After"})).want(t, 200)
	see("just changed", "Before", true, false)
	see("just changed", "After", false, true)
	a.pass(4 * time.Second)
	see("changed", "Before", false, false)
	see("changed", "After", true, true)
	a.remove("/Contacts/"+id).want(t, 200)
	see("just deleted", "After", true, false)
	a.pass(4 * time.Second)
	see("deleted", "After", false, false)
}

func TestCOQLUnderstandsWhatIsDocumented(t *testing.T) {
	t.Parallel()
	a := open(t, zohosim.Options{})
	a.messages()
	ada := a.person(obj{"Last_Name": "O'Brien", "Email": "ada@example.com", "Title": "x", "Email_Opt_Out": true})
	bob := a.person(obj{"Last_Name": "Bob"})
	a.post("/WhatsApp_Messages", rows(obj{"Name": "m", "Contact": obj{"id": ada}})).want(t, 201)
	a.pass(time.Minute)
	a.put("/Contacts/"+bob, rows(obj{"Mobile": "5"})).want(t, 200)
	where := func(condition string) string {
		got := a.query("select Last_Name from Contacts where " + condition + " order by id asc limit 2000")
		var names []string
		for n := range got.count("data") {
			names = append(names, got.str("data", n, "Last_Name"))
		}
		if got.status != 200 && got.status != 204 {
			return got.str("code")
		}
		return strings.Join(names, " ")
	}
	for condition, want := range map[string]string{
		`Last_Name = 'o\'brien'`: "O'Brien", `Last_Name = 'o'brien'`: "SYNTAX_ERROR", `Last_Name != 'bob'`: "O'Brien",
		`Last_Name like '%bri%'`: "O'Brien", `Last_Name in ('BOB','x')`: "Bob", `Last_Name not in ('bob')`: "O'Brien", `Last_Name not like 'B%'`: "O'Brien",
		`Email is null`: "Bob", `Email is not null`: "O'Brien", `Email_Opt_Out = true`: "O'Brien", `Email_Opt_Out = 'false'`: "Bob",
		`id > ` + ada: "Bob", `id >= '` + ada + `'`: "O'Brien Bob", `id = ` + bob: "Bob", `id in (` + ada + `,` + bob + `)`: "O'Brien Bob",
		`Modified_Time > '2026-10-01T08:00:30+00:00'`: "Bob", `Modified_Time between '2026-10-01T13:30:00+05:30' and '2026-10-01T13:30:05+05:30'`: "O'Brien",
		`(Last_Name = 'bob' or Email = 'ADA@example.com')`: "O'Brien Bob", `((Last_Name = 'bob' and Mobile = '5') and id > 0)`: "Bob",
		`Last_Name = 'a' and Email = 'b' and Title = 'c'`: "SYNTAX_ERROR", `Nothing = 1`: "INVALID_QUERY", `Last_Name ~ 'x'`: "SYNTAX_ERROR",
		`Last_Name == 'x'`: "SYNTAX_ERROR", `Owner.email = 'crm.sync@example.com'`: "O'Brien Bob",
		`Last_Name in (` + strings.Repeat("'x',", 50) + `'x')`: "LIMIT_EXCEEDED",
	} {
		same(t, condition, where(condition), want)
	}
	got := a.query("select Name, Contact, Contact.Last_Name from WhatsApp_Messages where Contact = '"+ada+"'").want(t, 200)
	same(t, "a lookup", got.at("data", 0, "Contact"), obj{"id": ada})
	same(t, "by the related one", a.query("select Name from WhatsApp_Messages where (Contact.Email = 'ada@example.com' and Name = 'm')").count("data"), 1)
	a.query("select Name from WhatsApp_Messages where Contact.Email in ('bob@example.com')").silent(t, 204)
	same(t, "of the related one", got.str("data", 0, "Contact.Last_Name"), "O'Brien")
	same(t, "info", got.at("info"), obj{"count": 1, "more_records": false})
	a.query("select id from Contacts").says(t, 400, "SYNTAX_ERROR", `"clause":"where"`)
	a.query("select id from Nowhere where id is not null").says(t, 400, "INVALID_QUERY")
	a.query("select "+strings.Repeat("id,", 50)+"id from Contacts where id is not null").says(t, 400, "LIMIT_EXCEEDED")
	a.query("select id from Contacts where id is not null limit 2001").says(t, 400, "LIMIT_EXCEEDED")
	a.query("select id from Contacts where id is not null limit 2000 offset 98001").says(t, 400, "LIMIT_EXCEEDED")
	a.query("").says(t, 400, "MANDATORY_NOT_FOUND")
	same(t, "offset", a.query("select Last_Name from Contacts where id is not null order by Last_Name desc limit 1 offset 1").str("data", 0, "Last_Name"), "Bob")
	same(t, "two numbers", a.query("select Last_Name from Contacts where id is not null limit 1, 1").str("data", 0, "Last_Name"), "Bob")
	same(t, "more", a.query("select Last_Name from Contacts where id is not null limit 1").at("info", "more_records"), true)
	a.knob(`{"coql_rows":200}`)
	a.query("select id from Contacts where id is not null limit 201").says(t, 400, "LIMIT_EXCEEDED")
}
