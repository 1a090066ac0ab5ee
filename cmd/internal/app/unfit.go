package app

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"crmsync/sync/directory"
)

// UnfitValue is a value in a CRM that is not of its field's type. It stays there
// and is not carried on.
type UnfitValue struct {
	Account  string `json:"account"`
	RecordID string `json:"record_id"`
	Contact  int64  `json:"contact"`
	// To is the account's name of the field, Field crmsync's own, MappingLine
	// where they meet.
	To          string `json:"to"`
	Field       string `json:"field"`
	MappingLine int    `json:"mapping_line"`
	// Problem is what is wrong with it, without the value.
	Problem string     `json:"problem"`
	SeenAt  *time.Time `json:"seen_at,omitempty"`
	// Value is only there if it was asked for; a digest (sha256:…) if it is
	// long.
	Value string `json:"value,omitempty"`
}

// Unfit returns the values that are not of their field's type, of one account or
// of all, in the order of the accounts. Without values it says only where they
// are.
func (b *Book) Unfit(ctx context.Context, account string, values bool) ([]UnfitValue, error) {
	if crms := CRMs(b.config); account != "" && !slices.Contains(crms, account) {
		return nil, NoSuchAccount(fmt.Sprintf("there is no CRM account %q in the configuration; there are %s", account, strings.Join(crms, ", ")))
	}
	const page = 500
	list := []UnfitValue{}
	after := directory.Link{}
	for {
		links, err := b.db.Unfit(ctx, account, after, page)
		if err != nil || len(links) == 0 {
			return list, err
		}
		for _, l := range links {
			after = l
			list = append(list, b.unfitIn(l, values)...)
		}
	}
}

func (b *Book) unfitIn(l directory.Link, values bool) (list []UnfitValue) {
	for _, line := range b.mapping.Lines(l.Account) {
		text := directory.KeptText(l.Shadow[line.To])
		if text == "" {
			continue // or left to the people there, whatever it is
		}
		v := UnfitValue{
			Account: l.Account, RecordID: l.RecordID, Contact: l.Entity.ID, To: line.To, Field: line.From, MappingLine: line.Number,
			Problem: directory.Fault(line, text, b.config.DefaultRegion), SeenAt: orNil(l.SeenAt),
		}
		if v.Problem == "" {
			v.Problem = "fine by itself; the configuration was another when it came, or another CRM's rules change it back each time"
		}
		if values {
			v.Value = text
		}
		list = append(list, v)
	}
	return list
}
