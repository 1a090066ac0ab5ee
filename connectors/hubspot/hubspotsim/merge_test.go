package hubspotsim_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"crmsync/connectors/hubspot/hubspotsim"
)

func TestAMergeMakesANewContact(t *testing.T) {
	t.Parallel()
	rc := receive(t, nil)
	a := open(t, hubspotsim.Options{WebhookURL: rc.url})
	if err := a.SetKnobs(hubspotsim.Knobs{Subscriptions: []string{"contact.merge", "object.merge"}}); err != nil {
		t.Fatal(err)
	}
	a.define("contacts", "crmsync_wa_id", obj{"hasUniqueValue": true}).want(t, 201)
	ada := a.person(obj{"firstname": "Ada", "email": "ada@example.com", "crmsync_wa_id": "12125550101"})
	twin := a.person(obj{"firstname": "A.", "city": "Turin", "email": "countess@example.com", "crmsync_wa_id": "12125550102", "phone": "+12125550102"})
	for n, person := range []string{ada, twin} {
		body := fmt.Sprintf("hello\n\n— WhatsApp in · wamid.%d", n)
		a.post(communications, obj{"properties": whatsApp(body), "associations": toContact(person, 81)}).want(t, 201)
	}
	a.pass(time.Minute)
	merged := a.post(contacts+"/merge", obj{"primaryObjectId": ada, "objectIdToMerge": twin}).want(t, 200)
	id := merged.str("id")
	if id == ada || id == twin {
		t.Fatalf("got the id %s of a former contact, want a new one", id)
	}
	same(t, "former ids", merged.at("properties", "hs_merged_object_ids"), ada+";"+twin)
	same(t, "record id", merged.at("properties", "hs_object_id"), id)
	same(t, "values", fmt.Sprint(merged.at("properties", "firstname"), merged.at("properties", "city"), merged.at("properties", "phone")), "AdaTurin+12125550102")
	same(t, "contacts", a.Stats().Contacts, 1)
	same(t, "listed", a.get(contacts).str("results", 0, "id"), id)
	same(t, "listed", a.get(contacts).count("results"), 1)
	same(t, "in the recycle bin", a.get(contacts+"?archived=true").count("results"), 0)
	same(t, "found", a.search(obj{}).at("total"), 1)

	// No address and no conversation is lost.
	same(t, "addresses", merged.at("properties", "hs_additional_emails"), "countess@example.com")
	same(t, "by the other's address", a.get(contacts+"/countess@example.com?idProperty=email").str("id"), id)
	linked := a.get(contacts+"/"+id+"/associations/communications").want(t, 200)
	same(t, "conversation", linked.count("results"), 2)
	for _, m := range a.Messages("", "") {
		same(t, "contact of "+m.WAMID, m.ContactID, id)
	}
	// A value that only one contact can have is free again.
	same(t, "unique", merged.at("properties", "crmsync_wa_id"), "12125550101")
	a.person(obj{"crmsync_wa_id": "12125550102"})

	for _, e := range rc.events(t, 2) {
		got := told([]obj{e}, "objectId", "primaryObjectId", "mergedObjectIds", "newObjectId", "numberOfPropertiesMoved", "changeSource", "sourceId", "objectTypeId")
		want := fmt.Sprintf("%s [%s] %s 2 INTEGRATION 54321", ada, twin, id)
		if e["subscriptionType"] == "object.merge" {
			want += " 0-1"
		}
		same(t, "event", got[0], want)
	}
}

