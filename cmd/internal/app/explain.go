package app

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"crmsync/connectors"
	"crmsync/mapping"
	"crmsync/sync/directory"
	"crmsync/sync/store"
)

// ContactExplained says where each value of a contact comes from, and what each
// account was told of it.
type ContactExplained struct {
	ContactHead
	// MappingFile and MappingRevision are what is in force.
	MappingFile     string           `json:"mapping_file"`
	MappingRevision string           `json:"mapping_revision"`
	Fields          []FieldExplained `json:"fields"`
	Accounts        []ContactAccount `json:"accounts"`
	Pending         []ContactDebt    `json:"pending"`
}

// FieldExplained is one field. Value is as in [ContactShown].
type FieldExplained struct {
	Field string `json:"field"`
	Label string `json:"label"`
	Value any    `json:"value"`
	// SetBy is what set it; nil for what Follows from other things that are
	// known.
	SetBy   *Provenance `json:"set_by,omitempty"`
	Follows string      `json:"follows,omitempty"`
	// WhatsApp is what WhatsApp said last, where somebody has entered another
	// value.
	WhatsApp *WhatsAppSaid  `json:"whatsapp_said,omitempty"`
	Accounts []FieldAccount `json:"accounts"`
}

// Provenance says where a value comes from.
type Provenance struct {
	Account string `json:"account,omitempty"`
	// Fact is the id under which it was reported, Kind what that was: message,
	// status, person, observed …; edit for a person who mended a dead letter.
	Fact string `json:"fact,omitempty"`
	Kind string `json:"kind,omitempty"`
	// At is the source's time, ReceivedAt when it arrived and RecordedAt when
	// it was recorded; nil if the fact is not kept any more.
	At         time.Time  `json:"at"`
	ReceivedAt *time.Time `json:"received_at,omitempty"`
	RecordedAt *time.Time `json:"recorded_at,omitempty"`
	// Entered says that a person entered it.
	Entered bool `json:"entered,omitempty"`
	// MappingRevision is the mapping that was in force then, MappingLine its
	// line by which the value came; empty and 0 for what came from WhatsApp.
	MappingRevision string `json:"mapping_revision,omitempty"`
	MappingLine     int    `json:"mapping_line,omitempty"`
	// Rule is the mapping's rule that has set it.
	Rule string `json:"rule,omitempty"`
}

// WhatsAppSaid is what WhatsApp said of a field.
type WhatsAppSaid struct {
	Value string `json:"value"`
	Provenance
}

// How a field of an account stands to the contact's.
const (
	FieldAgrees    = "agrees"
	FieldDiffers   = "differs"
	FieldNeverTold = "never_told"
	// FieldTheirs is left to the people who work in the account, FieldUnfit is
	// not of the field's type: neither is carried on or written over.
	FieldTheirs = "theirs"
	FieldUnfit  = "not_valid"
)

// FieldAccount is a field in an account.
type FieldAccount struct {
	Account string `json:"account"`
	// To is the account's own name of it, MappingLine where the mapping says so.
	To          string `json:"to"`
	MappingLine int    `json:"mapping_line"`
	State       string `json:"state"`
	// Value is what the account was last told or last showed; a digest
	// (sha256:…) if it is long.
	Value  string `json:"value"`
	Digest bool   `json:"digest,omitempty"`
}

// Explain says where each value of a contact comes from. Who is whatever
// [Book.Find] understands.
func (b *Book) Explain(ctx context.Context, who string) (*ContactExplained, error) {
	p, err := b.profile(ctx, who)
	if err != nil {
		return nil, err
	}
	e := &ContactExplained{
		ContactHead: headOf(p), MappingFile: b.config.Mapping, MappingRevision: b.mapping.Revision(),
		Accounts: b.accounts(p), Pending: debtsOf(p), Fields: []FieldExplained{},
	}
	views := map[string]map[string]any{}
	for _, l := range p.Links {
		if views[l.Account], err = b.view(ctx, l.Account, p.Contact); err != nil {
			return nil, err
		}
	}
	view := p.Contact.View()
	add := func(f FieldExplained, carries func(l *mapping.Line) bool) {
		f.Accounts = []FieldAccount{}
		for _, l := range p.Links {
			for _, line := range b.mapping.Lines(l.Account) {
				if carries(&line) {
					f.Accounts = append(f.Accounts, fieldIn(l, line, views[l.Account]))
				}
			}
		}
		e.Fields = append(e.Fields, f)
	}
	for _, name := range FieldOrder(view) {
		info, _ := b.mapping.Field(name)
		f := FieldExplained{Field: name, Label: info.Label, Value: view[name]}
		f.origin(p)
		add(f, func(l *mapping.Line) bool { return l.From == name })
	}
	for _, c := range b.mapping.Compute(view) {
		add(computedField(c), func(l *mapping.Line) bool { return l.From == c.Name })
	}
	for _, l := range p.Links {
		for _, line := range b.mapping.Lines(l.Account) {
			if line.From == "" {
				v, _, err := line.Writes(views[l.Account])
				f := computedField(mapping.Computed{Name: line.To, Number: line.Number, Value: v, Err: err})
				f.Accounts = []FieldAccount{fieldIn(l, line, views[l.Account])}
				e.Fields = append(e.Fields, f)
			}
		}
	}
	return e, nil
}

