package zohosim

import (
	"cmp"
	"fmt"
	"net/http"
	"slices"
	"strings"
)

// relatedNotes answers /{module}/{id}/Notes and what lies below. Zoho: notes.
func (s *Server) relatedNotes(c *call, m *module) (*reply, *refusal) {
	notes := s.modules[notesModule]
	parent := m.get(c.path[1])
	if parent == nil || m == notes {
		return nil, bad(invalidData, "the related id given seems to be invalid", obj{"resource_path_index": 1})
	}
	id := ""
	if len(c.path) == 4 {
		id = c.path[3]
		r := notes.get(id)
		if r == nil || r.now.values["Parent_Id"] != any(parent) {
			if c.Method == http.MethodGet {
				return nothing(), nil
			}
			return nil, noSuchID()
		}
	}
	switch {
	case len(c.path) > 4:
		return nil, noURL()
	case c.Method == http.MethodPut:
		return s.update(c, notes, id)
	case c.Method == http.MethodDelete && id != "":
		return s.remove(c, notes, []string{id})
	case c.Method == http.MethodDelete:
		return s.remove(c, notes, strings.Split(c.q.Get("ids"), ","))
	case c.Method == http.MethodGet && id != "":
		return s.get(c, notes, id)
	case c.Method == http.MethodGet:
		return s.belonging(c, notes, "Parent_Id", parent)
	case c.Method == http.MethodPost && id == "":
		return s.createNotes(c, notes, parent)
	}
	return nil, noMethod()
}

// relatedTasks answers /Contacts/{id}/Tasks. Zoho: get related records, which
// are under the names that settings/related_lists has.
func (s *Server) relatedTasks(c *call, m *module) (*reply, *refusal) {
	parent := m.get(c.path[1])
	if parent == nil || m.name != "Contacts" {
		return nil, bad(invalidData, "the related id given seems to be invalid", obj{"resource_path_index": 1})
	}
	return s.belonging(c, s.modules[tasksModule], "Who_Id", parent)
}

// belonging lists the records of a module that point at one, the oldest first.
func (s *Server) belonging(c *call, m *module, link string, parent *record) (*reply, *refusal) {
	names, refused := fieldList(c, true)
	if refused != nil {
		return nil, refused
	}
	page, perPage, refused := s.paging(c)
	if refused != nil {
		return nil, refused
	}
	if page*perPage > pagedRecords {
		return nil, bad("DISCRETE_PAGINATION_LIMIT_EXCEEDED", "as the number of records is beyond the limit, use page_token", obj{"limit": pagedRecords, "param_name": "page"})
	}
	all := slices.Clone(m.indexed(link)[fold(parent)])
	slices.SortFunc(all, func(a, b *record) int { return cmp.Compare(a.id, b.id) })
	all = all[min((page-1)*perPage, len(all)):]
	more := len(all) > perPage
	if more {
		all = all[:perPage]
	}
	var rows []obj
	for _, r := range all {
		rows = append(rows, s.pick(r, r.now, names, false))
	}
	info := obj{"per_page": perPage, "count": len(rows), "page": page, "more_records": more, "next_page_token": nil, "previous_page_token": nil, "page_token_expiry": nil}
	if rows = s.spoil(c, rows, info); rows == nil {
		return nothing(), nil
	}
	return ok(obj{"data": rows, "info": info}), nil
}

// createNotes stores notes; nothing tells a note that was sent twice from two.
func (s *Server) createNotes(c *call, notes *module, parent *record) (*reply, *refusal) {
	p, refused := c.payload()
	if refused != nil {
		return nil, refused
	}
	w, refused := s.writing(c, notes, p)
	if refused != nil {
		return nil, refused
	}
	return s.rows(p.Data, http.StatusCreated, func(n int, in obj) (obj, *refusal) {
		of := parent
		if of == nil {
			of = s.parent(in)
		}
		if of == nil {
			return nil, rowError(invalidData, "the related id given seems to be invalid", n, "Parent_Id", nil)
		}
		w.related = map[string]*record{"Parent_Id": of}
		it, refused := s.plan(w, notes, n, in, nil)
		if refused != nil {
			return nil, refused
		}
		if it.next.values["Note_Title"] == nil && it.next.values["Note_Content"] == nil {
			path := fmt.Sprintf("$.data[%d].", n)
			return nil, bad("EXPECTED_FIELD_MISSING", "should contain either content or title", obj{"expected_fields": []obj{
				{"api_name": "Note_Content", "json_path": path + "Note_Content"}, {"api_name": "Note_Title", "json_path": path + "Note_Title"},
			}})
		}
		return s.written(s.commit(w, it), "record added", true), nil
	}), nil
}

// parent finds what a note is about, in the present form or the older one.
func (s *Server) parent(in obj) *record {
	id, name := in["Parent_Id"], ""
	if given, is := id.(obj); is {
		id = given["id"]
		m, _ := given["module"].(obj)
		name, _ = m["api_name"].(string)
		for _, other := range s.order {
			if name == "" && m["id"] == fmt.Sprint(other.id) {
				name = other.name
			}
		}
	} else {
		for _, key := range []string{"se_module", "$se_module"} {
			if v, is := in[key].(string); is {
				name = v
			}
		}
	}
	if m := s.modules[name]; m != nil && id != nil {
		return m.get(fmt.Sprint(id))
	}
	return nil
}
