package zohosim

import (
	"cmp"
	"slices"
	"sort"
	"time"
)

// timeRange is a span of whole seconds; zero times leave it open.
type timeRange struct{ low, high time.Time }

// timeRange bounds the times of change that can meet the condition.
func (c *condition) timeRange() (span timeRange) {
	if c.join == "and" {
		left, right := c.left.timeRange(), c.right.timeRange()
		if span = left; right.low.After(left.low) {
			span.low = right.low
		}
		if left.high.IsZero() || !right.high.IsZero() && right.high.Before(left.high) {
			span.high = right.high
		}
		return span
	}
	if c.join != "" || c.field != "Modified_Time" || len(c.values) == 0 {
		return span
	}
	first, err := time.Parse(time.RFC3339, c.values[0])
	last, wrong := time.Parse(time.RFC3339, c.values[len(c.values)-1])
	if err != nil || wrong != nil {
		return span
	}
	switch c.operator {
	case ">", ">=":
		span.low = whole(first)
	case "<", "<=":
		span.high = whole(last)
	case "=", "between":
		span.low, span.high = whole(first), whole(last)
	}
	return span
}

// logged is the part of the log that has what changed in a span of time. If
// the clock went back it has all that did, and more.
func (m *module) logged(span timeRange) []entry {
	from, to := m.since(span.low), len(m.log)
	if !span.high.IsZero() && !m.bent {
		to = m.since(span.high.Add(time.Second))
	}
	return m.log[from:max(from, to)]
}

// changed are those which changed in a span of time, if they are few.
func (m *module) changed(span timeRange) ([]*record, bool) {
	entries := m.logged(span)
	if len(entries) > len(m.records)/4 {
		return nil, false
	}
	list := []*record{}
	for _, e := range entries {
		if e.fresh() {
			list = append(list, e.record)
		}
	}
	return list, true
}

// inTime visits records in the order of their changes, those of one second in
// the order of their ids, until visit returns false.
func (m *module) inTime(span timeRange, desc bool, visit func(r *record) bool) {
	entries := m.logged(span)
	for len(entries) > 0 {
		var second []entry
		if desc {
			at := whole(entries[len(entries)-1].at)
			n := sort.Search(len(entries), func(n int) bool { return !entries[n].at.Before(at) })
			entries, second = entries[:n], entries[n:]
		} else {
			at := whole(entries[0].at).Add(time.Second)
			n := sort.Search(len(entries), func(n int) bool { return !entries[n].at.Before(at) })
			second, entries = entries[:n], entries[n:]
		}
		var list []*record
		for _, e := range second {
			if e.fresh() {
				list = append(list, e.record)
			}
		}
		slices.SortFunc(list, func(a, b *record) int { return cmp.Compare(a.id, b.id) })
		for _, r := range list {
			if !visit(r) {
				return
			}
		}
	}
}
