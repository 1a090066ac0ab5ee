package bitrix24sim_test

import (
	"encoding/json"
	"strings"
	"testing"

	"crmsync/connectors/bitrix24/bitrix24sim"
)

// FuzzCalls calls methods with anything for parameters: whatever the answer,
// it is JSON and has a result or an error.
func FuzzCalls(f *testing.F) {
	methods := []string{
		"batch", "crm.contact.add", "crm.contact.update", "crm.contact.list", "crm.item.add", "crm.item.update", "crm.item.list",
		"crm.timeline.comment.add", "crm.timeline.comment.list", "crm.activity.add", "crm.activity.list", "crm.duplicate.findbycomm",
		"crm.contact.userfield.add", "crm.contact.userfield.update", "crm.entity.mergebatch", "user.get", "crm.contact.userfield.list",
	}
	for n, seed := range []string{
		`{"halt":1,"cmd":{"a":"crm.contact.list?filter[$result[a]]=$result[x","b":"%zz?[[]]=&a[b]c=1"}}`, `{"fields":{"PHONE":[{"ID":1},[],"x"]}}`,
		`{"id":1,"fields":{"fm":{"n0":null}}}`, `{"filter":{"%NAME":"\ud800","@ID":[],">DATE_MODIFY":["",1]},"order":{"ID":[]},"select":[[]],"start":"x"}`,
		`fields[PHONE][][VALUE]=1&fields[PHONE][0][]=2&[x]=3&a[[b]=1`, `{"entityTypeId":3,"fields":{"companyIds":[[]],"name":{}}}`,
		`{"entityTypeId":3,"id":1,"filter":{"0":{"logic":"OR","0":{}}}}`, strings.Repeat("[", 100000),
	} {
		f.Add(n, seed)
	}
	f.Fuzz(func(t *testing.T, n int, body string) {
		p := open(t, bitrix24sim.Options{})
		p.add(`{"NAME":"Ada","PHONE":[{"VALUE":"1"}]}`)
		p.call("crm.contact.userfield.add", `{"fields":{"USER_TYPE_ID":"enumeration","FIELD_NAME":"E","LIST":[{"VALUE":"x"}]}}`)
		kind := "application/json"
		if !strings.HasPrefix(body, "{") && !strings.HasPrefix(body, "[") {
			kind = "application/x-www-form-urlencoded"
		}
		got := p.send("POST", hook+methods[int(uint(n)%uint(len(methods)))], kind, body)
		if !json.Valid([]byte(got.body)) || got.obj == nil || got.obj["error"] == nil && !got.has("result") || got.status >= 500 {
			t.Errorf("got %d %s", got.status, got.body)
		}
	})
}
