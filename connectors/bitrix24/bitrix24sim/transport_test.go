package bitrix24sim_test

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
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

func TestEveryWayToCallWritesTheSame(t *testing.T) {
	t.Parallel()
	p := open(t, bitrix24sim.Options{})
	const classic, item = "fields[NAME]=A+da&fields[PHONE][0][VALUE]=%2B1", "entityTypeId=3&fields[name]=A+da&fields[fm][n0][typeId]=PHONE&fields[fm][n0][value]=%2B1"
	const form = "application/x-www-form-urlencoded"
	for n, got := range []answer{
		p.call("crm.contact.add", `{"fields":{"NAME":"A da","PHONE":[{"VALUE":"+1"}]}}`),
		p.call("crm.item.add", `{"entityTypeId":3,"fields":{"name":"A da","fm":[{"typeId":"PHONE","value":"+1"}]}}`),
		p.send("POST", hook+"crm.contact.add.json", form, classic),
		p.send("POST", hook+"Crm.Item.Add/", form, item),
		p.send("GET", hook+"CRM.CONTACT.ADD?"+classic, "", ""),
		p.send("GET", hook+"crm.item.add.json?"+item, "", ""),
	} {
		got.ok()
		same(t, itoa(n), fmt.Sprint(p.contact(n+1).at("result", "NAME"), " ", rows(p, n+1)), "A da P:W:+1")
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
	refused := func(method string, status int, code, text string) {
		t.Helper()
		p.call(method, `{}`).refused(status, code, text)
		got := p.call("batch", obj{"cmd": obj{"a": method}}).ok()
		same(t, method+" in a batch", got.at("result", "result_error", "a", "error"), code)
	}
	for _, method := range []string{
		"event.bind", "event.get", "event.unbind", "event.test", "event.offline.get", "event.offline.list", "event.offline.clear", "event.offline.error",
		"placement.bind", "imconnector.register", "imconnector.activate", "imconnector.connector.data.set", "imconnector.send.messages",
		"imconnector.update.messages", "imconnector.delete.messages", "imconnector.send.status.delivery", "imconnector.send.status.reading",
		"crm.activity.type.add", "crm.activity.type.list", "crm.activity.type.delete",
	} {
		refused(method, 403, "WRONG_AUTH_TYPE", "Current authorization type is denied for this method")
	}
	for _, method := range []string{"add", "update", "get"} {
		refused("crm.activity.configurable."+method, 400, "ERROR_WRONG_CONTEXT", "")
	}
}

func TestARenamedPortalRedirects(t *testing.T) {
	t.Parallel()
	p := open(t, bitrix24sim.Options{Knobs: bitrix24sim.Knobs{RenamedTo: "https://new.example"}})
	for _, c := range []struct{ method, path string }{
		{"POST", "/rest/7/s3cr3t/crm.contact.add?x=1"},
		{"GET", "/rest/7/s3cr3t/crm.contact.list.json?select[]=ID"},
		{"POST", "/rest/7/s3cr3t/batch/"},
		{"POST", "/rest/7/wrong/user.current"},
		{"POST", "/rest/user.current?auth=x"},
		{"GET", "/rest/7/s3cr3t/crm.nothing"},
	} {
		got := p.send(c.method, c.path, "application/json", `{"fields":{"NAME":"Ada"}}`)
		same(t, c.path, got.status, http.StatusFound)
		same(t, "location", got.header.Get("Location"), "https://new.example"+c.path)
	}
	same(t, "contacts", p.Stats().Contacts, 0)
}

func TestUnknownParametersAreIgnored(t *testing.T) {
	t.Parallel()
	p := open(t, bitrix24sim.Options{})
	p.add(`{"NAME":"Ada"}`)
	for method, in := range map[string]string{
		"user.current": `{}`, "user.get": `{"ID":11}`, "crm.contact.get": `{"id":1}`, "crm.contact.list": `{"select":["ID"]}`, "crm.contact.fields": `{}`,
		"crm.item.get": `{"entityTypeId":3,"id":1}`, "crm.item.list": `{"entityTypeId":3,"select":["id"]}`, "crm.contact.update": `{"id":1,"fields":{"NAME":"Ada"}}`,
		"batch": `{"cmd":{"a":"crm.contact.get?id=1&bx24_request_id=2","b":"user.get?ID=11&bx24_sdk_ver=2"}}`,
	} {
		plain := p.call(method, in).ok()
		got := p.call(method+"?bx24_request_id=1&bx24_sdk_ver=2&bx24_sdk_type=b24-js-sdk", in).ok()
		if part := []any{"result"}; method == "batch" {
			same(t, method, got.json(append(part, "result")...), plain.json(append(part, "result")...))
		} else {
			same(t, method, got.json(part...), plain.json(part...))
		}
	}
}

func TestAnswersTellTheirTime(t *testing.T) {
	t.Parallel()
	a := application(t, bitrix24sim.Options{})
	token := a.login()
	a.call("crm.contact.list", `{}`).ok()
	a.pass(time.Minute)
	got := a.call("crm.contact.list", `{}`).ok()
	same(t, "operating", got.at("time", "operating"), 0.016)
	same(t, "reset", got.at("time", "operating_reset_at"), 1.7908422e9)
	same(t, "date", got.at("time", "date_start"), "2026-10-01T11:01:00+03:00")
	same(t, "another method", a.call("crm.contact.fields", `{}`).at("time", "operating"), 0.008)
	same(t, "another token", a.as(token, "crm.contact.list", obj{}).at("time", "operating"), 0.008)
	got = a.call("batch", `{"cmd":{"a":"crm.contact.list","b":"crm.contact.list"}}`).ok()
	same(t, "in a batch", got.at("result", "result_time", "b", "operating"), 0.032)
	a.SetKnobs(bitrix24sim.Knobs{SparseTime: true})
	got = a.call("crm.contact.list", `{}`).ok()
	if !strings.Contains(got.body, `"duration":0,"finish":1790841660,"processing":0,"start":1790841660}`) {
		t.Errorf("got %s", got.body)
	}
}

func TestEverySuccessHasATime(t *testing.T) {
	t.Parallel()
	p := open(t, bitrix24sim.Options{})
	names := func(part any) string {
		m, _ := part.(obj)
		return strings.Join(slices.Sorted(maps.Keys(m)), " ")
	}
	for sparse, want := range map[bool]string{
		false: "date_finish date_start duration finish operating operating_reset_at processing start", true: "date_finish date_start duration finish processing start",
	} {
		p.SetKnobs(bitrix24sim.Knobs{SparseTime: sparse})
		id := p.add(`{}`)
		for _, method := range []string{"crm.contact.add?fields[NAME]=x", "crm.contact.get?id=" + itoa(id), "crm.item.list?entityTypeId=3", "crm.contact.delete?id=" + itoa(id), "user.current", "scope"} {
			same(t, method, names(p.send("GET", hook+method, "", "").ok().at("time")), want)
		}
		got := p.call("batch", `{"cmd":{"a":"scope","b":"crm.contact.get?id=99"}}`).ok()
		same(t, "a batch", names(got.at("time")), want)
		same(t, "its command", names(got.at("result", "result_time", "a")), want)
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

func TestEachAddressHasABucketForAllItsTokens(t *testing.T) {
	t.Parallel()
	a := application(t, bitrix24sim.Options{Quota: "documented"})
	token := a.login()
	from := func(address, path string) int {
		r := httptest.NewRequest(http.MethodGet, path, nil)
		r.RemoteAddr = address
		w := httptest.NewRecorder()
		a.ServeHTTP(w, r)
		return w.Code
	}
	for n := range 25 {
		same(t, "webhook", from(fmt.Sprint("10.0.0.1:", 1000+n), hook+"user.current"), 200)
		same(t, "application", from("10.0.0.1:2000", "/rest/user.current?auth="+token), 200)
	}
	same(t, "webhook", from("10.0.0.1:3000", hook+"user.current"), 503)
	same(t, "application", from("10.0.0.1:3000", "/rest/user.current?auth="+token), 503)
	same(t, "another address", from("10.0.0.2:3000", hook+"user.current"), 200)
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
	p.pass(4*time.Minute - time.Second)
	p.call("crm.contact.list", `{}`).refused(429, "OPERATION_TIME_LIMIT", "")
	p.pass(time.Second)
	got := p.call("crm.contact.list", `{}`).ok()
	same(t, "one minute left, and this call came", got.at("time", "operating"), 600)
	same(t, "when the next one leaves", got.json("time", "operating_reset_at"), p.Now().Add(2*time.Minute).Unix())
}

func TestEachTokenHasItsOperatingTime(t *testing.T) {
	t.Parallel()
	a := application(t, bitrix24sim.Options{Quota: "documented", OperatingCost: 480 * time.Second})
	token := a.login()
	a.call("user.current", `{}`).ok()
	got := a.call("user.current", `{}`)
	got.refused(429, "OPERATION_TIME_LIMIT", "")
	same(t, "Retry-After", got.header.Get("Retry-After"), "")
	a.as(token, "user.current", obj{}).ok()
	a.as(token, "user.current", obj{}).refused(429, "OPERATION_TIME_LIMIT", "")
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

func TestACallIsCarriedOutThoughItsCallerGaveUp(t *testing.T) {
	t.Parallel()
	p := open(t, bitrix24sim.Options{})
	server := httptest.NewServer(p)
	t.Cleanup(server.Close)
	p.fault(`{"mode":"silence"}`)
	caller := &http.Client{Timeout: 500 * time.Millisecond, Transport: &http.Transport{DisableKeepAlives: true}}
	answer, err := caller.Post(server.URL+hook+"crm.contact.add", "application/json", strings.NewReader(`{"fields":{"NAME":"Ada"}}`))
	if err == nil {
		_, err = io.ReadAll(answer.Body)
		_ = answer.Body.Close()
	}
	var late net.Error
	if !errors.As(err, &late) || !late.Timeout() {
		t.Errorf("got %v, want a timeout", err)
	}
	same(t, "contacts", p.Stats().Contacts, 1)
}

func TestEveryCallTakesItsTime(t *testing.T) {
	t.Parallel()
	p := open(t, bitrix24sim.Options{LatencyMin: 30 * time.Millisecond, LatencyMax: 31 * time.Millisecond})
	began := time.Now()
	for range 4 {
		p.call("user.current", `{}`).ok()
	}
	if took := time.Since(began); took < 120*time.Millisecond {
		t.Errorf("took %v", took)
	}
}
