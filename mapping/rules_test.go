package mapping_test

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"crmsync/mapping"
)

// ruled is a mapping with rules, which are indented as in a list.
func ruled(t testing.TB, rules string) *mapping.Mapping {
	t.Helper()
	m, err := mapping.Compile("m.yaml", []byte(document(rules)))
	if err != nil {
		t.Fatal(err)
	}
	return m
}

const beforeRules = `version: 1
accounts: {crm: {contact: {x: first_name}}}
fields:
  segment: {type: enum, options: [gold, silver]}
  score: {type: number}
  member: {type: bool}
  account_manager: {type: text}
  status: {type: text}
  shout: {value: upper(first_name)}
teams: {support: [anna@example.com, ben@example.com]}
hours:
  office: {zone: Europe/Rome, mon-fri: "09:00-13:00, 14:00-18:00", sat: "09:00-12:00", closed: [12-25, 2026-11-23]}
  late: {zone: America/New_York, fri-sun: "20:00-24:00"}
`

func document(rules string) string { return beforeRules + "rules:\n" + rules }

func message(text string) mapping.Event {
	return mapping.Event{
		Kinds: []mapping.EventKind{mapping.MessageEvent}, Account: "whatsapp", Direction: "in", Type: "text", Text: text,
		At: time.Date(2026, 11, 20, 9, 30, 0, 0, time.UTC), // a Friday, 10:30 in Rome
	}
}