// computedField explains a value that the mapping computes.
func computedField(c mapping.Computed) FieldExplained {
	f := FieldExplained{Field: c.Name, Label: c.Label, Value: c.Value, Follows: fmt.Sprintf("from other fields, by line %d of the mapping", c.Number)}
	if c.Err != nil {
		f.Follows += ": " + c.Err.Error()
	}
	return f
}

// foremost are the fields that people look for first.
var foremost = []string{
	"name", "first_name", "last_name", "full_name", "profile_name", "username", "phone", "email", "wa_id", "user_id",
	"country", "language", "owner", "labels", "consent", "consent_at",
}

// FieldOrder is the names of a contact's fields in the order in which people look
// for them.
func FieldOrder(view map[string]any) []string {
	rank := func(name string) int {
		if i := slices.Index(foremost, name); i >= 0 {
			return i
		}
		return len(foremost)
	}
	return slices.SortedFunc(maps.Keys(view), func(a, b string) int {
		if d := rank(a) - rank(b); d != 0 {
			return d
		}
		return strings.Compare(a, b)
	})
}

// view is the contact as an account is told of it: without the conversations
// that are none of its business.
func (b *Book) view(ctx context.Context, account string, c *directory.Contact) (map[string]any, error) {
	except := b.config.NotFeeding(account)
	if len(except) == 0 {
		return c.View(), nil
	}
	talks, err := b.db.ConversationsWithout(ctx, except, []int64{c.ID})
	return c.Without(except, talks[c.ID]).View(), err
}

// origin says where a field's value comes from.
func (f *FieldExplained) origin(p *store.Profile) {
	v, known := p.Contact.Fields[f.Field]
	switch {
	case known && v.Fact != "":
		from := provenance(v, p.Facts)
		f.SetBy = &from
	case known:
		f.Follows = "from the messages"
	case strings.HasSuffix(f.Field, "name"):
		f.Follows = "from other names and the number"
	case f.Field == "consent" && p.Talk.Received > 0, f.Field == "consent_at":
		f.Follows = "from the first message received: whoever writes may be answered"
	default:
		f.Follows = "from what is not known: nobody has said"
	}
	if said, ok := p.Contact.Said(f.Field); ok && v.Fact != said.Fact && v.Text != said.Text {
		f.WhatsApp = &WhatsAppSaid{said.Text, provenance(said, p.Facts)}
	}
}

func provenance(v directory.Value, facts map[string]store.FactNote) Provenance {
	from := Provenance{
		Account: v.Account, Fact: v.Fact, At: v.At.UTC(), Entered: v.Entered, MappingRevision: v.Revision, MappingLine: v.Line, Rule: v.Rule,
	}
	if note, kept := facts[v.Fact]; kept {
		from.Kind, from.ReceivedAt, from.RecordedAt = string(note.Kind), orNil(note.ReceivedAt), orNil(note.RecordedAt)
	} else if strings.HasPrefix(v.Fact, "edit of ") {
		from.Kind = "edit"
	}
	return from
}

// fieldIn says how a field of an account stands to the contact's.
func fieldIn(l directory.Link, line mapping.Line, view map[string]any) FieldAccount {
	was, told := l.Shadow[line.To]
	was = directory.Told(was)
	f := FieldAccount{Account: l.Account, To: line.To, MappingLine: line.Number, Digest: directory.Digested(was)}
	want, known, err := line.Writes(view)
	switch {
	case directory.Kept(was):
		f.Value, f.State = directory.KeptText(was), FieldUnfit
		if f.Value == "" {
			f.State = FieldTheirs
		}
	case !told:
		f.State = FieldNeverTold
	case err == nil && known && (directory.ShadowOf(want) == was || directory.Same(want, shown(was), connectors.FieldType(line.Theirs.Type)) && !f.Digest):
		f.Value, f.State = was, FieldAgrees
	default:
		f.Value, f.State = was, FieldDiffers
	}
	return f
}

// shown is a shadow's text as a value.
func shown(text string) any {
	if text == "" {
		return nil
	}
	return text
}
