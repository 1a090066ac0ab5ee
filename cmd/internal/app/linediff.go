package app

import (
	"slices"
	"strings"
)

// LineDiff returns the lines that differ between two texts: those that go with
// "- " before them, those that come with "+ ", and a few that stay around them.
// It is empty if nothing differs.
func LineDiff(before, after []byte) []string {
	const around = 2
	a, b := linesOf(before), linesOf(after)
	if slices.Equal(a, b) {
		return nil
	}
	all := diffOf(a, b)
	near := func(i int) bool {
		return slices.ContainsFunc(all[max(0, i-around):min(len(all), i+around+1)], func(l string) bool { return l[0] != ' ' })
	}
	var shown []string
	for i, line := range all {
		switch {
		case near(i):
			shown = append(shown, line)
		case len(shown) == 0 || shown[len(shown)-1] != "  …":
			shown = append(shown, "  …")
		}
	}
	return shown
}

func linesOf(text []byte) []string {
	if len(text) == 0 {
		return nil
	}
	return strings.Split(strings.TrimSuffix(string(text), "\n"), "\n")
}

// diffOf is all lines of two texts. What they have in common is found where that
// is affordable.
func diffOf(a, b []string) []string {
	const most = 16 << 20 // pairs of lines
	var all []string
	for len(a) > 0 && len(b) > 0 && a[0] == b[0] {
		all = append(all, "  "+a[0])
		a, b = a[1:], b[1:]
	}
	tail := 0
	for tail < min(len(a), len(b)) && a[len(a)-1-tail] == b[len(b)-1-tail] {
		tail++
	}
	end := a[len(a)-tail:]
	a, b = a[:len(a)-tail], b[:len(b)-tail]
	if len(a)*len(b) > most {
		a, b, all = nil, nil, append(append(all, marked("- ", a)...), marked("+ ", b)...)
	}
	// common[i][j] is how many lines the rests from i and j have in common.
	common := make([][]int32, len(a)+1)
	for i := len(a); i >= 0; i-- {
		common[i] = make([]int32, len(b)+1)
		for j := len(b) - 1; i < len(a) && j >= 0; j-- {
			common[i][j] = max(common[i+1][j], common[i][j+1])
			if a[i] == b[j] {
				common[i][j] = common[i+1][j+1] + 1
			}
		}
	}
	for i, j := 0, 0; i < len(a) || j < len(b); {
		switch {
		case i < len(a) && j < len(b) && a[i] == b[j]:
			all = append(all, "  "+a[i])
			i, j = i+1, j+1
		case j == len(b) || i < len(a) && common[i+1][j] >= common[i][j+1]:
			all = append(all, "- "+a[i])
			i++
		default:
			all = append(all, "+ "+b[j])
			j++
		}
	}
	return append(all, marked("  ", end)...)
}

func marked(mark string, lines []string) []string {
	out := make([]string, len(lines))
	for i, l := range lines {
		out[i] = mark + l
	}
	return out
}
