package mapping_test

import (
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"crmsync/mapping"
)

// FuzzRules looks for rules and texts that make the program stumble, and for texts
// in explanations that are the contact's.
func FuzzRules(f *testing.F) {
	for _, seed := range [][2]string{
		{"keyword: [refund, 退款, 'money back', 👍]", "add_label: complaint"},
		{"button: [yes, no], event: [button, message]", "remove_label: [vip, '${text}']"},
		{"field: {consent: marketing, score: 3, member: yes, email: ''}", "set: {score: '${unread_count}', segment: gold, email: ''}"},
		{"label: [vip], not_label: x, language: it, country: IT", "assign: {field: account_manager, otherwise: {round_robin: [a@x.example, b@x.example]}}"},
		{"hours: {outside: office}, first_contact: true, longer_than: 6", "assign: {team: support, unless_owned: true}"},
		{"if: \"int(text) > 3 || text.matches('^a+$')\"", "task: {title: '${name}', text: '$${', due: 4h, to: owner}"},
		{"status: failed, event: [status, opt_out, new_contact]", "notify: {to: x, text: '${1/unread_count}'}"},
		{"direction: any", "reply: {to: x, template: '${text}', parameters: ['${at}']}"},
		{"event: opt_in", "priority: high"},
	} {
		f.Add(seed[0], seed[1], "Vorrei un REFUND perché 退款 👍🏽")
	}
	f.Fuzz(func(t *testing.T, when, do, text string) {
		if !utf8.ValidString(text) || len(text) > 4096 || strings.ContainsAny(when+do, "\n\r") {
			t.Skip()
		}
		began := time.Now()
		m, err := mapping.Compile("m.yaml", []byte(document("  - {name: r, when: {"+when+"}, do: ["+do+"]}\n")))
		if err == nil {
			for _, kind := range []mapping.EventKind{mapping.MessageEvent, mapping.StatusEvent, mapping.ButtonEvent, mapping.OptOutEvent, mapping.NewContactEvent} {
				e := message(text)
				e.Kinds, e.Status, e.Reply = []mapping.EventKind{kind}, "failed", text
				e.Turn = func(string) int { return 7 }
				fired, trace := m.Fire(e, map[string]any{"name": text, "labels": []string{text, "vip"}, "unread_count": int64(0), "score": text, "account_manager": text})
				for _, l := range trace {
					if l.Fired == (l.Why != "") || len(text) > 12 && strings.Contains(l.Why, text) && !strings.Contains(when, text) {
						t.Errorf("the trace is %+v", l)
					}
				}
				for _, rule := range fired {
					for _, a := range rule.Actions {
						if !utf8.ValidString(a.Value + a.Text + a.Title) {
							t.Errorf("the action is %+v", a)
						}
					}
				}
			}
		}
		if took := time.Since(began); took > 3*time.Second {
			t.Errorf("it took %v", took)
		}
	})
}
