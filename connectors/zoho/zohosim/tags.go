package zohosim

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Zoho: tags.
const (
	maxTagName   = 25
	maxTags      = 100
	tagsOfRecord = 10
	maxTagged    = 500
)

var colours = strings.Fields("#F17574 #F48435 #E7A826 #A8C026 #63C57E #1DB9B4 #57B1FD #879BFC #D297EE #FD87BD #969696 #658BA8 #B88562")

type tag struct {
	id           int64
	name, colour string
}

func (t *tag) shown() obj {
	shown := obj{"name": t.name, "id": strconv.FormatInt(t.id, 10), "color_code": nil}
	if t.colour != "" {
		shown["color_code"] = t.colour
	}
	return shown
}

type givenTag struct {
	Name   string `json:"name"`
	ID     string `json:"id"`
	Colour string `json:"color_code"`
}

// tagSettings answers /settings/tags.
func (s *Server) tagSettings(c *call, m *module) (*reply, *refusal) {
	switch c.Method {
	case http.MethodGet:
		var list []obj
		for _, t := range m.tagged {
			list = append(list, t.shown())
		}
		if list == nil {
			return nothing(), nil
		}
		return ok(obj{"tags": list, "info": obj{"count": len(list), "allowed_count": maxTags}}), nil
	case http.MethodPost:
		var in struct{ Tags []givenTag }
		if refused := c.decode(&in); refused != nil {
			return nil, refused
		}
		rows := make([]any, len(in.Tags))
		for n, g := range in.Tags {
			path := fmt.Sprintf("$.tags[%d].name", n)
			if old := m.tags[strings.ToLower(g.Name)]; old != nil {
				rows[n] = bad(duplicate, "duplicate data", obj{"id": strconv.FormatInt(old.id, 10), "api_name": "name", "json_path": path})
				continue
			}
			t, refused := s.newTag(m, g, path)
			if refused != nil {
				rows[n] = refused
				continue
			}
			rows[n] = obj{"code": "SUCCESS", "status": "success", "message": "tags created successfully", "details": obj{
				"id": strconv.FormatInt(t.id, 10), "color_code": t.shown()["color_code"],
				"created_time": s.stamp(s.Now()), "modified_time": s.stamp(s.Now()),
			}}
		}
		if len(rows) == 0 {
			return nil, bad(mandatory, "required field not found", obj{"api_name": "tags", "json_path": "$.tags"})
		}
		a := s.answered("tags", rows, http.StatusCreated)
		a.wrote = false
		return a, nil
	}
	return nil, noMethod()
}

func (s *Server) newTag(m *module, g givenTag, path string) (*tag, *refusal) {
	switch {
	case g.Name == "":
		return nil, bad(mandatory, "required field not found", obj{"api_name": "name", "json_path": path})
	case utf8.RuneCountInString(g.Name) > maxTagName:
		return nil, bad(invalidData, "invalid data", obj{"api_name": "name", "json_path": path, "maximum_length": maxTagName})
	case strings.ContainsAny(g.Name, "<>,") || strings.ContainsFunc(g.Name, func(r rune) bool { return r > 0xffff }):
		return nil, bad(invalidData, "invalid data", obj{"api_name": "name", "json_path": path})
	case g.Colour != "" && !slices.Contains(colours, g.Colour):
		return nil, bad(invalidData, "invalid data", obj{"api_name": "color_code", "json_path": path, "supported_values": colours})
	case len(m.tagged) >= maxTags:
		return nil, bad(limit, "tags limit exceeded", obj{"limit": maxTags})
	}
	t := &tag{id: s.newID(), name: g.Name, colour: g.Colour}
	m.tags[strings.ToLower(g.Name)] = t
	m.tagged = append(m.tagged, t)
	return t, nil
}

// tagging is the body of add_tags and remove_tags.
type tagging struct {
	Tags      []givenTag `json:"tags"`
	IDs       []string   `json:"ids"`
	Overwrite bool       `json:"over_write"`
}

