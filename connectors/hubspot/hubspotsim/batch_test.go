package hubspotsim_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"crmsync/connectors/hubspot/hubspotsim"
)

func many(n int) []obj {
	list := make([]obj, n)
	for i := range list {
		list[i] = obj{"id": fmt.Sprint(i + 1), "properties": obj{"firstname": fmt.Sprintf("P%03d", i)}}
	}
	return list
}

func TestABatchHasItsLimits(t *testing.T) {
	t.Parallel()
	a := open(t, hubspotsim.Options{})
	for _, op := range []string{"create", "read", "update", "upsert", "archive"} {
		a.batch(op, many(101)).says(t, 400, `"category":"VALIDATION_ERROR"`,
			"The maximum number of inputs supported in a batch request is 100. Please reduce the number of items and try again")
	}
	a.post(communications+"/batch/create", obj{"inputs": many(101)}).says(t, 400, "a batch request is 100.")
	full := a.batch("create", many(100)).want(t, 201)
	same(t, "status", full.str("status"), "COMPLETE")
	same(t, "created", full.count("results"), 100)
	for _, member := range []string{"errors", "numErrors"} {
		same(t, member, full.at(member), nil)
	}
	if full.str("startedAt") == "" || full.str("completedAt") == "" {
		t.Errorf("got %v and %v, want the times of the batch", full.at("startedAt"), full.at("completedAt"))
	}
	histories := func(n int) answer {
		var ids []obj
		for i := range n {
			ids = append(ids, obj{"id": fmt.Sprint(101 + i)})
		}
		return a.post(contacts+"/batch/read", obj{"inputs": ids, "propertiesWithHistory": []string{"firstname"}})
	}
	histories(51).says(t, 400, "The maximum number of inputs supported in a batch request for property histories is 50. Please reduce the number of items and try again",
		`"category":"VALIDATION_ERROR"`)
	some := histories(50).want(t, 200)
	same(t, "with histories", some.count("results"), 50)
	if some.str("results", 0, "propertiesWithHistory", "firstname", 0, "value") == "" {
		t.Errorf("got %v, want a history", some.at("results", 0))
	}
	twice := append(many(3), obj{"id": "2", "properties": obj{"city": "Rome"}})
	for _, op := range []string{"update", "upsert"} {
		got := a.batch(op, twice)
		got.says(t, 400, "Duplicate IDs found in batch input: [2]. IDs must be unique")
		got.says(t, 400, `"category":"VALIDATION_ERROR"`)
		same(t, "ids", got.at("context", "ids"), "[2]")
	}
	email := func(id string) obj { return obj{"id": id, "idProperty": "email"} }
	got := a.batch("upsert", []obj{email("ada@example.com"), email("Ada@Example.com"), email("bob@example.com"), email("bob@example.com")})
	got.says(t, 400, "Duplicate IDs found in batch input: [ada@example.com, bob@example.com]. IDs must be unique")
	same(t, "ids", got.at("context", "ids"), "[ada@example.com bob@example.com]")
	same(t, "contacts", a.Stats().Contacts, 100)
}

func TestABatchOfCreationsWithoutTracesIsAllOrNothing(t *testing.T) {
	t.Parallel()
	a := open(t, hubspotsim.Options{})
	taken := a.person(obj{"email": "ada@example.com"})
	rows := func(list ...obj) []obj {
		var in []obj
		for _, p := range list {
			in = append(in, obj{"properties": p})
		}
		return in
	}
	got := a.batch("create", rows(obj{"firstname": "Good"}, obj{"email": "bad@"}, obj{"shoe": "39"}))
	got.says(t, 400, "INVALID_EMAIL", "PROPERTY_DOESNT_EXIST")
	same(t, "offenders of all inputs", got.count("errors"), 2)
	a.batch("create", rows(obj{"firstname": "Good"}, obj{"email": "ada@example.com"})).says(t, 409, "Existing ID: "+taken)
	twice := a.batch("create", rows(obj{"email": "new@example.com"}, obj{"email": "NEW@example.com"}))
	twice.says(t, 409, `"message":"Contact already exists"`)
	half := rows(obj{"firstname": "Good"}, obj{"email": "bad@"})
	half[0]["objectWriteTraceId"] = "only one of two"
	a.batch("create", half).says(t, 400)
	malformed := a.post(contacts+"/batch/create", `{"inputs":[{"properties":{"firstname":"Good"}},{"properties":{"firstname":["Bad"]}}]}`)
	malformed.says(t, 400, "Invalid input JSON on line 1, column ", "Cannot deserialize value of type `java.lang.String` from Array value")
	same(t, "category", malformed.at("category"), nil)
	same(t, "contacts", a.Stats().Contacts, 1)
	good := a.batch("create", rows(obj{"firstname": "A"}, obj{"firstname": "B"})).want(t, 201)
	same(t, "created", good.values("firstname"), "[A B]")
}

