package hubspot

import (
	"bytes"
	"encoding/json"
	"strconv"
	"strings"
	"time"

	"crmsync/connectors"
)

// An event is one element of a webhook's body. Every capture has the type in
// subscriptionType; the guide's table calls it eventType (HubSpot: webhooks
// guide).
type event struct {
	EventID          value `json:"eventId"`
	PortalID         value `json:"portalId"`
	OccurredAt       value `json:"occurredAt"`
	SubscriptionType value `json:"subscriptionType"`
	EventType        value `json:"eventType"`
	ObjectID         value `json:"objectId"`
	ObjectTypeID     value `json:"objectTypeId"`
	PropertyName     value `json:"propertyName"`
	ChangeSource     value `json:"changeSource"`

	PrimaryObjectID value  `json:"primaryObjectId"`
	MergedObjectIDs values `json:"mergedObjectIds"`
	NewObjectID     value  `json:"newObjectId"`
}

// split makes the facts of a body, which is a list of events.
func split(body []byte) []connectors.Fact {
	if !json.Valid(body) {
		return []connectors.Fact{malformed("the body is not JSON", body, body)}
	}
	var list []json.RawMessage
	if b := bytes.TrimLeft(body, " \t\r\n"); b[0] != '[' || json.Unmarshal(b, &list) != nil {
		return []connectors.Fact{malformed("the body is not a list", body, body)}
	}
	var facts []connectors.Fact
	for i, raw := range list {
		facts = append(facts, factsOf("["+strconv.Itoa(i)+"]", raw)...)
	}
	return together(facts)
}

// together makes one fact of the news that a contact has changed: HubSpot has
// an event for each property, and each says no more than that the contact has
// to be read. What stands between them stays where it is.
func together(facts []connectors.Fact) []connectors.Fact {
	var kept []connectors.Fact
	latest := map[string]int{} // by record, where its last news is
	for _, f := range facts {
		if f.Kind != connectors.KindRecord {
			kept = append(kept, f)
			continue
		}
		i, known := latest[f.Record.ID]
		if known && f.Record.Change == connectors.RecordUpdated &&
			(kept[i].Record.Change == connectors.RecordUpdated || kept[i].Record.Change == connectors.RecordCreated) {
			if f.At.After(kept[i].At) {
				kept[i].At = f.At
			}
			if fields := &kept[i].Record.Fields; len(*fields) > 0 && len(f.Record.Fields) > 0 {
				*fields = append(*fields, f.Record.Fields...)
			} else {
				*fields = nil // one of them may be any
			}
			continue
		}
		latest[f.Record.ID] = len(kept)
		kept = append(kept, f)
	}
	return kept
}

// changes are what the events of contacts mean. A contact that is restored was
// gone. The generic events are those of the newer kind of app.
var changes = map[string]connectors.RecordChange{
	"creation":        connectors.RecordCreated,
	"restore":         connectors.RecordCreated,
	"propertyChange":  connectors.RecordUpdated,
	"deletion":        connectors.RecordDeleted,
	"privacyDeletion": connectors.RecordDeleted,
	"merge":           connectors.RecordMerged,
}

// contactType is HubSpot's id of the object type contact.
const contactType = "0-1"

func factsOf(path string, raw json.RawMessage) []connectors.Fact {
	unreadable := func(reason string) []connectors.Fact {
		return []connectors.Fact{malformed(path+" "+reason, []byte("["+string(raw)+"]"), identity(raw))}
	}
	var e event
	if raw[0] != '{' || json.Unmarshal(raw, &e) != nil {
		return unreadable("is not an event")
	}
	if e.SubscriptionType == "" {
		e.SubscriptionType = e.EventType
	}
	object, what, _ := strings.Cut(string(e.SubscriptionType), ".")
	change, known := changes[what]
	about := object == "contact" || object == "object" && e.ObjectTypeID == contactType
	switch {
	case e.SubscriptionType == "":
		return unreadable("has no subscriptionType")
	case !known || !about || e.test():
		return []connectors.Fact{{
			Key: "other:" + connectors.Digest(identity(raw)), Kind: connectors.KindOther,
			Type: connectors.TypeWord(string(e.SubscriptionType)), At: e.at(), Raw: bytes.Clone(raw),
		}}
	case !isID.MatchString(string(e.EventID)):
		return unreadable("has no eventId")
	case e.at().IsZero():
		return unreadable("has no occurredAt")
	case change == connectors.RecordMerged:
		facts, reason := e.merge()
		if reason != "" {
			return unreadable(reason)
		}
		return facts
	case !isID.MatchString(string(e.ObjectID)):
		return unreadable("has no objectId")
	}
	news := connectors.RecordNews{ID: string(e.ObjectID), Change: change}
	if change == connectors.RecordUpdated && e.PropertyName != "" {
		news.Fields = []string{string(e.PropertyName)}
	}
	return []connectors.Fact{e.fact(news)}
}

