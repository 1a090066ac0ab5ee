package hubspotsim

import (
	"net/http"
	"slices"
	"strconv"

	"crmsync/connectors/internal/faults"
)

// write is one record as a caller sends it.
type write struct {
	ID           text            `json:"id"`
	IDProperty   string          `json:"idProperty"`
	Properties   map[string]text `json:"properties"`
	Associations []newLink       `json:"associations"`
	TraceID      text            `json:"objectWriteTraceId"`
}

// intent is a write that was checked and may be stored.
type intent struct {
	st       *store
	target   *record // nil creates
	values   map[string]string
	links    []link
	warnings []warning
	by       author
}

// claims are the unique values that earlier inputs of one batch ask for.
type claims map[key]bool

// objects answers the objects API. HubSpot: the guides on using object APIs
// and on contacts.
func (s *Server) objects(c *call) (*reply, *refusal) {
	if len(c.rest) == 0 {
		return nil, c.noRoute()
	}
	st, refused := s.store(c.rest[0])
	if refused != nil {
		return nil, refused
	}
	switch {
	case c.is(http.MethodPost, "*"):
		return s.create(c, st)
	case c.is(http.MethodGet, "*"):
		return s.list(c, st)
	case c.is(http.MethodPost, "*/search"):
		return s.search(c, st)
	case c.is(http.MethodPost, "*/merge") && st.id == contactType:
		return s.mergeCall(c, st)
	case c.is(http.MethodPost, "*/gdpr-delete") && st.id == contactType:
		return s.gdprDelete(c, st)
	case len(c.rest) == 3 && c.rest[1] == "batch" && c.Method == http.MethodPost:
		return s.batches(c, st)
	case len(c.rest) >= 4 && c.rest[2] == "associations":
		return s.associations(c, st)
	case len(c.rest) != 2:
		return nil, c.noRoute()
	}
	switch c.Method {
	case http.MethodGet:
		return s.read(c, st)
	case http.MethodPatch:
		return s.update(c, st)
	case http.MethodDelete:
		// HubSpot answers 204 also for what does not exist.
		if r := st.get(c.rest[1]); r != nil {
			s.archive(st, r, s.app())
		}
		return &reply{status: http.StatusNoContent, wrote: true}, nil
	}
	return nil, c.noRoute()
}

func (s *Server) create(c *call, st *store) (*reply, *refusal) {
	var in write
	if refused := c.decode(&in); refused != nil {
		return nil, refused
	}
	it, bad, refused := s.plan(c.strict(), st, nil, in, nil)
	if len(bad) > 0 {
		refused = s.invalidValues(bad)
	}
	if refused != nil {
		return nil, refused
	}
	r := s.commit(it)
	out := s.echo(st, r, true)
	out.Warnings = it.warnings
	return &reply{status: http.StatusCreated, body: out, location: c.URL.Path + "/" + out.ID, wrote: true}, nil
}

func (s *Server) update(c *call, st *store) (*reply, *refusal) {
	r, refused := s.addressed(c, st, false)
	if refused != nil {
		return nil, refused
	}
	var in write
	if refused := c.decode(&in); refused != nil {
		return nil, refused
	}
	in.Associations = nil
	it, bad, refused := s.plan(c.strict(), st, r, in, nil)
	if len(bad) > 0 {
		refused = s.invalidValues(bad)
	}
	if refused != nil {
		return nil, refused
	}
	s.commit(it)
	out := s.echo(st, r, false)
	out.Warnings = it.warnings
	return &reply{status: http.StatusOK, body: out, wrote: true}, nil
}

// addressed finds the record of a path by id or by idProperty.
func (s *Server) addressed(c *call, st *store, archived bool) (*record, *refusal) {
	id := c.rest[1]
	if name := c.URL.Query().Get("idProperty"); name != "" && name != "hs_object_id" {
		if st.unique[name] == nil {
			return nil, s.notUnique("update", st, name)
		}
		if r := st.find(name, id); r != nil {
			return r, nil
		}
		return nil, noRecord()
	}
	n, err := strconv.ParseInt(id, 10, 64)
	if err != nil {
		return nil, refuse(http.StatusNotFound, notFound, "Object not found.  objectId are usually numeric.").with("id", id)
	}
	if r := st.resolve(n); r != nil && r.now.archived.IsZero() != archived && !r.now.gone {
		return r, nil
	}
	return nil, noRecord()
}