func TestWhenARuleFires(t *testing.T) {
	t.Parallel()
	at := func(text string) mapping.Event {
		e := message("hello")
		when, err := time.Parse(time.RFC3339, text)
		if err != nil {
			t.Fatal(err)
		}
		e.At = when
		return e
	}
	of := func(e mapping.Event, kinds ...mapping.EventKind) mapping.Event { e.Kinds = kinds; return e }
	out := message("hello")
	out.Direction = "out"
	failed := mapping.Event{Kinds: []mapping.EventKind{mapping.StatusEvent}, Status: "failed"}
	button := of(message("Talk to us"), mapping.MessageEvent, mapping.ButtonEvent)
	button.Reply = "human_please"
	talk := message("hello")
	talk.FirstContact, talk.Length = func() bool { return true }, func() int { return 7 }

	tests := map[string]struct {
		when  string
		event mapping.Event
		why   string // empty where it fires
	}{
		"any message received":          {"", message("x"), ""},
		"and none that was sent":        {"", out, "the message was not received"},
		"one that was sent":             {"direction: out", out, ""},
		"either":                        {"direction: any", out, ""},
		"no status":                     {"", failed, "the event is no message"},
		"a status":                      {"{event: status, status: failed}", failed, ""},
		"a status without event":        {"status: [failed, read]", failed, ""},
		"another status":                {"status: read", failed, "the status is another"},
		"a button is a message":         {"keyword: talk to us", button, ""},
		"a button by its id":            {"button: Human_Please", button, ""},
		"a button by its title":         {"button: [other, talk to us]", button, ""},
		"another button":                {"button: other", button, "it is another button"},
		"no button":                     {"button: hello", message("hello"), "the event is no button or list_reply"},
		"one of several events":         {"event: [opt_out, button]", button, ""},
		"an opt-out":                    {"event: opt_out", of(message("STOP"), mapping.MessageEvent, mapping.OptOutEvent), ""},
		"a new contact, whoever wrote":  {"event: new_contact", of(out, mapping.MessageEvent, mapping.NewContactEvent), ""},
		"a keyword":                     {"keyword: [refund, complaint]", message("I want a REFUND!"), ""},
		"only a part of a word":         {"keyword: fun", message("a refund"), "no keyword is in the text"},
		"a keyword of several words":    {"keyword: money back", message("my Money, back; now"), ""},
		"half of one":                   {"keyword: money back", message("money"), "no keyword is in the text"},
		"half of one, and it again":     {"keyword: money back", message("money money back"), ""},
		"accents in the text":           {"keyword: perche", message("Perché?"), ""},
		"accents in the keyword":        {"keyword: perché", message("PERCHE no"), ""},
		"an apostrophe":                 {"keyword: ordine", message("dov'è l’ordine"), ""},
		"Italian":                       {"keyword: reclamo", message("Devo fare un reclamo."), ""},
		"German":                        {"keyword: grösse", message("falsche GRÖSSE"), ""},
		"sharp s":                       {"keyword: straße", message("STRASSE 5"), ""},
		"Greek":                         {"keyword: παραπονο", message("Έχω παράπονο"), ""},
		"a final sigma":                 {"keyword: λάθος", message("ΛΆΘΟΣ"), ""},
		"Russian":                       {"keyword: еще", message("ЕЩЁ раз"), ""},
		"Arabic with points":            {"keyword: شكوى", message("لدي شَكْوَى"), ""},
		"Hindi keeps its vowels":        {"keyword: कु", message("क"), "no keyword is in the text"},
		"Chinese":                       {"keyword: 退款", message("我要退款，谢谢"), ""},
		"other Chinese":                 {"keyword: 退款", message("我要付款"), "no keyword is in the text"},
		"a word within Chinese":         {"keyword: refund", message("我要refund谢谢"), ""},
		"half of a word within Chinese": {"keyword: fund", message("我要refund谢谢"), "no keyword is in the text"},
		"Chinese and a word":            {"keyword: VIP客户", message("我是vip客户啊"), ""},
		"Chinese before a word":         {"keyword: 客户vip", message("客户vips"), "no keyword is in the text"},
		"Japanese sounds are letters":   {"keyword: カス", message("ガスです"), "no keyword is in the text"},
		"wide letters":                  {"keyword: vip", message("ＶＩＰ"), ""},
		"Korean with an ending":         {"keyword: 환불", message("환불을 원해요"), ""},
		"a Japanese long vowel":         {"keyword: エラー", message("エラー5回です"), ""},
		"the same, narrow":              {"keyword: エラー", message("ｴﾗｰ5回"), ""},
		"a long vowel before a word":    {"keyword: vip", message("メンバーvipです"), ""},
		"Polish and Vietnamese":         {"keyword: [zloty, xyz]", message("ZŁOTY"), ""},
		"Vietnamese":                    {"keyword: hoan tien di", message("Hoàn tiền đi"), ""},
		"Danish":                        {"keyword: kobe", message("KØBE"), ""},
		"Turkish":                       {"keyword: iade siparis", message("IADE SIPARIŞ"), ""},
		"Turkish without a dot":         {"keyword: sikayet", message("şıkayet"), ""},
		"a stretched Arabic word":       {"keyword: شكوى", message("شكـــوى"), ""},
		"Persian letters for Arabic":    {"keyword: شكوي", message("شکوی"), ""},
		"Thai":                          {"keyword: คืนเงิน", message("ขอคืนเงินครับ"), ""},
		"an emoji of any colour":        {"keyword: 👍", message("ok👍🏽"), ""},
		"a field":                       {"field: {consent: marketing, country: [IT, DE]}", message("x"), ""},
		"a field with another value":    {"field: {consent: opted_out}", message("x"), "field consent is another"},
		"a field that is empty":         {"field: {email: ''}", message("x"), ""},
		"an own number":                 {"field: {score: 12}", message("x"), ""},
		"an own yes or no":              {"field: {member: yes}", message("x"), ""},
		"a computed field":              {"field: {shout: ADA}", message("x"), ""},
		"an own field as the event's":   {"field: {status: new}", message("x"), ""},
		"a label":                       {"label: [x, VIP]", message("x"), ""},
		"a label that is missing":       {"label: x", message("x"), "the contact has no label x"},
		"no label":                      {"not_label: x", message("x"), ""},
		"a label that is there":         {"not_label: vip", message("x"), "the contact has a label vip"},
		"a language":                    {"language: [de, it]", message("x"), ""},
		"a country":                     {"country: DE", message("x"), "field country is another"},
		"office hours":                  {"hours: office", message("x"), ""},
		"outside of them":               {"hours: {outside: office}", message("x"), "it is within hours office"},
		"lunch":                         {"hours: office", at("2026-11-20T12:00:00Z"), "it is outside hours office"},
		"the first minute":              {"hours: office", at("2026-11-20T08:00:00Z"), ""},
		"the last minute":               {"hours: office", at("2026-11-20T16:59:59Z"), ""},
		"the minute after":              {"hours: office", at("2026-11-20T17:00:00Z"), "it is outside hours office"},
		"Sunday":                        {"hours: {outside: office}", at("2026-11-22T10:00:00Z"), ""},
		"Christmas":                     {"hours: office", at("2025-12-25T10:00:00Z"), "it is outside hours office"},
		"a day off":                     {"hours: office", at("2026-11-23T10:00:00Z"), "it is outside hours office"},
		"summer time":                   {"hours: office", at("2026-07-01T07:00:00Z"), ""},
		"winter time":                   {"hours: office", at("2026-12-01T07:00:00Z"), "it is outside hours office"},
		"the day the clocks change":     {"hours: {outside: office}", at("2026-03-29T07:00:00Z"), ""},
		"the day before":                {"hours: office", at("2026-03-28T08:00:00Z"), ""},
		"the day after":                 {"hours: office", at("2026-03-30T07:00:00Z"), ""},
		"their Friday is our Saturday":  {"hours: late", at("2026-11-21T04:30:00Z"), ""},
		"until midnight":                {"hours: late", at("2026-11-21T05:00:00Z"), "it is outside hours late"},
		"the first contact":             {"first_contact: true", talk, ""},
		"a later one":                   {"first_contact: true", message("x"), "it is not the person's first message"},
		"not the first":                 {"first_contact: false", talk, "it is the person's first message"},
		"a long conversation":           {"longer_than: 6", talk, ""},
		"not longer":                    {"longer_than: 7", talk, "the conversation is not longer"},
		"an expression":                 {"if: \"unread_count > 3 && text.contains('ell') && kind == 'text' && account == 'whatsapp' && direction == 'in'\"", message("hello"), ""},
		"one that does not hold":        {"if: matches(text, '^[0-9]+$')", message("hello"), "what if says does not hold"},
		"one that cannot be computed":   {"if: unread_count / (unread_count - 7) > 1", message("hello"), "if cannot be computed: division by zero"},
		"all of several":                {"{keyword: hello, language: it, hours: office}", message("hello"), ""},
		"all but one":                   {"{keyword: hello, language: de, hours: office}", message("hello"), "field language is another"},
	}
	view := map[string]any{
		"first_name": "Ada", "language": "it_IT", "country": "it", "unread_count": int64(7), "consent": "marketing",
		"labels": []string{"lead", "vip"}, "score": "12", "member": "true", "status": "new",
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			when := ""
			if strings.HasPrefix(tt.when, "{") {
				when = "    when: " + tt.when + "\n"
			} else if tt.when != "" {
				when = "    when:\n      " + tt.when + "\n"
			}
			fired, trace := ruled(t, "  - name: r\n"+when+"    do: [add_label: x]\n").Fire(tt.event, view)
			if len(trace) != 1 || trace[0].Fired != (tt.why == "") || trace[0].Why != tt.why || len(fired) == 1 != trace[0].Fired {
				t.Errorf("fired %v, trace %+v; want %q", fired, trace, tt.why)
			}
		})
	}
}

