package zohosim

import (
	"fmt"
	"net/http"
	"slices"
)

// user is somebody who works in the organisation.
type user struct {
	id, first, last, email string
	admin                  bool
}

const adminProfile, standardProfile = "5725767000000026011", "5725767000000026014"

// defaultUsers are the one whose tokens are used, somebody who works in the
// CRM's own pages, and one without administration rights.
func defaultUsers() []*user {
	return []*user{
		{id: "5725767000000411101", first: "CRM", last: "Sync", email: "crm.sync@example.com", admin: true},
		{id: "5725767000000411102", first: "Priya", last: "Raman", email: "priya.raman@example.com", admin: true},
		{id: "5725767000000411103", first: "Tomas", last: "Lindt", email: "tomas.lindt@example.com"},
	}
}

func (u *user) name() string { return u.first + " " + u.last }

// reference is a user as records show them.
func (u *user) reference(email bool) any {
	if u == nil {
		return nil
	}
	r := obj{"name": u.name(), "id": u.id}
	if email {
		r["email"] = u.email
	}
	return r
}

// user is the one whose token is used.
func (s *Server) user(c *call) *user {
	if c.token.grant.Standard {
		return s.users[2]
	}
	return s.users[0]
}

func (u *user) shown(zone string) obj {
	profile := obj{"name": "Standard", "id": standardProfile}
	role := obj{"name": "Manager", "id": "5725767000000026008"}
	if u.admin {
		profile = obj{"name": "Administrator", "id": adminProfile}
		role = obj{"name": "CEO", "id": "5725767000000026005"}
	}
	return obj{
		"id": u.id, "zuid": u.id[11:], "email": u.email, "full_name": u.name(), "first_name": u.first, "last_name": u.last, "status": "active",
		"role": role, "profile": profile, "time_zone": zone, "locale": "en_US", "language": "en_US", "type__s": "Regular User",
		"confirm": true, "country_locale": "US",
	}
}

// userCalls answers /users. Zoho: get users.
func (s *Server) userCalls(c *call) (*reply, *refusal) {
	if c.Method != http.MethodGet {
		return nil, noMethod()
	}
	var list []obj
	for _, u := range s.users {
		switch {
		case len(c.path) == 2 && c.path[1] != u.id, c.q.Get("type") == "CurrentUser" && u != s.user(c),
			c.q.Get("type") == "AdminUsers" && !u.admin:
			continue
		}
		list = append(list, u.shown(s.opts.TimeZone.String()))
	}
	if len(list) == 0 {
		return nothing(), nil
	}
	if len(c.path) == 2 {
		return ok(obj{"users": list}), nil
	}
	page, perPage, refused := s.paging(c)
	if refused != nil {
		return nil, refused
	}
	from := (page - 1) * perPage
	if from >= len(list) {
		return nothing(), nil
	}
	rest := list[from:]
	list = rest[:min(perPage, len(rest))]
	return ok(obj{"users": list, "info": obj{
		"per_page": perPage, "count": len(list), "page": page, "more_records": len(rest) > len(list),
	}}), nil
}

// org answers /org. Zoho: get organization data.
func (s *Server) org(c *call) (*reply, *refusal) {
	if c.Method != http.MethodGet || len(c.path) != 1 {
		return nil, noMethod()
	}
	return ok(obj{"org": []obj{{
		"id": "5725767000000411010", "zgid": s.opts.ZGID, "company_name": "Simulated", "time_zone": s.opts.TimeZone.String(),
		"currency": "US Dollar - USD", "iso_code": "USD", "currency_symbol": "$", "type": "production", "privacy_settings": false, "country_code": "US",
		"license_details": obj{"paid": s.opts.Edition != "free", "paid_type": s.opts.Edition, "users_license_purchased": s.opts.Users, "paid_expiry": nil, "trial_expiry": nil},
	}}}), nil
}

// changeOwner answers mass changes of owner. Zoho: change owner.
func (s *Server) changeOwner(c *call, m *module) (*reply, *refusal) {
	var in struct {
		IDs   []string `json:"ids"`
		Owner obj      `json:"owner"`
	}
	if refused := c.decode(&in); refused != nil {
		return nil, refused
	}
	if len(in.IDs) == 0 || len(in.IDs) > maxTagged {
		return nil, bad(invalidData, "invalid data", obj{"api_name": "ids", "json_path": "$.ids", "maximum_length": maxTagged})
	}
	owner, why := s.person(any(in.Owner))
	if why != nil {
		return nil, bad(invalidData, why.message, obj{"api_name": "owner", "json_path": "$.owner"})
	}
	rows := make([]any, len(in.IDs))
	w := &writing{by: s.user(c), workflows: true}
	for n, id := range in.IDs {
		r := m.get(id)
		if r == nil {
			rows[n] = bad(invalidData, "the id given seems to be invalid", obj{"id": id, "json_path": fmt.Sprintf("$.ids[%d]", n)})
			continue
		}
		it := &intent{module: m, target: r, next: r.now.clone(), changed: []string{"Owner"}}
		it.next.owner = owner.(*user)
		s.commit(w, it)
		rows[n] = obj{"code": "SUCCESS", "details": obj{"id": id}, "message": "owner is successfully updated", "status": "success"}
	}
	return s.answered("data", rows, http.StatusOK), nil
}

// counted answers how many records there are. Zoho: record count.
func (s *Server) counted(c *call, m *module) (*reply, *refusal) {
	if !slices.ContainsFunc(searchParams, c.q.Has) {
		return ok(obj{"count": m.live}), nil
	}
	matches, refused := s.matcher(c, m)
	if refused != nil {
		return nil, refused
	}
	count := 0
	for _, r := range matches.among(m) {
		if r.seen != nil && r.seen.deleted.IsZero() && matches.is(r, r.seen) {
			count++
		}
	}
	return ok(obj{"count": count}), nil
}
