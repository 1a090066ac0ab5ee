package hubspotsim_test

import (
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"crmsync/connectors/hubspot/hubspotsim"
)

// told are some fields of events, in the order of their text.
func told(events []obj, fields ...string) []string {
	var list []string
	for _, e := range events {
		var words []string
		for _, f := range fields {
			if v, there := e[f]; there {
				if n, is := v.(float64); is {
					v = fmt.Sprintf("%.0f", n)
				}
				words = append(words, fmt.Sprint(v))
			}
		}
		list = append(list, strings.Join(words, " "))
	}
	slices.Sort(list)
	return list
}

// TestEventsOnTheWire holds every kind of event to the members it has and to
// their order.
func TestEventsOnTheWire(t *testing.T) {
	t.Parallel()
	rc := receive(t, nil)
	a := open(t, hubspotsim.Options{PortalID: 49532047, AppID: 9318066})
	a.post("/_sim/webhook", obj{"url": rc.url}).says(t, 200, rc.url)
	numbers := regexp.MustCompile(`"(eventId|subscriptionId|occurredAt)":[1-9]\d*`)
	bodies := func() (list []string) {
		for _, h := range rc.arrived() {
			list = append(list, numbers.ReplaceAllString(h.body, `"$1":N`))
		}
		slices.Sort(list)
		return list
	}
	const (
		head = `{"eventId":N,"subscriptionId":N,"portalId":49532047,"appId":9318066,"occurredAt":N,"subscriptionType":"contact.`
		mine = `"changeSource":"INTEGRATION","sourceId":"9318066"}`
	)
	ada := a.person(obj{"firstname": "Ada"})
	same(t, "occurredAt", told(rc.events(t, 1), "occurredAt")[0], "1790841600000")
	same(t, "creation", bodies()[0], `[`+head+`creation","attemptNumber":0,"objectId":`+ada+`,"changeFlag":"CREATED",`+mine+`]`)
	sent := 1
	for _, step := range []struct {
		name         string
		method, path string
		body         any
		want         []string
	}{
		{"a change of two values", "PATCH", contacts + "/101", obj{"properties": obj{"city": "Rome", "phone": ""}}, []string{
			`propertyChange","attemptNumber":0,"objectId":101,"propertyName":"city","propertyValue":"Rome",` + mine,
		}},
		{"a change that clears", "PATCH", contacts + "/101", obj{"properties": obj{"city": ""}}, []string{
			`propertyChange","attemptNumber":0,"objectId":101,"propertyName":"city","propertyValue":"",` + mine,
		}},
		{"another contact", "POST", contacts, obj{"properties": obj{"lastname": "King"}}, []string{
			`creation","attemptNumber":0,"objectId":102,"changeFlag":"CREATED",` + mine,
		}},
		{"a merge", "POST", contacts + "/merge", obj{"primaryObjectId": "101", "objectIdToMerge": "102"}, []string{
			`merge","attemptNumber":0,"primaryObjectId":101,"mergedObjectIds":[102],"newObjectId":103,"numberOfPropertiesMoved":1,` + mine,
		}},
		{"an archived contact", "DELETE", contacts + "/103", nil, []string{
			`deletion","attemptNumber":0,"objectId":103,"changeFlag":"DELETED",` + mine,
		}},
		{"one deleted for good", "POST", contacts + "/gdpr-delete", obj{"objectId": "103"}, []string{
			`deletion","attemptNumber":0,"objectId":103,"changeFlag":"DELETED",` + mine,
			`privacyDeletion","attemptNumber":0,"objectId":103,` + mine,
		}},
	} {
		if got := a.call(step.method, step.path, step.body); got.status >= 300 {
			t.Fatalf("%s: got %d %s", step.name, got.status, got.body)
		}
		sent += len(step.want)
		rc.events(t, sent)
		all := strings.Join(bodies(), "\n")
		for _, want := range step.want {
			if !strings.Contains(all, head+want) {
				t.Errorf("%s: got %s, want %s", step.name, all, head+want)
			}
		}
	}
	for _, body := range bodies() {
		if !strings.HasPrefix(body, "[{") || !strings.HasSuffix(body, "}]") {
			t.Errorf("got %s, want a list", body)
		}
	}
}

