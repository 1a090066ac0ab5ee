package bitrix24

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
)

// Whatever numbers a linked record has: when one is written the record shows it
// from then on, under the same rule by which it is read. Else it would look as if
// somebody had taken it back. Numbers of which nobody has said anything stay.
func TestANumberThatIsWrittenIsTheOneThatIsRead(t *testing.T) {
	t.Parallel()
	const own, other, third, fresh = "+393470000001", "+393470000002", "+393470000003", "+393470000009"
	sets := [][]string{{}}
	for _, v := range []string{own, "347 000 0001", other, third, fresh} {
		for _, set := range sets {
			for at := range len(set) + 1 {
				sets = append(sets, slices.Insert(slices.Clone(set), at, v))
			}
		}
	}
	record := func(key string, rows []entry) contact {
		raw, err := json.Marshal(map[string]any{keyField: key, "PHONE": rows})
		c := contact{}
		if err == nil {
			err = json.Unmarshal(raw, &c)
		}
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	for _, key := range []string{"393470000001", "US.12345"} {
		for _, values := range sets {
			for _, number := range []string{own, other, fresh, ""} {
				var rows []entry
				for i, v := range values {
					rows = append(rows, entry{ID: value(fmt.Sprint(i + 1)), Value: value(v)})
				}
				before := record(key, rows)
				was, _ := shown("PHONE", "IT", before).(string)
				w := &wish{value: number, numbers: []string{own}, linked: true, key: key}
				if number != "" {
					w.numbers = []string{number}
				}
				after := slices.Clone(rows)
				for _, op := range w.operations("PHONE", "IT", before.rows("PHONE")) {
					at := slices.IndexFunc(after, func(e entry) bool { return string(e.ID) == op["ID"] })
					switch {
					case at < 0 && op["ID"] == nil:
						after = append(after, entry{ID: "99", Value: value(op["VALUE"].(string))})
					case op["DELETE"] == "Y":
						after = slices.Delete(after, at, at+1)
					default:
						after[at].Value = value(op["VALUE"].(string))
					}
				}
				got, _ := shown("PHONE", "IT", record(key, after)).(string)
				if number != "" && strings.TrimPrefix(strings.ReplaceAll(got, " ", ""), "+39") != strings.TrimPrefix(number, "+39") {
					t.Errorf("key %s, %q shows %s; %q is written: %v shows %s", key, values, was, number, after, got)
				}
				for _, v := range values {
					if v == was || number == "" || strings.HasSuffix(strings.ReplaceAll(v, " ", ""), "3470000001") {
						continue
					}
					if !slices.ContainsFunc(after, func(e entry) bool { return string(e.Value) == v }) {
						t.Errorf("key %s, %q shows %s; %q is written: %s is lost in %v", key, values, was, number, v, after)
					}
				}
				if number == "" && was != "" && slices.ContainsFunc(after, func(e entry) bool { return string(e.Value) == was }) {
					t.Errorf("key %s, %q shows %s, which is cleared: %v", key, values, was, after)
				}
			}
		}
	}
}
