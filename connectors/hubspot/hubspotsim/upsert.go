package hubspotsim

import (
	"net/http"
	"strconv"
	"strings"
)

func number(t text) int64 {
	n, _ := strconv.ParseInt(string(t), 10, 64)
	return n
}

// batchUpsert creates or updates by a unique property. HubSpot: the guide on
// using object APIs, and what its staff explained about email being older
// than unique ids.
func (s *Server) batchUpsert(c *call, st *store, inputs []write, traced bool) (*reply, *refusal) {
	name := inputs[0].IDProperty
	for _, w := range inputs {
		switch {
		case w.IDProperty == "":
			// Without idProperty the id is taken for a record id.
			return nil, noRecord()
		case st.property(w.IDProperty) == nil || st.unique[w.IDProperty] == nil:
			return nil, s.notUnique("upsert", st, w.IDProperty)
		case w.IDProperty != name:
			return nil, refuse(http.StatusBadRequest, validation, "All inputs of a batch must use the same idProperty")
		case w.ID == "":
			return nil, malformed(1, "Cannot build BatchInput, some of required attributes are not set [id]")
		case name == "email" && w.TraceID != "" && !s.opts.EmailUpsertWithTraceIDs:
			return nil, refuse(http.StatusBadRequest, validation, "Cannot upsert a %s when idProperty is set to email.", st.word())
		}
	}
	out := s.newBatch()
	list := make([]planned, 0, len(inputs))
	for _, w := range inputs {
		p := planned{in: w, target: st.find(name, string(w.ID))}
		p.fresh = p.target == nil
		p.in.Associations = nil
		if p.fresh {
			p.in.Properties = s.keyed(w, name)
		}
		list = append(list, p)
	}
	refused := s.run(c, st, out, list, traced, func(p planned, r *record) *shownRecord {
		shown := s.echo(st, r, p.fresh)
		shown.New = &p.fresh
		if s.opts.SparseUpsertEcho && st.id == contactType {
			for property := range shown.Properties {
				if !strings.HasPrefix(property, "hs_") {
					delete(shown.Properties, property)
				}
			}
		}
		return shown
	})
	if refused != nil {
		return nil, refused
	}
	return out.reply(http.StatusOK), nil
}

// keyed are the properties of a record that an upsert creates: the key is one
// of them. An email with capitals loses all the others, as was seen.
func (s *Server) keyed(w write, name string) map[string]text {
	if name == "email" && strings.ToLower(string(w.ID)) != string(w.ID) && !s.opts.KeepPropertiesOnCapitalEmail {
		return map[string]text{name: w.ID}
	}
	props := map[string]text{}
	for property, value := range w.Properties {
		props[property] = value
	}
	props[name] = w.ID
	return props
}
