package zoho

import (
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"crmsync/connectors"
)

// many answers queries, lists and reading by id for contacts with ids from 1001
// on. Each list call may be spoilt; gone are those that only queries show.
func (o *org) many(n int, gone []int, spoil func(call int, ids []int) ([]int, string)) {
	show := func(ids []int, more bool, token string) (int, any) {
		if len(ids) == 0 {
			return 204, nil
		}
		list := make([]m, len(ids))
		for i, id := range ids {
			list[i] = contact(id, m{"Tag": []m{{"name": fmt.Sprint("tag of ", id)}}, "Description": "long"})
		}
		return 200, m{"data": list, "info": m{"count": len(list), "more_records": more, "next_page_token": token}}
	}
	behind := func(id, limit int) (ids []int, more bool) {
		for i := max(id+1, 1001); i <= 1000+n; i++ {
			if len(ids) == limit {
				return ids, true
			}
			ids = append(ids, i)
		}
		return ids, false
	}
	o.on(query, func(a ask) (int, any) {
		var id, limit int
		_, _ = fmt.Sscanf(a.in.Query[strings.Index(a.in.Query, "id >"):], "id > %d) order by id asc limit %d", &id, &limit)
		ids, more := behind(id, limit)
		return show(ids, more, "")
	})
	call := 0
	o.on(readOut, func(a ask) (int, any) {
		q, _ := url.ParseQuery(a.query)
		if q.Has("ids") {
			var ids []int
			for text := range strings.SplitSeq(q.Get("ids"), ",") {
				id, _ := strconv.Atoi(text)
				ids = append(ids, id)
			}
			return show(ids, false, "")
		}
		call++
		var from int
		_, _ = fmt.Sscanf(q.Get("page_token"), "token:%d", &from)
		ids := []int{}
		for i := max(from+1, 1001); i <= 1000+n && len(ids) < 200; i++ {
			if !slices.Contains(gone, i) {
				ids = append(ids, i)
			}
		}
		token := ""
		if len(ids) == 200 {
			token = fmt.Sprint("token:", ids[199])
		}
		if spoil != nil {
			ids, token = spoil(call, ids)
			if token == "refused" {
				return 400, fails("EXPIRED_VALUE", m{"param_name": "page_token"})
			}
		}
		return show(ids, token != "", token)
	})
}

func TestTagsAreOnThePagesOfAList(t *testing.T) {
	tests := map[string]struct {
		n           int
		gone        []int
		spoil       func(call int, ids []int) ([]int, string)
		pages, byID int
	}{
		"nobody":       {0, nil, nil, 0, 0},
		"a few":        {50, nil, nil, 0, 1},
		"one page":     {200, nil, nil, 1, 0},
		"several":      {4450, nil, nil, 23, 0},
		"a little end": {4210, nil, nil, 21, 1},
		// The page on which a query's last contact is comes twice.
		"a list that lacks some": {4450, []int{1007, 1900, 1901}, nil, 23 + 3, 2},
		"a token that has expired": {2200, nil, func(call int, ids []int) ([]int, string) {
			if call == 4 {
				return nil, "refused"
			}
			return ids, fmt.Sprint("token:", ids[199])
		}, 4, 32},
		"the same page for ever":   {2200, nil, func(_ int, _ []int) ([]int, string) { return []int{1001, 1002}, "token:1000" }, 2, 44},
		"other people's page":      {2200, nil, func(_ int, _ []int) ([]int, string) { return []int{9001, 9002}, "token:9002" }, 1, 44},
		"a list without an end":    {400, nil, func(call int, ids []int) ([]int, string) { return ids[:min(len(ids), 150*call)], "" }, 1, 5},
		"an order that is another": {2200, nil, func(_ int, ids []int) ([]int, string) { slices.Reverse(ids); return ids, "token:1200" }, 2, 40},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			o, c := newOrg(t)
			o.many(tt.n, tt.gone, tt.spoil)
			next := 1001
			for q := (connectors.Query{Fields: []string{"Last_Name", "Tag", "Description"}}); ; {
				p, err := c.ListContacts(t.Context(), q)
				if err != nil {
					t.Fatal(err)
				}
				for _, r := range p.Records {
					want := connectors.Record{ID: fmt.Sprint(next), Fields: m{"Last_Name": fmt.Sprint("N", next), "Tag": []string{fmt.Sprint("tag of ", next)}, "Description": "long"}}
					if r.ID != want.ID || fmt.Sprint(r.Fields) != fmt.Sprint(want.Fields) {
						t.Fatalf("got %+v, want %+v", r, want)
					}
					next++
				}
				if q.Cursor = p.Next; q.Cursor == "" {
					break
				}
			}
			if next != 1001+tt.n {
				t.Errorf("%d were listed, want %d", next-1001, tt.n)
			}
			pages, byID := 0, 0
			for _, a := range o.calls(readOut) {
				q, _ := url.ParseQuery(a.query)
				if q.Has("ids") {
					byID++
				} else if pages++; q.Get("sort_by")+q.Get("sort_order")+q.Get("per_page")+q.Get("fields") != "idasc200Tag,Description" {
					t.Errorf("asked for %s", a.query)
				}
			}
			if pages != tt.pages || byID != tt.byID {
				t.Errorf("%d pages and %d calls by id, want %d and %d", pages, byID, tt.pages, tt.byID)
			}
			for _, a := range o.calls(query)[:min(len(o.calls(query)), 1)] {
				if strings.Contains(a.in.Query, "Description") {
					t.Errorf("query %s", a.in.Query)
				}
			}
		})
	}
}

func TestTheListOfWhatChangedIsAsLong(t *testing.T) {
	o, c := newOrg(t)
	o.many(60, nil, nil)
	since := time.Date(2026, 1, 31, 10, 0, 0, 5e8, time.UTC)
	p, err := c.ListContacts(t.Context(), connectors.Query{Since: since, Fields: []string{"Tag"}})
	if err != nil || len(p.Records) != 60 {
		t.Fatalf("got %d, %v", len(p.Records), err)
	}
	if calls := o.calls(readOut); len(calls) != 1 || calls[0].header.Get("If-Modified-Since") != "2026-01-31T10:00:00+00:00" {
		t.Errorf("asked %+v", calls)
	}
}

// An outage must not turn into thousands of calls by id.
func TestAnOutageOfTheListIsOne(t *testing.T) {
	o, c := newOrg(t)
	o.on(query, func(ask) (int, any) {
		var list []m
		for id := range 200 {
			list = append(list, contact(id+1))
		}
		return 200, m{"data": list, "info": m{"count": 200, "more_records": true}}
	})
	o.on(readOut, say(502, "<html>"))
	if _, err := c.ListContacts(t.Context(), connectors.Query{Fields: []string{"Tag"}}); connectors.AsError(err).Class != connectors.Transient {
		t.Errorf("got %v", err)
	}
	if n := len(o.calls(readOut)); n != 1 {
		t.Errorf("%d calls", n)
	}
}
