package bitrix24sim_test

import (
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"crmsync/connectors/bitrix24/bitrix24sim"
)

func TestSectionsAreKeyedAsSent(t *testing.T) {
	t.Parallel()
	p := open(t, bitrix24sim.Options{})
	p.add(`{"NAME":"Ada"}`)
	got := p.call("batch", `{"cmd":{"u":"crm.contact.update?id=99&fields[NAME]=x","l":"crm.contact.list?select[]=ID"}}`).ok()
	same(t, "result", got.json("result", "result"), `{"l":[{"ID":"1"}]}`)
	same(t, "errors", got.json("result", "result_error"), `{"u":{"error":"","error_description":"Contact is not found"}}`)
	same(t, "totals", got.json("result", "result_total"), `{"l":1}`)
	same(t, "next", got.json("result", "result_next"), `[]`)
	same(t, "times", got.has("result", "result_time", "u"), false)
	got = p.call("batch", `{"cmd":["crm.contact.get?id=1","crm.contact.get?id=1"]}`).ok()
	same(t, "a list", got.count("result", "result"), 2)
	same(t, "no errors", got.json("result", "result_error"), `[]`)
	got = p.call("batch", `{"cmd":["crm.contact.get?id=99","user.current"]}`).ok()
	same(t, "gaps make an object", got.has("result", "result", "1"), true)
	same(t, "but this is a list", got.count("result", "result_error"), 1)
	got = p.call("batch", `{"cmd":{"0":"user.current","1":"scope"}}`).ok()
	for _, section := range []string{"result", "result_time"} {
		same(t, "keys from 0 on make a list: "+section, got.count("result", section), 2)
	}
	got = p.call("batch", `{"cmd":{"1":"user.current","2":"scope"}}`).ok()
	same(t, "keys from 1 on do not", got.has("result", "result", "1"), true)
	for _, section := range []string{"result_error", "result_total", "result_next"} {
		same(t, "empty: "+section, got.json("result", section), `[]`)
	}
	same(t, "no commands", p.call("batch", `{"cmd":[]}`).ok().json("result"), `{"result":[],"result_error":[],"result_next":[],"result_time":[],"result_total":[]}`)
	got = p.call("batch", `{"cmd":{"a":"crm.contact.get?id=99","b":"crm.nothing","c":"event.get","d":"nonsense"}}`).ok()
	same(t, "200 though all fail", len(got.at("result", "result_error").(obj)), 4)
	same(t, "all fail", p.call("batch", `{"cmd":{"a":"crm.contact.get?id=99"}}`).ok().json("result", "result"), `[]`)
}

func TestABatchTakesFiftyCommandsAndNoBatch(t *testing.T) {
	t.Parallel()
	p := open(t, bitrix24sim.Options{})
	cmd := obj{}
	for n := range 52 {
		cmd[fmt.Sprintf("c%02d", n)] = "crm.contact.add?fields[NAME]=x"
	}
	got := p.call("batch", obj{"cmd": cmd}).ok()
	same(t, "executed", p.Stats().Contacts, 50)
	same(t, "answered", fmt.Sprint(len(got.at("result", "result").(obj)), len(got.at("result", "result_error").(obj))), "50 2")
	same(t, "the last one", got.has("result", "result", "c49"), true)
	same(t, "error", got.at("result", "result_error", "c50", "error"), "ERROR_BATCH_LENGTH_EXCEEDED")
	same(t, "error", got.at("result", "result_error", "c51", "error"), "ERROR_BATCH_LENGTH_EXCEEDED")
	got = p.call("batch", `{"cmd":{"b":"batch?cmd[a]=user.current"}}`).ok()
	same(t, "nested", got.at("result", "result_error", "b", "error"), "ERROR_BATCH_METHOD_NOT_ALLOWED")
}

func TestHaltEndsABatchAtTheFirstError(t *testing.T) {
	t.Parallel()
	for _, halt := range []string{`1`, `true`, `"1"`} {
		p := open(t, bitrix24sim.Options{})
		got := p.call("batch", `{"halt":`+halt+`,"cmd":{"a":"crm.contact.add","b":"crm.contact.get?id=99","c":"crm.contact.add?fields[NAME]=x"}}`).ok()
		same(t, "errors", got.has("result", "result_error", "a"), true)
		same(t, "later commands", strings.Contains(got.body, `"c"`), false)
		same(t, "contacts", p.Stats().Contacts, 0)
	}
	p := open(t, bitrix24sim.Options{})
	got := p.call("batch", `{"halt":0,"cmd":{"a":"crm.contact.get?id=99","c":"crm.contact.add?fields[NAME]=x"}}`).ok()
	same(t, "goes on", got.json("result", "result"), `{"c":1}`)
	same(t, "times", got.has("result", "result_time", "a"), false)
}

