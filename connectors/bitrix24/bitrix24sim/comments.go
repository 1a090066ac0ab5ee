package bitrix24sim

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// comment is one in a contact's timeline.
type comment struct {
	id, owner int64
	text      string
	created   time.Time
	author    string
	// messages are those which the text logs.
	messages []*message
	files    []*file
}

// timeline holds all comments.
type timeline struct {
	byID    map[int64]*comment
	byOwner map[int64][]*comment
	nextID  int64
}

func notFound() *refusal { return refuse(http.StatusBadRequest, "NOT_FOUND", "Not found.") }

// commentArgs takes only the small spelling. Bitrix24: crm.timeline.comment.add.
func commentArgs(c *call) (*dict, *refusal) {
	v, there := c.p.vals["fields"]
	d, is := v.(*dict)
	switch {
	case !there:
		return nil, missing("fields")
	case !is:
		return nil, notArray("fields")
	}
	return d, nil
}

func (s *Server) commentAdd(c *call) (*reply, *refusal) {
	given, refused := commentArgs(c)
	if refused != nil {
		return nil, refused
	}
	owner, _ := number(given.get("ENTITY_ID"))
	p := s.people.byID[owner]
	if !strings.EqualFold(str(given.get("ENTITY_TYPE")), "contact") || p == nil {
		return nil, refuse(http.StatusBadRequest, "OWNER_NOT_FOUND", "Owner was not found")
	}
	text := str(given.get("COMMENT"))
	if strings.TrimSpace(text) == "" {
		return nil, badArg("Comment message is empty")
	}
	s.timeline.nextID++
	m := &comment{id: s.timeline.nextID, owner: owner, text: text, created: s.Now(), author: c.user(), files: s.files(c, given, nil)}
	s.timeline.byID[m.id] = m
	s.timeline.byOwner[owner] = append(s.timeline.byOwner[owner], m)
	s.relog(m)
	s.touch(owner)
	s.changed("ONCRMTIMELINECOMMENTADD", m.id, c)
	return ok(m.id)
}

// touch notes activity on a contact, which changes it too unless it is kept.
func (s *Server) touch(owner int64) {
	p := s.people.byID[owner]
	if p == nil {
		return
	}
	p.active = s.Now()
	if !s.knobs.KeepModified {
		p.modified = p.active
		s.people.changes.Note(p.modified.Unix(), p.id)
	}
}

func (s *Server) commentOf(c *call) (*comment, *refusal) {
	v, there := c.p.either("id")
	if !there {
		return nil, missing("id")
	}
	id, _ := number(v)
	if m := s.timeline.byID[id]; m != nil {
		return m, nil
	}
	return nil, notFound()
}

func (s *Server) commentUpdate(c *call) (*reply, *refusal) {
	m, refused := s.commentOf(c)
	if refused != nil {
		return nil, refused
	}
	given, refused := commentArgs(c)
	if refused != nil {
		return nil, refused
	}
	// The text is needed even where only files are sent, see files.
	text := str(given.get("COMMENT"))
	if strings.TrimSpace(text) == "" {
		return nil, badArg("Comment message is empty")
	}
	m.text = text
	m.files = s.files(c, given, m.files)
	s.relog(m)
	s.touch(m.owner)
	s.changed("ONCRMTIMELINECOMMENTUPDATE", m.id, c)
	return ok(m.id)
}

func (s *Server) commentShown(m *comment) obj {
	return obj{
		"ID": strconv.FormatInt(m.id, 10), "ENTITY_ID": strconv.FormatInt(m.owner, 10), "ENTITY_TYPE": "contact",
		"CREATED": s.stamp(m.created), "COMMENT": m.text, "AUTHOR_ID": m.author, "FILES": s.filesShown(m.files),
	}
}

func (s *Server) commentGet(c *call) (*reply, *refusal) {
	m, refused := s.commentOf(c)
	if refused != nil {
		return nil, refused
	}
	return ok(s.commentShown(m))
}

