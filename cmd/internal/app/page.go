package app

import (
	"bytes"
	_ "embed"
	"errors"
	"fmt"
	"html/template"
	"os"
	"path/filepath"
	"strings"
	"time"
)

//go:embed daily.html
var dailyPage string

var dailyTemplate = template.Must(template.New("daily").Funcs(template.FuncMap{
	"whole":   grouped,
	"lasting": lasting,
	"mib":     func(bytes int64) string { return fmt.Sprintf("%.0f MiB", float64(bytes)/(1<<20)) },
	"clock":   func(t *time.Time) string { return t.UTC().Format("15:04") },
	"many":    manyOf,
	"count":   func(list []string) int64 { return int64(len(list)) },
	"spread":  spreadOf,
}).Parse(dailyPage))

// HTML is the report as a page that needs no network.
func (r *DailyReport) HTML() ([]byte, error) {
	var b bytes.Buffer
	var in, out int64
	var slowest float64
	for i := range r.Accounts {
		a := &r.Accounts[i]
		in, out, slowest = in+a.In(), out+a.Out(), max(slowest, a.Delays.P99)
	}
	err := dailyTemplate.Execute(&b, struct {
		*DailyReport
		In, Out int64
		Slowest float64
	}{r, in, out, slowest})
	return b.Bytes(), err
}

// A bar is one of a spread of delays.
type bar struct {
	// At is its upper end, Share its part of all, Height that of the highest.
	At            string
	Share, Height float64
}

// spreadOf is how many deliveries took how long.
func spreadOf(d Delays) (bars []bar) {
	highest := int64(1)
	first, last := len(d.Counts), 0
	for i, n := range d.Counts {
		highest = max(highest, n)
		if n > 0 {
			first, last = min(first, i), i
		}
	}
	for i := first; i <= last && i < len(d.Counts); i++ {
		bars = append(bars, bar{"≤ " + lasting(d.Bounds[i]), 100 * float64(d.Counts[i]) / float64(max(d.Count, 1)), 100 * float64(d.Counts[i]) / float64(highest)})
	}
	return bars
}

// grouped is a number with commas between thousands.
func grouped(n int64) string {
	text := fmt.Sprint(n)
	for i := len(text) - 3; i > 0 && text[i-1] != '-'; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	return text
}

// lasting is a delay in seconds as people read it.
func lasting(seconds float64) string {
	switch {
	case seconds < 1:
		return fmt.Sprintf("%.0f ms", seconds*1000)
	case seconds < 100:
		return strings.TrimSuffix(fmt.Sprintf("%.1f", seconds), ".0") + " s"
	case seconds < 6000:
		return fmt.Sprintf("%.0f min", seconds/60)
	}
	return fmt.Sprintf("%.0f h", seconds/3600)
}

// keepPage writes the page of a report, and removes pages whose report is gone.
func keepPage(dir, job string, due time.Time, page []byte) (file string, err error) {
	file = filepath.Join(dir, job+due.UTC().Format(reportTime)+".html")
	if err := replaceFile(file, page); err != nil {
		return file, err
	}
	pages, err := filepath.Glob(filepath.Join(dir, job+"*.html"))
	for _, old := range pages {
		if _, gone := os.Stat(strings.TrimSuffix(old, ".html") + ".json"); errors.Is(gone, os.ErrNotExist) {
			err = errors.Join(err, os.Remove(old))
		}
	}
	return file, err
}
