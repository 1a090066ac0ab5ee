package record_test

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"crmsync/connectors"
	"crmsync/sync/directory"
	"crmsync/sync/record"
)

const complaints = `fields:
  score: {type: number}
  manager: {type: text}
teams: {support: [anna@example.com, ben@example.com, carla@example.com]}
rules:
  - name: complaint
    when: {keyword: [refund, reclamo]}
    do:
      - add_label: complaint
      - priority: high
      - set: {score: "${unread_count}", country: AT}
      - assign: {team: support}
      - task: {title: "Complaint of ${name}", text: "${text}", due: 4h, to: owner, priority: high, account: hubspot}
      - notify: {to: slack, text: "Complaint: ${name}"}
      - reply: {to: sender, template: complaint_received, language: it, parameters: ["${first_name}"]}
`

// notices are those that wait, as "receiver event text template".
func (town *town) notices() (all []string) {
	town.Helper()
	receivers, err := town.db.ReceiversDue(ctx)
	if err != nil {
		town.Fatal(err)
	}
	for _, r := range receivers {
		list, err := town.db.NoticesDue(ctx, r, 100)
		if err != nil {
			town.Fatal(err)
		}
		for _, n := range list {
			m := n.Message
			if n.ID == "" || m.ID != n.ID || m.ContactID == 0 {
				town.Errorf("notice %+v", n)
			}
			all = append(all, strings.TrimSpace(strings.Join([]string{n.Receiver, m.Event, m.Text, m.Template, m.Language, m.Phone, m.BusinessNumber, strings.Join(m.Parameters, " ")}, " ")))
		}
	}
	return all
}

func (town *town) tasks() (all []directory.Task) {
	town.Helper()
	for id := range int64(50) {
		list, err := town.db.Tasks(ctx, []int64{id + 1})
		if err != nil {
			town.Fatal(err)
		}
		for _, task := range list {
			all = append(all, *task)
		}
	}
	return all
}

func (town *town) field(wamid, name string) directory.Value {
	town.Helper()
	return town.contact(town.talker(wamid)).Fields[name]
}

// refuses says no to the first commits.
type refuses struct {
	record.Store
	times int
}

var errNoCommit = errors.New("the commit was lost")

func (s *refuses) Record(ctx context.Context, f func(tx directory.Tx) error) error {
	return s.Store.Record(ctx, func(tx directory.Tx) error {
		if err := f(tx); err != nil {
			return err
		}
		if s.times--; s.times >= 0 {
			return errNoCommit
		}
		return nil
	})
}

