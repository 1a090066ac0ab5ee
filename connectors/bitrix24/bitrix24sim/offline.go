package bitrix24sim

import (
	"fmt"
	"slices"
	"strconv"
	"time"
)

// offlineRow is one object in the queue of offline events.
type offlineRow struct {
	id, object int64
	event      string
	at         time.Time
	connector  string
	process    string
	failed     bool
	messageID  string
}

// enqueue keeps one row for each object, event and source. What was written
// with the same auth_connector as the binding is left out. Bitrix24: offline
// events.
func (s *Server) enqueue(ch change) {
	for _, b := range s.bindings {
		if !b.offline || b.event != ch.event || b.connector != "" && b.connector == ch.connector {
			continue
		}
		s.offline = slices.DeleteFunc(s.offline, func(r offlineRow) bool {
			return r.event == ch.event && r.object == ch.id && r.connector == b.connector && r.process == ""
		})
		s.nextOffline++
		s.offline = append(s.offline, offlineRow{
			id: s.nextOffline, object: ch.id, event: ch.event, at: s.Now(), connector: b.connector,
			messageID: fmt.Sprintf("%016x%016x", s.rand.Uint64(), s.rand.Uint64()),
		})
	}
}

func (s *Server) offlineShown(r offlineRow, peek bool) obj {
	o := obj{
		"ID": strconv.FormatInt(r.id, 10), "TIMESTAMP_X": s.stamp(r.at), "EVENT_NAME": r.event, "EVENT_ADDITIONAL": false, "MESSAGE_ID": r.messageID,
		"EVENT_DATA": obj{"FIELDS": obj{"ID": r.object}},
	}
	if peek {
		o["PROCESS_ID"], o["ERROR"] = r.process, strconv.Itoa(flag(r.failed))
	}
	return o
}

func (s *Server) offlineMatches(c *call, r offlineRow) bool {
	connector, _ := c.p.either("auth_connector")
	filter, _ := c.array("filter")
	shown := s.offlineShown(r, true)
	for _, k := range filter.names() {
		_, name := splitOperator(k)
		if have, is := shown[name].(string); is && have != str(filter.get(k)) {
			return false
		}
	}
	return r.connector == str(connector)
}

// offlineGet takes rows out of the queue, or reserves them for a process
// when clear is 0. Bitrix24: event.offline.get.
func (s *Server) offlineGet(c *call) (*reply, *refusal) {
	limit := 50
	if v, _ := c.p.either("limit"); v != nil {
		if n, _ := number(v); n > 0 {
			limit = int(n)
		}
	}
	clearing := true
	if v, there := c.p.either("clear"); there {
		clearing = truth(v)
	}
	var process any
	given, _ := c.p.either("process_id")
	id := str(given)
	rows := []obj{}
	left := s.offline[:0:0]
	for _, r := range s.offline {
		wanted := r.process == id && !r.failed && s.offlineMatches(c, r) && len(rows) < limit
		if !wanted {
			left = append(left, r)
			continue
		}
		if !clearing {
			if process == nil {
				process = orElse(id, fmt.Sprintf("%016x%016x", s.rand.Uint64(), s.rand.Uint64()))
			}
			r.process = str(process)
			left = append(left, r)
		}
		rows = append(rows, s.offlineShown(r, false))
	}
	s.offline = left
	return ok(obj{"process_id": process, "events": rows})
}

func (s *Server) offlineList(c *call) (*reply, *refusal) {
	rows := []any{}
	for _, r := range s.offline {
		if s.offlineMatches(c, r) {
			rows = append(rows, s.offlineShown(r, true))
		}
	}
	return s.page(c, rows)
}

// named finds the rows of a process, all or those listed.
func (s *Server) named(c *call) func(r offlineRow) bool {
	process, _ := c.p.either("process_id")
	ids, _ := c.p.either("id")
	messages, _ := c.p.either("message_id")
	among := func(v any, text string) bool {
		list, is := v.(*dict)
		return is && slices.ContainsFunc(list.keys, func(k string) bool { return str(list.vals[k]) == text })
	}
	return func(r offlineRow) bool {
		return r.process != "" && r.process == str(process) &&
			(ids == nil && messages == nil || among(ids, strconv.FormatInt(r.id, 10)) || among(messages, r.messageID))
	}
}

func (s *Server) offlineClear(c *call) (*reply, *refusal) {
	s.offline = slices.DeleteFunc(s.offline, s.named(c))
	return ok(true)
}

func (s *Server) offlineError(c *call) (*reply, *refusal) {
	hit := s.named(c)
	for n := range s.offline {
		s.offline[n].failed = s.offline[n].failed || hit(s.offline[n])
	}
	return ok(true)
}
