package stress

import (
	"encoding/json"
	"fmt"
	"html/template"
	"math"
	"strings"
	"time"
)

// A chart is drawn as SVG, so that a page shows it without a script; the page's
// script adds the reading under the pointer.
type chart struct {
	Title  string
	Width  float64
	Height float64
	// X are the places of the values, in ascending order, between From and To.
	X        []float64
	From, To float64
	XTicks   []tick
	Lines    []line
	// Unit is how values are written: ms, count, mib or cores.
	Unit string
	// Log draws them on a logarithmic scale, on which 0 is a gap.
	Log bool
	// Top is the least that the scale reaches up to, Limit a line that is not to
	// be crossed; 0 for none.
	Top, Limit float64
	// At says what a place is, in the reading: seconds, share or rate.
	At string
}

type line struct {
	Name string
	// Look is a class of the page's style.
	Look   string
	Area   bool
	Values []float64
}

type tick struct {
	at   float64
	text string
}

// The room around the plot for what is written there.
const (
	left, right = 58.0, 12.0
	top, bottom = 8.0, 24.0
)

// SVG draws the chart.
func (c chart) SVG() template.HTML {
	low, high, ticks := c.scale()
	x := func(v float64) float64 {
		return left + (v-c.From)/math.Max(c.To-c.From, 1e-9)*(c.Width-left-right)
	}
	y := func(v float64) float64 {
		share := (v - low) / (high - low)
		if c.Log {
			share = (math.Log10(v) - math.Log10(low)) / (math.Log10(high) - math.Log10(low))
		}
		return top + (1-min(max(share, 0), 1))*(c.Height-top-bottom)
	}
	var b strings.Builder
	fmt.Fprintf(&b, `<svg viewBox="0 0 %.0f %.0f" role="img" aria-label="%s">`, c.Width, c.Height, template.HTMLEscapeString(c.Title))
	for _, t := range ticks {
		fmt.Fprintf(&b, `<path class="grid" d="M%.1f %.1fH%.1f"/><text class="y" x="%.1f" y="%.1f">%s</text>`, left, y(t), c.Width-right, left-8, y(t)+4, inUnit(c.Unit, t))
	}
	for _, t := range c.XTicks {
		anchor := "middle"
		if x(t.at) > c.Width-right-20 {
			anchor = "end"
		}
		fmt.Fprintf(&b, `<text class="x" style="text-anchor:%s" x="%.1f" y="%.1f">%s</text>`, anchor, x(t.at), c.Height-6, t.text)
	}
	if c.Limit > 0 && c.Limit <= high {
		fmt.Fprintf(&b, `<path class="limit" d="M%.1f %.1fH%.1f"/>`, left, y(c.Limit), c.Width-right)
	}
	for _, l := range c.Lines {
		path, from := strings.Builder{}, 0
		for i := 0; i <= len(l.Values); i++ {
			if i < len(l.Values) && (!c.Log || l.Values[i] > 0) && !math.IsNaN(l.Values[i]) {
				op := "L"
				if i == from {
					op = "M"
				}
				fmt.Fprintf(&path, "%s%.1f %.1f", op, x(c.X[i]), y(l.Values[i]))
				continue
			}
			from = i + 1
		}
		if l.Area && len(l.Values) > 1 {
			last := len(l.Values) - 1
			fmt.Fprintf(&b, `<path class="area %s" d="%sL%.1f %.1fH%.1fZ"/>`, l.Look, path.String(), x(c.X[last]), y(low), x(c.X[0]))
		}
		fmt.Fprintf(&b, `<path class="line %s" d="%s"/>`, l.Look, path.String())
	}
	fmt.Fprintf(&b, `<path class="cursor" d="M0 %.1fV%.1f"/></svg>`, top, c.Height-bottom)
	return template.HTML(b.String()) //nolint:gosec // the title is escaped, the rest are numbers and the program's own words
}

// Reading is what the script shows under the pointer.
func (c chart) Reading() string {
	type named struct {
		Name   string    `json:"name"`
		Look   string    `json:"look"`
		Values []float64 `json:"values"`
	}
	reading := struct {
		X     []float64 `json:"x"`
		Place []float64 `json:"place"` // the same in the drawing
		Unit  string    `json:"unit"`
		At    string    `json:"at"`
		Lines []named   `json:"lines"`
	}{X: c.X, Unit: c.Unit, At: c.At}
	for _, v := range c.X {
		reading.Place = append(reading.Place, round(left+(v-c.From)/math.Max(c.To-c.From, 1e-9)*(c.Width-left-right), 1))
	}
	for _, l := range c.Lines {
		values := make([]float64, len(l.Values))
		for i, v := range l.Values {
			if !math.IsNaN(v) {
				values[i] = round(v, 2)
			}
		}
		reading.Lines = append(reading.Lines, named{l.Name, l.Look, values})
	}
	text, err := json.Marshal(reading)
	if err != nil {
		return "{}" // numbers can be marshalled
	}
	return string(text)
}

// scale is from where to where the values go, and what is marked in between.
func (c chart) scale() (low, high float64, ticks []float64) {
	low, high = math.Inf(1), c.Top
	for _, l := range c.Lines {
		for _, v := range l.Values {
			if v > 0 {
				low = min(low, v)
				high = max(high, v)
			}
		}
	}
	if c.Log {
		low = 1 / nice(1/min(low, 100))
		high = nice(max(high, low*10))
		for v := math.Pow10(int(math.Ceil(math.Log10(low) - 1e-9))); v <= high*1.001; v *= 10 {
			ticks = append(ticks, v)
		}
		return low, high, ticks
	}
	high = max(high, 1e-3)
	step := nice(high / 4)
	for v := 0.0; ; v += step {
		ticks = append(ticks, v)
		if v >= high {
			return 0, v, ticks
		}
	}
}

// nice is the next of 1, 2 and 5 times a power of ten.
func nice(v float64) float64 {
	power := math.Pow(10, math.Floor(math.Log10(v)))
	for _, n := range []float64{1, 2, 5} {
		if v <= n*power*1.0001 {
			return n * power
		}
	}
	return 10 * power
}

func inUnit(unit string, v float64) string {
	switch unit {
	case "ms":
		d := time.Duration(v * 1e6)
		if d >= time.Second {
			return fmt.Sprintf("%g s", round(d.Seconds(), 1))
		}
		return fmt.Sprintf("%g ms", round(v, 1))
	case "mib":
		return fmt.Sprintf("%g MiB", round(v, 1))
	case "cores":
		return fmt.Sprintf("%g", round(v, 2))
	}
	if v == math.Trunc(v) {
		return Whole(int(v))
	}
	return fmt.Sprintf("%g", round(v, 2))
}

// timeTicks marks some round times up to one.
func timeTicks(to float64) []tick {
	steps := []float64{1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200}
	step := steps[len(steps)-1]
	for _, s := range steps {
		if to/s <= 8 {
			step = s
			break
		}
	}
	var ticks []tick
	for at := 0.0; at <= to; at += step {
		text := fmt.Sprintf("%d:%02d", int(at)/60, int(at)%60)
		if to >= 7200 {
			text = fmt.Sprintf("%d h %02d", int(at)/3600, int(at)/60%60)
		}
		ticks = append(ticks, tick{at, text})
	}
	return ticks
}
