package hubspotsim_test

import (
	"testing"
	"time"

	"crmsync/connectors/hubspot/hubspotsim"
)

const blocked = "permanently deleted"

func TestAContactIsDeletedForGood(t *testing.T) {
	t.Parallel()
	a := open(t, hubspotsim.Options{Lag: true})
	a.define("contacts", "crmsync_wa_id", obj{"hasUniqueValue": true}).want(t, 201)
	ada := a.person(obj{
		"firstname": "Ada", "email": "Ada@example.com", "hs_additional_emails": "countess@example.com", "crmsync_wa_id": "12125550101",
	})
	bob := a.person(obj{"firstname": "Bob"})
	said := a.post(communications, obj{"properties": whatsApp("hello"), "associations": toContact(ada, 81)}).want(t, 201).str("id")
	a.pass(10 * time.Second)
	gone := a.post(contacts+"/gdpr-delete", obj{"objectId": ada}).want(t, 204)
	same(t, "body", gone.body, "")
	a.get(contacts+"/"+ada).says(t, 404)
	a.get(contacts+"/"+ada+"?archived=true").says(t, 404)
	same(t, "listed", a.get(contacts).count("results"), 1)
	same(t, "in the recycle bin", a.get(contacts+"?archived=true").count("results"), 0)
	a.post(contacts+"/batch/read?archived=true", obj{"inputs": []obj{{"id": ada}}}).says(t, 207, "OBJECT_NOT_FOUND")
	same(t, "associated", a.get(communications+"/"+said+"/associations/contacts").want(t, 200).count("results"), 0)
	same(t, "search, behind", a.search(obj{}).at("total"), 2)
	a.pass(10 * time.Second)
	same(t, "search", a.search(obj{}).at("total"), 1)

	for _, email := range []string{"ADA@example.com", "countess@example.com"} {
		a.post(contacts, obj{"properties": obj{"email": email}}).says(t, 400, "VALIDATION_ERROR", blocked)
		a.patch(contacts+"/"+bob, obj{"properties": obj{"email": email}}).says(t, 400, blocked)
		a.batch("upsert", []obj{{"id": email, "idProperty": "email", "properties": obj{"firstname": "Ada"}}}).says(t, 400, blocked)
		got := a.batch("create", traced(obj{"email": email}, obj{"firstname": "Cy"})).want(t, 207)
		same(t, "refused", got.at("errors", 0, "context", "objectWriteTraceId", 0), "t0")
	}
	// Other values are free.
	a.person(obj{"firstname": "Ada", "crmsync_wa_id": "12125550101"})
	a.post(contacts+"/gdpr-delete", obj{"objectId": ada}).says(t, 404, "resource not found")
}

func TestAnAddressIsBlockedThoughNobodyHasIt(t *testing.T) {
	t.Parallel()
	a := open(t, hubspotsim.Options{})
	ada := a.person(obj{"email": "ada@example.com"})
	a.post(contacts+"/gdpr-delete", obj{"objectId": "Nobody@example.com", "idProperty": "email"}).want(t, 204)
	a.post(contacts, obj{"properties": obj{"email": "nobody@example.com"}}).says(t, 400, blocked)
	a.post(contacts+"/gdpr-delete", obj{"objectId": "ADA@example.com", "idProperty": "email"}).want(t, 204)
	a.get(contacts+"/"+ada).says(t, 404)
	a.post(contacts+"/gdpr-delete", obj{"objectId": "x", "idProperty": "phone"}).says(t, 400, "non-unique 0-1 property phone")
	archived := a.person(obj{"email": "bob@example.com"})
	a.remove(contacts+"/"+archived).want(t, 204)
	a.post(contacts+"/gdpr-delete", obj{"objectId": archived}).want(t, 204)
	a.get(contacts+"/"+archived+"?archived=true").says(t, 404)
	a.post(contacts, obj{"properties": obj{"email": "bob@example.com"}}).says(t, 400, blocked)
	a.post(communications+"/gdpr-delete", obj{"objectId": "1"}).says(t, 404, "No route")
}

func TestBothWebhooksInAnyOrder(t *testing.T) {
	t.Parallel()
	rc := receive(t, nil)
	a := open(t, hubspotsim.Options{WebhookURL: rc.url, Knobs: hubspotsim.Knobs{
		Subscriptions: []string{"contact.deletion", "contact.privacyDeletion"},
	}})
	seen := map[string]bool{}
	const deletion, privacy = "contact.deletion", "contact.privacyDeletion"
	for n := range 40 {
		id := a.person(obj{"firstname": "Ada"})
		before := len(rc.arrived())
		want := "INTEGRATION 54321"
		if n%2 == 0 {
			a.post(contacts+"/gdpr-delete", obj{"objectId": id}).want(t, 204)
		} else {
			a.post("/_sim/gdpr", obj{"id": id}).want(t, 200)
			want = "CRM_UI userId:910901"
		}
		events := rc.events(t, 2*n+2)[2*n:]
		same(t, "events", told(events, "subscriptionType", "objectId", "changeFlag", "changeSource", "sourceId"),
			"["+deletion+" "+id+" DELETED "+want+" "+privacy+" "+id+" "+want+"]")
		if len(rc.arrived())-before == 2 {
			seen["apart"] = true
		} else {
			seen["together, first "+events[0]["subscriptionType"].(string)] = true
		}
	}
	for _, way := range []string{"apart", "together, first " + deletion, "together, first " + privacy} {
		if !seen[way] {
			t.Errorf("never %s", way)
		}
	}
	a.post("/_sim/gdpr", obj{"id": "999"}).says(t, 404, "999")
}
