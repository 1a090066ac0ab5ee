package hubspot

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"crmsync/connectors"
	"crmsync/connectors/internal/journal"
)

// maxBody is how many characters a text property holds.
const maxBody = 65536

type note = journal.Note

// A logging is one call about messages.
type logging struct {
	client  *Client
	schema  *schema
	results []connectors.Result
}

// eachMessage does one of the three things to messages.
func (c *Client) eachMessage(ctx context.Context, changes []connectors.MessageChange, do func(*logging, context.Context, []*note)) []connectors.Result {
	l := logging{client: c, results: make([]connectors.Result, len(changes))}
	var err *connectors.Error
	if l.schema, err = c.learned(ctx); err != nil {
		for i := range l.results {
			l.results[i].Err = err
		}
		return l.results
	}
	do(&l, ctx, journal.Of(changes, l.results))
	return l.results
}

func (l *logging) give(n *note, res connectors.Result) {
	n.Give(l.results, res)
}

// find looks messages up.
func (l *logging) find(ctx context.Context, notes []*note) {
	if l.schema.key {
		l.findByKey(ctx, notes)
		return
	}
	byContact := map[string][]*note{}
	for _, n := range notes {
		byContact[n.ContactRecordID] = append(byContact[n.ContactRecordID], n)
	}
	for id, list := range byContact {
		l.findOnTimeline(ctx, id, list)
	}
}

// findByKey asks for the unique property, which is consistent at once.
func (l *logging) findByKey(ctx context.Context, notes []*note) {
	keys := make([]string, len(notes))
	for i, n := range notes {
		keys[i] = journal.Key(&n.MessageChange)
	}
	found, missing, err := l.client.read(ctx, communications, messageKeyProperty, keys, []string{messageKeyProperty})
	for _, n := range notes {
		key := journal.Key(&n.MessageChange)
		i := slices.IndexFunc(found, func(o object) bool { return string(o.Properties[messageKeyProperty]) == key })
		switch {
		case err != nil:
			l.give(n, connectors.Result{Err: err})
		case i >= 0:
			l.give(n, connectors.Result{RecordID: string(found[i].ID)})
		case missing[key], missing[""]:
			l.give(n, connectors.Result{})
		default:
			l.give(n, connectors.Result{Err: &connectors.Error{Class: connectors.Transient, Reason: "HubSpot's answer does not mention the message"}})
		}
	}
}

// findOnTimeline reads what is logged for a contact and compares last lines.
func (l *logging) findOnTimeline(ctx context.Context, contactID string, notes []*note) {
	fail := func(err *connectors.Error) {
		for _, n := range notes {
			l.give(n, connectors.Result{Err: err})
		}
	}
	if contactID == "" {
		fail(noContact())
		return
	}
	wanted := make(map[string]*note, len(notes))
	for _, n := range notes {
		wanted[n.WAMID] = n
	}
	err := l.client.hanging(ctx, contactID, communications, bodyProperty, func(id, body string) bool {
		wamid := marked(body)
		if n := wanted[wamid]; n != nil {
			l.give(n, connectors.Result{RecordID: id})
			delete(wanted, wamid)
		}
		return len(wanted) > 0
	})
	if err != nil {
		fail(err)
	}
}

// hanging shows what hangs on a contact, with one property of it, a page at a
// time for as long as more is wanted. Associations are storage and not the search
// index, so they do not lag.
func (c *Client) hanging(ctx context.Context, contactID, typ, property string, show func(id, value string) (more bool)) *connectors.Error {
	path := c.paths.associations + contacts + "/" + url.PathEscape(contactID) + "/associations/" + typ
	q := url.Values{"limit": {"500"}}
	for {
		var p associationPage
		if err := c.call(ctx, named, http.MethodGet, path, q, nil, &p); err != nil {
			return err
		}
		var ids []string
		for _, r := range p.Results {
			if id := string(r.ToObjectID); id != "" {
				ids = append(ids, id)
			} else if r.ID != "" {
				ids = append(ids, string(r.ID))
			}
		}
		slices.Sort(ids)
		// What was deleted since is missing, which is fine.
		objects, _, err := c.read(ctx, typ, "", slices.Compact(ids), []string{property})
		if err != nil {
			return err
		}
		more := true
		for i := range objects {
			more = show(string(objects[i].ID), string(objects[i].Properties[property]))
		}
		after := string(p.Paging.Next.After)
		if !more || after == "" || after == q.Get("after") {
			return nil
		}
		q.Set("after", after)
	}
}

func noContact() *connectors.Error {
	return &connectors.Error{Class: connectors.Conflict, Code: "NO_CONTACT", Reason: "the message's contact is not in HubSpot yet"}
}

// create logs messages. One that HubSpot has already, by its unique property,
// is as good as created.
func (l *logging) create(ctx context.Context, notes []*note) {
	if l.schema.key {
		l.createAll(ctx, notes)
		return
	}
	// By their last lines two messages of one wamid could not be told apart
	// in an answer, so they go in different calls.
	for len(notes) > 0 {
		var now, later []*note
		seen := map[string]bool{}
		for _, n := range notes {
			if seen[n.WAMID] {
				later = append(later, n)
				continue
			}
			seen[n.WAMID] = true
			now = append(now, n)
		}
		l.createAll(ctx, now)
		notes = later
	}
}

