package mapping

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v4"
)

// Hours are when somebody is there, by the clocks of a zone.
type hours struct {
	zone   *time.Location
	days   [7][]span // from Sunday
	closed map[string]bool
}

// A span is a part of a day, in minutes from midnight; its end is outside.
type span struct{ from, to int }

// open reports whether a time is within the hours.
func (h *hours) open(at time.Time) bool {
	at = at.In(h.zone)
	if len(h.closed) > 0 && (h.closed[at.Format("2006-01-02")] || h.closed[at.Format("01-02")]) {
		return false
	}
	minute := at.Hour()*60 + at.Minute()
	for _, s := range h.days[at.Weekday()] {
		if s.from <= minute && minute < s.to {
			return true
		}
	}
	return false
}

var (
	dayNames = []string{"sun", "mon", "tue", "wed", "thu", "fri", "sat"}
	spanText = regexp.MustCompile(`^([0-9]{1,2}):([0-9]{2}) ?[-–] ?([0-9]{1,2}):([0-9]{2})$`)
)

// readHours reads the document's hours, each under its name.
func (c *compiler) readHours(node *yaml.Node) map[string]*hours {
	all := map[string]*hours{}
	c.each(node, "hours", func(name, days *yaml.Node) {
		all[name.Value] = &hours{zone: time.UTC} // so that rules may name it whatever is wrong with it
		h := &hours{closed: map[string]bool{}}
		faults := len(c.findings)
		seen := c.each(days, "hours "+clip(name.Value), func(key, value *yaml.Node) {
			switch key.Value {
			case "zone":
				zone, err := zoneOf(value.Value)
				if err != nil {
					c.at(value, "%s", err)
				}
				h.zone = zone
			case "closed":
				for _, day := range c.some(value, "closed") {
					if !isDay(day.Value) {
						c.at(day, "%q is no day; write 2026-12-25, or 12-25 for every year", clip(day.Value))
					}
					h.closed[day.Value] = true
				}
			default:
				c.dayHours(h, key, value)
			}
		})
		switch {
		case seen == nil || len(c.findings) > faults:
		case !seen["zone"]:
			c.at(name, "hours %s need the time zone of their clock, such as zone: Europe/Rome", clip(name.Value))
		case !slices.ContainsFunc(h.days[:], func(day []span) bool { return len(day) > 0 }):
			c.at(name, "hours %s are never; write days such as mon-fri: \"09:00-18:00\"", clip(name.Value))
		default:
			all[name.Value] = h
		}
	})
	return all
}

func isDay(text string) bool {
	_, year := time.Parse("2006-01-02", text)
	_, any := time.Parse("2006-01-02", "2024-"+text) // a leap year
	return year == nil || any == nil
}

// dayHours reads the hours of a day, or of days such as mon-fri.
func (c *compiler) dayHours(h *hours, key, value *yaml.Node) {
	first, last, several := strings.Cut(strings.ToLower(key.Value), "-")
	if !several {
		last = first
	}
	from, to := slices.Index(dayNames, first), slices.Index(dayNames, last)
	if from < 0 || to < 0 {
		c.unknown(key, append(slices.Clone(dayNames), "zone", "closed"), "days are mon, tue, wed, thu, fri, sat and sun, or such as mon-fri; beside them there are zone and closed")
		return
	}
	spans := c.spans(value)
	for day := from; ; day = (day + 1) % 7 {
		if len(h.days[day]) > 0 {
			c.at(key, "%s has hours already; put all of a day's hours into one line", dayNames[day])
			return
		}
		h.days[day] = spans
		if day == to {
			return
		}
	}
}

// spans reads hours such as 09:00-13:00, 14:00-18:00.
func (c *compiler) spans(node *yaml.Node) (all []span) {
	if node.Kind != yaml.ScalarNode || node.Value == "" {
		c.at(node, "hours are a text such as \"09:00-13:00, 14:00-18:00\"")
		return nil
	}
	for text := range strings.SplitSeq(node.Value, ",") {
		text = strings.TrimSpace(text)
		m := spanText.FindStringSubmatch(text)
		if m == nil {
			c.at(node, "%q are no hours; write 09:00-13:00", clip(text))
			return nil
		}
		s := span{minuteOf(m[1], m[2]), minuteOf(m[3], m[4])}
		switch {
		case s.from < 0 || s.to < 0 || s.from == 24*60:
			c.at(node, "%s: a day has the hours from 00:00 to 24:00", text)
			return nil
		case s.from == s.to:
			c.at(node, "%s ends when it begins", text)
			return nil
		case s.from > s.to:
			c.at(node, "%s ends before it begins; past midnight write %s-24:00, and 00:00-%s for the day after", text, text[:strings.IndexAny(text, " -–")], m[3]+":"+m[4])
			return nil
		}
		for _, other := range all {
			if s.from < other.to && other.from < s.to {
				c.at(node, "%s overlaps with other hours of the day", text)
				return nil
			}
		}
		all = append(all, s)
	}
	return all
}

// minuteOf is a time's minute of the day, -1 for none.
func minuteOf(hour, minute string) int {
	h, _ := strconv.Atoi(hour) // digits
	m, _ := strconv.Atoi(minute)
	if h > 24 || m > 59 || h == 24 && m > 0 {
		return -1
	}
	return h*60 + m
}

// some are the nodes of a list, or the one that stands for a list of one.
func (c *compiler) some(node *yaml.Node, what string) []*yaml.Node {
	list := []*yaml.Node{node}
	if node.Kind == yaml.SequenceNode {
		list = node.Content
	}
	if len(list) == 0 {
		c.at(node, "%s is an empty list; leave it out, or name something", what)
	}
	for _, n := range list {
		if n.Kind != yaml.ScalarNode {
			c.at(n, "%s is a text or a list of texts, such as [one, two]", what)
			return nil
		}
	}
	return list
}

// named finds what a node names among things of a kind.
func named[T any](c *compiler, node *yaml.Node, kind, where string, all map[string]T) (t T, ok bool) {
	if node.Kind != yaml.ScalarNode || node.Value == "" {
		c.at(node, "this must be the name of a %s", kind)
		return t, false
	}
	if t, ok = all[node.Value]; ok {
		return t, true
	}
	hint := fmt.Sprintf("the document has none: write %s", where)
	if names := slices.Sorted(maps.Keys(all)); len(names) > 0 {
		hint = "there " + are(names)
		if near := nearest(node.Value, names); near != "" {
			hint = "did you mean " + near + "?"
		}
	}
	c.at(node, "there is no %s %q; %s", kind, clip(node.Value), hint)
	return t, false
}