func TestARuleActsOnceOnAFact(t *testing.T) {
	inTown(t, complaints, func(town *town) {
		complaint := message("w1", 0, kerry(), connectors.In, "I want a REFUND")
		town.r.Store = &refuses{town.db, 2}
		for range 2 {
			if _, err := town.r.Record(ctx, []directory.Fact{complaint}); !errors.Is(err, errNoCommit) {
				town.Fatal(err)
			}
		}
		if n := town.notices(); len(n) != 0 {
			town.Errorf("notices of what was not recorded: %v", n)
		}
		result := apply(town.T, town.r, complaint, complaint)
		if len(result.Fired) != 1 || result.Fired[0].Rule != "complaint" || len(result.Fired[0].Problems) != 0 {
			town.Errorf("fired: %+v", result.Fired)
		}
		for i := range 3 { // the same again, by itself, with others and after a restart
			again := []directory.Fact{complaint}
			if i > 0 {
				again = append(again, message(fmt.Sprint("other ", i), 1, &connectors.Person{WAID: "393331234567"}, connectors.In, "ciao"))
			}
			r := *town.r
			if fired := apply(town.T, &r, again...).Fired; len(fired) != 0 {
				town.Errorf("fired again: %+v", fired)
			}
		}
		got := town.contact(town.talker("w1"))
		for name, want := range map[string]string{"labels": "complaint", "priority": "high", "score": "1", "country": "AT", "owner": "anna@example.com"} {
			if v := got.Fields[name]; v.Text != want || v.Rule != "complaint" || v.Line == 0 || v.Revision == "" || v.Fact != complaint.ID || v.Account != "whatsapp" || !v.Entered {
				town.Errorf("%s is %+v, want %q", name, v, want)
			}
		}
		want := []string{"sender template_reply  complaint_received it +16315555555 1000 Kerry", "slack rule Complaint: Kerry Fisher"}
		if got := town.notices(); !reflect.DeepEqual(got, want) {
			town.Errorf("notices %q, want %q", got, want)
		}
		tasks := town.tasks()
		if len(tasks) != 1 {
			town.Fatalf("tasks %+v", tasks)
		}
		task := tasks[0]
		if task.Title != "Complaint of Kerry Fisher" || task.Text != "I want a REFUND" || task.Owner != "anna@example.com" || task.Priority != "high" ||
			!task.Due.Equal(start.Add(5*time.Hour)) || task.ContactID != got.ID || task.Rule != "complaint" || task.Key == "" {
			town.Errorf("the task is %+v", task)
		}
		// Who is next is whoever would have been, had nothing been tried twice.
		apply(town.T, town.r, message("w2", 2, kerry(), connectors.In, "refund!"), message("w3", 3, &connectors.Person{WAID: "393331234567"}, connectors.In, "reclamo"))
		if a, b := town.field("w2", "owner").Text, town.field("w3", "owner").Text; a != "ben@example.com" || b != "carla@example.com" {
			town.Errorf("the next are %s and %s", a, b)
		}
	})
}

// What a rule does is a change like any other: accounts are owed it, and what
// WhatsApp repeats does not undo it.
func TestWhatARuleSetsIsOwedAndStays(t *testing.T) {
	inTown(t, complaints, func(town *town) {
		it := &connectors.Person{WAID: "393331234567", ProfileName: "Ada", CountryCode: "IT"}
		apply(town.T, town.r, message("w1", 0, it, connectors.In, "ciao"))
		contact := town.talker("w1")
		before := town.links(contact)["hubspot"].Wanted
		apply(town.T, town.r, message("w2", 1, it, connectors.In, "reclamo"))
		if after := town.links(contact)["hubspot"].Wanted; after <= before {
			town.Errorf("owed is version %d after %d", after, before)
		}
		apply(town.T, town.r, message("w3", 2, it, connectors.In, "ciao di nuovo"))
		if v := town.field("w3", "country"); v.Text != "AT" {
			town.Errorf("the country is %+v", v)
		}
	})
}

func TestWhatSomebodyEntersLaterStays(t *testing.T) {
	inTown(t, strings.Replace(complaints, "country: AT", "email: rule@example.com", 1), func(town *town) {
		town.see("zoho", "z1", 90, "+16315555555", "Kerry", "person@example.com") // after the message arrived
		apply(town.T, town.r, message("w1", 0, kerry(), connectors.In, "refund"))
		if v := town.field("w1", "email"); v.Text != "person@example.com" {
			town.Errorf("the address is %+v", v)
		}
		later := message("w2", 100, kerry(), connectors.In, "refund")
		later.ReceivedAt = start.Add(2 * time.Hour)
		apply(town.T, town.r, later)
		if v := town.field("w2", "email"); v.Text != "rule@example.com" {
			town.Errorf("the address is %+v", v)
		}
	})
}

const watching = `rules:
  - {name: any, when: {event: [message, status, button, list_reply, opt_in, opt_out, new_contact], direction: any}, do: [notify: {to: x, text: "any"}]}
  - {name: message, do: [notify: {to: x, text: "message"}]}
  - {name: sent, when: {direction: out}, do: [notify: {to: x, text: "sent"}]}
  - {name: failed, when: {status: failed}, do: [notify: {to: x, text: "failed ${text}"}]}
  - {name: button, when: {event: button}, do: [notify: {to: x, text: "button ${button}"}]}
  - {name: list, when: {event: list_reply}, do: [notify: {to: x, text: "list ${button}"}]}
  - {name: in, when: {event: opt_in}, do: [notify: {to: x, text: "opt_in"}]}
  - {name: out, when: {event: opt_out}, do: [notify: {to: x, text: "opt_out"}]}
  - {name: new, when: {event: new_contact}, do: [notify: {to: x, text: "new"}]}
`