func TestWhatARuleDoes(t *testing.T) {
	t.Parallel()
	view := map[string]any{
		"first_name": "Ada", "name": "Ada Lovelace", "language": "it", "labels": []string{"bot"}, "unread_count": int64(7), "account_manager": "carla@example.com",
	}
	turns := map[string]int{}
	turn := func(of string) int { turns[of]++; return turns[of] - 1 }
	tests := map[string]struct {
		do   string
		want []mapping.Action
	}{
		"a field":               {"set: {priority: high}", []mapping.Action{{Kind: "set", Field: "priority", Value: "high"}}},
		"a text with a value":   {"set: {first_name: \"${upper(language)}-${first_name}\"}", []mapping.Action{{Kind: "set", Field: "first_name", Value: "IT-Ada"}}},
		"a number":              {"set: {score: \"${unread_count + 1}\"}", []mapping.Action{{Kind: "set", Field: "score", Value: "8"}}},
		"yes":                   {"set: {member: yes}", []mapping.Action{{Kind: "set", Field: "member", Value: "true"}}},
		"nothing":               {"set: {email: ''}", []mapping.Action{{Kind: "set", Field: "email"}}},
		"of no option":          {"set: {segment: \"${first_name}\"}", []mapping.Action{{Kind: "set", Field: "segment", Problem: "the value is none of segment's"}}},
		"what cannot be":        {"set: {score: \"${1 / (unread_count - 7)}\"}", []mapping.Action{{Kind: "set", Field: "score", Problem: "division by zero"}}},
		"a priority":            {"priority: low", []mapping.Action{{Kind: "set", Field: "priority", Value: "low"}}},
		"a label":               {"add_label: 'lang ${language}'", []mapping.Action{{Kind: "add_label", Field: "labels", Value: "lang it"}}},
		"a label that is":       {"add_label: BOT", nil},
		"a label less":          {"remove_label: [Bot, other]", []mapping.Action{{Kind: "remove_label", Field: "labels", Value: "bot"}}},
		"a person":              {"assign: anna@example.com", []mapping.Action{{Kind: "assign", Field: "owner", Value: "anna@example.com"}}},
		"a person by id":        {"assign: {owner: '4711', unless_owned: true}", []mapping.Action{{Kind: "assign", Field: "owner", Value: "4711"}}},
		"a list in turn":        {"assign: {round_robin: [a@x.example, b@x.example]}", []mapping.Action{{Kind: "assign", Field: "owner", Value: "a@x.example"}}},
		"the manager":           {"assign: {field: account_manager}", []mapping.Action{{Kind: "assign", Field: "owner", Value: "carla@example.com"}}},
		"who else":              {"assign: {field: email, otherwise: dora@example.com}", []mapping.Action{{Kind: "assign", Field: "owner", Value: "dora@example.com"}}},
		"nobody":                {"assign: {field: email}", []mapping.Action{{Kind: "assign", Field: "owner", Problem: "nobody is named in email"}}},
		"a task":                {"task: {title: \"Call ${name}\", due: 4h, to: 17, priority: high}", []mapping.Action{{Kind: "task", Account: "crm", Title: "Call Ada Lovelace", Due: 4 * time.Hour, To: "17", Priority: "high"}}},
		"a task for nobody":     {"task: {title: x, text: '${text}', to: owner}", []mapping.Action{{Kind: "task", Account: "crm", Title: "x", Text: "hello", Priority: "normal"}}},
		"telling somebody":      {"notify: {to: slack, text: \"${name} wrote at ${format_date(at, 'HH:mm', 'Europe/Rome')}\"}", []mapping.Action{{Kind: "notify", To: "slack", Text: "Ada Lovelace wrote at 10:30"}}},
		"a reply":               {"reply: {to: sender, template: thanks, parameters: ['${first_name}']}", []mapping.Action{{Kind: "reply", To: "sender", Template: "thanks", Language: "it", Parameters: []string{"Ada"}}}},
		"a reply in a language": {"reply: {to: sender, template: thanks, language: de}", []mapping.Action{{Kind: "reply", To: "sender", Template: "thanks", Language: "de", Parameters: []string{}}}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			e := message("hello")
			e.Turn = turn
			fired, _ := ruled(t, "  - name: r\n    do:\n    - "+tt.do+"\n").Fire(e, view)
			got := fired[0].Actions
			for i := range got {
				if got[i].Line == 0 {
					t.Error("the action has no line")
				}
				got[i].Line = 0
			}
			if !reflect.DeepEqual(got, tt.want) {
				t.Errorf("got  %+v\nwant %+v", got, tt.want)
			}
		})
	}
	if !reflect.DeepEqual(view["labels"], []string{"bot"}) || view["owner"] != nil {
		t.Errorf("the view was changed: %v", view)
	}
}