func TestCommandsReferToEarlierResults(t *testing.T) {
	t.Parallel()
	p := open(t, bitrix24sim.Options{})
	got := p.call("batch", `{"cmd":{"a":"crm.contact.add?fields[NAME]=Ada","l":"crm.contact.list?filter[ID]=$result[a]","u":"crm.contact.update?id=$result[l][0][ID]&fields[LAST_NAME]=$result[l][0][NAME]-$result[x][0]"}}`).ok()
	same(t, "errors", got.json("result", "result_error"), `[]`)
	same(t, "name", p.contact(1).at("result", "LAST_NAME"), "Ada-$result[x][0]")
	got = p.call("batch", `{"cmd":{"i":"crm.item.add?entityTypeId=3&fields[name]=Bo","f":"crm.contact.get?id=99","u":"crm.contact.update?id=$result[i][item][id]&fields[NAME]=$result[f][NAME]&fields[POST]=$result[i][item][name]"}}`).ok()
	same(t, "errors", got.at("result", "result_error", "u"), nil)
	same(t, "of a command that failed", p.contact(2).json("result", "NAME")+p.contact(2).json("result", "POST"), `"$result[f][NAME]""Bo"`)
}

func TestPlusIsASpaceInACommand(t *testing.T) {
	t.Parallel()
	p := open(t, bitrix24sim.Options{})
	p.call("batch", `{"cmd":{"a":"crm.contact.add?fields%5BNAME%5D=A+B&fields[PHONE][0][VALUE]=%2B1"}}`).ok()
	same(t, "name", p.contact(1).at("result", "NAME"), "A B")
	same(t, "phone", p.contact(1).at("result", "PHONE", 0, "VALUE"), "+1")
	p.form("batch", url.Values{"cmd[a]": {"crm.contact.add?fields[NAME]=A%2BB+C"}, "halt": {"0"}}).ok()
	same(t, "decoded twice", p.contact(2).at("result", "NAME"), "A+B C")
	p.send("GET", hook+"batch?cmd[a]=crm.contact.add%3Ffields%5BNAME%5D%3DA%252BB", "", "").ok()
	same(t, "in the query", p.contact(3).at("result", "NAME"), "A+B")
}

func TestOneBatchIsOneCall(t *testing.T) {
	t.Parallel()
	p := open(t, bitrix24sim.Options{Quota: "documented", OperatingCost: 160 * time.Second})
	calls := p.Stats().Calls
	got := p.call("batch", `{"cmd":{"a":"user.current","b":"user.current","c":"user.current","d":"user.current","e":"scope"}}`).ok()
	same(t, "calls", p.Stats().Calls, calls+1)
	same(t, "the fourth", got.at("result", "result_error", "d", "error"), "OPERATION_TIME_LIMIT")
	same(t, "another method", got.has("result", "result", "e"), true)
	p = open(t, bitrix24sim.Options{Quota: "documented"})
	for range 50 {
		p.call("batch", `{"cmd":{"a":"scope","b":"scope","c":"scope"}}`).ok()
	}
	p.call("batch", `{"cmd":{"a":"scope"}}`).refused(503, "QUERY_LIMIT_EXCEEDED", "")
}

func TestErrorCodesInABatchMayBeEmpty(t *testing.T) {
	t.Parallel()
	p := open(t, bitrix24sim.Options{})
	got := p.call("batch", `{"cmd":{"a":"crm.contact.get?id=1","b":"crm.nothing"}}`).ok()
	same(t, "code", got.json("result", "result_error", "a", "error"), `""`)
	same(t, "unknown method", got.at("result", "result_error", "b", "error"), "ERROR_METHOD_NOT_FOUND")
}

func TestACommandAnswersWhatItsOwnCallDoes(t *testing.T) {
	t.Parallel()
	p := open(t, bitrix24sim.Options{})
	p.add(`{"NAME":"Ada <&> \u2028","PHONE":[{"VALUE":"1"}]}`)
	p.comment(1, "hello")
	for method, query := range map[string]string{
		"crm.contact.get": "id=1", "crm.item.get": "entityTypeId=3&id=1", "crm.item.list": "entityTypeId=3", "crm.contact.fields": "",
		"crm.timeline.comment.get": "id=5001", "user.get": "", "scope": "", "crm.duplicate.findbycomm": "type=PHONE&values[]=2",
	} {
		alone := p.send("GET", hook+method+"?"+query, "", "").ok().json("result")
		same(t, method, p.call("batch", obj{"cmd": obj{"a": method + "?" + query}}).ok().json("result", "result", "a"), alone)
	}
}

func TestARejectedCommandLeavesTheOthers(t *testing.T) {
	t.Parallel()
	p := open(t, bitrix24sim.Options{})
	p.fault(`{"mode":"reject","match":"+2"}`)
	got := p.call("batch", `{"cmd":{"a":"crm.contact.add?fields[PHONE][0][VALUE]=%2B1","b":"crm.contact.add?fields[PHONE][0][VALUE]=%2B2"}}`).ok()
	same(t, "a", got.has("result", "result", "a"), true)
	same(t, "b", got.at("result", "result_error", "b", "error"), "ERROR_CORE")
	same(t, "faults", p.Stats().Faults, 1)
	same(t, "writes", p.Stats().Writes, 1)
}
