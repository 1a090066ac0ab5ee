package hubspotsim

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// owner is a user to whom records are assigned by id, never by user id.
type owner struct {
	ID                      string `json:"id"`
	Email                   string `json:"email"`
	Type                    string `json:"type"`
	FirstName               string `json:"firstName"`
	LastName                string `json:"lastName"`
	UserID                  *int64 `json:"userId"`
	UserIDIncludingInactive int64  `json:"userIdIncludingInactive"`
	CreatedAt               string `json:"createdAt"`
	UpdatedAt               string `json:"updatedAt"`
	Archived                bool   `json:"archived"`
	Teams                   []any  `json:"teams"`
}

func defaultOwners() []owner {
	person := func(id string, user int64, first, last string, archived bool) owner {
		o := owner{
			ID: id, Email: strings.ToLower(first) + "@example.com", Type: "PERSON", FirstName: first, LastName: last,
			UserID: &user, UserIDIncludingInactive: user, Archived: archived, Teams: []any{},
			CreatedAt: "2025-01-07T09:00:00.000Z", UpdatedAt: "2025-06-02T12:30:00.000Z",
		}
		if archived {
			o.UserID = nil
		}
		return o
	}
	return []owner{
		person("41629779", 910901, "Greta", "Lindholm", false),
		person("41629780", 910902, "Paolo", "Conti", false),
		person("41629781", 910903, "Yusuf", "Adeyemi", true),
	}
}

func (s *Server) knowsOwner(id string) bool {
	return slices.ContainsFunc(s.owners, func(o owner) bool { return o.ID == id })
}

// ownerCalls answers the owners API.
func (s *Server) ownerCalls(c *call) (*reply, *refusal) {
	q := c.URL.Query()
	archived := q.Get("archived") == "true"
	switch {
	case c.is(http.MethodGet, ""):
		limit, refused := pageSize(q.Get("limit"), 100, 500)
		if refused != nil {
			return nil, refused
		}
		after, err := strconv.Atoi(orElse(q.Get("after"), "0"))
		if err != nil {
			return nil, malformed(1, wrongType("int", "string"))
		}
		page := page{Results: []any{}}
		for _, o := range s.owners {
			id, _ := strconv.Atoi(o.ID)
			if o.Archived != archived || id < after || q.Get("email") != "" && !strings.EqualFold(o.Email, q.Get("email")) {
				continue
			}
			if len(page.Results) == limit {
				page.Paging = next(o.ID, "")
				break
			}
			page.Results = append(page.Results, o)
		}
		return ok(page), nil
	case c.is(http.MethodGet, "*"):
		for _, o := range s.owners {
			id := o.ID
			if q.Get("idProperty") == "userId" {
				id = strconv.FormatInt(o.UserIDIncludingInactive, 10)
			}
			if id == c.rest[0] && o.Archived == archived {
				return ok(o), nil
			}
		}
		return nil, noRecord()
	}
	return nil, c.noRoute()
}

// page is one page of a listing.
type page struct {
	Results []any   `json:"results"`
	Paging  *paging `json:"paging,omitempty"`
}

type paging struct {
	Next struct {
		After string `json:"after"`
		Link  string `json:"link,omitempty"`
	} `json:"next"`
}

func next(after, link string) *paging {
	p := &paging{}
	p.Next.After, p.Next.Link = after, link
	return p
}

// pageSize reads limit. HubSpot does not document what a larger one gets;
// here it is refused.
func pageSize(text string, otherwise, most int) (int, *refusal) {
	if text == "" {
		return otherwise, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		return 0, malformed(1, wrongType("int", "string"))
	}
	if n < 1 || n > most {
		return 0, refuse(http.StatusBadRequest, validation, "Invalid limit %d: it has to be between 1 and %d", n, most)
	}
	return n, nil
}

func orElse(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}