func TestRulesFireInTheirOrderAndSeeWhatWasDoneBefore(t *testing.T) {
	t.Parallel()
	m := ruled(t, `
  - name: first
    do:
    - add_label: complaint
    - assign: {team: support, unless_owned: true}
    - assign: {team: support, unless_owned: true}
    - set: {first_name: Bob}
  - name: not this one
    when: {not_label: complaint}
    do: [priority: high]
  - name: second
    when: {label: complaint, field: {owner: anna@example.com, shout: BOB}}
    do: [task: {title: "${shout}", to: owner}]
    stop: true
  - name: never
    do: [priority: low]
`)
	e := message("x")
	asked := 0
	e.Turn = func(of string) int {
		if asked++; of != "team support" {
			t.Errorf("turns of %q", of)
		}
		return 4
	}
	fired, trace := m.Fire(e, map[string]any{"first_name": "Ada"})
	var names []string
	for _, f := range fired {
		names = append(names, f.Rule)
	}
	if !reflect.DeepEqual(names, []string{"first", "second"}) || len(trace) != 3 || asked != 1 {
		t.Fatalf("fired %v, trace %+v, turns asked %d times", names, trace, asked)
	}
	if a := fired[1].Actions[0]; a.To != "anna@example.com" || a.Title != "BOB" {
		t.Errorf("the task is %+v", a)
	}
	if n := len(fired[0].Actions); n != 3 {
		t.Errorf("the first did %d things", n)
	}
}