func TestFormerIdsAreGoodForSingleCallsOnly(t *testing.T) {
	t.Parallel()
	a := open(t, hubspotsim.Options{})
	ada, twin, third := a.person(obj{"firstname": "Ada"}), a.person(obj{"firstname": "A."}), a.person(obj{"firstname": "Augusta"})
	first := a.post(contacts+"/merge", obj{"primaryObjectId": ada, "objectIdToMerge": twin}).want(t, 200).str("id")
	last := a.post(contacts+"/merge", obj{"primaryObjectId": first, "objectIdToMerge": third}).want(t, 200)
	id := last.str("id")
	same(t, "former ids", last.at("properties", "hs_merged_object_ids"), strings.Join([]string{first, third, ada, twin}, ";"))
	for n, former := range []string{ada, twin, first, third} {
		same(t, "GET "+former, a.get(contacts+"/"+former).want(t, 200).str("id"), id)
		patched := a.patch(contacts+"/"+former, obj{"properties": obj{"city": fmt.Sprint(n)}}).want(t, 200)
		same(t, "PATCH "+former, patched.str("id"), id)
		same(t, "city", a.get(contacts+"/"+id+"?properties=city").at("properties", "city"), n)
		batch := a.batch("update", []obj{{"id": former, "properties": obj{"city": "x"}}})
		batch.says(t, 207, "OBJECT_NOT_FOUND", "Could not get some CONTACT objects")
		same(t, "ids", batch.at("errors", 0, "context", "ids", 0), former)
		a.batch("read", []obj{{"id": former}}).says(t, 207, "OBJECT_NOT_FOUND")
		a.remove(contacts+"/"+former).want(t, 204)
	}
	same(t, "contacts", a.Stats().Contacts, 1)
	a.post("/_sim/knobs", obj{"merged_batch_read": true}).want(t, 200)
	same(t, "batch read", a.batch("read", []obj{{"id": ada}, {"id": id}}).want(t, 200).count("results"), 1)
	a.remove(contacts+"/"+id).want(t, 204)
	a.get(contacts+"/"+ada).says(t, 404)
	a.batch("read", []obj{{"id": ada}}).says(t, 207)
	same(t, "archived", a.get(contacts+"/"+ada+"?archived=true").want(t, 200).str("id"), id)
}

func TestAMergeMayKeepThePrimary(t *testing.T) {
	t.Parallel()
	rc := receive(t, nil)
	a := open(t, hubspotsim.Options{WebhookURL: rc.url, Knobs: hubspotsim.Knobs{
		MergeKeepsPrimary: true, MergeKeepsModified: true, Subscriptions: []string{"contact.merge"},
	}})
	ada, twin := a.person(obj{"firstname": "Ada"}), a.person(obj{"lastname": "King"})
	before := a.get(contacts + "/" + ada).str("updatedAt")
	a.pass(time.Minute)
	a.token = ""
	got := a.post("/_sim/merge", obj{"primary": ada, "other": twin}).want(t, 200)
	same(t, "id", got.str("id"), ada)
	same(t, "name", got.str("name"), "Ada King")
	same(t, "former ids", got.at("fields", "hs_merged_object_ids"), twin)
	same(t, "updated", got.str("updated_at"), before)
	a.token = key
	same(t, "by the former id", a.get(contacts+"/"+twin).want(t, 200).str("id"), ada)
	e := rc.events(t, 1)[0]
	same(t, "event", told([]obj{e}, "primaryObjectId", "mergedObjectIds", "newObjectId", "changeSource", "sourceId")[0],
		ada+" ["+twin+"] CRM_UI userId:910901")
}

func TestAPersonMergesContacts(t *testing.T) {
	t.Parallel()
	a := open(t, hubspotsim.Options{})
	ada, twin := a.person(obj{"firstname": "Ada"}), a.person(obj{"lastname": "King"})
	before := a.get(contacts + "/" + ada).str("updatedAt")
	a.pass(time.Minute)
	got, err := a.Merge(ada, twin)
	if err != nil || got.ID == ada || got.Name != "Ada King" || got.UpdatedAt <= before {
		t.Errorf("got %+v, %v", got, err)
	}
	a.post("/_sim/merge", obj{"primary": ada, "other": twin}).says(t, 400, "name two contacts")
	a.post("/_sim/merge", obj{"primary": got.ID, "other": got.ID}).says(t, 400, "with itself")
}

func TestAMergeIsRefused(t *testing.T) {
	t.Parallel()
	a := open(t, hubspotsim.Options{})
	id := a.person(obj{"firstname": "Ada"})
	merge := func(primary, other string) answer {
		return a.post(contacts+"/merge", obj{"primaryObjectId": primary, "objectIdToMerge": other})
	}
	merge(id, "999").says(t, 404, "resource not found")
	merge(id, "").says(t, 400, "objectIdToMerge")
	merge(id, id).says(t, 400)
	for range 250 {
		id = merge(id, a.person(obj{"firstname": "Ada"})).want(t, 200).str("id")
	}
	merge(id, a.person(obj{"firstname": "Ada"})).says(t, 414, "Cannot have more than 250 identities on a profile")
	a.post(communications+"/merge", obj{"primaryObjectId": id, "objectIdToMerge": id}).says(t, 404, "No route")
}
