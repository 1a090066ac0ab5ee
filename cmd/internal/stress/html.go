package stress

import (
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"math"
	"time"
)

//go:embed report.html
var page string

var report = template.Must(template.New("report").Funcs(template.FuncMap{
	"whole":   Whole[int],
	"whole64": Whole[int64],
	"ms":      func(ms float64) string { return Short(time.Duration(ms * 1e6)) },
	"mib":     func(bytes float64) string { return fmt.Sprintf("%.0f MiB", bytes/(1<<20)) },
	"float":   func(n int64) float64 { return float64(n) },
	"percent": func(share float64) string { return fmt.Sprintf("%.3g %%", share*100) },
	"dec":     func(f float64) string { return fmt.Sprintf("%.3f", f) },
	"two":     func(f float64) string { return fmt.Sprintf("%.2f", f) },
	"rate":    func(f float64) string { return Whole(int(math.Round(f))) },
	"look":    look,
	"seconds": func(s float64) string { return Lasting(time.Duration(s * 1e9)) },
}).Parse(page))

// WriteHTML writes a page that needs no network.
func (res *Result) WriteHTML(w io.Writer) error {
	lost, doubled := 0, 0
	for _, a := range res.Accounts {
		lost += a.Lost
		doubled += a.Doubled + a.PeopleDoubled
	}
	return report.Execute(w, struct {
		*Result
		Lost       int
		Doubled    int
		Slowest    Account
		Throughput chart
		Delays     []chart
		Spread     chart
		Answers    chart
		Parts      []chart
		Ramp       *chart
	}{res, lost, doubled, res.slowest(), res.throughput(), res.delays(), res.spread(), res.answers(), res.parts(), res.ramp()})
}

// look is the class of the nth account.
func look(n int) string { return fmt.Sprintf("a%d", n%5) }

const (
	wide  = 1000.0
	small = 325.0
)

// overTime is an empty chart of the run.
func (res *Result) overTime(title string, width, height float64) chart {
	c := chart{Title: title, Width: width, Height: height, At: "seconds", To: float64(len(res.Series.Sent)) * res.Series.Span}
	for i := range res.Series.Sent {
		c.X = append(c.X, (float64(i)+0.5)*res.Series.Span)
	}
	c.XTicks = timeTicks(c.To)
	if width < wide {
		c.XTicks = everyOther(c.XTicks)
	}
	return c
}

func everyOther(ticks []tick) []tick {
	var some []tick
	for i, t := range ticks {
		if i%2 == 0 {
			some = append(some, t)
		}
	}
	return some
}

func (res *Result) throughput() chart {
	c := res.overTime("Messages a second", wide, 230)
	c.Unit = "count"
	c.Lines = []line{{Name: "sent", Look: "sent", Area: true, Values: res.Series.Sent}}
	for i, a := range res.Series.Accounts {
		c.Lines = append(c.Lines, line{Name: res.Accounts[i].Name, Look: look(i), Values: a.Arrived})
	}
	return c
}

// delays are drawn to one scale.
func (res *Result) delays() []chart {
	var charts []chart
	highest := 0.0
	for i, a := range res.Series.Accounts {
		c := res.overTime(res.Accounts[i].Name, small, 200)
		c.Unit, c.Log, c.Limit = "ms", true, res.MaxDelay
		half, most := split(a.Delays)
		c.Lines = []line{{Name: "p50", Look: look(i), Values: half}, {Name: "p99", Look: look(i) + " faint", Values: most}}
		for _, v := range most {
			highest = max(highest, v)
		}
		charts = append(charts, c)
	}
	for i := range charts {
		charts[i].Top = max(highest, res.MaxDelay)
	}
	return charts
}

func split(q []Quantiles) (p50, p99 []float64) {
	for _, v := range q {
		p50, p99 = append(p50, v.P50), append(p99, v.P99)
	}
	return p50, p99
}

func (res *Result) answers() chart {
	c := res.overTime("How long webhooks waited for their answers", wide, 190)
	c.Unit, c.Log = "ms", true
	half, most := split(res.Series.Answers)
	c.Lines = []line{{Name: "p50", Look: "answer", Values: half}, {Name: "p99", Look: "answer faint", Values: most}}
	return c
}

// spread shows each delay against the share of messages that had a longer one,
// which falls to a tenth from mark to mark.
func (res *Result) spread() chart {
	c := chart{Title: "How many took how long", Width: wide, Height: 230, At: "share", Unit: "ms", Log: true, Limit: res.MaxDelay}
	nines := func(share float64) float64 { return -math.Log10(1 - share) }
	for _, p := range shares {
		c.X = append(c.X, nines(p))
	}
	c.To = nines(shares[len(shares)-1])
	for _, t := range []struct {
		share float64
		text  string
	}{{0, "fastest"}, {0.5, "50 %"}, {0.9, "90 %"}, {0.99, "99 %"}, {0.999, "99.9 %"}} {
		c.XTicks = append(c.XTicks, tick{nines(t.share), t.text})
	}
	for i, a := range res.Series.Accounts {
		c.Lines = append(c.Lines, line{Name: res.Accounts[i].Name, Look: look(i), Values: a.Spread})
	}
	c.Lines = append(c.Lines, line{Name: "webhook answers", Look: "answer", Values: res.Series.Spread})
	return c
}

// parts are what the worker used.
func (res *Result) parts() []chart {
	samples := res.Worker.Samples
	if len(samples) < 2 {
		return nil
	}
	part := func(title, unit string, of func(i int) float64) chart {
		c := chart{Title: title, Width: small, Height: 160, Unit: unit, At: "seconds", To: samples[len(samples)-1].At}
		l := line{Name: title, Look: "part", Area: true}
		for i := range samples {
			c.X = append(c.X, samples[i].At)
			l.Values = append(l.Values, of(i))
		}
		c.XTicks = everyOther(timeTicks(c.To))
		c.Lines = []line{l}
		return c
	}
	return []chart{
		part("Memory", "mib", func(i int) float64 { return samples[i].Memory / (1 << 20) }),
		part("Processor cores in use", "cores", func(i int) float64 {
			before := i // half a second ago at least: a scrape may come late
			for before > 0 && samples[before].At > samples[i].At-0.5 {
				before--
			}
			return (samples[i].CPUSeconds - samples[before].CPUSeconds) / max(samples[i].At-samples[before].At, 1e-9)
		}),
		part("Backlog", "count", func(i int) float64 { return samples[i].Backlog }),
		part("Goroutines", "count", func(i int) float64 { return samples[i].Goroutines }),
		part("Open files", "count", func(i int) float64 { return samples[i].Files }),
		part("Heap in use", "mib", func(i int) float64 { return samples[i].Heap / (1 << 20) }),
	}
}

// ramp shows the delays of each step.
func (res *Result) ramp() *chart {
	if len(res.Steps) < 2 {
		return nil
	}
	c := chart{Title: "Delay by rate, 99th percentile", Width: wide, Height: 230, At: "rate", Unit: "ms", Log: true, Limit: res.MaxDelay}
	for i := range res.Accounts {
		c.Lines = append(c.Lines, line{Name: res.Accounts[i].Name, Look: look(i)})
	}
	every := max(1, len(res.Steps)/8)
	for i, s := range res.Steps {
		c.X = append(c.X, s.Rate)
		if i%every == 0 {
			c.XTicks = append(c.XTicks, tick{s.Rate, Whole(int(s.Rate))})
		}
		for j, d := range s.Delays {
			c.Lines[j].Values = append(c.Lines[j].Values, d.P99)
		}
	}
	c.From, c.To = c.X[0], c.X[len(c.X)-1]
	return &c
}