func (s *Server) commentDelete(c *call) (*reply, *refusal) {
	m, refused := s.commentOf(c)
	if refused != nil {
		return nil, refused
	}
	s.dropComment(m)
	s.changed("ONCRMTIMELINECOMMENTDELETE", m.id, c)
	return ok(nil)
}

func (s *Server) dropComment(m *comment) {
	s.unlog(m.messages)
	delete(s.timeline.byID, m.id)
	left := slices.DeleteFunc(s.timeline.byOwner[m.owner], func(o *comment) bool { return o == m })
	s.timeline.byOwner[m.owner] = left
	if len(left) == 0 {
		delete(s.timeline.byOwner, m.owner)
	}
}

// commentList wants to know whose comments. Bitrix24: crm.timeline.comment.list.
func (s *Server) commentList(c *call) (*reply, *refusal) {
	filter, refused := c.array("filter")
	if refused != nil {
		return nil, refused
	}
	by, refused := c.array("order")
	if refused != nil {
		return nil, refused
	}
	for _, name := range []string{"ENTITY_ID", "ENTITY_TYPE"} {
		if _, there := filterValue(filter, name); !there {
			return nil, badArg("Filter must contain %s", name)
		}
	}
	v, _ := filterValue(filter, "ENTITY_ID")
	owner, _ := number(v)
	kind, _ := filterValue(filter, "ENTITY_TYPE")
	var found []*comment
	if strings.EqualFold(str(kind), "contact") {
		if s.people.byID[owner] == nil {
			return nil, refuse(http.StatusBadRequest, "OWNER_NOT_FOUND", "Owner was not found")
		}
		found = slices.Clone(s.timeline.byOwner[owner])
	}
	found = slices.DeleteFunc(found, func(m *comment) bool { return !s.commentMatches(m, filter) })
	for n := by.len() - 1; n >= 0; n-- {
		name := strings.ToUpper(by.keys[n])
		desc := strings.EqualFold(str(by.vals[by.keys[n]]), "DESC")
		slices.SortStableFunc(found, func(a, b *comment) int {
			order := 0
			switch name {
			case "ID":
				order = int(a.id - b.id)
			case "CREATED":
				order = whole(a.created).Compare(whole(b.created))
			case "AUTHOR_ID":
				order = strings.Compare(a.author, b.author)
			}
			if desc {
				return -order
			}
			return order
		})
	}
	rows := []any{}
	chosen, _ := c.array("select")
	for _, m := range found {
		rows = append(rows, choose(s.commentShown(m), chosen))
	}
	return s.page(c, rows)
}

// commentMatches looks at the filters by id and by time.
func (s *Server) commentMatches(m *comment, filter *dict) bool {
	for _, k := range filter.keys {
		op, name := splitOperator(k)
		value := str(filter.vals[k])
		order := 0
		switch name {
		case "ID":
			id, _ := number(value)
			order = int(m.id - id)
		case "CREATED":
			at, _ := s.parse(value, !s.knobs.IgnoreOffset)
			order = whole(m.created).Compare(at)
		case "AUTHOR_ID":
			order = strings.Compare(m.author, value)
		default:
			continue
		}
		if op == "=" && order != 0 || strings.HasPrefix(op, "!") && order == 0 || op[0] != '=' && op[0] != '!' && !ordered(op, order) {
			return false
		}
	}
	return true
}

// filterValue finds the value a field has to be equal to.
func filterValue(filter *dict, name string) (any, bool) {
	if filter == nil {
		return nil, false
	}
	for _, key := range []string{name, "=" + name} {
		if v, there := filter.vals[key]; there {
			return v, true
		}
	}
	return nil, false
}

// choose leaves what is selected by name.
func choose(o obj, chosen *dict) obj {
	if chosen.len() == 0 {
		return o
	}
	out := obj{}
	for _, k := range chosen.keys {
		name := str(chosen.vals[k])
		if name == "*" {
			return o
		}
		if v, there := o[name]; there {
			out[name] = v
		}
	}
	return out
}
