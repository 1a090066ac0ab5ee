package bitrix24

import (
	"slices"
	"strings"

	"crmsync/connectors/phone"
)

// A wish is what one multifield of a record should hold; an empty value clears.
type wish struct {
	value string
	// numbers are those that the value of a phone may stand for, itself
	// first; former is the number that the record's key named before.
	numbers []string
	former  string
	// linked says that the record was ours before this call.
	linked bool
}

// operations turn what a record has into what is wished. Bitrix24 takes rows,
// not values: one without an id is appended, even if it is there already, and
// those not mentioned stay (Bitrix24: how to change e-mail or phone). No list
// means that there is nothing to do.
func (w *wish) operations(name, region string, have []entry) []params {
	have = slices.DeleteFunc(slices.Clone(have), func(e entry) bool { return e.ID == "" || e.Value == "" })
	if name == "PHONE" {
		return w.phone(region, have)
	}
	return w.first(name, have)
}

// phone changes the row that has the number, as people may have written it, or
// the one that has the contact's former number; otherwise it adds a row. Other
// numbers are none of our business.
func (w *wish) phone(region string, have []entry) []params {
	if w.value == "" {
		var gone []params
		for _, e := range have {
			if phone.Index(string(e.Value), region, w.numbers) >= 0 {
				gone = append(gone, params{"ID": string(e.ID), "DELETE": "Y"})
			}
		}
		return gone
	}
	best, at := len(w.numbers)+1, -1
	for i, e := range have {
		if string(e.Value) == w.value {
			return nil
		}
		rank := phone.Index(string(e.Value), region, w.numbers)
		if rank < 0 && w.former != "" && phone.Index(string(e.Value), region, []string{w.former}) == 0 {
			rank = len(w.numbers)
		}
		if rank >= 0 && rank < best {
			best, at = rank, i
		}
	}
	if at < 0 {
		return []params{appended("PHONE", w.value)}
	}
	return []params{{"ID": string(have[at].ID), "VALUE": w.value}}
}

// first makes the value that of the first row, which is the one that is read.
// What it takes the place of is kept when it is not known to be ours.
func (w *wish) first(name string, have []entry) []params {
	switch {
	case w.value == "" && len(have) == 0:
		return nil
	case w.value == "":
		return []params{{"ID": string(have[0].ID), "DELETE": "Y"}}
	case len(have) == 0:
		return []params{appended(name, w.value)}
	}
	same := func(e entry) bool { return strings.EqualFold(string(e.Value), w.value) }
	at := slices.IndexFunc(have, same)
	change := params{"ID": string(have[0].ID), "VALUE": w.value}
	switch {
	case at == 0:
		return nil
	case at > 0:
		return []params{change, {"ID": string(have[at].ID), "VALUE": string(have[0].Value)}}
	case w.linked:
		return []params{change}
	}
	return []params{change, appended(name, string(have[0].Value))}
}

// appended is a new row. WhatsApp is no type of Bitrix24's (Bitrix24: data
// types), and its numbers are mobiles.
func appended(name, value string) params {
	typ := "WORK"
	if name == "PHONE" {
		typ = "MOBILE"
	}
	return params{"VALUE": value, "VALUE_TYPE": typ}
}

// shown is the value of a multifield that stands for it: of phones the one
// that the record's key names, else the first.
func shown(name, region string, c contact) any {
	have := c.rows(name)
	if name == "PHONE" {
		if number := phone.Of(string(c.text(keyField))); number != "" {
			for _, e := range have {
				if phone.Index(string(e.Value), region, []string{number}) == 0 {
					return string(e.Value)
				}
			}
		}
	}
	for _, e := range have {
		if e.Value != "" {
			return string(e.Value)
		}
	}
	return nil
}
