package bitrix24

import (
	"context"
	"encoding/json"
	"time"
	"unicode/utf8"

	"crmsync/connectors"
)

// comments write messages as comments on the timelines of contacts: what an
// inbound webhook may write and change (Bitrix24: timeline comments).
type comments struct{}

// find reads the timelines of the contacts, newest first, until a comment is
// older than the messages.
func (comments) find(ctx context.Context, l *logging, notes []*note) {
	var searches []*timeline
	for _, group := range byContact(l.placed(notes)) {
		s := &timeline{logging: l, wanted: map[string]*note{}, contact: group[0].ContactRecordID, until: reachBack(oldest(group)), start: "0"}
		for _, n := range group {
			s.wanted[n.WAMID] = n
		}
		searches = append(searches, s)
	}
	for len(searches) > 0 {
		cmds := make([]command, len(searches))
		for i, s := range searches {
			cmds[i] = s.page()
		}
		l.client.run(ctx, cmds)
		var more []*timeline
		for _, s := range searches {
			if s.start != "" {
				more = append(more, s)
			}
		}
		searches = more
	}
}

// A timeline is a search in the comments of one contact.
type timeline struct {
	*logging
	contact string
	wanted  map[string]*note
	until   time.Time
	// start is where the next page starts, empty when the search is over.
	start string
}

// commentsOf asks for a page of a contact's comments, the newest first.
func commentsOf(contact, start string) params {
	return params{
		"filter": params{"ENTITY_TYPE": contactTypeName, "ENTITY_ID": contact},
		"order":  params{"ID": "DESC"},
		"select": []string{"ID", "COMMENT", "CREATED"},
		"start":  start,
	}
}

// reachBack is when comments end that may hold what was sent at a time: no clock
// is a day wrong. What has no time may be anywhere, which is zero.
func reachBack(at time.Time) time.Time {
	if at.IsZero() {
		return at
	}
	return at.Add(-24 * time.Hour)
}

func (s *timeline) page() command {
	return command{
		method: commentList,
		rank:   messages,
		params: commentsOf(s.contact, s.start),
		done: func(o outcome) {
			s.start = ""
			var found list[comment]
			if err := o.decode(&found); err != nil {
				for _, n := range s.wanted {
					s.fail(n, err)
				}
				return
			}
			for _, c := range found {
				s.see(c)
				if at := parseTime(string(c.Created)); !at.IsZero() && at.Before(s.until) {
					return
				}
			}
			if len(s.wanted) > 0 && len(found) > 0 {
				s.start = o.next
			}
		},
	}
}

func (s *timeline) see(c comment) {
	var held []string
	for _, p := range pieces(string(c.Comment)) {
		if p.wamid != "" {
			held = append(held, p.wamid)
		}
	}
	for _, wamid := range held {
		n := s.wanted[wamid]
		if n == nil {
			continue
		}
		id := string(c.ID)
		if len(held) > 1 {
			id = severalID(id, wamid)
		}
		s.give(n, connectors.Result{RecordID: id})
		delete(s.wanted, wamid)
	}
}

// create adds a comment for every message; for all messages of a contact when
// the time for adding comments runs short.
func (comments) create(ctx context.Context, l *logging, notes []*note) {
	notes = l.placed(notes)
	var cmds []command
	if !l.client.budget.short(commentAdd) {
		for _, n := range notes {
			cmds = append(cmds, l.comment([]*note{n}))
		}
		l.client.run(ctx, cmds)
		return
	}
	for _, group := range byContact(notes) {
		for len(group) > 0 {
			size, n := 0, 0
			for n < len(group) && (n == 0 || size+utf8.RuneCountInString(group[n].Text) <= maxComment) {
				size += utf8.RuneCountInString(group[n].Text)
				n++
			}
			cmds = append(cmds, l.comment(group[:n]))
			group = group[n:]
		}
	}
	l.client.run(ctx, cmds)
}

// comment adds one comment with the notes, which belong to one contact.
func (l *logging) comment(notes []*note) command {
	all := make([]piece, len(notes))
	for i, n := range notes {
		all[i] = piece{n.WAMID, block(&n.MessageChange)}
	}
	return command{
		method:  commentAdd,
		rank:    messages,
		creates: true,
		subject: notes[0].ContactRecordID,
		params: params{"fields": params{
			"ENTITY_TYPE": contactTypeName, "ENTITY_ID": notes[0].ContactRecordID, "COMMENT": together(all),
		}},
		done: func(o outcome) {
			var id value
			err := o.err
			if err == nil && (json.Unmarshal(o.result, &id) != nil || !isID(string(id))) {
				err = silent(&command{creates: true})
			}
			for _, n := range notes {
				switch {
				case err != nil:
					l.fail(n, err)
				case len(notes) == 1:
					l.give(n, connectors.Result{RecordID: string(id), Created: true})
				default:
					l.give(n, connectors.Result{RecordID: severalID(string(id), n.WAMID), Created: true})
				}
			}
		},
	}
}

// update writes comments again. One that holds several messages is read first,
// and nobody else writes such a comment meanwhile.
func (comments) update(ctx context.Context, l *logging, notes []*note) {
	var cmds []command
	shared := map[string][]*note{}
	var order []string
	single := map[string]bool{}
	for _, n := range notes {
		id, several := commentOf(n.RecordID)
		switch {
		case !isID(id):
			l.fail(n, notThere())
		case several:
			if shared[id] == nil {
				order = append(order, id)
			}
			shared[id] = append(shared[id], n)
		case single[id]:
			l.fail(n, &connectors.Error{Class: connectors.Conflict, Reason: "two messages have one record"})
		default:
			single[id] = true
			cmds = append(cmds, l.rewrite(id, []*note{n}, block(&n.MessageChange)))
		}
	}
	if len(order) == 0 {
		l.client.run(ctx, cmds)
		return
	}
	if err := acquire(ctx, l.client.rewriting); err != nil {
		for _, id := range order {
			for _, n := range shared[id] {
				l.fail(n, err)
			}
		}
		l.client.run(ctx, cmds)
		return
	}
	defer func() { <-l.client.rewriting }()
	var rewrites []command
	for _, id := range order {
		cmds = append(cmds, command{
			method: commentGet,
			rank:   messages,
			params: params{"id": id},
			done: func(o outcome) {
				var c comment
				if err := o.decode(&c); err != nil {
					for _, n := range shared[id] {
						l.fail(n, err)
					}
					return
				}
				if there, text := l.replace(string(c.Comment), shared[id]); len(there) > 0 {
					rewrites = append(rewrites, l.rewrite(id, there, text))
				}
			},
		})
	}
	l.client.run(ctx, cmds)
	l.client.run(ctx, rewrites)
}

// replace puts the notes in the place of their pieces. It returns those that
// had one.
func (l *logging) replace(text string, notes []*note) (there []*note, again string) {
	all := pieces(text)
	for _, n := range notes {
		found := false
		for i := range all {
			if all[i].wamid == n.WAMID {
				all[i].text, found = block(&n.MessageChange), true
			}
		}
		if !found {
			l.fail(n, notThere())
			continue
		}
		there = append(there, n)
	}
	return there, together(all)
}

func (l *logging) rewrite(id string, notes []*note, text string) command {
	return command{
		method: commentUpdate,
		rank:   messages,
		params: params{"id": id, "fields": params{"COMMENT": text}},
		done: func(o outcome) {
			for _, n := range notes {
				if o.err != nil {
					l.fail(n, o.err)
					continue
				}
				l.give(n, connectors.Result{RecordID: n.RecordID})
			}
		},
	}
}
