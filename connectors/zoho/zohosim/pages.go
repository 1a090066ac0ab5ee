package zohosim

import (
	"encoding/hex"
	"encoding/json"
	"hash/fnv"
	"net/http"
	"slices"
	"strings"
	"time"

	"crmsync/connectors/internal/simcrm"
)

// pageToken leads to the next page. It is bound to the user and to all other
// parameters.
type pageToken struct {
	Module string
	Bound  uint64
	User   string
	Made   int64
	After  int64
	Done   int
}

func (s *Server) setToken(info obj, t pageToken) {
	body := simcrm.JSON(t)
	info["next_page_token"] = hex.EncodeToString(body) + s.seal(body)
	info["page_token_expiry"] = s.stamp(time.UnixMilli(t.Made).Add(day))
}

// seal tells the organisation's own tokens from others.
func (s *Server) seal(body []byte) string {
	h := fnv.New64a()
	_, _ = h.Write(body)
	_, _ = h.Write([]byte{byte(s.opts.Seed), byte(s.opts.Seed >> 8), 's', 'i', 'm'})
	return hex.EncodeToString(h.Sum(nil))
}

func (s *Server) openToken(c *call, m *module, bound uint64, given string) (pageToken, *refusal) {
	var t pageToken
	raw, err := hex.DecodeString(given)
	if err != nil || len(raw) < 9 || s.seal(raw[:len(raw)-8]) != given[len(given)-16:] || json.Unmarshal(raw[:len(raw)-8], &t) != nil || t.User != c.token.grant.id() {
		return t, bad(invalidData, "invalid data", obj{"param_name": "page_token"})
	}
	switch {
	case t.Module != m.name || t.Bound != bound:
		return t, bad("TOKEN_BOUND_DATA_MISMATCH", "the parameters do not match those of the page token", obj{"param_name": "page_token"})
	case s.Now().Sub(time.UnixMilli(t.Made)) >= day:
		return t, bad("EXPIRED_VALUE", "the page token has expired", obj{"param_name": "page_token"})
	case t.Done >= tokenRecords:
		return t, bad("PAGINATION_LIMIT_EXCEEDED", "pagination limit exceeded", obj{"limit": tokenRecords, "param_name": "page_token"})
	}
	return t, nil
}

// bound is what a page token is bound to.
func bound(c *call) uint64 {
	var names []string
	for name := range c.q {
		if name != "page" && name != "page_token" {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	h := fnv.New64a()
	for _, name := range names {
		_, _ = h.Write([]byte(name + "=" + c.q.Get(name) + "\n"))
	}
	_, _ = h.Write([]byte(c.Header.Get("If-Modified-Since")))
	return h.Sum64()
}

// Zoho: get deleted records.
const (
	recycled = 60 * day
	purged   = 120 * day
)

// deleted lists the recycle bin and what was in it, the newest first.
func (s *Server) deleted(c *call, m *module) (*reply, *refusal) {
	kind := orElse(c.q.Get("type"), "all")
	if !slices.Contains([]string{"all", "recycle", "permanent"}, kind) {
		return nil, bad("PATTERN_NOT_MATCHED", "Please check whether the input values are correct", obj{"param_name": "type"})
	}
	page, perPage, refused := s.paging(c)
	if refused != nil {
		return nil, refused
	}
	since, err := time.Parse(time.RFC3339, c.Header.Get("If-Modified-Since"))
	hasSince := err == nil
	now, skip := s.Now(), (page-1)*perPage
	var rows []obj
	more := false
	for n := len(m.bin) - 1; n >= 0; n-- {
		r := m.bin[n]
		is := r.binned(now)
		if is == "" || kind != "all" && kind != is || hasSince && whole(r.now.deleted).Before(since) {
			continue
		}
		if skip > 0 {
			skip--
			continue
		}
		if len(rows) == perPage {
			more = true
			break
		}
		rows = append(rows, obj{
			"id": r.name(), "display_name": r.called(), "type": is, "deleted_time": s.stamp(r.now.deleted),
			"deleted_by": r.now.deletedBy.reference(false), "created_by": r.createdBy.reference(false),
		})
	}
	info := obj{"per_page": perPage, "count": len(rows), "page": page, "more_records": more}
	if rows = s.spoil(c, rows, info); rows == nil {
		if hasSince {
			return unchanged(), nil
		}
		return nothing(), nil
	}
	// There are no tokens here.
	delete(info, "next_page_token")
	delete(info, "page_token_expiry")
	return ok(obj{"data": rows, "info": info}), nil
}

// binned is where a deleted record is: "recycle", "permanent", or gone.
func (r *record) binned(now time.Time) string {
	end := r.now.deleted.Add(recycled)
	if !r.now.purged.IsZero() && r.now.purged.Before(end) {
		end = r.now.purged
	}
	switch {
	case now.Before(end):
		return "recycle"
	case now.Before(end.Add(purged)):
		return "permanent"
	}
	return ""
}

// discard moves a record to the recycle bin.
func (s *Server) discard(r *record, by *user, quiet bool) {
	next := *r.now
	next.deleted, next.deletedBy = s.Now(), by
	s.put(r, &next)
	r.module.bin = append(r.module.bin, r)
	if !quiet {
		s.count.workflows++
	}
	s.changed(r, "delete", nil)
	s.dropTasks(r, by, quiet)
}

// remove deletes records. Zoho: delete records.
func (s *Server) remove(c *call, m *module, ids []string) (*reply, *refusal) {
	ext, refused := externalHeader(c, m)
	if refused != nil {
		return nil, refused
	}
	if len(ids) == 0 || ids[0] == "" {
		return nil, missingParam("ids")
	}
	if len(ids) > maxRows {
		return nil, bad(limit, "maximum number of ids exceeded", obj{"limit": maxRows, "param_name": "ids"})
	}
	for n, id := range ids {
		ids[n] = strings.TrimSpace(id)
		if ext.own == "" && !numeric.MatchString(ids[n]) {
			return nil, bad("UNABLE_TO_PARSE_DATA_TYPE", "either the request body or parameters is in wrong format", obj{"param_name": "ids"})
		}
	}
	quiet := c.q.Get("wf_trigger") == "false"
	rows := make([]any, len(ids))
	for n, id := range ids {
		r := m.get(id)
		if r == nil && ext.own != "" {
			r = m.first(ext.own, id)
		}
		if r == nil {
			rows[n] = bad(invalidData, "record not deleted", obj{"id": id})
			continue
		}
		s.discard(r, s.user(c), quiet)
		rows[n] = obj{"code": "SUCCESS", "details": obj{"id": r.name()}, "message": "record deleted", "status": "success"}
	}
	return s.answered("data", rows, http.StatusOK), nil
}
