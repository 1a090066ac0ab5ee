package zohosim_test

import (
	"slices"
	"testing"

	"crmsync/connectors/zoho/zohosim"
)

func TestUpsertComparesInTheDocumentedOrder(t *testing.T) {
	t.Parallel()
	a := open(t, zohosim.Options{})
	a.define("Contacts", "u1", "text", unique).want(t, 201)
	a.define("Contacts", "u2", "text", unique).want(t, 201)
	names := map[string]string{
		a.person(obj{"Email": "e@example.com"}): "Email", a.person(obj{"u1": "One"}): "u1", a.person(obj{"u2": "Two"}): "u2",
	}
	// What a row with several known keys leads to shows the order.
	tests := map[string]struct {
		checks []string
		row    obj
		want   string
	}{
		"no list: the system field first":      {nil, obj{"Email": "E@Example.com"}, "Email"},
		"no list: then the first unique one":   {nil, obj{"Email": "new@example.com", "u1": "ONE"}, "u1"},
		"no list: then the second":             {nil, obj{"u2": "two"}, "u2"},
		"u1 listed":                            {[]string{"u1"}, obj{"u1": "one"}, "u1"},
		"u1 listed, and u2 without being so":   {[]string{"u1"}, obj{"u1": "other", "u2": "two"}, "u2"},
		"u1 listed, the system field not":      {[]string{"u1"}, obj{"Email": "e@example.com"}, ""},
		"u2 listed, and u1 without being so":   {[]string{"u2"}, obj{"u1": "one"}, "u1"},
		"both listed":                          {[]string{"u1", "u2"}, obj{"u2": "two"}, "u2"},
		"the system field listed":              {[]string{"Email"}, obj{"Email": "e@example.com"}, "Email"},
		"the system field listed, not matched": {[]string{"Email"}, obj{"Email": "x@example.com", "u2": "two"}, "u2"},
	}
	for name, test := range tests {
		test.row["Last_Name"] = "A"
		got := a.upserted("Contacts", test.checks, test.row).want(t, 200)
		field, _ := got.at("data", 0, "duplicate_field").(string)
		same(t, name, field, test.want)
		id := got.str("data", 0, "details", "id")
		if same(t, name, names[id], test.want); test.want == "" {
			got.says(t, 200, `"action":"insert"`, `"duplicate_field":null`)
			a.remove("/Contacts?ids="+id).want(t, 200)
		}
		// Back to how it was.
		for id, field := range names {
			row := obj{"id": id, "Email": nil, "u1": nil, "u2": nil}
			row[field] = map[string]string{"Email": "e@example.com", "u1": "One", "u2": "Two"}[field]
			a.put("/Contacts", rows(row)).want(t, 200)
		}
	}
	// Two known keys of two records: the first one decides, the other collides.
	a.upserted("Contacts", []string{"u2"}, obj{"u1": "one", "u2": "two"}).says(t, 400, "DUPLICATE_DATA", `"api_name":"u1"`)
	a.upserted("Contacts", []string{"Phone"}, obj{"Last_Name": "A"}).says(t, 400, "INVALID_DATA", `"api_name":"Phone"`)
	same(t, "twins", a.upserted("Contacts", []string{"u1"}, obj{"Last_Name": "A", "u1": "t"}, obj{"Last_Name": "B", "u1": "T"}).str("data", 1, "action"), "update")
	a.knob(`{"refuse_twins":true}`)
	same(t, "twins", a.upserted("Contacts", []string{"u1"}, obj{"Last_Name": "A", "u1": "z"}, obj{"Last_Name": "B", "u1": "Z"}).codes(), "SUCCESS DUPLICATE_DATA")
}

func TestEveryListOfKeysHasItsOrder(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		checks []string
		want   []string
	}{
		"none":             {nil, []string{"Email", "u1", "u2"}},
		"an empty one":     {[]string{}, []string{"Email", "u1", "u2"}},
		"u1":               {[]string{"u1"}, []string{"u1", "u2"}},
		"u2":               {[]string{"u2"}, []string{"u2", "u1"}},
		"u1, u2":           {[]string{"u1", "u2"}, []string{"u1", "u2"}},
		"u2, u1":           {[]string{"u2", "u1"}, []string{"u2", "u1"}},
		"the system field": {[]string{"Email"}, []string{"Email", "u1", "u2"}},
		"u2, system field": {[]string{"u2", "Email"}, []string{"u2", "Email", "u1"}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := open(t, zohosim.Options{})
			a.define("Contacts", "u1", "text", unique).want(t, 201)
			a.define("Contacts", "u2", "text", unique).want(t, 201)
			a.define("Contacts", "Mark", "text", nil).want(t, 201)
			values := map[string]string{"Email": "e@example.com", "u1": "one", "u2": "two"}
			ids := map[string]string{}
			for key, value := range values {
				ids[key] = a.person(obj{key: value})
			}
			// A row that names the records of two keys writes to that of the
			// first one, or is refused since the other key's is in the way.
			before := func(x, y string) bool {
				row := obj{"Last_Name": "A", x: values[x], y: values[y]}
				got := a.upserted("Contacts", test.checks, row)
				if got.status == 400 {
					return got.says(t, 400, "DUPLICATE_DATA").str("data", 0, "details", "api_name") == y
				}
				by := got.want(t, 200).str("data", 0, "duplicate_field")
				same(t, "the record of "+by, got.str("data", 0, "details", "id"), ids[by])
				a.put("/Contacts", rows(obj{"id": ids["u1"], "Email": nil}, obj{"id": ids["u2"], "Email": nil})).want(t, 200)
				return by == x
			}
			for n, x := range test.want {
				for _, y := range test.want[n+1:] {
					if !before(x, y) {
						t.Errorf("%s is compared after %s", x, y)
					}
				}
			}
			if !slices.Contains(test.want, "Email") {
				a.upserted("Contacts", test.checks, obj{"Last_Name": "A", "Email": values["Email"]}).says(t, 200, `"action":"insert"`)
			}
		})
	}
}
