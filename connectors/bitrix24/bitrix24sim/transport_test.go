package bitrix24sim_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"crmsync/connectors/bitrix24/bitrix24sim"
)

func TestEveryWayToCallGivesTheSameAnswer(t *testing.T) {
	t.Parallel()
	p := open(t, bitrix24sim.Options{})
	id := p.add(`{"NAME":"Ada","ORIGIN_ID":"a+b c"}`)
	p.add(`{"NAME":"Bo"}`)
	q := "filter[%3DORIGIN_ID]=a%2Bb+c&select[]=ID&select[1]=NAME"
	const form, json = "application/x-www-form-urlencoded", "application/json"
	for name, got := range map[string]answer{
		"json":          p.call("crm.contact.list", `{"filter":{"=ORIGIN_ID":"a+b c"},"select":["ID","NAME"]}`),
		"capitals":      p.call("CRM.Contact.LIST", `{"FILTER":{"=ORIGIN_ID":"a+b c"},"SELECT":["ID","NAME"]}`),
		"suffix":        p.send("POST", hook+"crm.contact.list.json", form, q),
		"slash":         p.send("POST", hook+"crm.contact.list/", form, q),
		"both":          p.send("POST", hook+"crm.contact.list.json/", form, q),
		"query":         p.send("GET", hook+"crm.contact.list?"+q, "", ""),
		"percents":      p.send("GET", hook+"crm.contact.list?"+url.Values{"filter[ORIGIN_ID]": {"a+b c"}, "select[]": {"ID", "NAME"}}.Encode(), "", ""),
		"query, posted": p.send("POST", hook+"crm.contact.list?"+q, json, ""),
		"multipart": p.send("POST", hook+"crm.contact.list", "multipart/form-data; boundary=x",
			"--x\r\nContent-Disposition: form-data; name=\"filter[ORIGIN_ID]\"\r\n\r\na+b c\r\n--x\r\nContent-Disposition: form-data; name=\"select[]\"\r\n\r\nID\r\n--x\r\nContent-Disposition: form-data; name=\"select[]\"\r\n\r\nNAME\r\n--x--\r\n"),
	} {
		same(t, name, got.ok().json("result"), `[{"ID":"`+itoa(id)+`","NAME":"Ada"}]`)
	}
}

func TestWrongCredentialsAreRefused(t *testing.T) {
	t.Parallel()
	for legacy, status := range map[bool]int{false: 401, true: 403} {
		p := open(t, bitrix24sim.Options{LegacyStatuses: legacy, Scopes: []string{"user"}})
		p.send("POST", "/rest/7/wrong/user.current", "", "").refused(status, "INVALID_CREDENTIALS", "Invalid request credentials")
		p.send("POST", "/rest/8/s3cr3t/user.current", "", "").refused(status, "INVALID_CREDENTIALS", "")
		p.send("POST", "/rest/user.current", "", "").refused(401, "NO_AUTH_FOUND", "Wrong authorization data")
		p.call("crm.contact.list", `{}`).refused(status, "insufficient_scope", "webhook token")
		p.call("user.current", `{}`).ok()
	}
}

func TestUnknownMethodComesBeforeCredentials(t *testing.T) {
	t.Parallel()
	p := open(t, bitrix24sim.Options{})
	p.call("crm.contact.upsert", `{}`).refused(404, "ERROR_METHOD_NOT_FOUND", "Method not found!")
	p.send("POST", "/rest/7/wrong/crm.contact.upsert", "", "").refused(404, "ERROR_METHOD_NOT_FOUND", "")
	p.send("POST", "/rest/7/s3cr3t", "", "").refused(404, "ERROR_METHOD_NOT_FOUND", "")
	p.send("POST", "/rest/7/", "", "").refused(404, "ERROR_METHOD_NOT_FOUND", "")
}

func TestApplicationMethodsRefuseWebhooks(t *testing.T) {
	t.Parallel()
	p := open(t, bitrix24sim.Options{})
	for _, method := range []string{"event.bind", "event.get", "event.unbind", "event.offline.get", "event.test", "placement.bind", "imconnector.register"} {
		p.call(method, `{}`).refused(403, "WRONG_AUTH_TYPE", "Current authorization type is denied for this method")
	}
	p.call("crm.activity.configurable.add", `{}`).refused(400, "ERROR_WRONG_CONTEXT", "")
}

func TestARenamedPortalRedirects(t *testing.T) {
	t.Parallel()
	p := open(t, bitrix24sim.Options{Knobs: bitrix24sim.Knobs{RenamedTo: "https://new.example"}})
	got := p.call("crm.contact.add?x=1", `{"fields":{"NAME":"Ada"}}`)
	same(t, "status", got.status, http.StatusFound)
	same(t, "location", got.header.Get("Location"), "https://new.example/rest/7/s3cr3t/crm.contact.add?x=1")
	same(t, "contacts", p.Stats().Contacts, 0)
}