// What a conversation costs to count is asked only where a rule needs it.
func TestNothingIsAskedForNoRule(t *testing.T) {
	t.Parallel()
	m := ruled(t, "  - {name: a, when: {keyword: refund, longer_than: 6, first_contact: true}, do: [add_label: x]}\n")
	e := message("hello")
	e.Length = func() int { t.Error("the length was asked for"); return 0 }
	e.FirstContact = func() bool { t.Error("the first contact was asked for"); return false }
	m.Fire(e, nil)
}

func TestATraceHoldsNothingOfTheContact(t *testing.T) {
	t.Parallel()
	m := ruled(t, `
  - {name: a, when: {keyword: refund}, do: [add_label: x]}
  - {name: b, when: {field: {first_name: Bob}}, do: [add_label: x]}
  - {name: c, when: {if: "int(text) > 3"}, do: [add_label: x]}
  - {name: d, when: {button: x}, do: [add_label: x]}
  - {name: e, do: [set: {score: "${int(text)}"}, set: {segment: "${text}"}, assign: {field: email}]}
`)
	fired, trace := m.Fire(message("s3cret text"), map[string]any{"first_name": "s3cret", "labels": []string{"s3cret"}})
	if len(trace) != 5 || len(fired) != 1 || len(fired[0].Actions) != 3 {
		t.Fatalf("fired %+v, trace %+v", fired, trace)
	}
	for _, l := range trace {
		if strings.Contains(l.Why, "s3cret") {
			t.Errorf("the trace says %q", l.Why)
		}
	}
	for _, a := range fired[0].Actions {
		if a.Problem == "" || strings.Contains(a.Problem, "s3cret") {
			t.Errorf("the problem is %q", a.Problem)
		}
	}
}