func TestABatchOfCreationsWithTracesMaySucceedInPart(t *testing.T) {
	t.Parallel()
	a := open(t, hubspotsim.Options{})
	taken := a.person(obj{"email": "ada@example.com"})
	got := a.batch("create", traced(obj{"firstname": "A"}, obj{"email": "ada@example.com"}, obj{"shoe": "39"}, obj{"firstname": "B"})).want(t, 207)
	same(t, "created", got.values("firstname"), "[A B]")
	same(t, "numErrors", got.at("numErrors"), 2)
	errors := map[string]answer{}
	for n := range got.count("errors") {
		e := answer{obj: got.at("errors", n).(obj)}
		errors[e.str("context", "objectWriteTraceId", 0)] = e
	}
	same(t, "conflict", errors["t1"].str("category"), "CONFLICT")
	same(t, "existing", errors["t1"].str("context", "existingId", 0), taken)
	same(t, "validation", errors["t2"].str("category"), "VALIDATION_ERROR")
	same(t, "message", errors["t1"].str("message"), "Contact already exists. Existing ID: "+taken)
	same(t, "statuses", []any{errors["t1"].at("status"), errors["t2"].at("status"), got.at("status")}, "[error error COMPLETE]")
	same(t, "existing, of what is not there", errors["t2"].at("context", "existingId"), nil)
	if text := fmt.Sprint(got.at("results")); strings.Contains(text, "objectWriteTraceId") || strings.Contains(text, "t0") {
		t.Errorf("got %s: a result echoes its trace id", text)
	}
	// Of two with one address the first is written, and is in the way of the second.
	twice := a.batch("create", traced(obj{"email": "new@example.com"}, obj{"email": "NEW@example.com"})).want(t, 207)
	same(t, "existing", twice.at("errors", 0, "context", "existingId", 0), twice.at("results", 0, "id"))
	alike := traced(obj{"firstname": "C"}, obj{"firstname": "D"})
	alike[1]["objectWriteTraceId"] = alike[0]["objectWriteTraceId"]
	a.batch("create", alike).says(t, 400, "objectWriteTraceId must be unique")
	none := a.batch("create", traced(obj{"shoe": "39"}, obj{"shoe": "40"})).want(t, 207)
	same(t, "none created", []any{none.count("results"), none.count("errors"), none.at("numErrors")}, "[0 2 2]")
	same(t, "contacts", a.Stats().Contacts, 4)
}

func TestResultsComeInAnyOrder(t *testing.T) {
	t.Parallel()
	a := open(t, hubspotsim.Options{})
	a.define("contacts", "crmsync_wa_id", obj{"hasUniqueValue": true}).want(t, 201)
	var plain, marked, upserts, ids []obj
	for n := range 50 {
		properties := obj{"firstname": fmt.Sprintf("P%03d", n)}
		plain = append(plain, obj{"properties": properties})
		marked = append(marked, obj{"properties": properties, "objectWriteTraceId": fmt.Sprint(n)})
		upserts = append(upserts, obj{"id": fmt.Sprint(n), "idProperty": "crmsync_wa_id", "properties": properties})
		ids = append(ids, obj{"id": fmt.Sprint(101 + n)})
	}
	updates := many(150)[100:]
	for n, u := range updates {
		u["properties"] = plain[n]["properties"]
	}
	for _, call := range []struct {
		name, op string
		in       []obj
		status   int
	}{
		{"create", "create", plain, 201},
		{"create, traced", "create", marked, 201},
		{"update", "update", updates, 200},
		{"read", "read", ids, 200},
		{"upsert", "upsert", upserts, 200},
	} {
		got := a.batch(call.op, call.in).want(t, call.status)
		same(t, call.name, got.count("results"), 50)
		var order []string
		for n := range 50 {
			order = append(order, got.str("results", n, "properties", "firstname"))
		}
		if slices.IsSorted(order) {
			t.Errorf("%s: fifty results came in the order of their inputs", call.name)
		}
	}
}