// merge makes a fact of every record that is no more. The survivor is a new
// record, unless the account is one of those where the primary one lives on.
func (e *event) merge() (facts []connectors.Fact, reason string) {
	survivor := e.NewObjectID
	if survivor == "" || survivor == "0" {
		survivor = e.PrimaryObjectID
	}
	if !isID.MatchString(string(survivor)) {
		return nil, "has neither newObjectId nor primaryObjectId"
	}
	gone := map[value]bool{survivor: true, "": true}
	for _, id := range append(append(values{}, e.MergedObjectIDs...), e.PrimaryObjectID) {
		if gone[id] {
			continue
		}
		gone[id] = true
		if !isID.MatchString(string(id)) {
			return nil, "has a record in mergedObjectIds that is none"
		}
		facts = append(facts, e.fact(connectors.RecordNews{ID: string(id), Change: connectors.RecordMerged, Survivor: string(survivor)}))
	}
	if len(facts) == 0 {
		return nil, "has no mergedObjectIds"
	}
	return facts, ""
}

// test reports whether the event is a sample that the button in HubSpot's
// pages sends, about a record that need not exist.
func (e *event) test() bool {
	return e.EventID == "100" && e.ObjectID == "123" && e.ChangeSource == "CRM"
}

// fact is a fact about a contact's record. An eventId is not unique (HubSpot:
// webhooks guide), so the key holds what else tells events apart, but not
// attemptNumber, which counts how often this one was sent.
func (e *event) fact(news connectors.RecordNews) connectors.Fact {
	parts := []string{string(e.PortalID), string(e.SubscriptionType), news.ID, string(e.PropertyName), string(e.EventID), string(e.OccurredAt)}
	key := "record:" + strings.Join(parts, ":")
	for _, p := range parts {
		if !printable(p) || len(key) > maxKey {
			key = "record:sha256:" + connectors.Digest([]byte(strings.Join(parts, "\x00")))
		}
	}
	return connectors.Fact{Key: key, Kind: connectors.KindRecord, Type: connectors.TypeWord(string(e.SubscriptionType)), At: e.at(), Record: &news}
}

// maxKey is how long a fact's key may be.
const maxKey = 200

// printable reports whether s can stand in a key between colons.
func printable(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r >= 0x7f || r == ':' })
}

// at is when it happened, zero if the event does not say so.
func (e *event) at() time.Time {
	ms, err := strconv.ParseInt(string(e.OccurredAt), 10, 64)
	// Years of more than four digits are no JSON later on.
	if err != nil || ms <= 0 || ms > 253402300799999 {
		return time.Time{}
	}
	return time.UnixMilli(ms).UTC()
}

// malformed is a part of a body that cannot be read; raw is a body that holds
// nothing else, and id what it is recognised by.
func malformed(reason string, raw, id []byte) connectors.Fact {
	return connectors.Fact{
		Key: "malformed:" + connectors.Digest(id), Kind: connectors.KindMalformed,
		Reason: reason, Raw: bytes.Clone(raw),
	}
}

// identity is what an element is recognised by when it is sent again: all of
// it but attemptNumber.
func identity(raw json.RawMessage) []byte {
	var members map[string]json.RawMessage
	if json.Unmarshal(raw, &members) != nil {
		return raw
	}
	delete(members, "attemptNumber")
	b, err := json.Marshal(members)
	if err != nil {
		return raw
	}
	return b
}