func TestEveryChangedPropertyIsAnEvent(t *testing.T) {
	t.Parallel()
	rc := receive(t, nil)
	a := open(t, hubspotsim.Options{})
	id := a.person(obj{"firstname": "Ada", "city": "Turin", "company": "Engines"})
	a.SetWebhookURL(rc.url)
	a.pass(time.Minute)
	changed := a.patch(contacts+"/"+id, obj{"properties": obj{"firstname": "Zoë", "city": "", "company": "Engines"}}).want(t, 200)
	got := rc.events(t, 2)
	same(t, "events", strings.Join(told(got, "subscriptionType", "objectId", "propertyName", "propertyValue", "changeSource", "sourceId"), "; "),
		"contact.propertyChange "+id+" city  INTEGRATION 54321; contact.propertyChange "+id+" firstname Zoë INTEGRATION 54321")
	at, _ := time.Parse(time.RFC3339, changed.str("updatedAt"))
	same(t, "occurredAt", told(got, "occurredAt")[0], at.UnixMilli())
	if got[0]["subscriptionId"] == got[1]["subscriptionId"] {
		t.Error("two properties have one subscription")
	}
	// A batch tells the same.
	a.batch("update", []obj{{"id": id, "properties": obj{"city": "Rome"}}}).want(t, 200)
	same(t, "batch", told(rc.events(t, 3)[2:], "propertyName", "propertyValue")[0], "city Rome")
}

func TestWhoMadeAChange(t *testing.T) {
	t.Parallel()
	rc := receive(t, nil)
	a := open(t, hubspotsim.Options{WebhookURL: rc.url})
	id, all := "", 0
	for _, s := range []struct {
		do   func()
		want string
	}{
		{func() {
			id = a.post("/_sim/contacts", obj{"phone": "+12125550101", "fields": obj{"firstname": "Ada"}}).want(t, 200).str("id")
		}, "contact.creation CREATED CRM_UI userId:910901"},
		{func() { a.post("/_sim/contacts", obj{"id": id, "fields": obj{"city": "Rome"}}).want(t, 200) }, "contact.propertyChange city CRM_UI userId:910901"},
		{func() { a.patch(contacts+"/"+id, obj{"properties": obj{"city": "Bari"}}).want(t, 200) }, "contact.propertyChange city INTEGRATION 54321"},
		{func() { a.remove("/_sim/contacts?id="+id).want(t, 200) }, "contact.deletion DELETED CRM_UI userId:910901"},
		{func() { a.post("/_sim/import", obj{"count": 1}).want(t, 200) }, "contact.creation CREATED IMPORT 1"},
		{func() { id = a.person(obj{"firstname": "Bo"}) }, "contact.creation CREATED INTEGRATION 54321"},
		{func() { a.remove(contacts+"/"+id).want(t, 204) }, "contact.deletion DELETED INTEGRATION 54321"},
		{func() { a.remove(contacts+"/"+id).want(t, 204) }, ""},
		{func() { a.person(obj{"firstname": "Cy"}) }, "contact.creation CREATED INTEGRATION 54321"},
	} {
		s.do()
		if s.want == "" {
			continue
		}
		all++
		got := told(rc.events(t, all)[all-1:], "subscriptionType", "changeFlag", "propertyName", "changeSource", "sourceId")
		same(t, "event", got[0], s.want)
	}
	if err := a.Seed(3); err != nil {
		t.Fatal(err)
	}
	said := a.post(communications, obj{"properties": whatsApp("hello")}).want(t, 201).str("id")
	a.remove(communications+"/"+said).want(t, 204)
	rc.events(t, all)
	// Of a batch every record is told.
	made := a.batch("create", many(3)).want(t, 201)
	rc.events(t, all+3)
	var ids []obj
	for n := range 3 {
		ids = append(ids, obj{"id": made.str("results", n, "id")})
	}
	a.batch("archive", append(ids, obj{"id": "999"})).want(t, 204)
	same(t, "archived", told(rc.events(t, all+6)[all+3:], "subscriptionType", "changeFlag"), "[contact.deletion DELETED contact.deletion DELETED contact.deletion DELETED]")
}

