package bitrix24

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"crmsync/connectors"
)

func TestARecordIsReadAsItWasWritten(t *testing.T) {
	p, c := newPortal(t)
	p.people(person("51", "393470000001", "NAME", "Ada", "LAST_NAME", "", "COMMENTS", "&#91;b]x", "BIRTHDATE", "", "OPENED", "Y",
		"ASSIGNED_BY_ID", "6", "UF_CRM_NUMBER", "7", "UF_CRM_SCORE", "1.5", "UF_CRM_OPT_IN", "0", "UF_CRM_LEVEL", "101", "UF_CRM_LABELS", []any{101, "100"},
		"UF_CRM_SINCE", "2026-11-21T11:30:05+03:00", "PHONE", rowsOf("+391", "347 0000001"), "DATE_MODIFY", "2026-11-21T11:30:06+03:00", "DATE_CREATE", "2026-01-01T00:00:00+03:00"))
	want := m{
		"NAME": "Ada", "LAST_NAME": nil, "COMMENTS": "[b]x", "BIRTHDATE": nil, "OPENED": true, "ASSIGNED_BY_ID": "6", "UF_CRM_NUMBER": int64(7),
		"UF_CRM_SCORE": 1.5, "UF_CRM_OPT_IN": false, "UF_CRM_LEVEL": "Silver", "UF_CRM_LABELS": []string{"new", "vip"},
		"UF_CRM_SINCE": time.Date(2026, 11, 21, 8, 30, 5, 0, time.UTC), "PHONE": "347 0000001", "EMAIL": nil, "NO_SUCH": nil,
	}
	var names []string
	for n := range want {
		names = append(names, n)
	}
	got := c.ReadContacts(t.Context(), []string{"51", "52", "x"}, names)
	if len(got) != 3 || got[0].Err != nil || got[0].Record.ID != "51" || got[1].Record.ID != "" || got[1].Err != nil || got[2].Record.ID != "" {
		t.Fatalf("got %+v", got)
	}
	for n, w := range want {
		if g := got[0].Record.Fields[n]; fmt.Sprintf("%T %v", g, g) != fmt.Sprintf("%T %v", w, w) {
			t.Errorf("%s is %T %v, want %T %v", n, g, g, w, w)
		}
	}
	if at := got[0].Record.UpdatedAt; !at.Equal(time.Date(2026, 11, 21, 8, 30, 6, 0, time.UTC)) || at.Location() != time.UTC {
		t.Errorf("updated %s", at)
	}
}

func TestRecordsAreReadFiftyToACommand(t *testing.T) {
	p, c := newPortal(t)
	var ids []string
	for i := range 120 {
		ids = append(ids, fmt.Sprint(i+1))
	}
	p.on(contactList, func(q url.Values) any {
		if q.Get("filter[@ID][0]") == "1" {
			return no{code: "OPERATION_TIME_LIMIT"}
		}
		return []m{person("99", "")}
	})
	got := c.ReadContacts(t.Context(), ids, []string{"NAME"})
	if p.took() != 1 || got[0].Err == nil || got[0].Err.Class != connectors.Throttled || got[98].Record.ID != "99" {
		t.Errorf("%d requests, %+v, %+v", p.took(), got[0], got[98])
	}
}

// many answers lists as Bitrix24 does for contacts with ids from 1 to n, every
// third of which is gone. damage may spoil a page.
func (p *portal) many(n int, damage func(call int, rows []m) []m) {
	call := 0
	pages := map[string][]m{}
	p.on(contactList, func(q url.Values) any {
		after := q.Get("filter[>ID]")
		if strings.HasPrefix(after, "$result[") {
			// The last row of the page before, or literal text.
			if before := pages["last"]; len(before) == perPage {
				after = before[perPage-1]["ID"].(string)
			}
		}
		from, _ := strconv.Atoi(after)
		rows := []m{}
		for i := 1; i <= n; i++ {
			id := i
			if q.Get("order[ID]") == "DESC" {
				id = n + 1 - i
			}
			if id%3 != 0 && id > from && len(rows) < perPage {
				rows = append(rows, person(fmt.Sprint(id), "", "DATE_MODIFY", "2026-11-21T11:30:06+03:00"))
			}
		}
		if q.Get("order[ID]") == "ASC" {
			call++
			if damage != nil {
				rows = damage(call, rows)
			}
			pages["last"] = rows
		}
		return rows
	})
}

