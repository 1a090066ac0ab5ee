package hubspotsim

import (
	"net/http"
	"slices"
	"strings"

	"crmsync/connectors/internal/simcrm"
)

const (
	maxBatch        = 100
	maxHistoryBatch = 50
)

// batch is the answer to a batch call; with errors it is a 207.
type batch struct {
	Status      string     `json:"status"`
	Results     []any      `json:"results"`
	NumErrors   int        `json:"numErrors,omitempty"`
	Errors      []*refusal `json:"errors,omitempty"`
	StartedAt   string     `json:"startedAt"`
	CompletedAt string     `json:"completedAt"`

	wrote bool
}

// batchInput is the body of every batch call on objects.
type batchInput struct {
	Inputs     *[]write `json:"inputs"`
	Properties []string `json:"properties"`
	History    []string `json:"propertiesWithHistory"`
	IDProperty string   `json:"idProperty"`
}

func (s *Server) newBatch() *batch {
	now := simcrm.Stamp(s.Now())
	return &batch{Status: "COMPLETE", Results: []any{}, StartedAt: now, CompletedAt: now}
}

func (b *batch) fail(r *refusal) {
	if r.existing != "" {
		r.with("existingId", r.existing)
	}
	b.Errors = append(b.Errors, r)
	b.NumErrors = len(b.Errors)
}

func (b *batch) reply(status int) *reply {
	if len(b.Errors) > 0 {
		status = http.StatusMultiStatus
	}
	return &reply{status: status, body: b, wrote: b.wrote}
}

// batches answers the batch calls on objects. HubSpot: the error handling
// guide, section on multi-status errors.
func (s *Server) batches(c *call, st *store) (*reply, *refusal) {
	op := c.rest[2]
	if !slices.Contains([]string{"create", "read", "update", "upsert", "archive"}, op) {
		return nil, c.noRoute()
	}
	var in batchInput
	if refused := c.decode(&in); refused != nil {
		return nil, refused
	}
	if in.Inputs == nil || len(*in.Inputs) == 0 {
		if s.opts.SilentNoOp {
			return ok(map[string]any{"status": "COMPLETE", "results": []any{}, "errors": []any{}}), nil
		}
		return nil, malformed(1, "Cannot build BatchInput, some of required attributes are not set [inputs]")
	}
	inputs := *in.Inputs
	if len(inputs) > maxBatch {
		return nil, tooMany("", maxBatch)
	}
	if op == "read" {
		return s.batchRead(c, st, in)
	}
	if op == "archive" {
		for _, w := range inputs {
			if r := st.get(string(w.ID)); r != nil {
				s.archive(st, r, s.app())
			}
		}
		return &reply{status: http.StatusNoContent, wrote: true}, nil
	}
	if op != "create" {
		if refused := distinct(st, inputs); refused != nil {
			return nil, refused
		}
	}
	traced, refused := tracedInputs(inputs)
	if refused != nil {
		return nil, refused
	}
	switch op {
	case "create":
		return s.batchCreate(c, st, inputs, traced)
	case "update":
		return s.batchUpdate(c, st, inputs, traced)
	default:
		return s.batchUpsert(c, st, inputs, traced)
	}
}

func tooMany(what string, most int) *refusal {
	return refuse(http.StatusBadRequest, validation, "The maximum number of inputs supported in a batch request%s is %d. "+
		"Please reduce the number of items and try again", what, most)
}

// distinct refuses a batch that names one record twice.
func distinct(st *store, inputs []write) *refusal {
	seen, twice := map[string]bool{}, []string(nil)
	for _, w := range inputs {
		id := string(w.ID)
		if w.IDProperty == "email" && st.id == contactType {
			id = strings.ToLower(id)
		}
		if seen[id] && !slices.Contains(twice, id) {
			twice = append(twice, id)
		}
		seen[id] = true
	}
	if twice == nil {
		return nil
	}
	return refuse(http.StatusBadRequest, validation, "Duplicate IDs found in batch input: [%s]. IDs must be unique",
		strings.Join(twice, ", ")).with("ids", twice...)
}

// tracedInputs reports whether every input has a trace id, which is what
// makes partial success possible.
func tracedInputs(inputs []write) (bool, *refusal) {
	seen := map[text]bool{}
	for _, w := range inputs {
		if w.TraceID == "" {
			return false, nil
		}
		if seen[w.TraceID] {
			return false, refuse(http.StatusBadRequest, validation, "objectWriteTraceId must be unique in a batch")
		}
		seen[w.TraceID] = true
	}
	return true, nil
}

// planned is one input of a batch with the record it goes to.
type planned struct {
	in     write
	target *record
	// fresh marks an upsert that creates.
	fresh bool
}

