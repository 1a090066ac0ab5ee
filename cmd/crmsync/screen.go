package main

import (
	"fmt"
	"os"
	"strings"
	"time"

	"crmsync/cmd/internal/stress"
)

// A screen shows how far something is: on a terminal in one line that changes,
// elsewhere in a line every ten seconds.
type screen struct {
	file     *os.File
	terminal bool
	shown    time.Time
}

func newScreen(file *os.File) *screen {
	info, err := file.Stat()
	return &screen{file: file, terminal: err == nil && info.Mode()&os.ModeCharDevice != 0, shown: time.Now()}
}

func (s *screen) say(text string) { fmt.Fprintln(s.file, text) }

func (s *screen) show(p stress.Progress) {
	switch {
	case s.terminal:
		fmt.Fprintf(s.file, "\r\x1b[2K%s", progressLine(p))
	case time.Since(s.shown) >= 10*time.Second:
		s.shown = time.Now()
		fmt.Fprintln(s.file, progressLine(p))
	}
}

// clear takes the changing line away.
func (s *screen) clear() {
	if s.terminal {
		fmt.Fprint(s.file, "\r\x1b[2K")
	}
}

func progressLine(p stress.Progress) string {
	var b strings.Builder
	elapsed := p.Elapsed.Round(time.Second)
	switch {
	case p.Settling:
		fmt.Fprintf(&b, "all sent, %s so far", elapsed)
	case p.Of > 0:
		fmt.Fprintf(&b, "%s of %s", elapsed, stress.Lasting(p.Of))
	default:
		b.WriteString(elapsed.String())
	}
	fmt.Fprintf(&b, "   %s/min   sent %s", stress.Whole(int(p.Rate)), stress.Whole(p.Sent))
	for _, c := range p.InCRM {
		fmt.Fprintf(&b, "   %s %s", c.Name, stress.Whole(c.Count))
	}
	fmt.Fprintf(&b, "   answers p99 %s", stress.Short(p.Answer))
	if p.Errors > 0 {
		fmt.Fprintf(&b, "   errors %s", stress.Whole(p.Errors))
	}
	return b.String()
}
