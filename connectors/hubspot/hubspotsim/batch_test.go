package hubspotsim_test

import (
	"fmt"
	"slices"
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
	a.batch("create", many(100)).says(t, 201, `"status":"COMPLETE"`)
	a.post(contacts+"/batch/read", obj{"inputs": many(51), "propertiesWithHistory": []string{"firstname"}}).says(t, 400,
		"in a batch request for property histories is 50")
	twice := append(many(3), obj{"id": "2", "properties": obj{"city": "Rome"}})
	for _, op := range []string{"update", "upsert"} {
		got := a.batch(op, twice)
		got.says(t, 400, "Duplicate IDs found in batch input: [2]. IDs must be unique")
		same(t, "ids", got.at("context", "ids"), "[2]")
	}
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
	if got.at("results", 0, "objectWriteTraceId") != nil {
		t.Error("a result echoes its trace id")
	}
}

func TestResultsComeInAnyOrder(t *testing.T) {
	t.Parallel()
	a := open(t, hubspotsim.Options{})
	got := a.batch("create", many(50)).want(t, 201)
	var order []string
	for n := range 50 {
		order = append(order, got.str("results", n, "properties", "firstname"))
	}
	if slices.IsSorted(order) {
		t.Error("fifty results came in the order of their inputs")
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
	same(t, "updated", a.get(contacts+"/"+ada+"?properties=city").at("properties", "city"), "Rome")
	a.batch("update", []obj{{"id": ada, "properties": obj{"city": "Oslo"}}, {"id": bob, "properties": obj{"shoe": "1"}}}).says(t, 400)
	same(t, "not updated", a.get(contacts+"/"+ada+"?properties=city").at("properties", "city"), "Rome")
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
		got := a.batch("upsert", in).want(t, 200)
		same(t, "first name", a.get(contacts+"/"+got.str("results", 0, "id")).at("properties", "firstname"), want)
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
	a.post(contacts+"/batch/update", `{"inputs":[{"id":`).says(t, 400, "Invalid input JSON on line 1, column ")
}
