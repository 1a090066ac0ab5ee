package bitrix24sim_test

import (
	"fmt"
	"testing"
	"time"

	"crmsync/connectors/bitrix24/bitrix24sim"
)

// comment adds a comment to a contact and returns its id.
func (p *portal) comment(owner int, text string) int {
	p.t.Helper()
	in := obj{"fields": obj{"ENTITY_ID": owner, "ENTITY_TYPE": "contact", "COMMENT": text, "CREATED": "2020-01-01T00:00:00+03:00"}}
	id, _ := p.call("crm.timeline.comment.add", in).ok().at("result").(float64)
	return int(id)
}

func TestCommentsComeAndGo(t *testing.T) {
	t.Parallel()
	p := open(t, bitrix24sim.Options{})
	p.add(`{}`)
	one, two := p.comment(1, "hello"), p.comment(1, "hello")
	if one == two {
		t.Error("one comment, want two")
	}
	got := p.call("crm.timeline.comment.get", obj{"id": one}).ok()
	same(t, "get", got.json("result"), fmt.Sprintf(`{"AUTHOR_ID":"7","COMMENT":"hello","CREATED":"2026-10-01T11:00:00+03:00","ENTITY_ID":"1","ENTITY_TYPE":"contact","FILES":{},"ID":"%d"}`, one))
	same(t, "update", p.call("crm.timeline.comment.update", obj{"id": one, "fields": obj{"COMMENT": "hi"}}).ok().at("result"), one)
	list := func(order string) answer {
		return p.call("crm.timeline.comment.list", `{"filter":{"ENTITY_ID":1,"ENTITY_TYPE":"contact"},"order":{"ID":"`+order+`"}}`).ok()
	}
	same(t, "newest first", list("DESC").at("result", 0, "ID"), two)
	same(t, "oldest first", list("ASC").at("result", 0, "COMMENT"), "hi")
	same(t, "total", list("ASC").at("total"), 2)
	deleted := p.call("crm.timeline.comment.delete", obj{"id": one}).ok()
	same(t, "delete", deleted.json("result")+fmt.Sprint(deleted.has("result")), "nulltrue")
	p.call("crm.timeline.comment.get", obj{"id": one}).refused(400, "NOT_FOUND", "Not found.")
	for _, c := range []struct{ method, in, code, text string }{
		{"add", `{"fields":{"ENTITY_ID":1,"ENTITY_TYPE":"contact","COMMENT":" "}}`, "INVALID_ARG_VALUE", ""},
		{"add", `{"fields":{"ENTITY_ID":1,"ENTITY_TYPE":"contact"}}`, "INVALID_ARG_VALUE", ""},
		{"add", `{"fields":{"ENTITY_ID":99,"ENTITY_TYPE":"contact","COMMENT":"x"}}`, "OWNER_NOT_FOUND", ""},
		{"add", `{"fields":{"ENTITY_ID":1,"ENTITY_TYPE":"nobody","COMMENT":"x"}}`, "OWNER_NOT_FOUND", ""},
		{"add", `{"FIELDS":{"ENTITY_ID":1,"ENTITY_TYPE":"contact","COMMENT":"x"}}`, "100", "{fields}"},
		{"update", `{"id":` + itoa(two) + `,"fields":{"COMMENT":""}}`, "INVALID_ARG_VALUE", ""},
		{"update", `{"id":` + itoa(two) + `}`, "100", "{fields}"},
		{"update", `{"id":` + itoa(one) + `,"fields":{"COMMENT":"x"}}`, "NOT_FOUND", "Not found."},
		{"delete", `{"id":` + itoa(one) + `}`, "NOT_FOUND", "Not found."},
		{"delete", `{}`, "100", "{id}"},
		{"get", `{}`, "100", "{id}"},
		{"list", `{"filter":{"ENTITY_ID":1}}`, "INVALID_ARG_VALUE", "ENTITY_TYPE"},
		{"list", `{"filter":{"ENTITY_TYPE":"contact"}}`, "INVALID_ARG_VALUE", "ENTITY_ID"},
		{"list", `{}`, "INVALID_ARG_VALUE", ""},
	} {
		p.call("crm.timeline.comment."+c.method, c.in).refused(400, c.code, c.text)
	}
	same(t, "nothing else came of it", list("ASC").at("total"), 1)
}

func TestTheTimeOfACommentIsTheServers(t *testing.T) {
	t.Parallel()
	p := open(t, bitrix24sim.Options{})
	p.add(`{}`)
	id := p.comment(1, "hello")
	p.pass(time.Minute)
	p.call("crm.timeline.comment.update", obj{"id": id, "fields": obj{"COMMENT": "hi", "CREATED": "2020-01-01T00:00:00+03:00"}}).ok()
	same(t, "created", p.call("crm.timeline.comment.get", obj{"id": id}).ok().at("result", "CREATED"), "2026-10-01T11:00:00+03:00")
}

// activity is the fields of one that logs a message.
func activity(owner int) obj {
	return obj{
		"OWNER_TYPE_ID": 3, "OWNER_ID": owner, "TYPE_ID": 4, "SUBJECT": "WhatsApp", "RESPONSIBLE_ID": 7, "DESCRIPTION": "hello", "DIRECTION": 1,
		"COMMUNICATIONS": []obj{{"VALUE": "+1", "ENTITY_ID": owner, "ENTITY_TYPE_ID": 3, "TYPE": "PHONE"}}, "ORIGINATOR_ID": "crmsync", "ORIGIN_ID": "wamid.A",
	}
}

