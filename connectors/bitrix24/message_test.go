package bitrix24

import (
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"crmsync/connectors"
)

var noon = time.Date(2026, 11, 20, 12, 0, 0, 0, time.FixedZone("", 3600))

func message(wamid, contact string) connectors.MessageChange {
	return connectors.MessageChange{
		WAMID: wamid, ContactRecordID: contact, BusinessNumber: "1", Direction: connectors.In, Text: "hello " + wamid, Status: "delivered", At: noon,
	}
}

func written(id string, ch connectors.MessageChange) connectors.MessageChange {
	ch.RecordID = id
	return ch
}

func TestAMessageIsACommentWithAMarker(t *testing.T) {
	p, c := newPortal(t)
	p.on(commentAdd, growing(70))
	later := message("wamid.A=", "51")
	later.At = noon.Add(time.Minute)
	first := connectors.MessageChange{WAMID: "wamid.B", ContactRecordID: "51", Direction: connectors.Out, At: noon, Text: "[b]a[/b]\r\n— WhatsApp in · x · wamid.EVIL\n[Image] z"}
	got := c.CreateMessages(t.Context(), []connectors.MessageChange{later, first, message("", "51"), message("wamid.C", "")})
	want(t, got, "+72", "+71", "rejected", "conflict NO_CONTACT")
	q := p.calls(commentAdd)
	has(t, q[0], "fields[ENTITY_ID]", "51", "fields[ENTITY_TYPE]", "contact",
		"fields[COMMENT]", "&#91;b]a&#91;/b]\n– WhatsApp in · x · wamid.EVIL\n[Image] z\n\n— WhatsApp out · 2026-11-20T11:00:00Z · wamid.B")
	has(t, q[1], "fields[COMMENT]", "hello wamid.A=\n\n— WhatsApp in · 2026-11-20T11:01:00Z · delivered · wamid.A=")
	if p.took() != 1 {
		t.Errorf("took %d requests", p.took())
	}
}

func TestMessagesShareACommentWhenTimeRunsShort(t *testing.T) {
	p, c := newPortal(t)
	p.on(commentAdd, growing(70))
	p.operating[commentAdd] = 241
	want(t, c.CreateMessages(t.Context(), []connectors.MessageChange{message("a", "51"), message("b", "51")}), "+71", "+72")
	got := c.CreateMessages(t.Context(), []connectors.MessageChange{message("d", "51"), message("e", "52"), message("f", "51")})
	want(t, got, "+73#d", "+74", "+73#f")
	has(t, p.calls(commentAdd)[2], "fields[COMMENT]",
		"hello d\n\n— WhatsApp in · 2026-11-20T11:00:00Z · delivered · d\n\nhello f\n\n— WhatsApp in · 2026-11-20T11:00:00Z · delivered · f")

	big := message("g", "51")
	big.Text = strings.Repeat("x", maxText)
	other := big
	other.WAMID = "h"
	want(t, c.CreateMessages(t.Context(), []connectors.MessageChange{big, other}), "+75", "+76")
}

func TestUpdatesRewriteTheirOwnPart(t *testing.T) {
	p, c := newPortal(t)
	text := func(wamid, status string) string {
		return "hello " + wamid + "\n\n— WhatsApp in · 2026-11-20T11:00:00Z · " + status + " · " + wamid
	}
	p.on(commentGet, func(q url.Values) any {
		if q.Get("id") == "74" {
			return no{code: "NOT_FOUND", text: "Not found."}
		}
		return m{"ID": q.Get("id"), "COMMENT": text("a", "sent") + "\r\n\r\n" + text("b", "sent") + "\n\nfrom a colleague\n"}
	})
	p.on(commentUpdate, func(q url.Values) any {
		if q.Get("id") == "72" {
			return no{code: "", text: "Not found."}
		}
		return 1
	})
	got := c.UpdateMessages(t.Context(), []connectors.MessageChange{
		written("71", message("x", "51")), written("72", message("y", "51")),
		written("73#a", message("a", "51")), written("73#z", message("z", "51")), written("74#a", message("q", "51")),
		written("", message("w", "51")), written("71", message("v", "51")),
	})
	want(t, got, "71", "conflict NOT_FOUND", "73#a", "conflict NOT_FOUND", "conflict NOT_FOUND", "conflict NOT_FOUND", "conflict")
	q := p.calls(commentUpdate)
	has(t, q[0], "id", "71", "fields[COMMENT]", text("x", "delivered"))
	has(t, q[2], "id", "73", "fields[COMMENT]", text("a", "delivered")+"\n\n"+text("b", "sent")+"\n\nfrom a colleague")
	if p.took() != 2 {
		t.Errorf("took %d requests", p.took())
	}
}