func (l *logging) createAll(ctx context.Context, notes []*note) {
	var inputs []input
	var sent []*note
	for _, n := range notes {
		if n.ContactRecordID == "" {
			l.give(n, connectors.Result{Err: noContact()})
			continue
		}
		p := l.properties(n)
		p["hs_communication_channel_type"] = "WHATS_APP"
		// Anything else is refused (HubSpot: communications guide).
		p["hs_communication_logged_from"] = "CRM"
		if l.schema.key {
			p[messageKeyProperty] = journal.Key(&n.MessageChange)
		}
		if l.schema.wamid {
			p[wamidProperty] = n.WAMID
		}
		if l.schema.direction {
			p[directionProperty] = string(n.Direction)
		}
		inputs = append(inputs, input{
			Properties:   p,
			Associations: []association{{To: reference{n.ContactRecordID}, Types: []associationType{communicationToContact}}},
		})
		sent = append(sent, n)
	}

	match := byProperty(messageKeyProperty)
	if !l.schema.key {
		match = func(in *input, o *object) bool {
			w := marked(string(o.Properties[bodyProperty]))
			return w != "" && w == marked(in.Properties[bodyProperty])
		}
	}
	var there []*note
	for i, o := range l.client.write(ctx, creating, l.client.paths.objects+communications+"/batch/create", inputs, match) {
		n := sent[i]
		switch {
		case o.err == nil:
			l.give(n, connectors.Result{RecordID: string(o.object.ID), Created: true})
			continue
		case l.schema.key && o.err.Class == connectors.Conflict && o.err.Code != "INVALID_OBJECT_IDS" && o.err.Code != "OBJECT_NOT_FOUND":
			there = append(there, n)
		}
		l.give(n, connectors.Result{Err: o.err})
	}
	if len(there) == 0 {
		return
	}
	before := make([]*connectors.Error, len(there))
	for i, n := range there {
		before[i] = n.Result(l.results).Err
	}
	l.findByKey(ctx, there)
	for i, n := range there {
		if res := n.Result(l.results); res.Err == nil && res.RecordID == "" {
			l.give(n, connectors.Result{Err: before[i]})
		}
	}
}

// update writes text and status of messages by their ids.
func (l *logging) update(ctx context.Context, notes []*note) {
	var inputs []input
	var sent []*note
	seen := map[string]bool{}
	for _, n := range notes {
		switch {
		case n.RecordID == "":
			l.give(n, connectors.Result{Err: &connectors.Error{Class: connectors.Conflict, Reason: "the message is not in HubSpot yet"}})
			continue
		case seen[n.RecordID]:
			l.give(n, connectors.Result{Err: &connectors.Error{Class: connectors.Conflict, Reason: "two messages have one record"}})
			continue
		}
		seen[n.RecordID] = true
		inputs = append(inputs, input{ID: n.RecordID, Properties: l.properties(n)})
		sent = append(sent, n)
	}
	for i, o := range l.client.write(ctx, batched, l.client.paths.objects+communications+"/batch/update", inputs, byID) {
		if o.err != nil {
			l.give(sent[i], connectors.Result{Err: o.err})
			continue
		}
		l.give(sent[i], connectors.Result{RecordID: sent[i].RecordID})
	}
}

// properties are those that change during a message's life.
func (l *logging) properties(n *note) map[string]string {
	at := n.At
	if at.IsZero() {
		at = time.Now()
	}
	p := map[string]string{"hs_timestamp": instant(at)}
	if l.schema.complete() {
		p[bodyProperty] = connectors.Cut(n.Text, maxBody)
	} else {
		m := marker(&n.MessageChange)
		p[bodyProperty] = connectors.Cut(n.Text, maxBody-connectors.Length(m)) + m
	}
	if l.schema.status && n.Status != "" {
		p[statusProperty] = n.Status
	}
	return p
}

const (
	markerStart = "\n\n— WhatsApp "
	markerDot   = " · "
)

// marker is the last line of a message in an account that does not allow all
// of our properties: "— WhatsApp in · delivered · wamid.X".
func marker(ch *connectors.MessageChange) string {
	parts := []string{ch.Word(string(ch.Direction)), ch.WAMID}
	if ch.Status != "" {
		parts = slices.Insert(parts, 1, ch.Word(ch.Status))
	}
	return markerStart + strings.Join(parts, markerDot)
}

// marked is the wamid in a body's last line, or empty. Other text may quote
// such a line; ours is the last. HubSpot's editor may have wrapped it in tags.
func marked(body string) string {
	i := strings.LastIndex(body, strings.TrimLeft(markerStart, "\n"))
	if i < 0 {
		return ""
	}
	line := body[i:]
	j := strings.LastIndex(line, markerDot)
	if j < 0 {
		return ""
	}
	wamid, _, _ := strings.Cut(line[j+len(markerDot):], "<")
	return strings.TrimSpace(wamid)
}
