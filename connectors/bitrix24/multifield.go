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
	// linked says that the record was ours before this call, key that it is
	// known by this one, before and after.
	linked bool
	key    string
}

// operations turn what a record has into what is wished. Bitrix24 takes rows,
// not values: one without an id is appended, even if it is there already, and
// those not mentioned stay (Bitrix24: how to change e-mail or phone). No list
// means that there is nothing to do.
func (w *wish) operations(name, region string, have []entry) []params {
	have = slices.DeleteFunc(slices.Clone(have), func(e entry) bool { return e.ID == "" || e.Value == "" })
	switch {
	case name == "PHONE" && w.linked && len(have) > 0:
		return w.instead(region, have)
	case name == "PHONE":
		return w.phone(region, have)
	}
	return w.first(name, have)
}

// instead puts the value in the place of the number that a linked record shows,
// so that it is the one that is shown: if it is not the key's, then the first,
// and the key's is gone. Other numbers stay.
func (w *wish) instead(region string, have []entry) []params {
	is := func(e entry, number string) bool {
		return number != "" && phone.Index(string(e.Value), region, []string{number}) == 0
	}
	key := phone.Of(w.key)
	at := max(slices.IndexFunc(have, func(e entry) bool { return is(e, key) }), 0)
	switch {
	case w.value == "":
		return append(w.phone(region, slices.Delete(slices.Clone(have), at, at+1)), removed(have[at]))
	case string(have[at].Value) == w.value:
		return nil
	case is(have[at], w.value), key == w.value:
		return []params{changedTo(have[at], w.value)}
	}
	// The rows as they are to be: those that have the key's number go, all but
	// one, which a new number can have.
	there := slices.IndexFunc(have, func(e entry) bool { return is(e, w.value) })
	var ops []params
	var rows []entry
	for i, e := range have {
		if is(e, key) && (i != at || there >= 0) {
			ops = append(ops, removed(e))
			continue
		}
		rows = append(rows, e)
	}
	if there >= 0 {
		at = there
	}
	at = slices.IndexFunc(rows, func(e entry) bool { return e.ID == have[at].ID })
	if at == 0 && string(rows[0].Value) == w.value {
		return ops
	}
	if ops = append(ops, changedTo(rows[0], w.value)); at > 0 {
		ops = append(ops, changedTo(rows[at], string(rows[0].Value)))
	}
	return ops
}

func removed(e entry) params { return params{"ID": string(e.ID), "DELETE": "Y"} }

func changedTo(e entry, value string) params { return params{"ID": string(e.ID), "VALUE": value} }

// phone, of a record that was not ours or has got another key, changes the row
// that has the number, as people may have written it, or the one that has the
// contact's former number; otherwise it adds a row. Other numbers are none of
// our business.
func (w *wish) phone(region string, have []entry) []params {
	if w.value == "" {
		var gone []params
		for _, e := range have {
			if phone.Index(string(e.Value), region, w.numbers) >= 0 {
				gone = append(gone, removed(e))
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
	return []params{changedTo(have[at], w.value)}
}

// first makes the value that of the first row, which is the one that is read.
// What it takes the place of is kept when it is not known to be ours.
func (w *wish) first(name string, have []entry) []params {
	switch {
	case w.value == "" && len(have) == 0:
		return nil
	case w.value == "":
		return []params{removed(have[0])}
	case len(have) == 0:
		return []params{appended(name, w.value)}
	}
	same := func(e entry) bool { return strings.EqualFold(string(e.Value), w.value) }
	at := slices.IndexFunc(have, same)
	change := changedTo(have[0], w.value)
	switch {
	case at == 0:
		return nil
	case at > 0:
		return []params{change, changedTo(have[at], string(have[0].Value))}
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
