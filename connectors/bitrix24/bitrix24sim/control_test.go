package bitrix24sim_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"crmsync/connectors/bitrix24/bitrix24sim"
)

func encode(v any) []byte { raw, _ := json.Marshal(v); return raw }

func queryEscape(text string) string { return url.QueryEscape(text) }

func (p *portal) sim(method, path, body string) answer {
	p.t.Helper()
	return p.send(method, "/_sim/"+path, "application/json", body)
}

func TestAPersonEditsAContact(t *testing.T) {
	t.Parallel()
	l := listen(t)
	p := open(t, bitrix24sim.Options{EventURL: l.url})
	made := p.sim("POST", "contacts", `{"phone":"+1 212 555 0101","fields":{"NAME":"Ada","LAST_NAME":"Lovelace"}}`).ok()
	same(t, "phone", made.at("phone"), "+1 212 555 0101")
	same(t, "name", made.at("name"), "Ada Lovelace")
	same(t, "created_at", made.at("created_at"), "2026-10-01T08:00:00.000Z")
	p.pass(1500 * time.Millisecond)
	p.sim("POST", "contacts", `{"phone":"12125550101","fields":{"POST":"Countess","EMAIL":"a@b.c"}}`).ok()
	p.sim("POST", "contacts", `{"id":"1","fields":{"PHONE":"+1 212 555 0102"}}`).ok()
	got := p.Contacts("", "1-212-555-0102")
	if len(got) != 1 || got[0].Fields["POST"] != "Countess" || got[0].Fields["EMAIL"] != "a@b.c" || got[0].UpdatedAt != "2026-10-01T08:00:01.500Z" {
		t.Errorf("got %+v", got)
	}
	same(t, "not the webhook's user", p.contact(1).at("result", "MODIFY_BY_ID"), "11")
	for body, want := range map[string]string{
		`{"id":"99","fields":{"NAME":"x"}}`: "no contact has the id 99", `{}`: "say count, or phone and fields, or id and fields",
		`{"phone":"1","fields":{"SHOE":"1"}}`: `no field "SHOE" can be filled in`, `{"count":-1}`: "count -1 is not between 1 and 250000",
	} {
		answer := p.sim("POST", "contacts", body)
		same(t, body, fmt.Sprint(answer.status, answer.at("error")), "400"+want)
	}
	same(t, "deleted", p.sim("DELETE", "contacts?id=1", "").at("deleted"), true)
	same(t, "once", p.sim("DELETE", "contacts?id=1", "").status, http.StatusNotFound)
	l.wait(t, 4)
	same(t, "clock", p.sim("POST", "clock", `{"advance":"1m"}`).ok().at("now"), "2026-10-01T08:01:01.500Z")
	same(t, "knobs", p.sim("POST", "knobs", `{"keep_modified":true}`).ok().at("keep_modified"), true)
	same(t, "unknown", p.sim("GET", "nothing", "").status, http.StatusNotFound)
	same(t, "calls", p.Stats().Calls, 1)
}

// What is chosen from a list goes by its text in the pages, and by its id in the API.
func TestAPersonChoosesFromAList(t *testing.T) {
	t.Parallel()
	p := open(t, bitrix24sim.Options{})
	p.call("crm.contact.userfield.add", `{"fields":{"USER_TYPE_ID":"enumeration","FIELD_NAME":"ONE","LIST":[{"VALUE":"yes"},{"VALUE":"no"}]}}`).ok()
	p.call("crm.contact.userfield.add", `{"fields":{"USER_TYPE_ID":"enumeration","FIELD_NAME":"SOME","MULTIPLE":"Y","LIST":[{"VALUE":"vip"},{"VALUE":"new"}]}}`).ok()
	made := p.sim("POST", "contacts", `{"phone":"+1 212 555 0101","fields":{"UF_CRM_ONE":"no","UF_CRM_SOME":"vip;new"}}`).ok()
	same(t, "one", made.at("fields", "UF_CRM_ONE"), "no")
	same(t, "some", made.at("fields", "UF_CRM_SOME"), "vip;new")
	for name, want := range map[string]int{"UF_CRM_ONE": 0, "UF_CRM_SOME": 2} {
		if got := p.contact(1).json("result", name); strings.Contains(got, "no") || strings.Contains(got, "vip") || strings.Count(got, `,`)+1 < want {
			t.Errorf("%s is %s in the API, want ids", name, got)
		}
	}
	p.sim("POST", "contacts", `{"id":"1","fields":{"UF_CRM_ONE":"","UF_CRM_SOME":""}}`).ok()
	if f := p.Contacts("1", "")[0].Fields; f["UF_CRM_ONE"]+f["UF_CRM_SOME"] != "" {
		t.Errorf("nothing is chosen: %v", f)
	}
	answer := p.sim("POST", "contacts", `{"id":"1","fields":{"UF_CRM_SOME":"vip;old"}}`)
	same(t, "what is not in the list", fmt.Sprint(answer.status, answer.at("error")), `400"vip;old" is not in the list of UF_CRM_SOME`)
}