func TestEveryFaultOfARuleIsFoundAtItsPlace(t *testing.T) {
	t.Parallel()
	const name, do = "  - name: r\n", "    do: [add_label: x]\n"
	when := func(text string) string { return name + "    when: {" + text + "}\n" + do }
	action := func(text string) string { return name + "    do:\n      - " + text + "\n" }
	lines := strings.Count(beforeRules, "\n") + 1
	tests := map[string]struct {
		text string
		line int // within the rules
		want string
	}{
		"no list":                     {"  name: r\n", 1, "rules are a list"},
		"a rule that is a word":       {"  - r\n", 1, "a rule must hold lines of the form key: value"},
		"no name":                     {"  - do: [add_label: x]\n", 1, "the rule has no name"},
		"a name twice":                {name + do + name + do, 3, "there is a rule \"r\" already (line 15)"},
		"a misspelt key":              {name + "    whem: {}\n" + do, 2, `there is no "whem"; did you mean when?`},
		"nothing to do":               {name, 1, "the rule does nothing"},
		"an empty do":                 {name + "    do: []\n", 2, "do is a list of what to do"},
		"two actions in one":          {action("add_label: x\n        priority: high"), 4, "priority stands beside add_label"},
		"a misspelt condition":        {when("keywords: x"), 2, `did you mean keyword?`},
		"a misspelt event":            {when("event: mesage"), 2, "did you mean message?"},
		"a misspelt status":           {when("status: faild"), 2, "did you mean failed?"},
		"a misspelt direction":        {when("direction: inn"), 2, "did you mean in?"},
		"a button of a status":        {when("event: status, button: x"), 2, "button never holds for event: status; it is about button or list_reply"},
		"a keyword of a status":       {when("event: status, keyword: x"), 2, "keyword never holds for event: status"},
		"a status of a message":       {when("event: message, status: read"), 2, "status never holds for event: message"},
		"a direction of a status":     {when("event: status, direction: out"), 2, "direction never holds"},
		"the first one that was sent": {when("direction: out, first_contact: true"), 2, "first_contact is about messages received"},
		"a keyword of nothing":        {when("keyword: '?!'"), 2, "has no letter, digit or sign"},
		"an empty list":               {when("keyword: []"), 2, "keyword is an empty list"},
		"a list in a list":            {when("keyword: [[a]]"), 2, "keyword is a text or a list of texts"},
		"a misspelt field":            {when("field: {consnt: marketing}"), 2, "did you mean consent?"},
		"a misspelt option":           {when("field: {consent: marketng}"), 2, `has no option "marketng"; did you mean marketing?`},
		"a number that is none":       {when("field: {score: many}"), 2, "score is a whole number"},
		"labels as a field":           {when("field: {labels: x}"), 2, "for labels write label"},
		"a time as a field":           {when("field: {last_message_at: x}"), 2, "compare it with if"},
		"misspelt hours":              {when("hours: offce"), 2, `there is no hours "offce"; did you mean office?`},
		"hours somehow":               {when("hours: {inside: office}"), 2, `there is no "inside"; there is outside`},
		"longer than nothing":         {when("longer_than: 0"), 2, "longer_than must be a whole number between 1 and 10000"},
		"a first contact perhaps":     {when("first_contact: maybe"), 2, "first_contact is true, false, yes or no"},
		"an if that gives text":       {when("if: first_name"), 2, "the expression gives text; it has to give yes or no"},
		"an if with a misspelt name":  {when("if: \"txt == ''\""), 2, "did you mean text?"},
		"an unknown action":           {action("assgn: anna@example.com"), 3, "did you mean assign?"},
		"a misspelt field to set":     {action("set: {pririty: high}"), 3, "did you mean priority?"},
		"setting what follows":        {action("set: {unread_count: 3}"), 3, "unread_count follows from WhatsApp and cannot be set"},
		"setting what is computed":    {action("set: {shout: x}"), 3, "shout follows from other fields"},
		"setting the owner":           {action("set: {owner: anna@example.com}"), 3, "for the owner write - assign"},
		"setting labels":              {action("set: {labels: x}"), 3, "for labels write"},
		"setting the number":          {action("set: {phone: '+39333'}"), 3, "a rule cannot set it"},
		"setting no option":           {action("set: {segment: gld}"), 3, "did you mean gold?"},
		"setting a text in a number":  {action("set: {score: many}"), 3, "score is a whole number"},
		"a number with text":          {action("set: {score: \"${unread_count} of\"}"), 3, "write ${…} alone"},
		"a text for a number":         {action("set: {score: \"${first_name}\"}"), 3, "the expression gives text; score holds a whole number"},
		"a priority that is none":     {action("priority: hgh"), 3, "did you mean high?"},
		"a team without braces":       {action("assign: support"), 3, "support is a team; write {team: support}"},
		"a person that is none":       {action("assign: anna"), 3, "is neither an e-mail address nor an id"},
		"an address that is none":     {action("assign: anna@"), 3, "is nobody"},
		"a misspelt team":             {action("assign: {team: supprt}"), 3, "did you mean support?"},
		"two ways":                    {action("assign: {team: support, field: account_manager}"), 3, "stands beside another way"},
		"no way":                      {action("assign: {unless_owned: true}"), 3, "it has to be said who"},
		"otherwise of nothing":        {action("assign: {team: support, otherwise: anna@example.com}"), 3, "no field is named"},
		"a field that names nobody":   {action("assign: {field: score}"), 3, "score holds a whole number and names nobody"},
		"a person twice":              {action("assign: {round_robin: [a@x.example, a@x.example]}"), 3, "is there twice"},
		"a task without a title":      {action("task: {text: x}"), 3, "the task has no title"},
		"a task somewhere else":       {action("task: {title: x, account: crn}"), 3, "there is no \"crn\"; did you mean crm?"},
		"a task due somehow":          {action("task: {title: x, due: soon}"), 3, "due is a time such as 30m, 4h or 2d"},
		"a task for a misspelt team":  {action("task: {title: x, to: {team: supprt}}"), 3, "did you mean support?"},
		"telling nobody":              {action("notify: {text: x}"), 3, "it has to be said to whom"},
		"telling nothing":             {action("notify: {to: slack}"), 3, "it has to be said what to tell"},
		"a misspelt name in a text":   {action("notify: {to: slack, text: \"${nme}\"}"), 3, "did you mean name?"},
		"a reply of nothing":          {action("reply: {to: sender}"), 3, "it has to be said which template"},
		"stop perhaps":                {name + do + "    stop: perhaps\n", 3, "stop is true, false, yes or no"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := mapping.Compile("m.yaml", []byte(document(tt.text)))
			found, _ := errors.AsType[mapping.Findings](err)
			if len(found) != 1 || !strings.Contains(found[0].Problem, tt.want) || found[0].Line != lines+tt.line {
				t.Errorf("findings %v; want line %d: %s", found, lines+tt.line, tt.want)
			}
		})
	}
}