func TestMissingIdsAreReportedTogether(t *testing.T) {
	t.Parallel()
	a := open(t, hubspotsim.Options{})
	ada, bob := a.person(obj{"firstname": "Ada"}), a.person(obj{"firstname": "Bob"})
	in := []obj{{"id": ada, "properties": obj{"city": "Rome"}}, {"id": "999"}, {"id": "nobody"}, {"id": bob}}
	for _, op := range []string{"update", "read"} {
		got := a.batch(op, in).want(t, 207)
		same(t, op, got.count("results"), 2)
		same(t, op, got.count("errors"), 1)
		same(t, op, got.at("errors", 0, "context", "ids"), "[999 nobody]")
		same(t, op, got.at("errors", 0, "category"), "OBJECT_NOT_FOUND")
	}
	for _, op := range []string{"update", "read"} {
		none := a.batch(op, in[1:3])
		none.says(t, 207, "Could not get some CONTACT objects, they may be deleted or not exist. Check that ids are valid.")
		same(t, op+" of nobody", []any{none.count("results"), none.count("errors"), none.at("numErrors")}, "[0 1 1]")
		a.batch(op, []obj{in[0], in[3]}).says(t, 200)
	}
	byEmail := a.post(contacts+"/batch/read", obj{"idProperty": "email", "inputs": []obj{{"id": "nobody@example.com"}}}).want(t, 207)
	same(t, "by a key", byEmail.at("errors", 0, "context", "ids"), "[nobody@example.com]")
	same(t, "updated", a.get(contacts+"/"+ada+"?properties=city").at("properties", "city"), "Rome")
	a.batch("update", []obj{{"id": ada, "properties": obj{"city": "Oslo"}}, {"id": bob, "properties": obj{"shoe": "1"}}}).says(t, 400)
	same(t, "not updated", a.get(contacts+"/"+ada+"?properties=city").at("properties", "city"), "Rome")
	a.patch(contacts+"/"+bob, obj{"properties": obj{"email": "bob@example.com"}}).want(t, 200)
	a.batch("update", []obj{{"id": bob, "properties": obj{"city": "Oslo"}}, {"id": ada, "properties": obj{"email": "BOB@example.com"}}}).says(t, 409,
		"Contact already exists. Existing ID: "+bob)
	same(t, "not updated", a.get(contacts+"/"+bob+"?properties=city").at("properties", "city"), nil)
	a.batch("update", []obj{{"id": "bob@example.com", "idProperty": "email"}}).says(t, 400, "by non-unique 0-1 property email in portal ID 62515")
	a.batch("update", []obj{{"id": ada, "idProperty": "hs_object_id"}}).says(t, 400, "by non-unique 0-1 property hs_object_id in portal ID 62515")
	a.batch("archive", in).says(t, 204)
	same(t, "left", a.Stats().Contacts, 0)
}

func TestAnUpsertNeedsAUniqueProperty(t *testing.T) {
	t.Parallel()
	a := open(t, hubspotsim.Options{})
	row := func(property, id string) []obj {
		return []obj{{"id": id, "idProperty": property, "properties": obj{"firstname": "Ada"}}}
	}
	a.batch("upsert", row("", "ada@example.com")).says(t, 404, "resource not found")
	for _, property := range []string{"phone", "mobilephone", "hs_object_id", "no_such_thing"} {
		a.batch("upsert", row(property, "1")).says(t, 400, `"category":"VALIDATION_ERROR"`,
			"Unable to perform upsert by non-unique 0-1 property "+property+" in portal ID 62515")
	}
	first := a.batch("upsert", row("email", "ada@example.com")).want(t, 200)
	same(t, "new", first.at("results", 0, "new"), true)
	same(t, "email of what was created", first.at("results", 0, "properties", "email"), "ada@example.com")
	again := a.batch("upsert", row("email", "ada@example.com")).want(t, 200)
	same(t, "new", again.at("results", 0, "new"), false)
	same(t, "id", again.str("results", 0, "id"), first.str("results", 0, "id"))
}