func TestWhatAnAppSubscribedTo(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		subscriptions []string
		want          string
	}{
		"everything of contacts": {nil, "contact.creation ; contact.deletion ; contact.propertyChange lastname; contact.propertyChange phone"},
		"one property":           {[]string{"contact.propertyChange:phone"}, "contact.propertyChange phone"},
		"a calculated property":  {[]string{"contact.propertyChange:hs_full_name_or_email"}, "contact.propertyChange hs_full_name_or_email"},
		"the generic twins":      {[]string{"object.creation", "object.propertyChange:phone"}, "object.creation 0-1 ; object.propertyChange 0-1 phone false"},
		"both of one":            {[]string{"contact.deletion", "object.deletion"}, "contact.deletion ; object.deletion 0-1 "},
		"nothing":                {[]string{}, ""},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			rc := receive(t, nil)
			a := open(t, hubspotsim.Options{WebhookURL: rc.url})
			if test.subscriptions != nil {
				a.post("/_sim/knobs", obj{"subscriptions": test.subscriptions}).want(t, 200)
			}
			id := a.person(obj{"firstname": "Ada"})
			a.patch(contacts+"/"+id, obj{"properties": obj{"lastname": "King", "phone": "+12125550101"}}).want(t, 200)
			a.remove(contacts+"/"+id).want(t, 204)
			count := 0
			if test.want != "" {
				count = strings.Count(test.want, ";") + 1
			}
			got := strings.Join(told(rc.events(t, count), "subscriptionType", "objectTypeId", "propertyName", "isSensitive"), "; ")
			same(t, "events", strings.ReplaceAll(got, " ", ""), strings.ReplaceAll(test.want, " ", ""))
			for _, e := range flat(rc.arrived()) {
				if calculated := e["propertyName"] == "hs_full_name_or_email"; calculated == (e["changeSource"] == "INTEGRATION") {
					t.Errorf("got %v: what HubSpot calculates is not the integration's doing", e)
				}
			}
		})
	}
	a := open(t, hubspotsim.Options{})
	a.post("/_sim/knobs", obj{"subscriptions": []string{"contact.propertyChange:hs_lastmodifieddate"}}).says(t, 400, "cannot be subscribed to")
	a.post("/_sim/knobs", obj{"subscriptions": []string{"contact.birthday"}}).says(t, 400, "contact.birthday")
}

func TestInitialValuesMayBeTold(t *testing.T) {
	t.Parallel()
	rc := receive(t, nil)
	a := open(t, hubspotsim.Options{WebhookURL: rc.url, Knobs: hubspotsim.Knobs{InitialValues: true}})
	a.person(obj{"firstname": "Ada", "phone": "+12125550101"})
	same(t, "events", strings.Join(told(rc.events(t, 4), "propertyName", "propertyValue", "changeFlag"), "; "),
		"CREATED; firstname Ada; lifecyclestage lead; phone +12125550101")
}

func TestAWebhookComesBeforeSearchKnows(t *testing.T) {
	t.Parallel()
	var a *account
	searched, read := make(chan answer, 1), make(chan answer, 1)
	rc := receive(t, func(_ int, _ http.ResponseWriter, r *http.Request) {
		searched <- a.search(obj{})
		read <- a.get(contacts + "/101")
	})
	a = open(t, hubspotsim.Options{WebhookURL: rc.url, Lag: true})
	a.person(obj{"firstname": "Ada"})
	same(t, "found by search", (<-searched).at("total"), 0)
	(<-read).says(t, 200, `"firstname":"Ada"`)
	a.pass(10 * time.Second)
	same(t, "found later", a.search(obj{}).at("total"), 1)
}
