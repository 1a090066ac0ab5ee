package zohosim

import (
	"bytes"
	"cmp"
	"slices"
	"sort"
	"strings"
)

// texts are one field's values as far as searches know them, one behind the
// other: which of them hold a part is found by going through all as one text.
// A value that has changed stays until all are written anew.
type texts struct {
	all     []byte
	ends    []int
	records []*record
	stale   int
}

// aspect is a field and what of its values is compared: the digits, or all
// without regard to case.
type aspect struct {
	name   string
	digits bool
}

func (a aspect) of(r *record, v *state) string {
	if v == nil || !v.deleted.IsZero() {
		return ""
	}
	if text, _ := r.value(v, a.name).(string); !a.digits {
		return strings.ToLower(text)
	}
	return digits(r.value(v, a.name))
}

// containing are records among which all are that have a text as part of a
// value, if they are few. A field's texts are kept from when they are first
// asked for.
func (m *module) containing(a aspect, part string) ([]*record, bool) {
	t := m.texts[a]
	if t == nil {
		t = &texts{}
		for _, r := range m.records {
			t.add(r, a.of(r, r.seen))
		}
		m.texts[a] = t
	}
	if part == "" {
		return nil, false
	}
	return t.find([]byte(part), len(m.records)/4)
}

func (t *texts) add(r *record, text string) {
	if text != "" {
		t.all = append(t.all, text...)
		t.ends, t.records = append(t.ends, len(t.all)), append(t.records, r)
	}
}

// find returns false if more than most are found. What reaches from one value
// into the next is found too.
func (t *texts) find(part []byte, most int) (list []*record, few bool) {
	for from := 0; ; {
		at := bytes.Index(t.all[from:], part)
		if at < 0 {
			return list, true
		}
		if len(list) == most {
			return nil, false
		}
		n := sort.SearchInts(t.ends, from+at+1)
		list = append(list, t.records[n])
		from = t.ends[n]
	}
}

// reword keeps the texts in step with what searches know of a record.
func (m *module) reword(r *record, before, v *state) {
	for a, t := range m.texts {
		old, text := a.of(r, before), a.of(r, v)
		if old == text {
			continue
		}
		t.add(r, text)
		if old != "" {
			t.stale++
		}
		if t.stale > 100 && t.stale > len(t.records)/2 {
			delete(m.texts, a)
		}
	}
}

// match is a condition of a search.
type match struct {
	is func(r *record, v *state) bool
	// likely are records among which all are that match, if some are known.
	likely []*record
	known  bool
}

func (f match) and(o match) match {
	both := match{is: func(r *record, v *state) bool { return f.is(r, v) && o.is(r, v) }, likely: f.likely, known: f.known}
	if o.known && (!f.known || len(o.likely) < len(f.likely)) {
		both.likely, both.known = o.likely, true
	}
	return both
}

func (f match) or(o match) match {
	return match{
		is:     func(r *record, v *state) bool { return f.is(r, v) || o.is(r, v) },
		likely: slices.Concat(f.likely, o.likely), known: f.known && o.known,
	}
}

// among are the records to look at, in the order of their ids.
func (f match) among(m *module) []*record {
	if !f.known {
		return m.records
	}
	slices.SortFunc(f.likely, func(a, b *record) int { return cmp.Compare(a.id, b.id) })
	return slices.Compact(f.likely)
}