func TestMessagesAreFoundByTheirMarkers(t *testing.T) {
	p, c := newPortal(t)
	created := func(id int, wamids ...string) m {
		var all []string
		for _, w := range wamids {
			ch := message(w, "51")
			all = append(all, block(&ch))
		}
		return m{"ID": fmt.Sprint(id), "COMMENT": strings.Join(all, "\n\n"), "CREATED": "2026-11-20T15:00:00+03:00"}
	}
	p.on(commentList, func(q url.Values) any {
		has(t, q, "filter[ENTITY_TYPE]", "contact", "order[ID]", "DESC")
		switch {
		case q.Get("filter[ENTITY_ID]") == "53":
			return no{code: "OWNER_NOT_FOUND", text: "Owner was not found"}
		case q.Get("filter[ENTITY_ID]") == "52":
			old := m{"ID": "1", "COMMENT": "x", "CREATED": "2026-11-18T15:00:00+03:00"}
			return paged{[]m{old}, 50}
		case q.Get("start") == "0":
			return paged{[]m{created(80, "a"), created(79, "b", "c"), {"ID": "78", "COMMENT": "by hand"}}, 50}
		}
		return []m{created(30, "d")}
	})
	got := c.FindMessages(t.Context(), []connectors.MessageChange{
		message("a", "51"), message("c", "51"), message("d", "51"), message("e", "51"), message("f", "52"), message("g", "53"), message("h", ""),
	})
	want(t, got, "80", "79#c", "30", "", "", "conflict OWNER_NOT_FOUND", "conflict NO_CONTACT")
	if p.took() != 2 {
		t.Errorf("took %d requests", p.took())
	}
}

func TestACommentWhoseAnswerIsLost(t *testing.T) {
	tests := map[string]struct {
		answer any
		want   string
	}{
		"not mentioned":      {whole{}, "unknown_outcome"},
		"no id":              {nil, "unknown_outcome"},
		"no owner":           {no{code: "OWNER_NOT_FOUND", text: "Owner was not found"}, "conflict OWNER_NOT_FOUND"},
		"empty":              {no{code: "INVALID_ARG_VALUE", text: "Empty comment message."}, "rejected INVALID_ARG_VALUE"},
		"blocked in a batch": {no{code: "OPERATION_TIME_LIMIT", text: "x"}, "throttled OPERATION_TIME_LIMIT"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			p, c := newPortal(t)
			p.on(commentAdd, always(tt.answer))
			want(t, c.CreateMessages(t.Context(), []connectors.MessageChange{message("a", "51")}), tt.want)
		})
	}
}

func TestABlockedMethodIsHeldAndOthersGoOn(t *testing.T) {
	p, c := newPortal(t)
	p.on(commentAdd, always(no{code: "OPERATION_TIME_LIMIT"}))
	p.on(commentUpdate, always(1))
	p.operating[commentUpdate] = 3
	first := c.CreateMessages(t.Context(), []connectors.MessageChange{message("a", "51")})
	again := c.CreateMessages(t.Context(), []connectors.MessageChange{message("a", "51")})
	want(t, first, "throttled OPERATION_TIME_LIMIT")
	want(t, again, "throttled OPERATION_TIME_LIMIT")
	if w := again[0].Err.RetryAfter; w <= 0 || w > 10*time.Minute {
		t.Errorf("wait %s", w)
	}
	if n := len(p.calls(commentAdd)); n != 1 {
		t.Errorf("asked %d times", n)
	}
	want(t, c.UpdateMessages(t.Context(), []connectors.MessageChange{written("7", message("a", "51"))}), "7")
}

func TestTheWaitOfABlockedMethodIsWhatTheLastAnswerSaid(t *testing.T) {
	var b budget
	b.note("x", timing{Finish: "1788246000.5", Operating: "479.5", ResetAt: "1788246061"})
	if !b.short("x") || b.short("y") || b.hold("x") != nil {
		t.Error("wrong from the start")
	}
	if w := b.refuse("x"); w < 59*time.Second || w > 61*time.Second {
		t.Errorf("wait %s", w)
	}
	if e := b.hold("x"); e == nil || e.Class != connectors.Throttled || e.RetryAfter < 59*time.Second {
		t.Errorf("hold %v", e)
	}
	if w := b.refuse("y"); w != 15*time.Second {
		t.Errorf("wait %s without a word", w)
	}
	b.methods["y"].held = time.Time{}
	if w := b.refuse("y"); w != 30*time.Second {
		t.Errorf("second wait %s", w)
	}
}