func TestAListingYieldsEverybodyOnce(t *testing.T) {
	tests := map[string]struct {
		n        int
		damage   func(call int, rows []m) []m
		requests int
	}{
		"nobody":             {0, nil, 1},
		"one page":           {30, nil, 1},
		"a page and no more": {75, nil, 1},
		"many":               {3000, nil, 3},
		"very many":          {12000, nil, 5}, // of which 8,000 are there
		"half a page":        {300, func(call int, rows []m) []m { return rows[:len(rows)/max(1, 3-call)] }, 3},
		"the same page repeated": {300, func(call int, rows []m) []m {
			if call == 4 {
				return []m{person("1", "")}
			}
			return rows
		}, 3},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			p, c := newPortal(t)
			p.many(tt.n, tt.damage)
			seen := map[string]int{}
			for q := (connectors.Query{Fields: []string{"NAME"}}); ; {
				page, err := c.ListContacts(t.Context(), q)
				if err != nil {
					t.Fatal(err)
				}
				for _, r := range page.Records {
					seen[r.ID]++
				}
				if q.Cursor = page.Next; q.Cursor == "" {
					break
				}
			}
			for i := 1; i <= tt.n; i++ {
				if w := map[bool]int{true: 0, false: 1}[i%3 == 0]; seen[fmt.Sprint(i)] != w {
					t.Fatalf("contact %d was listed %d times", i, seen[fmt.Sprint(i)])
				}
			}
			if p.took() > tt.requests {
				t.Errorf("took %d requests", p.took())
			}
		})
	}
}

func TestAnEmptyPageIsNotTheEnd(t *testing.T) {
	p, c := newPortal(t)
	p.many(300, func(int, []m) []m { return []m{} })
	_, err := c.ListContacts(t.Context(), connectors.Query{})
	if e := connectors.AsError(err); e == nil || e.Class != connectors.Transient {
		t.Errorf("got %v", err)
	}
}

func TestChangesSinceATime(t *testing.T) {
	since := time.Date(2026, 11, 21, 8, 30, 5, 5e8, time.UTC)
	tests := map[string]struct {
		dates  dateFilter
		filter string
	}{
		"as it should be":       {dateFilter{}, "2026-11-21T08:30:05+00:00"},
		"without an offset":     {dateFilter{zone: time.FixedZone("", 3*3600)}, "2026-11-21 11:30:05"},
		"without any filtering": {dateFilter{broken: true}, "-"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			p, c := newPortal(t)
			p.on(contactList, always([]m{
				person("1", "", "DATE_MODIFY", "2026-11-21T11:30:04+03:00"), person("2", "", "DATE_MODIFY", "2026-11-21T11:30:05+03:00"),
			}))
			if _, err := c.learned(t.Context()); err != nil {
				t.Fatal(err)
			}
			c.schema.dates = tt.dates
			page, err := c.ListContacts(t.Context(), connectors.Query{Since: since})
			if err != nil || len(page.Records) != 1 || page.Records[0].ID != "2" || page.Next != "" {
				t.Errorf("got %+v, %v", page, err)
			}
			has(t, p.calls(contactList)[0], "filter[>=DATE_MODIFY]", tt.filter, "filter[>ID]", "0", "start", "-1")
		})
	}
}

// A portal that has no answer in time to a whole batch is asked for less.
func TestASlowPortalIsAskedForFewerPages(t *testing.T) {
	p, c := newPortal(t)
	p.many(12000, nil)
	var asked []int
	p.front = func(path string, in m) any {
		cmds, _ := in["cmd"].(m)
		if len(cmds) == 0 {
			return nil
		}
		if asked = append(asked, len(cmds)-1); len(cmds) > 30 {
			return whole{status: 504, body: "<html>"}
		}
		return nil
	}
	listed, failed := 0, 0
	for q := (connectors.Query{Fields: []string{"NAME"}}); ; {
		page, err := c.ListContacts(t.Context(), q)
		if err != nil {
			if failed++; failed > 3 {
				t.Fatal(err)
			}
			continue
		}
		listed += len(page.Records)
		if q.Cursor = page.Next; q.Cursor == "" {
			break
		}
	}
	if want := []int{1, 20, 49, 24, 31, 15, 19, 24, 31}; listed != 8000 || !slices.Equal(asked[:min(len(asked), len(want))], want) {
		t.Errorf("%d were listed by pages %v", listed, asked)
	}
}

