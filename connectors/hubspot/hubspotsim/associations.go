package hubspotsim

import (
	"encoding/json"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// Association type ids are directional. HubSpot: the association guide.
const (
	communicationToContact = 81
	contactToCommunication = 82
	contactToTask          = 203
	taskToContact          = 204
)

// linkTypes are the known type ids with the types they lead from and to.
var linkTypes = map[int][2]string{
	communicationToContact: {communicationType, contactType},
	contactToCommunication: {contactType, communicationType},
	83:                     {communicationType, "0-5"},
	84:                     {"0-5", communicationType},
	85:                     {communicationType, "0-3"},
	86:                     {"0-3", communicationType},
	87:                     {communicationType, "0-2"},
	88:                     {"0-2", communicationType},
	279:                    {contactType, "0-2"},
	contactToTask:          {contactType, taskType},
	taskToContact:          {taskType, contactType},
	191:                    {"0-2", taskType},
	192:                    {taskType, "0-2"},
	215:                    {"0-3", taskType},
	216:                    {taskType, "0-3"},
	229:                    {"0-5", taskType},
	230:                    {taskType, "0-5"},
}

var typeWords = map[string]string{contactType: "CONTACT", "0-2": "COMPANY", "0-3": "DEAL", "0-5": "TICKET", communicationType: "COMMUNICATION", taskType: "TASK"}

// newLink is an association as a creation asks for it.
type newLink struct {
	To    *struct{ ID text } `json:"to"`
	Types []linkType         `json:"types"`
}

type linkType struct {
	Category string `json:"associationCategory"`
	ID       int    `json:"associationTypeId"`
}

// checkLinks finds the records to which a new one is to be associated.
func (s *Server) checkLinks(st *store, wanted []newLink) ([]link, *refusal) {
	var links []link
	var lost, types, ids []string
	for _, w := range wanted {
		if w.To == nil || len(w.Types) == 0 {
			return nil, malformed(1, "Cannot build PublicAssociationsForObject, some of required attributes are not set [to, types]")
		}
		for _, t := range w.Types {
			if t.Category == "" || t.ID == 0 {
				return nil, malformed(1, "Cannot build AssociationSpec, some of required attributes are not set "+
					"[associationCategory, associationTypeId]")
			}
			ends, known := linkTypes[t.ID]
			if !known || t.Category != "HUBSPOT_DEFINED" {
				return nil, refuse(http.StatusBadRequest, validation, "One or more associations are invalid")
			}
			if ends[0] != st.id {
				return nil, refuse(http.StatusBadRequest, validation,
					"invalid from object type %s for associations to be created. expected: %s", st.id, ends[0])
			}
			kind := s.stores[ends[1]]
			var to *record
			if kind != nil {
				to = kind.get(string(w.To.ID))
			}
			if to == nil {
				lost = append(lost, typeWords[ends[1]]+"="+string(w.To.ID)+" is not valid")
				ids, types = append(ids, string(w.To.ID)), append(types, typeWords[ends[1]])
				continue
			}
			links = append(links, link{to: to, kind: kind, id: t.ID})
		}
	}
	if lost != nil {
		return nil, refuse(http.StatusBadRequest, validation, "One or more associations are invalid").
			with("INVALID_OBJECT_IDS", lost...).with("objectId", ids...).with("objectType", types...)
	}
	return links, nil
}

// join stores an association on both sides; a second time it changes nothing.
func (s *Server) join(st *store, r *record, l link) {
	// A communication or task has few associations, a contact may have thousands.
	few, many := r, l.to
	if st.id == contactType {
		few, many = l.to, r
	}
	if slices.ContainsFunc(few.links, func(o link) bool { return o.to == many }) {
		return
	}
	back := l.id + 1
	if l.id%2 == 0 {
		back = l.id - 1
	}
	r.links = append(r.links, l)
	l.to.links = append(l.to.links, link{to: r, kind: st, id: back})
	s.tally(few)
}

func (s *Server) part(a, b *record) {
	a.links = slices.DeleteFunc(a.links, func(l link) bool { return l.to == b })
	b.links = slices.DeleteFunc(b.links, func(l link) bool { return l.to == a })
	s.tally(a)
	s.tally(b)
}

// defaultLink is the unlabelled type between two kinds of records.
func defaultLink(from, to *store) (int, bool) {
	for _, id := range []int{communicationToContact, contactToCommunication, taskToContact, contactToTask} {
		if linkTypes[id] == [2]string{from.id, to.id} {
			return id, true
		}
	}
	return 0, false
}

// associations answers …/{id}/associations/…. The paths that write are v4's and
// those of dated versions; v3 reads, in a form of its own.
func (s *Server) associations(c *call, st *store) (*reply, *refusal) {
	if c.version == "v3" && c.Method != http.MethodGet {
		return nil, c.noRoute()
	}
	if c.Method == http.MethodPut && len(c.rest) == 6 && c.rest[3] == "default" {
		kind, refused := s.store(c.rest[4])
		if refused != nil {
			return nil, refused
		}
		out := s.newBatch()
		if s.connect(out, st, kind, c.rest[1], c.rest[5], 0) {
			out.Results = usualPair(st, kind, c.rest[1], c.rest[5])
		}
		return out.reply(http.StatusOK), nil
	}
	kind, refused := s.store(c.rest[3])
	if refused != nil {
		return nil, refused
	}
	switch {
	case c.Method == http.MethodGet && len(c.rest) == 4:
		return s.linked(c, st, kind)
	case c.Method == http.MethodPut && len(c.rest) == 5:
		var types []linkType
		if refused := c.decode(&types); refused != nil {
			return nil, refused
		}
		if len(types) == 0 {
			return nil, noTypes()
		}
		out := s.newBatch()
		for _, t := range types {
			s.connect(out, st, kind, c.rest[1], c.rest[4], t.ID)
		}
		if len(out.Errors) > 0 {
			out.Errors[0].status = http.StatusBadRequest
			return nil, out.Errors[0]
		}
		return &reply{status: http.StatusCreated, wrote: true, body: labelledPair(c, st, kind, c.rest[1], c.rest[4])}, nil
	case c.Method == http.MethodDelete && len(c.rest) == 5:
		a, b := st.get(c.rest[1]), kind.get(c.rest[4])
		if a != nil && b != nil {
			s.part(a, b)
		}
		return &reply{status: http.StatusNoContent, wrote: true}, nil
	}
	return nil, c.noRoute()
}

// linkedRecord is one association as it is read.
type linkedRecord struct {
	ID    any         `json:"toObjectId"`
	Types []shownType `json:"associationTypes"`
}

type shownType struct {
	Category string  `json:"category"`
	ID       int     `json:"typeId"`
	Label    *string `json:"label"`
}

func (l link) show(c *call) linkedRecord {
	return linkedRecord{linkedID(c, l.to.id), []shownType{{Category: "HUBSPOT_DEFINED", ID: l.id}}}
}

// linkedID is a number in v4 and a string in dated versions.
func linkedID(c *call, id int64) any {
	if c.version == "v4" {
		return id
	}
	return strconv.FormatInt(id, 10)
}

// usualPair is what associating by default answers: the types of both
// directions.
func usualPair(from, to *store, fromID, toID string) []any {
	one := func(from, to *store, fromID, toID string) map[string]any {
		id, _ := defaultLink(from, to)
		return map[string]any{"from": end{text(fromID)}, "to": end{text(toID)}, "associationSpec": linkType{"HUBSPOT_DEFINED", id}}
	}
	return []any{one(from, to, fromID, toID), one(to, from, toID, fromID)}
}

// labelledPair is what associating by a type answers: the labels between the
// two, of which types without a name have none.
func labelledPair(c *call, from, to *store, fromID, toID string) map[string]any {
	return map[string]any{
		"fromObjectTypeId": from.id, "fromObjectId": linkedID(c, number(text(fromID))),
		"toObjectTypeId": to.id, "toObjectId": linkedID(c, number(text(toID))), "labels": []string{},
	}
}

// linked reads what a record is associated with, from storage and not from
// the search index.
func (s *Server) linked(c *call, st, kind *store) (*reply, *refusal) {
	r := st.get(c.rest[1])
	if r == nil {
		return nil, noRecord()
	}
	limit, refused := pageSize(c.URL.Query().Get("limit"), 500, 500)
	if refused != nil {
		return nil, refused
	}
	after, err := strconv.Atoi(orElse(c.URL.Query().Get("after"), "0"))
	if err != nil || after < 0 {
		return nil, malformed(1, wrongType("int", "string"))
	}
	out := page{Results: []any{}}
	for n := after; n < len(r.links); n++ {
		l := r.links[n]
		if l.kind != kind || !l.to.now.archived.IsZero() {
			continue
		}
		if len(out.Results) == limit {
			out.Paging = next(strconv.Itoa(n), "")
			break
		}
		if c.version == "v3" {
			out.Results = append(out.Results, linkShown{strconv.FormatInt(l.to.id, 10), st.singular + "_to_" + kind.singular})
			continue
		}
		out.Results = append(out.Results, l.show(c))
	}
	return ok(out), nil
}

// end is one side of an association in a batch.
type end struct {
	ID text `json:"id"`
}

// MarshalJSON writes an id as the string it is.
func (t text) MarshalJSON() ([]byte, error) { return json.Marshal(string(t)) }

// connect associates two records by a type, or by the default one for 0. If it
// cannot, out says why.
func (s *Server) connect(out *batch, from, to *store, fromID, toID string, id int) bool {
	usual, known := defaultLink(from, to)
	if id == 0 {
		id = usual
	}
	if ends := linkTypes[id]; !known || ends != [2]string{from.id, to.id} {
		out.fail(refuse(http.StatusBadRequest, validation, "Association type %d does not lead from %s to %s", id, from.id, to.id))
		return false
	}
	a, b := from.get(fromID), to.get(toID)
	if a == nil || b == nil {
		st, id := from, fromID
		if a != nil {
			st, id = to, toID
		}
		r := refuse(0, notFound, "One or more associations are invalid").with("INVALID_OBJECT_IDS", st.word()+"="+id+" is not valid")
		r.SubCategory = "crm.associations.INVALID_IDENTIFIER"
		out.fail(r.with("fromObjectId", fromID).with("toObjectId", toID))
		return false
	}
	s.join(from, a, link{to: b, kind: to, id: id})
	out.wrote = true
	return true
}

// noTypes is the answer to an association without a type.
func noTypes() *refusal {
	return malformed(1, "Cannot build AssociationSpec, some of required attributes are not set [types]")
}

// associationBatch answers …/associations/{from}/{to}/….
func (s *Server) associationBatch(c *call) (*reply, *refusal) {
	if len(c.rest) < 3 {
		return nil, c.noRoute()
	}
	from, refused := s.store(c.rest[0])
	if refused != nil {
		return nil, refused
	}
	to, refused := s.store(c.rest[1])
	if refused != nil {
		return nil, refused
	}
	op := strings.Join(c.rest[2:], "/")
	if op == "labels" && c.Method == http.MethodGet {
		id, _ := defaultLink(from, to)
		return ok(page{Results: []any{shownType{Category: "HUBSPOT_DEFINED", ID: id}}}), nil
	}
	most := map[string]int{"batch/read": 1000, "batch/create": 2000, "batch/associate/default": 2000, "batch/archive": 2000}[op]
	if most == 0 || c.Method != http.MethodPost {
		return nil, c.noRoute()
	}
	var in struct {
		Inputs []struct {
			ID    text            `json:"id"`
			From  end             `json:"from"`
			To    json.RawMessage `json:"to"`
			Types []linkType      `json:"types"`
		} `json:"inputs"`
	}
	if refused := c.decode(&in); refused != nil {
		return nil, refused
	}
	if len(in.Inputs) > most {
		return nil, tooMany("", most)
	}
	out := s.newBatch()
	for _, w := range in.Inputs {
		if op == "batch/read" {
			s.readLinks(c, out, from, to, string(w.ID))
			continue
		}
		var ends []end
		var one end
		if json.Unmarshal(w.To, &ends) != nil && json.Unmarshal(w.To, &one) == nil {
			ends = []end{one}
		}
		for _, e := range ends {
			if op == "batch/archive" {
				if a, b := from.get(string(w.From.ID)), to.get(string(e.ID)); a != nil && b != nil {
					s.part(a, b)
				}
				continue
			}
			a, b := string(w.From.ID), string(e.ID)
			switch {
			case op == "batch/create" && len(w.Types) == 0:
				return nil, noTypes()
			case op == "batch/create":
				if s.connect(out, from, to, a, b, w.Types[0].ID) {
					out.Results = append(out.Results, labelledPair(c, from, to, a, b))
				}
			case s.connect(out, from, to, a, b, 0):
				out.Results = append(out.Results, usualPair(from, to, a, b)...)
			}
		}
	}
	switch op {
	case "batch/archive":
		return &reply{status: http.StatusNoContent, wrote: true}, nil
	case "batch/create":
		return out.reply(http.StatusCreated), nil
	}
	return out.reply(http.StatusOK), nil
}

func (s *Server) readLinks(c *call, out *batch, from, to *store, id string) {
	var found []linkedRecord
	if r := from.get(id); r != nil {
		for _, l := range r.links {
			if l.kind == to && l.to.now.archived.IsZero() {
				found = append(found, l.show(c))
			}
		}
	}
	if found == nil {
		r := refuse(0, notFound, "No %s is associated with %s %s.", to.singular, from.singular, id).with("fromObjectId", id)
		r.SubCategory = "crm.associations.NO_ASSOCIATIONS_FOUND"
		out.fail(r)
		return
	}
	out.Results = append(out.Results, map[string]any{"from": end{text(id)}, "to": found})
}