func TestDuplicatesAreCounted(t *testing.T) {
	t.Parallel()
	p := open(t, bitrix24sim.Options{})
	p.call("crm.contact.userfield.add", `{"fields":{"USER_TYPE_ID":"string","FIELD_NAME":"CRMSYNC_WA_ID"}}`).ok()
	dup := func() int { return p.Stats().DuplicateContacts }
	p.add(`{"PHONE":[{"VALUE":"+1 212 555 0101"},{"VALUE":"12125550101"}],"UF_CRM_CRMSYNC_WA_ID":"12125550101"}`)
	same(t, "one contact with one number twice", dup(), 0)
	p.add(`{"PHONE":[{"VALUE":"1-212-555-0101"}]}`)
	same(t, "the same number in other words", dup(), 1)
	p.add(`{"UF_CRM_CRMSYNC_WA_ID":"12125550101"}`)
	same(t, "the same WhatsApp id", dup(), 2)
	p.update(3, `{"UF_CRM_CRMSYNC_WA_ID":"1"}`).ok()
	same(t, "corrected", dup(), 1)
	p.call("crm.contact.delete", `{"id":1}`).ok()
	same(t, "deleted", dup(), 0)
	same(t, "found", len(p.Contacts("", "+12125550101")), 1)
}

func TestSpoiledPages(t *testing.T) {
	t.Parallel()
	p := open(t, bitrix24sim.Options{})
	p.sim("POST", "contacts", `{"count":120}`).ok()
	page := func(start int) answer {
		return p.call("crm.contact.list", obj{"start": start, "select": []string{"ID"}}).ok()
	}
	page(0)
	p.fault(`{"mode":"page_repeat"}`)
	same(t, "repeated", page(50).at("result", 0, "ID"), "1")
	p.fault(`{"mode":"none"}`)
	p.fault(`{"mode":"page_empty"}`)
	same(t, "empty", page(0).json("result"), "[]")
	p.fault(`{"mode":"none"}`)
	p.fault(`{"mode":"page_half"}`)
	got := page(0)
	same(t, "half", got.count("result"), 25)
	same(t, "and no more", got.has("next"), false)
}

func TestAHundredThousandContactsStayFast(t *testing.T) {
	t.Parallel()
	p := open(t, bitrix24sim.Options{})
	p.call("crm.contact.userfield.add", `{"fields":{"USER_TYPE_ID":"string","FIELD_NAME":"CRMSYNC_WA_ID"}}`).ok()
	begin := time.Now()
	p.sim("POST", "contacts", `{"count":100000}`).ok()
	t.Logf("seeded in %v", time.Since(begin))
	p.Advance(time.Hour)
	for name, step := range map[string]func(n int){
		"add":    func(n int) { p.add(fmt.Sprintf(`{"NAME":"x","UF_CRM_CRMSYNC_WA_ID":"%d"}`, n)) },
		"update": func(n int) { p.update(n+1, `{"NAME":"x"}`).ok() },
		"by wa id": func(n int) {
			p.call("crm.contact.list", obj{"filter": obj{"UF_CRM_CRMSYNC_WA_ID": fmt.Sprint(n)}}).ok()
		},
		"by phone": func(n int) {
			p.call("crm.duplicate.findbycomm", obj{"type": "PHONE", "values": []string{fmt.Sprintf("+1201555%04d", n)}}).ok()
		},
		"keyset": func(n int) {
			p.call("crm.contact.list", obj{"filter": obj{">ID": n * 100}, "order": obj{"ID": "ASC"}, "start": -1}).ok()
		},
		"delta": func(int) {
			p.call("crm.contact.list", `{"filter":{">=DATE_MODIFY":"2026-10-01T08:30:00Z"},"order":{"ID":"ASC"},"start":-1}`).ok()
		},
		"page":       func(n int) { p.call("crm.contact.list", obj{"start": n * 50}).ok() },
		"a contact":  func(n int) { same(t, "found", len(p.Contacts("", fmt.Sprintf("+1201555%04d", n))), 1) },
		"statistics": func(int) { p.sim("GET", "stats", "").ok() },
	} {
		step(0)
		begin := time.Now()
		for n := range 20 {
			step(n + 200)
		}
		took := time.Since(begin) / 20
		t.Logf("%s: %v", name, took)
		if took > 200*time.Millisecond {
			t.Errorf("%s takes %v", name, took)
		}
	}
}

func TestManyCallersAtOnce(t *testing.T) {
	t.Parallel()
	l := listen(t)
	p := open(t, bitrix24sim.Options{EventURL: l.url, Quota: "documented", Limits: bitrix24sim.Limits{Burst: 1e6}})
	var callers sync.WaitGroup
	for n := range 8 {
		callers.Go(func() {
			for m := range 20 {
				p.call("crm.contact.add", fmt.Sprintf(`{"fields":{"PHONE":[{"VALUE":"%d"}]}}`, n*100+m))
				p.call("crm.contact.list", `{"order":{"NAME":"ASC"}}`)
				p.sim("GET", "contacts?phone=1", "")
				p.sim("GET", "stats", "")
				p.fault(`{"mode":"throttle","share":0.01}`)
				p.Advance(time.Second)
			}
		})
	}
	callers.Wait()
	p.fault(`{"mode":"none"}`)
	same(t, "doubles", p.Stats().DuplicateContacts, 0)
}