func TestABadCursorIsRefused(t *testing.T) {
	_, c := newPortal(t)
	for _, cursor := range []string{"x", "51", "0:51", "50:51", "20:", "20:x"} {
		if _, err := c.ListContacts(t.Context(), connectors.Query{Cursor: cursor}); connectors.AsError(err).Class != connectors.Rejected {
			t.Errorf("cursor %q: %v", cursor, err)
		}
	}
}

func TestWhatIsNotOffered(t *testing.T) {
	_, c := newPortal(t)
	_, deleted := c.ListDeleted(t.Context(), time.Time{}, "")
	_, subscribed := c.Subscribe(t.Context(), connectors.Subscription{Address: "https://x"})
	for _, err := range []error{deleted, subscribed} {
		var e *connectors.Error
		if !errors.As(err, &e) || e.Code != connectors.NotOffered {
			t.Errorf("got %v", err)
		}
	}
}

func TestUsersAreListed(t *testing.T) {
	p, c := newPortal(t)
	p.on(userGet, func(q url.Values) any {
		start, _ := strconv.Atoi(q.Get("start"))
		var rows []m
		for i := start; i < min(start+50, 120); i++ {
			rows = append(rows, m{"ID": fmt.Sprint(i + 1), "ACTIVE": i%2 == 0, "NAME": "Ada", "LAST_NAME": fmt.Sprint(i), "EMAIL": "a@x.it", "TIMESTAMP_X": m{}})
		}
		if start == 0 {
			return counted{rows, 120}
		}
		return rows
	})
	users, err := c.ListUsers(t.Context())
	if err != nil || len(users) != 120 || users[2] != (connectors.User{ID: "3", Name: "Ada 2", Email: "a@x.it", Active: true}) || users[1].Active {
		t.Errorf("got %d users, %v", len(users), err)
	}
	if p.took() != 2 {
		t.Errorf("took %d requests", p.took())
	}
}

func TestFieldsAreDescribed(t *testing.T) {
	p, c := newPortal(t)
	f := fields()
	f["UF_CRM_LEVEL"].(m)["title"] = "UF_CRM_LEVEL"
	f["UF_CRM_LEVEL"].(m)["formLabel"] = "Level"
	f["LAST_NAME"].(m)["isRequired"] = true
	p.on(contactFields, always(f))
	list, err := c.Describe(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	by := map[string]connectors.FieldInfo{}
	for _, i := range list {
		by[i.Name] = i
	}
	if l := by["UF_CRM_LEVEL"]; l.Label != "Level" || l.Type != connectors.TypeEnum || !slices.Equal(l.Options, []string{"Gold", "Silver"}) {
		t.Errorf("got %+v", l)
	}
	if n := by["LAST_NAME"]; !n.Required || n.MaxLength != 50 || n.Type != connectors.TypeText {
		t.Errorf("got %+v", n)
	}
	types := map[string]connectors.FieldType{
		"PHONE": connectors.TypePhone, "EMAIL": connectors.TypeText, "ASSIGNED_BY_ID": connectors.TypeOwner, "UF_CRM_LABELS": connectors.TypeLabels,
		"OPENED": connectors.TypeBool, "UF_CRM_NUMBER": connectors.TypeNumber, "BIRTHDATE": connectors.TypeTime,
	}
	for n, w := range types {
		if by[n].Type != w {
			t.Errorf("%s is %s, want %s", n, by[n].Type, w)
		}
	}
	if !by["DATE_MODIFY"].ReadOnly {
		t.Error("DATE_MODIFY can be written")
	}
}