func TestAnUpsertByEmailIsAllOrNothing(t *testing.T) {
	t.Parallel()
	a := open(t, hubspotsim.Options{})
	in := []obj{
		{"id": "ada@example.com", "idProperty": "email", "properties": obj{"firstname": "Ada"}},
		{"id": "bob@example.com", "idProperty": "email", "properties": obj{"shoe": "39"}},
	}
	a.batch("upsert", in).says(t, 400, "PROPERTY_DOESNT_EXIST")
	in[0]["objectWriteTraceId"] = "a"
	a.batch("upsert", in).says(t, 400, "Cannot upsert a CONTACT when idProperty is set to email.")
	same(t, "contacts", a.Stats().Contacts, 0)

	b := open(t, hubspotsim.Options{EmailUpsertWithTraceIDs: true})
	in[1]["objectWriteTraceId"] = "b"
	b.batch("upsert", in).says(t, 207)
}

func TestAnUpsertByEmailWithCapitalsLosesTheRest(t *testing.T) {
	t.Parallel()
	in := []obj{{"id": "Ada@Example.com", "idProperty": "email", "properties": obj{"firstname": "Ada"}}}
	for keep, want := range map[bool]any{false: nil, true: "Ada"} {
		a := open(t, hubspotsim.Options{KeepPropertiesOnCapitalEmail: keep})
		name := func(got answer) any {
			return a.get(contacts+"/"+got.want(t, 200).str("results", 0, "id")).at("properties", "firstname")
		}
		got := a.batch("upsert", in)
		same(t, "new", got.at("results", 0, "new"), true)
		same(t, "email", got.at("results", 0, "properties", "email"), "ada@example.com")
		same(t, "first name", name(got), want)
		again := a.batch("upsert", in)
		same(t, "of a contact that is there", []any{name(again), again.at("results", 0, "new")}, "[Ada false]")
		same(t, "in small letters", name(a.batch("upsert", []obj{{"id": "bob@example.com", "idProperty": "email", "properties": obj{"firstname": "Bob"}}})), "Bob")
	}
}

func TestAnUpsertByACustomKeyMaySucceedInPart(t *testing.T) {
	t.Parallel()
	a := open(t, hubspotsim.Options{SparseUpsertEcho: true})
	a.define("contacts", "crmsync_wa_id", obj{"hasUniqueValue": true}).want(t, 201)
	a.person(obj{"email": "taken@example.com"})
	in := []obj{
		{"id": "12125550101", "idProperty": "crmsync_wa_id", "properties": obj{"firstname": "Ada"}},
		{"id": "12125550102", "idProperty": "crmsync_wa_id", "properties": obj{"email": "taken@example.com"}},
	}
	a.batch("upsert", in).says(t, 409, "Contact already exists")
	same(t, "contacts", a.Stats().Contacts, 1)
	in[0]["objectWriteTraceId"], in[1]["objectWriteTraceId"] = "a", "b"
	got := a.batch("upsert", in).want(t, 207)
	same(t, "failed", got.at("errors", 0, "context", "objectWriteTraceId", 0), "b")
	same(t, "new", got.at("results", 0, "new"), true)
	if got.at("results", 0, "properties", "firstname") != nil {
		t.Error("a sparse echo shows what was sent")
	}
	same(t, "key", a.get(contacts+"/"+got.str("results", 0, "id")+"?properties=crmsync_wa_id").at("properties", "crmsync_wa_id"), "12125550101")
}

func TestABatchOfNothingMayBeAnsweredWithNothing(t *testing.T) {
	t.Parallel()
	open(t, hubspotsim.Options{}).post(contacts+"/batch/update", obj{}).says(t, 400, "[inputs]")
	a := open(t, hubspotsim.Options{SilentNoOp: true})
	for _, body := range []any{obj{}, obj{"inputs": []obj{}}} {
		a.post(contacts+"/batch/update", body).says(t, 200, `"results":[]`, `"errors":[]`)
	}
	for _, op := range []string{"create", "read", "update", "upsert"} {
		got := a.post(contacts+"/batch/"+op, obj{"input": []obj{{"id": "101"}}}).want(t, 200)
		same(t, op, []any{got.at("status"), got.count("results"), got.count("errors")}, "[COMPLETE 0 0]")
	}
	same(t, "writes", a.Stats().Writes, 0)
	a.post(contacts+"/batch/update", `{"inputs":[{"id":`).says(t, 400, "Invalid input JSON on line 1, column ")
}
