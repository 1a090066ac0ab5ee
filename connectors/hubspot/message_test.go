package hubspot

import (
	"strings"
	"testing"
	"time"
	"unicode/utf16"
	"unicode/utf8"

	"crmsync/connectors"
)

// properties says which of our properties communications have.
func (p *portal) properties(names ...string) {
	var list []m
	for _, n := range names {
		list = append(list, m{"name": n, "type": "string", "fieldType": "text", "hasUniqueValue": n == messageKeyProperty})
	}
	p.on("GET properties/2026-09/communications", say(200, m{"results": list}))
}

func message(wamid string) connectors.MessageChange {
	return connectors.MessageChange{
		ContactRecordID: "51", WAMID: wamid, BusinessNumber: "1", Direction: connectors.In, Text: "hello",
		Status: "delivered", At: time.Date(2026, 11, 21, 8, 0, 0, 0, time.UTC),
	}
}

func TestAMessageIsLoggedWithItsProperties(t *testing.T) {
	p, c := newPortal(t)
	p.properties(messageKeyProperty, wamidProperty, directionProperty, statusProperty)
	p.on(createMessages, accept)
	got := c.CreateMessages(t.Context(), []connectors.MessageChange{message("wamid.A"), message("wamid.B"), message("wamid.A"), {WAMID: "wamid.C", Text: "x"}, {}})
	want(t, got, "+9000", "+9001", "+9000", "conflict", "rejected")
	body := p.calls(createMessages)[0].body
	for _, s := range []string{
		`"hs_communication_body":"hello"`, `"hs_communication_channel_type":"WHATS_APP"`, `"hs_communication_logged_from":"CRM"`,
		`"hs_timestamp":"2026-11-21T08:00:00.000Z"`, `"crmsync_wamid":"wamid.A"`, `"crmsync_message_key":"1/wamid.A"`, `"crmsync_direction":"in"`, `"crmsync_status":"delivered"`,
		`"associations":[{"to":{"id":"51"},"types":[{"associationCategory":"HUBSPOT_DEFINED","associationTypeId":81}]}]`,
	} {
		if !strings.Contains(body, s) {
			t.Errorf("%s lacks %s", body, s)
		}
	}
}

func TestWithoutPropertiesAMessageCarriesALastLine(t *testing.T) {
	p, c := newPortal(t)
	p.properties()
	p.on(createMessages, accept)
	second := message("wamid.B")
	second.Direction, second.Status = connectors.Out, ""
	want(t, c.CreateMessages(t.Context(), []connectors.MessageChange{message("wamid.A"), second}), "+9000", "+9001")
	in := p.calls(createMessages)[0].in.Inputs
	if got, want := in[0].Properties[bodyProperty], "hello\n\n— WhatsApp in · delivered · wamid.A"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got, want := in[1].Properties[bodyProperty], "hello\n\n— WhatsApp out · wamid.B"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	for name := range in[0].Properties {
		if strings.HasPrefix(name, prefix) {
			t.Errorf("%s is written although the account has no such property", name)
		}
	}
}

func TestAMessageThatIsThereAlreadyIsSuccess(t *testing.T) {
	taken := m{"category": "VALIDATION_ERROR", "message": "Cannot set PropertyValueCoordinates{propertyName=crmsync_message_key, value=1/wamid.A} on 1. 7 already has that value."}
	tests := map[string]struct {
		create, read reply
		want         string
	}{
		"refused as a whole": {say(400, taken), people(person("7", messageKeyProperty, "1/wamid.A")), "7"},
		"named in a 207":     {say(207, m{"errors": []m{{"category": "CONFLICT", "message": "exists", "context": m{"objectWriteTraceId": []string{"0"}}}}}), people(person("7", messageKeyProperty, "1/wamid.A")), "7"},
		"nowhere to be seen": {say(400, taken), say(207, m{"errors": []m{{"category": "OBJECT_NOT_FOUND", "context": m{"ids": []string{"1/wamid.A"}}}}}), "conflict 7"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			p, c := newPortal(t)
			p.properties(messageKeyProperty, wamidProperty, directionProperty, statusProperty)
			p.on(createMessages, tt.create)
			p.on(readMessages, tt.read)
			want(t, c.CreateMessages(t.Context(), []connectors.MessageChange{message("wamid.A")}), tt.want)
		})
	}
}

func TestALostAnswerToACreateIsNotRepeated(t *testing.T) {
	for name, answer := range map[string]reply{
		"reset": say(0, nil), "outage": say(502, "<html>"), "cut short": say(201, `{"results":[{"id":"1"`), "silence": say(201, m{"results": []m{}}),
	} {
		t.Run(name, func(t *testing.T) {
			p, c := newPortal(t)
			p.properties(messageKeyProperty, wamidProperty, directionProperty, statusProperty)
			p.on(createMessages, answer)
			want(t, c.CreateMessages(t.Context(), []connectors.MessageChange{message("wamid.A"), message("wamid.B")}), "unknown_outcome", "unknown_outcome")
			if n := len(p.calls(createMessages)); n != 1 {
				t.Errorf("sent %d times", n)
			}
		})
	}
}