func TestEveryFaultOfHoursIsFoundAtItsPlace(t *testing.T) {
	t.Parallel()
	tests := map[string]struct{ text, want string }{
		"no zone":             {"{mon: \"09:00-18:00\"}", "need the time zone"},
		"a misspelt zone":     {"{zone: Europe/Roma, mon: \"09:00-18:00\"}", "there is no time zone"},
		"never":               {"{zone: UTC}", "are never"},
		"a misspelt day":      {"{zone: UTC, mno: \"09:00-18:00\"}", "did you mean mon?"},
		"no hours":            {"{zone: UTC, mon: morning}", "are no hours; write 09:00-13:00"},
		"hours of no day":     {"{zone: UTC, mon: \"09:00-25:00\"}", "a day has the hours from 00:00 to 24:00"},
		"inverted":            {"{zone: UTC, mon: \"18:00-09:00\"}", "ends before it begins; past midnight write 18:00-24:00, and 00:00-09:00"},
		"empty":               {"{zone: UTC, mon: \"09:00-09:00\"}", "ends when it begins"},
		"overlapping":         {"{zone: UTC, mon: \"09:00-13:00, 12:00-18:00\"}", "12:00-18:00 overlaps"},
		"a day twice":         {"{zone: UTC, mon-fri: \"09:00-13:00\", fri: \"09:00-12:00\"}", "fri has hours already"},
		"a day off somewhen":  {"{zone: UTC, mon: \"09:00-13:00\", closed: christmas}", "is no day"},
		"a day off that isnt": {"{zone: UTC, mon: \"09:00-13:00\", closed: [2026-02-30]}", "is no day"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := mapping.Compile("m.yaml", []byte("version: 1\naccounts: {crm: {contact: {x: first_name}}}\nhours:\n  h: "+tt.text+"\n"))
			found, _ := errors.AsType[mapping.Findings](err)
			if len(found) != 1 || !strings.Contains(found[0].Problem, tt.want) || found[0].Line != 4 {
				t.Errorf("findings %v; want %s", found, tt.want)
			}
		})
	}
}