func (s *Server) notUnique(verb string, st *store, name string) *refusal {
	return refuse(http.StatusBadRequest, validation, "Unable to perform %s by non-unique %s property %s in portal ID %d",
		verb, st.id, name, s.opts.PortalID)
}

func (s *Server) read(c *call, st *store) (*reply, *refusal) {
	q := c.URL.Query()
	r, refused := s.addressed(c, st, q.Get("archived") == "true")
	if refused != nil {
		return nil, refused
	}
	return ok(s.full(c, st, r)), nil
}

// full is a record with all that a query asks for.
func (s *Server) full(c *call, st *store, r *record) *shownRecord {
	q := c.URL.Query()
	out := s.shown(st, r, r.now, st.asked(commas(q["properties"])))
	if names := commas(q["propertiesWithHistory"]); len(names) > 0 {
		out.History = s.history(st, r, r.now, names)
	}
	for _, name := range commas(q["associations"]) {
		kind, refused := s.store(name)
		if refused != nil {
			continue
		}
		linked := linkPage{}
		for _, l := range r.links {
			if l.kind == kind && l.to.now.archived.IsZero() {
				linked.Results = append(linked.Results, linkShown{
					strconv.FormatInt(l.to.id, 10), st.singular + "_to_" + kind.singular,
				})
			}
		}
		if len(linked.Results) > 0 {
			if out.Associations == nil {
				out.Associations = map[string]linkPage{}
			}
			out.Associations[kind.plural] = linked
		}
	}
	return out
}

// list pages through all records in the order of their ids; the cursor is the
// next record's id, so that what is created meanwhile comes at the end.
func (s *Server) list(c *call, st *store) (*reply, *refusal) {
	q := c.URL.Query()
	limit, refused := pageSize(q.Get("limit"), 10, 100)
	if refused != nil {
		return nil, refused
	}
	after, err := strconv.ParseInt(orElse(q.Get("after"), "0"), 10, 64)
	if err != nil {
		return nil, malformed(1, wrongType("int", "string"))
	}
	archived := q.Get("archived") == "true"
	from, _ := slices.BinarySearchFunc(st.records, after, func(r *record, id int64) int { return int(r.id - id) })
	out := page{Results: []any{}}
	for _, r := range st.records[from:] {
		if r.now.archived.IsZero() == archived || r.now.gone {
			continue
		}
		if len(out.Results) == limit {
			id := strconv.FormatInt(r.id, 10)
			// The link is an alias path with a parameter of its own, as seen.
			out.Paging = next(id, "https://api.hubapi.com/crm/objects/v3/"+st.plural+"?offset_param=after&limit="+
				strconv.Itoa(limit)+"&after="+id)
			break
		}
		out.Results = append(out.Results, s.full(c, st, r))
	}
	s.spoil(c, &out, q.Get("after"))
	return ok(out), nil
}

// spoil does to a page what a fault asks for: nothing in it, the same page
// for ever, or half of it and no more pages.
func (s *Server) spoil(c *call, out *page, cursor string) {
	if _, hit := s.faults.Active(c.Request, faults.PageEmpty); hit {
		out.Results, out.Paging = []any{}, nil
	}
	if _, hit := s.faults.Active(c.Request, faults.PageRepeat); hit {
		out.Paging = next(orElse(cursor, "0"), "")
	}
	if _, hit := s.faults.Active(c.Request, faults.PageHalf); hit {
		out.Results, out.Paging = out.Results[:len(out.Results)/2], nil
	}
}