func (c *call) tagging() (*tagging, *refusal) {
	var in tagging
	if refused := c.decode(&in); refused != nil {
		return nil, refused
	}
	if len(c.path) == 4 {
		in.IDs = []string{c.path[1]}
	}
	switch {
	case len(in.Tags) == 0:
		return nil, bad(mandatory, "required field not found", obj{"api_name": "tags", "json_path": "$.tags"})
	case len(in.IDs) == 0:
		return nil, bad(mandatory, "required field not found", obj{"api_name": "ids", "json_path": "$.ids"})
	case len(in.IDs) > maxTagged:
		return nil, bad(limit, "ids limit exceeded", obj{"limit": maxTagged, "api_name": "ids", "json_path": "$.ids"})
	}
	return &in, nil
}

// tag finds a tag by id, which wins, or by name.
func (m *module) tag(g givenTag) *tag {
	if g.ID == "" {
		return m.tags[strings.ToLower(g.Name)]
	}
	for _, t := range m.tagged {
		if strconv.FormatInt(t.id, 10) == g.ID {
			return t
		}
	}
	return nil
}

func (s *Server) addTags(c *call, m *module) (*reply, *refusal) {
	in, refused := c.tagging()
	if refused != nil {
		return nil, refused
	}
	var added []*tag
	for n, g := range in.Tags {
		t, path := m.tag(g), fmt.Sprintf("$.tags[%d].name", n)
		switch {
		case t == nil && g.ID != "":
			return nil, bad(invalidData, "the id given seems to be invalid", obj{"api_name": "id", "json_path": fmt.Sprintf("$.tags[%d].id", n)})
		case t == nil:
			if t, refused = s.newTag(m, g, path); refused != nil {
				return nil, refused
			}
		case g.Colour != "" && g.Colour != t.colour:
			return nil, bad("MAPPING_MISMATCH", "the tag exists with another colour", obj{"api_name": "color_code", "json_path": path})
		}
		added = append(added, t)
	}
	return s.retag(c, m, in, func(have []*tag) []*tag {
		if in.Overwrite {
			have = nil
		}
		next := slices.Clone(have)
		for _, t := range added {
			if !slices.Contains(next, t) {
				next = append(next, t)
			}
		}
		return next
	})
}

func (s *Server) removeTags(c *call, m *module) (*reply, *refusal) {
	in, refused := c.tagging()
	if refused != nil {
		return nil, refused
	}
	return s.retag(c, m, in, func(have []*tag) []*tag {
		return slices.DeleteFunc(slices.Clone(have), func(t *tag) bool {
			return slices.ContainsFunc(in.Tags, func(g givenTag) bool { return m.tag(g) == t })
		})
	})
}

func (s *Server) retag(c *call, m *module, in *tagging, change func([]*tag) []*tag) (*reply, *refusal) {
	rows, done := make([]any, len(in.IDs)), 0
	w := &writing{by: s.user(c), workflows: true}
	for n, id := range in.IDs {
		r := m.get(id)
		if r == nil {
			rows[n] = bad(invalidData, "the id given seems to be invalid", obj{"id": id, "json_path": fmt.Sprintf("$.ids[%d]", n)})
			continue
		}
		next := change(r.now.tags)
		if len(next) > tagsOfRecord {
			rows[n] = bad(limit, "tags limit exceeded for the record", obj{"id": id, "limit": tagsOfRecord})
			continue
		}
		it := &intent{module: m, target: r, next: r.now.clone(), changed: []string{"Tag"}}
		it.next.tags = next
		s.commit(w, it)
		done++
		rows[n] = obj{"code": "SUCCESS", "details": obj{"id": id, "tags": s.shown(next)}, "message": "tags updated successfully", "status": "success"}
	}
	a := s.answered("data", rows, http.StatusOK)
	// Zoho counts in strings here.
	a.body = obj{"data": rows, "success_count": strconv.Itoa(done), "locked_count": "0", "wf_scheduler": "false"}
	return a, nil
}