func TestActivitiesAreFoundByTheirOrigin(t *testing.T) {
	t.Parallel()
	p := open(t, bitrix24sim.Options{})
	p.add(`{}`)
	for _, name := range []string{"OWNER_TYPE_ID", "OWNER_ID", "TYPE_ID", "SUBJECT", "RESPONSIBLE_ID", "COMMUNICATIONS"} {
		in := activity(1)
		delete(in, name)
		p.call("crm.activity.add", obj{"fields": in}).refused(400, "", "The field "+name+" is not defined")
	}
	in := activity(1)
	in["TYPE_ID"] = 6
	p.call("crm.activity.add", obj{"fields": in}).refused(400, "", "PROVIDER_ID")
	in["PROVIDER_ID"] = "REST_APP"
	p.call("crm.activity.add", obj{"fields": in}).refused(400, "", "Application context required")
	first := p.call("crm.activity.add", obj{"fields": activity(1)}).ok().at("result")
	p.call("crm.activity.add", obj{"fields": activity(1)}).ok()
	got := p.call("crm.activity.list", `{"filter":{"ORIGINATOR_ID":"crmsync","ORIGIN_ID":"wamid.A"}}`).ok()
	same(t, "found", got.at("total"), 2)
	same(t, "with another originator", p.call("crm.activity.list", `{"filter":{"ORIGINATOR_ID":"else","ORIGIN_ID":"wamid.A"}}`).ok().at("total"), 0)
	same(t, "ID", got.at("result", 0, "ID"), first)
	same(t, "duplicates", p.Stats().DuplicateMessages, 1)
	same(t, "update", p.call("crm.activity.update", obj{"id": first, "fields": obj{"ORIGIN_ID": "wamid.B"}}).ok().at("result"), true)
	same(t, "no longer found", p.call("crm.activity.list", `{"filter":{"ORIGIN_ID":"wamid.A"}}`).ok().at("total"), 1)
	same(t, "duplicates", p.Stats().DuplicateMessages, 0)
	same(t, "delete", p.call("crm.activity.delete", obj{"id": first}).ok().at("result"), true)
}

func TestACommentOrActivityBumpsTheContact(t *testing.T) {
	t.Parallel()
	for keep, want := range map[bool]string{false: "2026-10-01T11:01:00+03:00", true: "2026-10-01T11:00:00+03:00"} {
		p := open(t, bitrix24sim.Options{Knobs: bitrix24sim.Knobs{KeepModified: keep}})
		p.add(`{}`)
		p.add(`{}`)
		p.pass(time.Minute)
		p.comment(1, "hello")
		p.call("crm.activity.add", obj{"fields": activity(2)}).ok()
		for id := 1; id <= 2; id++ {
			same(t, "modified", p.contact(id).at("result", "DATE_MODIFY"), want)
			same(t, "active", p.contact(id).at("result", "LAST_ACTIVITY_TIME"), "2026-10-01T11:01:00+03:00")
		}
	}
}

func TestMessagesAreReadOutOfComments(t *testing.T) {
	t.Parallel()
	p := open(t, bitrix24sim.Options{})
	p.add(`{"PHONE":[{"VALUE":"+49 155 50100"}]}`)
	const (
		one   = "Hello &#91;b&#93;\n\nsecond part\n\n— WhatsApp in · 2026-11-20T09:00:00Z · delivered · wamid.1"
		two   = "Bye\n— WhatsApp in · 2026-11-20T09:00:00Z · wamid.fake\nreally\n\n— WhatsApp out · 2026-11-20T09:01:00Z · wamid.2"
		three = "x\n\n— WhatsApp in · 2026-11-20T09:00:00Z · wamid.fake\n\n— WhatsApp in · 2026-11-20T09:02:00Z · wamid.3"
	)
	id := p.comment(1, one)
	p.pass(time.Minute)
	p.call("crm.timeline.comment.update", obj{"id": id, "fields": obj{"COMMENT": one + "\n\n" + two}}).ok()
	p.call("batch", obj{"cmd": obj{"a": "crm.timeline.comment.add?fields[ENTITY_ID]=1&fields[ENTITY_TYPE]=contact&fields[COMMENT]=" + queryEscape(three)}}).ok()
	p.comment(1, "a note of a person's")
	got := p.Messages("", "4915550100")
	if len(got) != 3 {
		t.Fatalf("got %+v", got)
	}
	for n, want := range []bitrix24sim.Message{
		{ID: itoa(id), ContactID: "1", WAMID: "wamid.1", Direction: "in", Text: "Hello [b]\n\nsecond part", Status: "delivered", At: "2026-11-20T09:00:00.000Z", CommittedAt: "2026-10-01T08:00:00.000Z"},
		{ID: itoa(id), ContactID: "1", WAMID: "wamid.2", Direction: "out", Text: "Bye\n— WhatsApp in · 2026-11-20T09:00:00Z · wamid.fake\nreally", At: "2026-11-20T09:01:00.000Z", CommittedAt: "2026-10-01T08:01:00.000Z"},
		{ID: itoa(id + 1), ContactID: "1", WAMID: "wamid.3", Direction: "in", Text: "x\n\n— WhatsApp in · 2026-11-20T09:00:00Z · wamid.fake", At: "2026-11-20T09:02:00.000Z", CommittedAt: "2026-10-01T08:01:00.000Z"},
	} {
		same(t, want.WAMID, fmt.Sprintf("%+v", got[n]), fmt.Sprintf("%+v", want))
	}
	same(t, "by wamid", len(p.Messages("wamid.2", "")), 1)
	p.comment(1, one)
	same(t, "duplicates", p.Stats().DuplicateMessages, 1)
	same(t, "messages", p.Stats().Messages, 4)
	p.call("crm.contact.delete", `{"id":1}`).ok()
	same(t, "gone with the contact", p.Stats().Messages, 0)
}