func TestWhichEventsAFactIs(t *testing.T) {
	known := fact("before", connectors.KindPreference, 0, kerry())
	known.Preference = &connectors.Preference{Value: "resume"}
	in := func(change func(f *directory.Fact)) directory.Fact {
		f := message("w1", 10, kerry(), connectors.In, "hello")
		change(&f)
		return f
	}
	preference := func(value string) directory.Fact {
		f := fact("choice "+value, connectors.KindPreference, 10, kerry())
		f.Preference = &connectors.Preference{Value: value}
		return f
	}
	stranger := &connectors.Person{WAID: "393331234567"}
	observed := fact("observed", connectors.KindObserved, 10, nil)
	observed.ID, observed.Account = "zoho/observed", "zoho"
	observed.Observed = &connectors.Observed{ID: "z1", Fields: map[string]string{"Phone": "+393331234567"}}
	tests := map[string]struct {
		fact directory.Fact
		want string
	}{
		"a message received":        {in(func(*directory.Fact) {}), "any, message"},
		"a button":                  {in(func(f *directory.Fact) { f.Message.Reply = &connectors.Reply{Kind: connectors.ButtonReply, ID: "b1"} }), "any, message, button b1"},
		"a line of a list":          {in(func(f *directory.Fact) { f.Message.Reply = &connectors.Reply{Kind: connectors.ListReply, ID: "l1"} }), "any, message, list l1"},
		"a message sent":            {message("w1", 10, kerry(), connectors.Out, "hello"), "any, sent"},
		"from somebody new":         {message("w1", 10, stranger, connectors.In, "hello"), "any, message, new"},
		"to somebody new":           {message("w1", 10, stranger, connectors.Out, "hello"), "any, sent, new"},
		"a status":                  {status("w1", "failed", 10, kerry()), "any, failed"},
		"a reaction":                {in(func(f *directory.Fact) { f.Type, f.Message.Text = "reaction", "Reacted 👍" }), ""},
		"a status for somebody new": {status("w1", "delivered", 10, stranger), "any, new"},
		"the word":                  {in(func(f *directory.Fact) { f.Message.Text = "Stop!" }), "any, message, opt_out"},
		"the choice":                {preference("stop"), "any, opt_out"},
		"the choice that stood":     {preference("resume"), ""},
		"an edit":                   {in(func(f *directory.Fact) { f.Message.Target = "w0" }), ""},
		"a group's message":         {in(func(f *directory.Fact) { f.Message.GroupID = "g" }), ""},
		"a history":                 {in(func(f *directory.Fact) { f.Message.History = true }), ""},
		"a message a day old":       {in(func(f *directory.Fact) { f.ReceivedAt = f.At.Add(24 * time.Hour) }), "any, message"},
		"an older one":              {in(func(f *directory.Fact) { f.ReceivedAt = f.At.Add(24*time.Hour + time.Second) }), ""},
		"somebody new in a history": {func() directory.Fact {
			f := message("w1", 10, stranger, connectors.In, "x")
			f.Message.History = true
			return f
		}(), ""},
		"somebody whom a CRM has made": {observed, ""},
		"a person of an address book":  {fact("p", connectors.KindPerson, 10, stranger), ""},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			inTown(t, watching, func(town *town) {
				town.r.Words = func() record.Words { return record.Words{Stop: []string{"stop"}} }
				apply(town.T, town.r, known)
				before := town.notices()
				if len(before) != 3 {
					town.Errorf("at first: %v", before)
				}
				apply(town.T, town.r, tt.fact)
				var got []string
				for _, n := range town.notices() {
					if i := slices.Index(before, n); i >= 0 {
						before = slices.Delete(before, i, i+1)
						continue
					}
					got = append(got, strings.TrimPrefix(n, "x rule "))
				}
				want := strings.Split(tt.want, ", ")
				slices.Sort(got)
				slices.Sort(want)
				if got, want := strings.Join(got, ", "), strings.Join(want, ", "); got != want {
					town.Errorf("rules saw %q, want %q", got, want)
				}
			})
		})
	}
}