func TestUnknownParametersAreIgnored(t *testing.T) {
	t.Parallel()
	p := open(t, bitrix24sim.Options{})
	p.call("user.current?bx24_request_id=1&bx24_sdk_ver=2&bx24_sdk_type=b24-js-sdk", `{}`).ok()
}

func TestAnswersTellTheirTime(t *testing.T) {
	t.Parallel()
	p := open(t, bitrix24sim.Options{})
	p.call("crm.contact.list", `{}`).ok()
	p.pass(time.Minute)
	got := p.call("crm.contact.list", `{}`).ok()
	same(t, "keys", len(got.at("time").(obj)), 8)
	same(t, "operating", got.at("time", "operating"), 0.016)
	same(t, "reset", got.at("time", "operating_reset_at"), 1.7908422e9)
	same(t, "date", got.at("time", "date_start"), "2026-10-01T11:01:00+03:00")
	same(t, "another method", p.call("crm.contact.fields", `{}`).at("time", "operating"), 0.008)
	p.SetKnobs(bitrix24sim.Knobs{SparseTime: true})
	got = p.call("crm.contact.list", `{}`).ok()
	same(t, "keys", len(got.at("time").(obj)), 6)
	if !strings.Contains(got.body, `"processing":0,"start":1790841660}`) {
		t.Errorf("got %s", got.body)
	}
}

func TestTheBucketLeaks(t *testing.T) {
	t.Parallel()
	for name, o := range map[string]struct {
		limits      bitrix24sim.Limits
		burst, rate int
	}{"most plans": {bitrix24sim.Limits{}, 50, 2}, "enterprise": {bitrix24sim.Enterprise(), 250, 5}} {
		p := open(t, bitrix24sim.Options{Quota: "documented", Limits: o.limits})
		for range o.burst {
			p.call("user.current", `{}`).ok()
		}
		got := p.call("crm.contact.add", `{"fields":{}}`)
		got.refused(503, "QUERY_LIMIT_EXCEEDED", "Too many requests")
		same(t, name+": Retry-After", got.header.Get("Retry-After"), "")
		p.pass(time.Second)
		for range o.rate {
			p.call("user.current", `{}`).ok()
		}
		p.call("user.current", `{}`).refused(503, "QUERY_LIMIT_EXCEEDED", "")
		same(t, name+": throttled", p.Stats().Throttled, 2)
		same(t, name+": not executed", p.Stats().Contacts, 0)
	}
}

func TestOperatingTimeIsBudgeted(t *testing.T) {
	t.Parallel()
	p := open(t, bitrix24sim.Options{Quota: "documented", OperatingCost: 200 * time.Second})
	for range 3 {
		p.call("crm.contact.list", `{}`).ok()
		p.pass(2 * time.Minute)
	}
	p.call("crm.contact.list", `{}`).refused(429, "OPERATION_TIME_LIMIT", "Method is blocked due to operation time limit.")
	p.call("crm.contact.fields", `{}`).ok()
	p.pass(4 * time.Minute)
	got := p.call("crm.contact.list", `{}`).ok()
	same(t, "one minute left, and this call came", got.at("time", "operating"), 600)
}

func TestFaultsOnDemand(t *testing.T) {
	t.Parallel()
	p := open(t, bitrix24sim.Options{})
	outage := func(spec string) answer {
		p.fault(`{"mode":"none"}`)
		p.fault(spec)
		return p.call("crm.contact.add", `{"fields":{"NAME":"Ada"}}`)
	}
	outage(`{"mode":"outage","status":500}`).refused(500, "INTERNAL_SERVER_ERROR", "")
	outage(`{"mode":"outage","status":401}`).refused(401, "OVERLOAD_LIMIT", "REST API is blocked due to overload.")
	for _, status := range []string{"403", "502", "504"} {
		if got := outage(`{"mode":"outage","status":` + status + `}`); itoa(got.status) != status || !strings.Contains(got.body, "<html>") {
			t.Errorf("got %d %s", got.status, got.body)
		}
	}
	p.SetKnobs(bitrix24sim.Knobs{OutageBody: "overload"})
	outage(`{"mode":"outage","status":503}`).refused(503, "OVERLOAD_LIMIT", "")
	outage(`{"mode":"throttle"}`).refused(503, "QUERY_LIMIT_EXCEEDED", "")
	outage(`{"mode":"expire_token"}`).refused(401, "INVALID_CREDENTIALS", "")
	same(t, "not executed", p.Stats().Contacts, 0)
	func() {
		defer func() { _ = recover() }()
		outage(`{"mode":"reset_after_commit"}`)
	}()
	same(t, "executed", p.Stats().Contacts, 1)
	outage(`{"mode":"reject","match":"Ada"}`).refused(400, "ERROR_CORE", "")
	p.call("crm.contact.add", `{"fields":{"NAME":"Bo"}}`).ok()
	p.call("crm.item.add", `{"entityTypeId":3,"fields":{"name":"Ada"}}`).refused(400, "CRM_FIELD_ERROR_VALUE_NOT_VALID", "")
}
