package app

import (
	"time"

	"crmsync/mapping"
	"crmsync/sync/directory"
)

// RehearsedRule is a rule that looked at something that happened.
type RehearsedRule struct {
	Rule string `json:"rule"`
	// Line is where the rule begins in the mapping.
	Line int `json:"line"`
	// Event is what happened, as the kind of the fact, and At when.
	Event string    `json:"event"`
	At    time.Time `json:"at"`
	// Fired says that it fires; else Why says which condition does not hold.
	Fired   bool              `json:"fired"`
	Why     string            `json:"why,omitempty"`
	Actions []RehearsedAction `json:"actions"`
}

// RehearsedAction is what a rule would do.
type RehearsedAction struct {
	// Kind is set, add_label, remove_label, assign, task, notify or reply; the others
	// are set as far as they belong to it.
	Kind       string   `json:"kind"`
	Line       int      `json:"line"`
	Field      string   `json:"field,omitempty"`
	Value      string   `json:"value,omitempty"`
	To         string   `json:"to,omitempty"`
	Title      string   `json:"title,omitempty"`
	Text       string   `json:"text,omitempty"`
	DueSeconds float64  `json:"due_seconds,omitempty"`
	Priority   string   `json:"priority,omitempty"`
	Template   string   `json:"template,omitempty"`
	Language   string   `json:"language,omitempty"`
	Parameters []string `json:"parameters,omitempty"`
	// Problem is why it cannot be carried out.
	Problem string `json:"problem,omitempty"`
}

// rulesRehearsed is what rules have made of a fact.
func rulesRehearsed(f *directory.Fact, fired []mapping.Fired, trace []mapping.Looked) []RehearsedRule {
	rules := make([]RehearsedRule, len(trace))
	for i, looked := range trace {
		rules[i] = RehearsedRule{
			Rule: looked.Rule, Line: looked.Line, Event: string(f.Kind), At: f.When(), Fired: looked.Fired, Why: looked.Why, Actions: []RehearsedAction{},
		}
		for _, rule := range fired {
			if rule.Line != looked.Line {
				continue
			}
			for _, a := range rule.Actions {
				rules[i].Actions = append(rules[i].Actions, RehearsedAction{
					string(a.Kind), a.Line, a.Field, a.Value, a.To, a.Title, a.Text, a.Due.Seconds(), a.Priority, a.Template, a.Language, a.Parameters, a.Problem,
				})
			}
		}
	}
	return rules
}
