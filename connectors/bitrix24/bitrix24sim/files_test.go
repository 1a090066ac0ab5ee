package bitrix24sim_test

import (
	"encoding/base64"
	"fmt"
	"slices"
	"testing"

	"crmsync/connectors/bitrix24/bitrix24sim"
)

func pair(name, content string) []string {
	return []string{name, base64.StdEncoding.EncodeToString([]byte(content))}
}

// withFiles adds a comment with files and returns its id.
func (p *portal) withFiles(text string, pairs ...[]string) int {
	p.t.Helper()
	in := obj{"fields": obj{"ENTITY_ID": 1, "ENTITY_TYPE": "contact", "COMMENT": text, "FILES": pairs}}
	id, _ := p.call("crm.timeline.comment.add", in).ok().at("result").(float64)
	return int(id)
}

// names are those of a comment's files, sorted.
func (p *portal) names(id int) string {
	p.t.Helper()
	files, _ := p.call("crm.timeline.comment.get", obj{"id": id}).ok().at("result", "FILES").(obj)
	list := []string{}
	for _, f := range files {
		list = append(list, fmt.Sprint(f.(obj)["name"]))
	}
	slices.Sort(list)
	return fmt.Sprint(list)
}

func (p *portal) rewrite(id int, fields obj) answer {
	p.t.Helper()
	return p.call("crm.timeline.comment.update", obj{"id": id, "fields": fields})
}

func TestACommentHasFiles(t *testing.T) {
	t.Parallel()
	p := open(t, bitrix24sim.Options{})
	p.add(`{}`)
	id := p.withFiles("two", pair("a.pdf", "hello"), pair("b.JPG", "picture"))
	got := p.call("crm.timeline.comment.get", obj{"id": id}).ok()
	for key, want := range map[string]any{
		"id": 1, "date": "2026-10-01T11:00:00+03:00", "type": "file", "name": "a.pdf", "size": 5, "authorId": 7, "urlDownload": "/disk/downloadFile/1/?&ncc=1",
	} {
		same(t, key, got.at("result", "FILES", "1", key), want)
	}
	same(t, "picture", got.at("result", "FILES", "2", "type"), "image")
	list := p.call("crm.timeline.comment.list", `{"filter":{"ENTITY_ID":1,"ENTITY_TYPE":"contact"},"select":["ID","FILES"]}`).ok()
	same(t, "listed", list.at("result", 0, "FILES", "2", "name"), "b.JPG")
	same(t, "not selected", list.at("result", 0, "COMMENT"), nil)

	again := p.withFiles("the same once more", pair("a.pdf", "hello"), pair("A.pdf", "other"))
	same(t, "names are the drive's", p.names(again), "[A (2).pdf a (1).pdf]")
	p.call("batch", obj{"cmd": obj{"x": "crm.timeline.comment.add?fields[ENTITY_ID]=1&fields[ENTITY_TYPE]=contact&fields[COMMENT]=x&fields[FILES][0][0]=c.bin&fields[FILES][0][1]=" +
		queryEscape(base64.StdEncoding.EncodeToString([]byte{0xfb, 0xff, 0}))}}).ok()
	same(t, "in a batch", p.names(again+1), "[c.bin]")
	same(t, "what is no file", p.names(p.withFiles("x", []string{"empty.txt", ""}, []string{"lonely.txt"}, pair("", "x"), pair("d.txt", "x"))), "[d.txt]")
}

func TestAnUpdateReplacesTheFilesOfAComment(t *testing.T) {
	t.Parallel()
	p := open(t, bitrix24sim.Options{})
	p.add(`{}`)
	id := p.withFiles("two", pair("a.pdf", "hello"), pair("b.pdf", "picture"))
	p.rewrite(id, obj{"COMMENT": "another", "FILES": [][]string{pair("c.pdf", "x")}}).ok()
	same(t, "the new list", p.names(id), "[c.pdf]")
	p.rewrite(id, obj{"COMMENT": "with the old one's id", "ATTACHMENTS": []int{3, 1}}).ok()
	same(t, "kept by its id", p.names(id), "[c.pdf]")
	p.rewrite(id, obj{"FILES": [][]string{pair("d.pdf", "x")}}).refused(400, "INVALID_ARG_VALUE", "empty")
	same(t, "refused without a text", p.names(id), "[c.pdf]")
	p.rewrite(id, obj{"COMMENT": "no more than a text"}).ok()
	same(t, "gone", p.call("crm.timeline.comment.get", obj{"id": id}).ok().json("result", "FILES"), "{}")
}

func TestAnUpdateMayKeepTheFilesOfAComment(t *testing.T) {
	t.Parallel()
	p := open(t, bitrix24sim.Options{Knobs: bitrix24sim.Knobs{KeepFiles: true}})
	p.add(`{}`)
	id := p.withFiles("two", pair("a.pdf", "hello"), pair("b.pdf", "picture"))
	p.rewrite(id, obj{"COMMENT": "no more than a text"}).ok()
	same(t, "kept", p.names(id), "[a.pdf b.pdf]")
	p.rewrite(id, obj{"COMMENT": "x", "FILES": []any{obj{"id": 2}, obj{"id": 99}, pair("c.pdf", "x")}}).ok()
	same(t, "one kept, one new", p.names(id), "[b.pdf c.pdf]")
	p.rewrite(id, obj{"COMMENT": "x", "FILES": []any{}}).ok()
	same(t, "emptied", p.names(id), "[]")
}

func TestTheFilesOfMessagesAreShown(t *testing.T) {
	t.Parallel()
	p := open(t, bitrix24sim.Options{})
	p.add(`{}`)
	p.withFiles("look\n\n— WhatsApp in · 2026-11-20T09:00:00Z · wamid.1", pair("a.pdf", "hello"))
	got := p.Messages("wamid.1", "")
	same(t, "files", fmt.Sprintf("%+v", got[0].Files), "[{Name:a.pdf Size:5 SHA256:2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824}]")
	p.comment(1, "no file\n\n— WhatsApp in · 2026-11-20T09:00:00Z · wamid.2")
	same(t, "none", len(p.Messages("wamid.2", "")[0].Files), 0)
}

func TestAFileInACommentOfItsOwnIsItsMessages(t *testing.T) {
	t.Parallel()
	p := open(t, bitrix24sim.Options{})
	p.add(`{}`)
	p.add(`{}`)
	p.withFiles("look\n\n— WhatsApp in · 2026-11-20T09:00:00Z · wamid.A")
	p.withFiles("a.pdf\n\n— WhatsApp file · wamid.A", pair("a.pdf", "hello"))
	p.withFiles("— WhatsApp file · wamid.A", pair("b.pdf", "hello"))
	p.withFiles("— WhatsApp file · wamid.AB", pair("c.pdf", "hello"))
	p.withFiles("it said — WhatsApp file · wamid.A", pair("d.pdf", "hello"))
	shown := p.Messages("wamid.A", "")
	same(t, "messages", len(shown), 1)
	same(t, "files", len(shown[0].Files), 2)
	same(t, "their names", shown[0].Files[0].Name+" "+shown[0].Files[1].Name, "a.pdf b.pdf")
}