func TestReceiversAreKnownWithTheirPlaces(t *testing.T) {
	t.Parallel()
	m := ruled(t, "  - name: r\n    do:\n      - notify: {to: slack, text: x}\n      - reply: {to: sender, template: x}\n")
	line := strings.Count(beforeRules, "\n") + 4
	want := []mapping.ReceiverUse{{Name: "slack", Rule: "r", Line: line, Column: 22}, {Name: "sender", Rule: "r", Line: line + 1, Column: 21, Reply: true}}
	if got := m.Receivers(); !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

// BenchmarkRules looks at 20 rules, of which three fire: at 5,000 a second that may
// take 5 % of a core, which is 10 µs each.
func BenchmarkRules(b *testing.B) {
	var rules strings.Builder
	for i := range 6 {
		fmt.Fprintf(&rules, "  - {name: keyword %d, when: {keyword: [word%da, word%db, two words%d, 退款%d]}, do: [add_label: k%d]}\n", i, i, i, i, i, i)
		fmt.Fprintf(&rules, "  - {name: field %d, when: {field: {consent: opted_out, country: [DE, AT]}, hours: office}, do: [add_label: f%d]}\n", i, i)
	}
	for i := range 5 {
		fmt.Fprintf(&rules, "  - {name: if %d, when: {if: \"unread_count > %d && language == 'de'\"}, do: [priority: low]}\n", i, i)
	}
	rules.WriteString(`  - {name: complaint, when: {keyword: [refund, complaint, reclamo]}, do: [add_label: complaint, priority: high]}
  - {name: office, when: {hours: office}, do: [assign: {team: support, unless_owned: true}]}
  - {name: tell, when: {label: complaint}, do: [notify: {to: slack, text: "Complaint: ${name}"}]}
`)
	m := ruled(b, rules.String())
	e := message("Buongiorno, vorrei fare un reclamo perché l'ordine 4711 non è ancora arrivato e nessuno risponde al telefono")
	e.Turn = func(string) int { return 1 }
	view := map[string]any{
		"first_name": "Ada", "name": "Ada Lovelace", "language": "it", "country": "IT", "unread_count": int64(7), "consent": "marketing",
		"labels": []string{"lead", "vip"}, "score": "12", "member": "true", "segment": "gold",
	}
	for i := range 30 {
		view[fmt.Sprintf("field_%d", i)] = "value"
	}
	b.ReportAllocs()
	for b.Loop() {
		if fired, trace := m.Fire(e, view); len(fired) != 3 || len(trace) != 20 {
			b.Fatal(fired, trace)
		}
	}
}

func TestATaskIsInOneAccount(t *testing.T) {
	t.Parallel()
	const two = "version: 1\naccounts:\n  hubspot: {contact: {x: first_name}}\n  zoho: {contact: {y: first_name}}\nrules:\n  - name: r\n    do:\n    - task: {title: x%s}\n"
	_, err := mapping.Compile("m.yaml", fmt.Appendf(nil, two, ""))
	found, _ := errors.AsType[mapping.Findings](err)
	if len(found) != 1 || found[0].Line != 8 || !strings.Contains(found[0].Problem, "write account: and one of hubspot or zoho") {
		t.Errorf("findings %v", found)
	}
	m, err := mapping.Compile("m.yaml", fmt.Appendf(nil, two, ", account: zoho"))
	if err != nil {
		t.Fatal(err)
	}
	if m.Tasks("hubspot") || !m.Tasks("zoho") {
		t.Errorf("tasks in hubspot %v, in zoho %v", m.Tasks("hubspot"), m.Tasks("zoho"))
	}
}

func TestATextForAReceiverIsNotEmpty(t *testing.T) {
	t.Parallel()
	m := ruled(t, "  - {name: tell, do: [{notify: {to: slack, text: \"${account_manager} \"}}]}\n")
	fired, _ := m.Fire(message("x"), map[string]any{})
	if len(fired) != 1 || len(fired[0].Actions) != 1 || fired[0].Actions[0].Problem != "the text is empty" {
		t.Errorf("fired %+v", fired)
	}
	if fired, _ = m.Fire(message("x"), map[string]any{"account_manager": "Ben"}); fired[0].Actions[0].Problem != "" || fired[0].Actions[0].Text != "Ben " {
		t.Errorf("fired %+v", fired)
	}
}

// What one event gives to the next of a team is one person's.
func TestOneEventTakesOneTurn(t *testing.T) {
	t.Parallel()
	m := ruled(t, `
  - name: first
    do:
    - assign: {team: support}
    - task: {title: x, to: {team: support}}
    - task: {title: x, to: {round_robin: [a@x.example, b@x.example]}}
  - {name: second, do: [task: {title: y, to: {team: support}}]}
`)
	turns := map[string]int{}
	e := message("x")
	e.Turn = func(of string) int { turns[of]++; return turns[of] - 1 }
	for i, want := range []string{"anna@example.com", "ben@example.com", "anna@example.com"} {
		fired, _ := m.Fire(e, map[string]any{})
		first, second := fired[0].Actions, fired[1].Actions
		if first[0].Value != want || first[1].To != want || second[0].To != want {
			t.Errorf("event %d: owner %s, tasks %s and %s; want %s", i, first[0].Value, first[1].To, second[0].To, want)
		}
	}
	if turns["team support"] != 3 || len(turns) != 2 {
		t.Errorf("turns %v", turns)
	}
}

func TestNobodyIsAnsweredWhoHasOptedOut(t *testing.T) {
	t.Parallel()
	m := ruled(t, `
  - name: r
    do:
    - reply: {to: sender, template: sorry}
    - reply: {to: sender, template: confirmed, even_opted_out: true}
    - reply: {to: sender, template: sorry, even_opted_out: no}
`)
	for consent, want := range map[string]string{"opted_out": "the person has opted out", "marketing": "", "": ""} {
		fired, _ := m.Fire(message("x"), map[string]any{"consent": consent})
		a := fired[0].Actions
		if a[0].Problem != want || a[1].Problem != "" || a[1].Template != "confirmed" || a[2].Problem != want {
			t.Errorf("consent %q: %+v", consent, a)
		}
	}
}