const counting = `rules:
  - {name: first, when: {first_contact: true}, do: [notify: {to: x, text: "first ${text}"}]}
  - {name: long, when: {longer_than: 6, not_label: long}, do: [add_label: long, notify: {to: x, text: "long ${text}"}]}
`

func TestAConversationIsCounted(t *testing.T) {
	inTown(t, counting, func(town *town) {
		yesterday := message("w0", -1441, kerry(), connectors.In, "w0")
		yesterday.ReceivedAt = start.Add(-1441 * time.Minute)
		apply(town.T, town.r, yesterday)
		var batch []directory.Fact
		for i := 1; i <= 3; i++ { // with an answer each, all in one batch
			batch = append(batch, message(fmt.Sprint("w", i), i, kerry(), connectors.In, fmt.Sprint("w", i)), message(fmt.Sprint("a", i), i, kerry(), connectors.Out, "answer"))
		}
		apply(town.T, town.r, batch...)
		if got := town.notices(); !reflect.DeepEqual(got, []string{"x rule first w0"}) {
			town.Errorf("after six: %v", got)
		}
		apply(town.T, town.r, message("w7", 7, kerry(), connectors.In, "w7"))
		apply(town.T, town.r, message("w8", 8, kerry(), connectors.In, "w8"))
		if got := town.notices(); !reflect.DeepEqual(got, []string{"x rule first w0", "x rule long w7"}) {
			town.Errorf("after eight: %v", got)
		}
	})
}

// Two messages of the same second are not both the first.
func TestOneMessageIsTheFirst(t *testing.T) {
	inTown(t, counting, func(town *town) {
		apply(town.T, town.r, message("w1", 5, kerry(), connectors.In, "w1"), message("w2", 5, kerry(), connectors.In, "w2"))
		apply(town.T, town.r, message("w0", 1, kerry(), connectors.In, "w0"))
		if got := town.notices(); len(got) != 1 {
			town.Errorf("the first ones: %v", got)
		}
	})
}

func TestARuleDoesNotOptAnybodyIn(t *testing.T) {
	inTown(t, "rules:\n  - {name: eager, do: [set: {consent: marketing}, set: {email: \"${text}\"}]}\n", func(town *town) {
		stop := fact("stop", connectors.KindPreference, 0, kerry())
		stop.Preference = &connectors.Preference{Value: "stop"}
		apply(town.T, town.r, stop)
		fired := apply(town.T, town.r, message("w1", 10, kerry(), connectors.In, "s3cret")).Fired
		if v := town.field("w1", "consent"); v.Text != "opted_out" {
			town.Errorf("the consent is %+v", v)
		}
		if len(fired) != 1 || len(fired[0].Problems) != 2 || strings.Contains(fmt.Sprint(fired), "s3cret") {
			town.Errorf("fired: %q", fired)
		}
	})
}

func TestNothingThatARuleHasMadeOutlivesItsPerson(t *testing.T) {
	inTown(t, complaints, func(town *town) {
		town.see("zoho", "z1", 0, "+16315555555", "Kerry")
		apply(town.T, town.r, message("w1", 10, kerry(), connectors.In, "refund"))
		contact := town.talker("w1")
		town.tx(func(tx directory.Tx) error {
			_, err := tx.Erase(directory.Erasure{Contact: contact, At: start, Account: "zoho", Record: "z1"})
			return err
		})
		if n := town.notices(); len(n) != 0 {
			town.Errorf("notices are left: %v", n)
		}
		for _, task := range town.tasks() {
			if task.Title+task.Text+task.Owner != "" {
				town.Errorf("a task is left: %+v", task)
			}
		}
	})
}

