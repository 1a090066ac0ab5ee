package hubspotsim

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"testing"
	"time"
)

// busy is an account in which records come, change and go by chance.
type busy struct {
	*Server
	t     *testing.T
	r     *rand.Rand
	clock time.Time
}

func (b *busy) call(method, path string, body any) {
	b.t.Helper()
	raw, _ := json.Marshal(body)
	r := httptest.NewRequest(method, "/crm/v3/"+path, bytes.NewReader(raw))
	r.Header.Set("Authorization", "Bearer t")
	w := httptest.NewRecorder()
	b.ServeHTTP(w, r)
	if w.Code >= 400 && w.Code != http.StatusNotFound {
		b.t.Fatalf("%s %s %s: got %d %s", method, path, raw, w.Code, w.Body)
	}
}

func (b *busy) one(of ...string) string { return of[b.r.IntN(len(of))] }

// value is one that a property may have, or that a filter may ask for.
func (b *busy) value(name string) string {
	n := b.r.IntN(4)
	switch name {
	case "lastmodifieddate", "hs_lastmodifieddate", "createdate", "hs_timestamp":
		at := b.clock.Add(-time.Duration(b.r.IntN(30000)) * time.Millisecond)
		if all := b.stores[contactType].records; len(all) > 0 {
			at = all[b.r.IntN(len(all))].now.updated
		}
		return b.one(strconv.FormatInt(at.UnixMilli(), 10), at.Format(time.RFC3339Nano), at.Format(time.DateOnly), "soon")
	case "hs_object_id":
		return b.one(strconv.Itoa(101+b.r.IntN(60)), "120.0", "120.5", "-1", "9223372036854775807")
	case "numemployees":
		return b.one("7", "7.0", "70", "-0", "0")
	case "hs_communication_channel_type":
		return b.one("WHATS_APP", "SMS")
	case "associations.contact", "associations.communication":
		return strconv.Itoa(b.r.IntN(2)*5000000000 + 101 + b.r.IntN(30))
	case "topics":
		return b.one("a", "b", "a;b", "b;c")
	}
	return b.one("Torino", "torino", "LYON", "+1 212 555 010"+strconv.Itoa(n), "+1212555010"+strconv.Itoa(n), "212555010"+strconv.Itoa(n))
}

func (b *busy) step() {
	id := strconv.Itoa(101 + b.r.IntN(60))
	props := map[string]string{}
	for _, name := range []string{"city", "phone", "mobilephone", "numemployees", "topics"} {
		if b.r.IntN(2) == 0 {
			props[name] = b.one(b.value(name), "")
		}
	}
	switch b.r.IntN(8) {
	case 0, 1:
		b.call("POST", "objects/contacts", map[string]any{"properties": props})
	case 2, 3, 4:
		b.call("PATCH", "objects/contacts/"+id, map[string]any{"properties": props})
	case 5:
		if b.r.IntN(4) == 0 {
			b.call("DELETE", "objects/contacts/"+id, nil)
		} else if other := strconv.Itoa(101 + b.r.IntN(60)); other != id {
			_, _ = b.Merge(id, other)
		}
	case 6:
		b.clock = b.clock.Add(time.Duration(b.r.IntN(3000)) * time.Millisecond)
		kind := b.one("number", "string")
		b.call("PATCH", "properties/0-1/numemployees", map[string]string{"type": kind, "fieldType": fieldTypes[kind][0]})
	case 7:
		message := map[string]any{"properties": map[string]string{
			"hs_communication_channel_type": b.value("hs_communication_channel_type"), "hs_communication_logged_from": "CRM", "hs_timestamp": "2026-10-01T08:00:00Z",
		}}
		if b.stores[contactType].get(id) != nil {
			message["associations"] = []any{map[string]any{
				"to": map[string]string{"id": id}, "types": []linkType{{"HUBSPOT_DEFINED", communicationToContact}},
			}}
		}
		b.call("POST", "objects/communications", message)
	}
}

// question is a search by chance, in JSON.
func (b *busy) question(names []string) []byte {
	var groups []any
	for range 1 + b.r.IntN(3) {
		var filters []any
		for range 1 + b.r.IntN(2) {
			name := b.one(names...)
			filters = append(filters, map[string]any{
				"propertyName": name, "operator": b.one("EQ", "IN", "EQ", "IN", "GT", "GTE", "LT", "LTE", "BETWEEN", "NEQ", "HAS_PROPERTY"),
				"value": b.value(name), "highValue": b.value(name), "values": []string{b.value(name), b.value(name)},
			})
		}
		groups = append(groups, map[string]any{"filters": filters})
	}
	q := map[string]any{"filterGroups": groups}
	if b.r.IntN(2) == 0 {
		q["sorts"] = []any{map[string]string{"propertyName": b.one(names[:3]...), "direction": b.one("ASCENDING", "DESCENDING")}}
	}
	raw, _ := json.Marshal(q)
	return raw
}

// scanned are the hits if every record is looked at and every value compared
// as it is written.
func (b *busy) scanned(st *store, q *query) []hit {
	var hits []hit
	for _, r := range st.records {
		if r.seen.visible() && q.matches(st, r, r.seen) {
			hits = append(hits, hit{r, r.seen})
		}
	}
	if len(q.Sorts) > 0 {
		name, down := sorting(q.Sorts[0])
		slices.SortStableFunc(hits, func(x, y hit) int {
			if down {
				x, y = y, x
			}
			left, _ := st.value(x.r, x.v, name)
			right, _ := st.value(y.r, y.v, name)
			return compare(st.props[name], left, right)
		})
	}
	return hits
}

func TestSearchFindsWithAnIndexWhatItFindsWithout(t *testing.T) {
	t.Parallel()
	b := &busy{t: t, r: rand.New(rand.NewPCG(3, 5)), clock: time.Date(2026, 10, 1, 8, 0, 0, 0, time.UTC)}
	b.Server = New(Options{Token: "t", Quota: "off", Lag: true, Clock: func() time.Time { return b.clock }})
	defer b.Close()
	b.call("POST", "properties/0-1", map[string]any{
		"name": "topics", "label": "Topics", "type": "enumeration", "fieldType": "checkbox", "groupName": "contactinformation",
		"options": []map[string]string{{"label": "A", "value": "a"}, {"label": "B", "value": "b"}, {"label": "C", "value": "c"}},
	})
	people := []string{
		"lastmodifieddate", "hs_object_id", "city", "createdate", "phone", "mobilephone", "hs_searchable_calculated_phone_number", "numemployees",
		"topics", "associations.communication",
	}
	messages := []string{"hs_lastmodifieddate", "hs_object_id", "hs_timestamp", "hs_communication_channel_type", "associations.contact"}
	found := 0
	for range 1500 {
		b.step()
		for st, names := range map[*store][]string{b.stores[contactType]: people, b.stores[communicationType]: messages} {
			raw := b.question(names)
			var q, plain query
			if json.Unmarshal(raw, &q) != nil || json.Unmarshal(raw, &plain) != nil || q.check(st) != nil {
				t.Fatalf("%s cannot be asked", raw)
			}
			got, refused := b.hits(st, &q)
			if want := b.scanned(st, &plain); refused != nil || !slices.Equal(got, want) {
				t.Fatalf("%s: got %s, want %s", raw, ids(got), ids(want))
			}
			found += len(got)
		}
	}
	if found < 10000 {
		t.Errorf("found %d records in all, too few to tell", found)
	}
}

func ids(hits []hit) string {
	var list []int64
	for _, h := range hits {
		list = append(list, h.r.id)
	}
	return fmt.Sprint(list)
}