// plan checks one write without storing it. Bad values are returned apart,
// because a batch reports those of all its inputs together.
func (s *Server) plan(strict bool, st *store, target *record, in write, taken claims) (*intent, []badValue, *refusal) {
	w := &writing{s: s, st: st, strict: strict}
	before := &state{}
	if target != nil {
		w.before, before = target.now, target.now
	}
	values := w.values(in.Properties)
	if len(w.bad) > 0 {
		return nil, w.bad, nil
	}
	after := before.change(values, s.Now())
	if target == nil {
		if refused := s.checkNew(st, after.props); refused != nil {
			return nil, nil, refused
		}
	}
	if refused := w.required(after.props); refused != nil {
		return nil, nil, refused
	}
	if st.id == communicationType {
		if refused := checkCommunication(after.props); refused != nil {
			return nil, nil, refused
		}
	}
	if st.id == taskType {
		if refused := checkTask(after.props); refused != nil {
			return nil, nil, refused
		}
	}
	if refused := s.checkUnique(st, target, after, taken); refused != nil {
		return nil, nil, refused
	}
	if refused := s.checkBlocked(st, after); refused != nil {
		return nil, nil, refused
	}
	links, refused := s.checkLinks(st, in.Associations)
	if refused != nil {
		return nil, nil, refused
	}
	for _, k := range st.keys(after) {
		if taken != nil {
			taken[k] = true
		}
	}
	return &intent{
		st: st, target: target, values: values, links: links, warnings: w.warnings,
		by: s.app(),
	}, nil, nil
}

func (s *Server) checkNew(st *store, props map[string]string) *refusal {
	var missing []string
	switch st.id {
	case communicationType:
		for _, name := range []string{"hs_communication_channel_type", loggedFrom, "hs_timestamp"} {
			if props[name] == "" {
				missing = append(missing, name)
			}
		}
	case contactType:
		if s.opts.RequireName && props["email"]+props["firstname"]+props["lastname"] == "" {
			missing = []string{"email", "firstname", "lastname"}
		}
	}
	if missing == nil {
		return nil
	}
	return refuse(http.StatusBadRequest, validation, "Error creating %s.  Some required properties were not set.", st.word()).
		with("properties", missing...)
}

// checkUnique refuses values that another record holds: emails with 409,
// custom unique properties with 400.
func (s *Server) checkUnique(st *store, target *record, after *state, taken claims) *refusal {
	for _, k := range st.keys(after) {
		holder := st.unique[k.name][k.value]
		foreign := holder != nil && holder != target
		if k.name == "email" && st.id == contactType {
			switch {
			case foreign:
				id := strconv.FormatInt(holder.id, 10)
				r := refuse(http.StatusConflict, conflict, "Contact already exists. Existing ID: %s", id)
				r.existing = id
				return r
			case taken[k]:
				return refuse(http.StatusConflict, conflict, "Contact already exists")
			}
			continue
		}
		if !foreign && !taken[k] {
			continue
		}
		mine, other := st.nextID, st.nextID
		if target != nil {
			mine = target.id
		}
		if foreign {
			other = holder.id
		}
		return refuse(http.StatusBadRequest, validation,
			"Cannot set PropertyValueCoordinates{portalId=%d, objectTypeId=ObjectTypeId{legacyObjectType=%s}, propertyName=%s, value=%s} on %d. "+
				"%d already has that value.", s.opts.PortalID, st.word(), k.name, k.value, mine, other)
	}
	return nil
}

// commit stores what was planned.
func (s *Server) commit(it *intent) *record {
	now := s.Now()
	r := it.target
	if r == nil {
		r = &record{id: it.st.nextID, created: now, by: it.by}
		it.st.nextID++
		if sent, has := it.values["createdate"]; has {
			r.created, _ = milliseconds(sent)
			delete(it.values, "createdate")
		}
		if it.st.id == contactType && it.values["lifecyclestage"] == "" {
			it.values["lifecyclestage"] = "lead"
		}
		first := (&state{props: map[string]string{}}).change(it.values, now)
		s.put(it.st, r, first)
		s.created(it.st, r)
	} else if len(it.values) > 0 {
		before := r.now
		s.put(it.st, r, before.change(it.values, now))
		s.edited(it.st, r, before, it.by)
	}
	for _, l := range it.links {
		s.join(it.st, r, l)
	}
	return r
}
