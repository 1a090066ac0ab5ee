package zohosim

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// holds compares a value with those of a condition.
func holds(v any, operator string, values []string) bool {
	switch operator {
	case "in":
		return slices.ContainsFunc(values, func(w string) bool { return compare(v, w) == 0 })
	case "between":
		return compare(v, values[0]) >= 0 && compare(v, values[1]) <= 0
	case "like":
		return like(fmt.Sprint(v), values[0])
	}
	order := compare(v, values[0])
	switch operator {
	case "=":
		return order == 0
	case "!=":
		return order != 0
	case "<":
		return order < 0
	case "<=":
		return order <= 0
	case ">":
		return order > 0
	}
	return order >= 0
}

// like knows % only at the ends, where integrations use it.
func like(text, pattern string) bool {
	text, pattern = strings.ToLower(text), strings.ToLower(pattern)
	core := strings.Trim(pattern, "%")
	switch before, after := strings.HasPrefix(pattern, "%"), strings.HasSuffix(pattern, "%"); {
	case before && after:
		return strings.Contains(text, core)
	case before:
		return strings.HasSuffix(text, core)
	case after:
		return strings.HasPrefix(text, core)
	}
	return text == core
}

// compare orders a stored value against another one or against what a query
// says.
func compare(a, b any) int {
	switch v := a.(type) {
	case nil:
		if b == nil {
			return 0
		}
		return -1
	case time.Time:
		if t, is := b.(time.Time); is {
			return v.Compare(t)
		}
		if t, err := time.Parse(time.RFC3339, fmt.Sprint(b)); err == nil {
			return v.Compare(t)
		}
		return -1
	case float64:
		if n, err := strconv.ParseFloat(fmt.Sprint(b), 64); err == nil {
			return cmp.Compare(v, n)
		}
		return -1
	case *user:
		a = v.id
	case *record:
		a = v.name()
	}
	switch v := b.(type) {
	case nil:
		return 1
	case *user:
		b = v.id
	case *record:
		b = v.name()
	}
	left, right := strings.ToLower(fmt.Sprint(a)), strings.ToLower(fmt.Sprint(b))
	if len(left) > 17 && numeric.MatchString(left) && numeric.MatchString(right) {
		if order := cmp.Compare(len(left), len(right)); order != 0 {
			return order
		}
	}
	return strings.Compare(left, right)
}
