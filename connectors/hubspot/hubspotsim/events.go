package hubspotsim

import (
	"maps"
	"slices"
	"strconv"
	"time"
)

// author is who made a change: HubSpot's changeSource and sourceId.
type author struct{ source, id string }

// person is one who works in HubSpot's own pages, system HubSpot itself when
// it calculates. What it is called then is not documented.
var (
	person = author{"CRM_UI", "userId:910901"}
	system = author{"HUBSPOT_INTERNAL", ""}
)

// app is the integration, whichever of its tokens it uses.
func (s *Server) app() author { return author{"INTEGRATION", strconv.FormatInt(s.opts.AppID, 10)} }

// event is one element of a webhook's body. HubSpot: the webhooks guide, and
// bodies that were seen.
type event struct {
	EventID          int64   `json:"eventId"`
	SubscriptionID   int64   `json:"subscriptionId"`
	PortalID         int64   `json:"portalId"`
	AppID            int64   `json:"appId"`
	OccurredAt       int64   `json:"occurredAt"`
	SubscriptionType string  `json:"subscriptionType"`
	AttemptNumber    int     `json:"attemptNumber"`
	ObjectID         int64   `json:"objectId,omitempty"`
	ObjectTypeID     string  `json:"objectTypeId,omitempty"`
	ChangeFlag       string  `json:"changeFlag,omitempty"`
	PropertyName     string  `json:"propertyName,omitempty"`
	PropertyValue    *string `json:"propertyValue,omitempty"`
	IsSensitive      *bool   `json:"isSensitive,omitempty"`
	PrimaryObjectID  int64   `json:"primaryObjectId,omitempty"`
	MergedObjectIDs  []int64 `json:"mergedObjectIds,omitempty"`
	NewObjectID      int64   `json:"newObjectId,omitempty"`
	PropertiesMoved  *int    `json:"numberOfPropertiesMoved,omitempty"`
	ChangeSource     string  `json:"changeSource,omitempty"`
	SourceID         string  `json:"sourceId,omitempty"`

	// apart keeps the event out of a request in which there are others.
	apart bool
}

// created, edited and deleted note what a contact went through, for webhooks.
// They need s.mu, as all below does.
func (s *Server) created(st *store, r *record) {
	s.note(st, "creation", event{ObjectID: r.id, ChangeFlag: "CREATED"}, r.created, r.by)
	if s.knobs.InitialValues {
		s.edited(st, r, &state{}, r.by)
	}
}

func (s *Server) edited(st *store, r *record, before *state, by author) {
	if st.id != contactType || s.webhookURL == "" {
		return
	}
	for _, name := range slices.Sorted(maps.Keys(st.props)) {
		p := st.property(name)
		if p == nil {
			continue
		}
		old, _ := st.value(r, before, name)
		value, _ := st.value(r, r.now, name)
		if old == value {
			continue
		}
		who := by
		if p.Calculated || p.readOnly() {
			who = system
		}
		s.note(st, "propertyChange", event{ObjectID: r.id, PropertyName: name, PropertyValue: &value}, r.now.updated, who)
	}
}

func (s *Server) deleted(st *store, r *record, by author) {
	s.note(st, "deletion", event{ObjectID: r.id, ChangeFlag: "DELETED"}, r.now.archived, by)
}

// note puts an event into the outbox, once for each subscription to it.
func (s *Server) note(st *store, kind string, e event, at time.Time, by author) {
	if st.id != contactType || s.webhookURL == "" {
		return
	}
	for _, family := range []string{"contact", "object"} {
		one := e
		one.SubscriptionType = family + "." + kind
		if one.SubscriptionID = s.subscription(st, one); one.SubscriptionID == 0 {
			continue
		}
		if family == "object" {
			one.ObjectTypeID = st.id
			if kind == "propertyChange" {
				one.IsSensitive = new(bool)
			}
		}
		one.EventID, one.PortalID, one.AppID = s.eventID(max(e.ObjectID, e.PrimaryObjectID)), s.opts.PortalID, s.opts.AppID
		one.OccurredAt, one.ChangeSource, one.SourceID = at.UnixMilli(), by.source, by.id
		s.outbox = append(s.outbox, one)
	}
}

// subscription returns the number of the one that carries an event, 0 if none
// does.
func (s *Server) subscription(st *store, e event) int64 {
	name := e.SubscriptionType
	if e.PropertyName != "" {
		name += ":" + e.PropertyName
	}
	subscribed := slices.Contains(s.knobs.Subscriptions, name)
	if p := st.props[e.PropertyName]; !subscribed && p != nil && !p.Calculated && !p.readOnly() {
		subscribed = slices.Contains(s.knobs.Subscriptions, e.SubscriptionType)
	}
	if !subscribed {
		return 0
	}
	if s.subscriptions[name] == 0 {
		s.subscriptions[name] = 3327050 + int64(len(s.subscriptions))
	}
	return s.subscriptions[name]
}

// numbered is the id of an event about a contact.
type numbered struct{ id, contact int64 }

// eventID returns a new id, or one that an event about another contact has.
func (s *Server) eventID(contact int64) int64 {
	if contact != s.latest.contact {
		s.another, s.latest = s.latest, numbered{contact: contact}
	}
	s.latest.id = 1 + s.rand.Int64N(1<<32)
	if s.another.id != 0 && s.chance(s.knobs.CollidingEvents) {
		return s.another.id
	}
	return s.latest.id
}

func (s *Server) chance(share float64) bool { return share > 0 && s.rand.Float64() < share }

// flush hands over what the call under way has changed.
func (s *Server) flush() {
	if len(s.outbox) == 0 {
		return
	}
	delay := time.Duration(s.knobs.EventDelayMS) * time.Millisecond
	var mail []parcel
	for _, e := range s.outbox {
		p := parcel{events: []event{e}, due: s.post.now().Add(delay)}
		if s.chance(s.knobs.ReorderEvents) {
			p.due = p.due.Add(time.Duration(s.rand.Int64N(int64(disorder))))
		}
		mail = append(mail, p)
		if s.chance(s.knobs.DuplicateEvents) {
			p.events = []event{e}
			p.events[0].apart = true
			mail = append(mail, p)
		}
	}
	s.outbox = nil
	s.post.take(mail)
}