// Somebody new is new once, whatever comes with the first message.
func TestANewContactIsNewOnce(t *testing.T) {
	inTown(t, "rules:\n  - {name: new, when: {event: new_contact}, do: [notify: {to: x, text: \"new ${text}\"}]}\n", func(town *town) {
		apply(town.T, town.r, message("w1", 1, kerry(), connectors.In, "one"), message("w2", 2, kerry(), connectors.In, "two"), status("w0", "delivered", 3, kerry()))
		apply(town.T, town.r, message("w3", 4, kerry(), connectors.In, "three"))
		if got := town.notices(); !reflect.DeepEqual(got, []string{"x rule new one"}) {
			town.Errorf("new: %q", got)
		}
	})
}

// The last rule that gives the contact to somebody has the last word, in one event
// and from one to the next.
func TestTheLastRuleHasTheLastWord(t *testing.T) {
	inTown(t, `rules:
  - {name: one, do: [assign: zoe@example.com, set: {email: zoe@example.com}]}
  - {name: two, when: {keyword: b}, do: [assign: anna@example.com, set: {email: anna@example.com}]}
`, func(town *town) {
		for i, want := range []string{"anna@example.com", "zoe@example.com", "anna@example.com", "zoe@example.com"} {
			wamid := fmt.Sprint("w", 9-i)
			apply(town.T, town.r, message(wamid, 1, kerry(), connectors.In, []string{"b", "a"}[i%2])) // all of one second
			if owner, email := town.field(wamid, "owner").Text, town.field(wamid, "email").Text; owner != want || email != want {
				town.Errorf("after message %d the owner is %s and the address %s, want %s", i, owner, email, want)
			}
		}
	})
}

func TestTurnsAreFairAmongReplicas(t *testing.T) {
	inTown(t, complaints, func(town *town) {
		var replicas sync.WaitGroup
		for replica := range 3 {
			replicas.Go(func() {
				r := *town.r
				for i := range 6 {
					p := &connectors.Person{WAID: fmt.Sprintf("39333%d00%d", replica, i)}
					if _, err := r.Record(ctx, []directory.Fact{message(fmt.Sprint("w", replica, i), i, p, connectors.In, "refund")}); err != nil {
						town.Error(err)
					}
				}
			})
		}
		replicas.Wait()
		share := map[string]int{}
		for replica := range 3 {
			for i := range 6 {
				share[town.field(fmt.Sprint("w", replica, i), "owner").Text]++
			}
		}
		if want := map[string]int{"anna@example.com": 6, "ben@example.com": 6, "carla@example.com": 6}; !reflect.DeepEqual(share, want) {
			town.Errorf("shares %v", share)
		}
	})
}

// A status that comes late, and is not what has become of the message, is no news.
func TestALateStatusFiresNothing(t *testing.T) {
	inTown(t, watching, func(town *town) {
		apply(town.T, town.r, message("w1", 0, kerry(), connectors.Out, "hello"), status("w1", "failed", 2, kerry()))
		before := len(town.notices())
		if fired := apply(town.T, town.r, status("w1", "delivered", 1, kerry()), status("w1", "sent", 3, kerry())).Fired; len(fired) != 0 || len(town.notices()) != before {
			town.Errorf("fired %+v", fired)
		}
	})
}

