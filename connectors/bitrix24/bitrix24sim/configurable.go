package bitrix24sim

import (
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"time"

	"crmsync/connectors/internal/simcrm"
)

var tagTypes = []string{"warning", "success", "failure", "primary", "secondary"}

// configurableAdd is for applications only. Bitrix24:
// crm.activity.configurable.add.
func (s *Server) configurableAdd(c *call) (*reply, *refusal) {
	for _, name := range []string{"ownerTypeId", "ownerId"} {
		if c.p.get(name) == nil {
			return nil, missing(name)
		}
	}
	owner, _ := number(c.p.get("ownerId"))
	if str(c.p.get("ownerTypeId")) != "3" || s.people.byID[owner] == nil {
		return nil, refuse(http.StatusBadRequest, "OWNER_NOT_FOUND", "Owner was not found")
	}
	layout := c.p.dict("layout")
	if layout.len() == 0 {
		return nil, refuse(http.StatusBadRequest, "ERROR_EMPTY_LAYOUT", "Layout is empty")
	}
	a := s.newActivity(owner)
	if refused := s.assignConfigurable(a, c.p.dict("fields"), layout); refused != nil {
		return nil, refused
	}
	s.keepActivity(a, c, "ADD")
	return ok(obj{"activity": obj{"id": a.id}})
}

func (s *Server) configurableUpdate(c *call) (*reply, *refusal) {
	a, refused := s.activityOf(c)
	if refused != nil {
		return nil, refused
	}
	if a.layout == nil {
		return nil, refuse(http.StatusBadRequest, "ERROR_WRONG_APPLICATION", "Activity was created by another application")
	}
	layout := c.p.dict("layout")
	if layout.len() == 0 {
		layout = a.layout
	}
	if refused := s.assignConfigurable(a, c.p.dict("fields"), layout); refused != nil {
		return nil, refused
	}
	s.keepActivity(a, c, "UPDATE")
	return ok(obj{"activity": obj{"id": a.id}})
}

func (s *Server) configurableGet(c *call) (*reply, *refusal) {
	a, refused := s.activityOf(c)
	if refused != nil {
		return nil, refused
	}
	if a.layout == nil {
		return nil, refuse(http.StatusBadRequest, "ERROR_WRONG_APPLICATION", "Activity was created by another application")
	}
	return ok(obj{"activity": obj{
		"id": a.id, "ownerTypeId": contactType, "ownerId": a.owner, "layout": a.layout,
		"fields": obj{
			"typeId": a.fields["PROVIDER_TYPE_ID"], "completed": a.fields["COMPLETED"] == "Y", "originatorId": a.fields["ORIGINATOR_ID"],
			"originId": a.fields["ORIGIN_ID"], "isIncomingChannel": a.fields["IS_INCOMING_CHANNEL"], "responsibleId": a.fields["RESPONSIBLE_ID"],
		},
	}})
}

// assignConfigurable checks the layout and takes it over with the fields.
func (s *Server) assignConfigurable(a *activity, given, layout *dict) *refusal {
	no := func(code, format string, args ...any) *refusal {
		return refuse(http.StatusBadRequest, code, format, args...)
	}
	header := layout.dict("header")
	switch {
	case str(header.get("title")) == "":
		return no("FIELD_IS_REQUIRED", "Field header.title is required")
	case layout.dict("body") == nil:
		return no("FIELD_IS_REQUIRED", "Field body is required")
	case header.dict("tags").len() > 2:
		return no("TOO_MANY_ITEMS", "Too many items in header.tags")
	}
	tags := header.dict("tags")
	for _, k := range tags.names() {
		if tag := tags.dict(k); str(tag.get("title")) == "" {
			return no("FIELD_IS_REQUIRED", "Field header.tags.%s.title is required", k)
		} else if kind := str(tag.get("type")); !slices.Contains(tagTypes, kind) {
			return no("WRONG_FIELD_VALUE", "Field header.tags.%s.type has the wrong value '%s'", k, kind)
		}
	}
	if truthYN(given.get("isIncomingChannel")) && str(given.get("deadline")) != "" {
		return no("INCOMING_ACTIVITY_CAN_NOT_BE_WITH_DEADLINE", "An incoming activity can not be with a deadline")
	}
	for name, classic := range map[string]string{"originatorId": "ORIGINATOR_ID", "originId": "ORIGIN_ID", "responsibleId": "RESPONSIBLE_ID", "deadline": "DEADLINE", "typeId": "PROVIDER_TYPE_ID"} {
		if v, there := given.either(name); there {
			text, refused := s.fit(classic, str(v), activityLimits[classic])
			if refused != nil {
				return refused
			}
			a.fields[classic] = text
		}
	}
	for name, classic := range map[string]string{"completed": "COMPLETED", "isIncomingChannel": "IS_INCOMING_CHANNEL"} {
		if v, there := given.either(name); there {
			a.fields[classic] = []string{"N", "Y"}[flag(truthYN(v))]
		}
	}
	a.fields["OWNER_TYPE_ID"], a.fields["OWNER_ID"] = "3", strconv.FormatInt(a.owner, 10)
	a.fields["TYPE_ID"], a.fields["PROVIDER_ID"], a.fields["SUBJECT"] = "6", configurable, str(header.get("title"))
	a.fields["PROVIDER_TYPE_ID"] = orElse(a.fields["PROVIDER_TYPE_ID"], "CONFIGURABLE")
	a.layout = layout
	return nil
}

func truthYN(v any) bool { return str(v) != "N" && truth(v) }

var instantInText = regexp.MustCompile(`\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d)`)

// relogActivity reads the message which an activity of crmsync's logs.
func (s *Server) relogActivity(a *activity) {
	old := a.messages
	s.unlog(old)
	a.messages = nil
	if a.todo() || a.fields["ORIGINATOR_ID"] != "crmsync" || a.fields["ORIGIN_ID"] == "" {
		return
	}
	m := &message{id: a.id, owner: a.owner, wamid: a.fields["ORIGIN_ID"], committed: s.Now(), at: a.created}
	if len(old) > 0 && old[0].wamid == m.wamid {
		m.committed = old[0].committed
	}
	if a.layout == nil {
		m.text, m.direction = a.fields["DESCRIPTION"], map[string]string{"1": "in", "2": "out"}[a.fields["DIRECTION"]]
		if at, is := s.parse(a.fields["START_TIME"], true); is {
			m.at = at
		}
	} else {
		tags := a.layout.dict("header").dict("tags")
		m.status, m.direction = str(tags.dict("status").get("title")), str(tags.dict("direction").get("title"))
		m.text = textBlock(a.layout.dict("body").dict("blocks"))
		if at, err := time.Parse(time.RFC3339, instantInText.FindString(string(simcrm.JSON(a.layout)))); err == nil {
			m.at = at
		}
	}
	a.messages = []*message{m}
	s.enlog(m)
}

// textBlock is the value of the first text block.
func textBlock(blocks *dict) string {
	for _, k := range blocks.names() {
		b := blocks.dict(k)
		if v := str(b.dict("properties").get("value")); v != "" && (str(b.get("type")) == "text" || str(b.get("type")) == "largeText") {
			return v
		}
		if v := textBlock(b.dict("properties").dict("blocks")); v != "" {
			return v
		}
		if v := str(b.dict("properties").dict("block").dict("properties").get("value")); v != "" {
			return v
		}
	}
	return ""
}