// run stores a batch: each input for itself if traced, otherwise all or
// nothing.
func (s *Server) run(c *call, st *store, out *batch, list []planned, traced bool, show func(planned, *record) *shownRecord) *refusal {
	finish := func(p planned, it *intent) {
		shown := show(p, s.commit(it))
		shown.Warnings = it.warnings
		out.Results = append(out.Results, shown)
		out.wrote = true
	}
	if traced {
		for _, p := range list {
			it, bad, refused := s.plan(c.strict(), st, p.target, p.in, nil)
			if len(bad) > 0 {
				refused = s.invalidValues(bad)
			}
			if refused != nil {
				out.fail(refused.with("objectWriteTraceId", string(p.in.TraceID)))
				continue
			}
			finish(p, it)
		}
	} else {
		var all []badValue
		var first *refusal
		var intents []*intent
		taken := claims{}
		for _, p := range list {
			it, bad, refused := s.plan(c.strict(), st, p.target, p.in, taken)
			all = append(all, bad...)
			if first == nil {
				first = refused
			}
			intents = append(intents, it)
		}
		if len(all) > 0 {
			return s.invalidValues(all)
		}
		if first != nil {
			return first
		}
		for n, it := range intents {
			finish(list[n], it)
		}
	}
	// The order of results is not promised.
	s.rand.Shuffle(len(out.Results), func(a, b int) { out.Results[a], out.Results[b] = out.Results[b], out.Results[a] })
	return nil
}

func (s *Server) batchCreate(c *call, st *store, inputs []write, traced bool) (*reply, *refusal) {
	out := s.newBatch()
	list := make([]planned, len(inputs))
	for n, w := range inputs {
		list[n] = planned{in: w}
	}
	refused := s.run(c, st, out, list, traced, func(_ planned, r *record) *shownRecord { return s.echo(st, r, true) })
	if refused != nil {
		return nil, refused
	}
	return out.reply(http.StatusCreated), nil
}

// batchUpdate takes record ids, or a custom unique property. HubSpot: email
// was refused as idProperty, and so is hs_object_id.
func (s *Server) batchUpdate(c *call, st *store, inputs []write, traced bool) (*reply, *refusal) {
	out := s.newBatch()
	var list []planned
	var missing []string
	for _, w := range inputs {
		r := st.get(string(w.ID))
		if w.IDProperty != "" {
			if w.IDProperty == "email" || st.unique[w.IDProperty] == nil {
				return nil, s.notUnique("update", st, w.IDProperty)
			}
			r = st.find(w.IDProperty, string(w.ID))
		}
		if r == nil {
			missing = append(missing, string(w.ID))
			continue
		}
		w.Associations = nil
		list = append(list, planned{in: w, target: r})
	}
	refused := s.run(c, st, out, list, traced, func(_ planned, r *record) *shownRecord { return s.echo(st, r, false) })
	if refused != nil {
		return nil, refused
	}
	out.missing(st, missing)
	return out.reply(http.StatusOK), nil
}

// missing reports all ids nobody has in one entry.
func (b *batch) missing(st *store, ids []string) {
	if len(ids) > 0 {
		b.fail(refuse(0, notFound, "Could not get some %s objects, they may be deleted or not exist. Check that ids are valid.",
			st.word()).with("ids", ids...))
	}
}

func (s *Server) batchRead(c *call, st *store, in batchInput) (*reply, *refusal) {
	if len(in.History) > 0 && len(*in.Inputs) > maxHistoryBatch {
		return nil, tooMany(" for property histories", maxHistoryBatch)
	}
	byID := in.IDProperty == "" || in.IDProperty == "hs_object_id"
	if !byID && st.unique[in.IDProperty] == nil {
		return nil, s.notUnique("read", st, in.IDProperty)
	}
	archived := c.URL.Query().Get("archived") == "true"
	out := s.newBatch()
	var missing []string
	seen := map[*record]bool{}
	for _, w := range *in.Inputs {
		var r *record
		switch {
		case !byID:
			r = st.find(in.IDProperty, string(w.ID))
		case archived:
			if r = st.byID[number(w.ID)]; r != nil && (r.now.archived.IsZero() || r.now.gone) {
				r = nil
			}
		case s.knobs.MergedBatchRead:
			if r = st.resolve(number(w.ID)); r != nil && !r.now.archived.IsZero() {
				r = nil
			}
		default:
			r = st.get(string(w.ID))
		}
		if r == nil {
			missing = append(missing, string(w.ID))
			continue
		}
		if seen[r] {
			continue
		}
		seen[r] = true
		shown := s.shown(st, r, r.now, st.asked(in.Properties))
		if len(in.History) > 0 {
			shown.History = s.history(st, r, r.now, in.History)
		}
		out.Results = append(out.Results, shown)
	}
	s.rand.Shuffle(len(out.Results), func(a, b int) { out.Results[a], out.Results[b] = out.Results[b], out.Results[a] })
	out.missing(st, missing)
	return out.reply(http.StatusOK), nil
}