// What somebody wants who writes after a rule has noted what they want, by arrival,
// is what counts, although their clock is WhatsApp's and the rule's is ours.
func TestAChoiceCountsThatArrivesAfterARules(t *testing.T) {
	const rule = "rules:\n  - {name: yes, when: {keyword: deal}, do: [set: {consent: marketing}]}\n"
	for text, want := range map[string]string{"STOP": "opted_out", "START": "marketing", "ciao": "marketing"} {
		t.Run(text, func(t *testing.T) {
			inTown(t, rule, func(town *town) {
				town.r.Words = func() record.Words { return record.Words{Stop: []string{"STOP"}, Start: []string{"START"}} }
				apply(town.T, town.r, message("w1", 0, kerry(), connectors.In, "deal")) // arrives an hour later
				apply(town.T, town.r, message("w2", 10, kerry(), connectors.In, text))
				if got := town.field("w2", "consent"); got.Text != want || (got.Rule == "") != (text != "ciao") {
					town.Errorf("%s: %+v, want %s", text, got, want)
				}
				stop := fact("stop", connectors.KindPreference, 11, kerry())
				stop.Preference = &connectors.Preference{Value: "stop"}
				apply(town.T, town.r, stop)
				if got := town.field("w2", "consent").Text; got != "opted_out" {
					town.Errorf("stop after %s: %s", text, got)
				}
				apply(town.T, town.r, message("w3", 12, kerry(), connectors.In, "START"))
				if got := town.field("w3", "consent").Text; got != "transactional" {
					town.Errorf("start after %s and stop: %s", text, got)
				}
			})
		})
	}
}

func TestAReplySaysWhatThePersonHasAgreedTo(t *testing.T) {
	inTown(t, "rules:\n  - {name: answer, when: {event: opt_out}, do: [reply: {to: x, template: bye, even_opted_out: yes}, reply: {to: x, template: hello}]}\n", func(town *town) {
		stop := fact("stop", connectors.KindPreference, 0, kerry())
		stop.Preference = &connectors.Preference{Value: "stop"}
		fired := apply(town.T, town.r, stop).Fired
		list, err := town.db.NoticesDue(ctx, "x", 10)
		if err != nil || len(list) != 1 || list[0].Message.Template != "bye" || list[0].Message.Consent != "opted_out" {
			town.Errorf("asked for %+v, error %v", list, err)
		}
		if len(fired) != 1 || len(fired[0].Problems) != 1 || !strings.HasSuffix(fired[0].Problems[0], "the person has opted out") {
			town.Errorf("fired %+v", fired)
		}
	})
}

// A picture that is only shown is no message that somebody has written, and what
// crmsync writes in its place is not searched.
func TestOnlyWhatSomebodyHasWrittenIsSearched(t *testing.T) {
	const rule = "rules:\n  - {name: r, when: {keyword: [image, refund, like]}, do: [notify: {to: x, text: \"${text}\"}]}\n"
	inTown(t, rule, func(town *town) {
		picture := message("w1", 0, kerry(), connectors.In, "[Image]")
		picture.Type, picture.Message.Rendered = "image", true
		caption := message("w2", 1, kerry(), connectors.In, "[Image] refund please")
		caption.Type, caption.Message.Rendered, caption.Message.Said = "image", true, "refund please"
		edited := message("w3", 2, kerry(), connectors.In, "hello")
		edit := message("w3e", 3, kerry(), connectors.In, "I like it")
		edit.Message.Target = "w3"
		gone := message("w4", 2, kerry(), connectors.In, "refund")
		revoke := message("w4r", 3, kerry(), connectors.In, "[This image was deleted]")
		revoke.Message.Target, revoke.Message.Revoked, revoke.Message.Rendered = "w4", true, true
		apply(town.T, town.r, picture, caption, edited, edit, gone, revoke)
		if got, want := town.notices(), []string{"x rule I like it", "x rule [Image] refund please"}; !sameNotices(got, want) {
			town.Errorf("notices %q, want %q", got, want)
		}
	})
}

func sameNotices(a, b []string) bool {
	return slices.Equal(slices.Sorted(slices.Values(a)), slices.Sorted(slices.Values(b)))
}

func TestAReactionIsNoPartOfAConversation(t *testing.T) {
	inTown(t, counting, func(town *town) {
		reaction := message("r0", 0, kerry(), connectors.In, "Reacted 👍")
		reaction.Type = "reaction"
		apply(town.T, town.r, reaction)
		for i := 1; i <= 6; i++ {
			apply(town.T, town.r, message(fmt.Sprint("w", i), i, kerry(), connectors.In, fmt.Sprint("w", i)))
		}
		if got := town.notices(); !reflect.DeepEqual(got, []string{"x rule first w1"}) {
			town.Errorf("notices %v", got)
		}
	})
}