func TestAMessageOfADeletedContactIsAConflict(t *testing.T) {
	p, c := newPortal(t)
	p.properties(messageKeyProperty, wamidProperty, directionProperty, statusProperty)
	p.on(createMessages, func(in batch) (int, any) {
		for _, x := range in.Inputs {
			if x.Associations[0].To.ID == "99" {
				return 400, m{"message": "One or more associations are invalid", "context": m{"INVALID_OBJECT_IDS": []string{"CONTACT=99 is not valid"}}, "category": "VALIDATION_ERROR"}
			}
		}
		return accept(in)
	})
	gone := message("wamid.B")
	gone.ContactRecordID = "99"
	want(t, c.CreateMessages(t.Context(), []connectors.MessageChange{message("wamid.A"), gone, message("wamid.C")}), "+9000", "conflict", "+9000")
}

func TestMessagesAreFoundByTheirProperty(t *testing.T) {
	p, c := newPortal(t)
	p.properties(messageKeyProperty, wamidProperty, directionProperty, statusProperty)
	p.on(readMessages, say(207, m{
		"results": []m{person("7", messageKeyProperty, "1/wamid.B")},
		"errors":  []m{{"category": "OBJECT_NOT_FOUND", "context": m{"ids": []string{"1/wamid.A"}}}},
	}))
	got := c.FindMessages(t.Context(), []connectors.MessageChange{message("wamid.A"), message("wamid.B"), message("wamid.C")})
	// Not mentioned at all is not the same as not there.
	want(t, got, "", "7", "transient")
	if in := p.calls(readMessages)[0].in; in.IDProperty != messageKeyProperty {
		t.Errorf("got %+v", in)
	}
}

func TestMissingMessagesNeedNotBeNamed(t *testing.T) {
	p, c := newPortal(t)
	p.properties(messageKeyProperty, wamidProperty, directionProperty, statusProperty)
	p.on(readMessages, say(207, m{
		"results": []m{person("7", messageKeyProperty, "1/wamid.B")},
		"errors":  []m{{"category": "OBJECT_NOT_FOUND", "message": "Could not get some"}},
	}))
	want(t, c.FindMessages(t.Context(), []connectors.MessageChange{message("wamid.A"), message("wamid.B")}), "", "7")
}

func TestMessagesAreFoundByTheirLastLine(t *testing.T) {
	p, c := newPortal(t)
	p.properties(statusProperty)
	path := "GET objects/2026-09/contacts/51/associations/communications"
	p.on(path,
		say(200, m{"results": []m{{"toObjectId": 71}, {"toObjectId": 72}}, "paging": m{"next": m{"after": "72"}}}),
		say(200, m{"results": []m{{"id": "73"}}}))
	p.on(readMessages,
		people(person("71", bodyProperty, "quoting — WhatsApp in · wamid.C\n\n— WhatsApp in · read · wamid.A"), person("72", bodyProperty, "no marker wamid.B")),
		people(person("73", bodyProperty, "<p>hello</p><p>— WhatsApp out · wamid.B</p>")))
	want(t, c.FindMessages(t.Context(), []connectors.MessageChange{message("wamid.A"), message("wamid.B"), message("wamid.C")}), "71", "73", "")
}

func TestAStatusIsWrittenOntoTheMessage(t *testing.T) {
	p, c := newPortal(t)
	p.properties(messageKeyProperty, wamidProperty, directionProperty, statusProperty)
	p.on(updateMessages, func(in batch) (int, any) {
		return 207, m{"results": []m{{"id": "7"}}, "errors": []m{{"category": "OBJECT_NOT_FOUND", "context": m{"ids": []string{"8"}}}}}
	})
	a, b := message("wamid.A"), message("wamid.B")
	a.RecordID, b.RecordID = "7", "8"
	want(t, c.UpdateMessages(t.Context(), []connectors.MessageChange{a, b, message("wamid.C")}), "7", "conflict", "conflict")
	if p := p.calls(updateMessages)[0].in.Inputs[0].Properties; p[statusProperty] != "delivered" || p[bodyProperty] != "hello" {
		t.Errorf("got %v", p)
	}
}

func TestALongMessageIsCutBetweenCharacters(t *testing.T) {
	p, c := newPortal(t)
	p.properties()
	p.on(createMessages, accept)
	long := message("wamid.A")
	long.Text = strings.Repeat("a😀", 40_000)
	want(t, c.CreateMessages(t.Context(), []connectors.MessageChange{long}), "+9000")
	got := p.calls(createMessages)[0].in.Inputs[0].Properties[bodyProperty]
	if n := len(utf16.Encode([]rune(got))); n > maxBody || n < maxBody-2 || !utf8.ValidString(got) {
		t.Errorf("got %d characters, valid %v", n, utf8.ValidString(got))
	}
	if !strings.Contains(got, "…\n\n— WhatsApp in · delivered · wamid.A") {
		t.Errorf("the end is %q", got[len(got)-80:])
	}
	if s := strings.Repeat("x", maxBody); connectors.Cut(s, maxBody) != s {
		t.Error("a message that fits is cut")
	}
}
