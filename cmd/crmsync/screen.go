package main

import (
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/mattn/go-isatty"

	"crmsync/cmd/internal/stress"
)

// A screen shows how far something is: on a terminal in one line that changes,
// elsewhere in a line every now and then.
type screen struct {
	file     *os.File
	terminal bool
	every    time.Duration
	shown    time.Time
	last     string
}

func newScreen(file *os.File, every time.Duration) *screen {
	return &screen{file: file, terminal: isatty.IsTerminal(file.Fd()), every: every, shown: time.Now()}
}

func (s *screen) say(text string) { fmt.Fprintln(s.file, text) }

// show shows a line, drawn on a terminal and plain elsewhere.
func (s *screen) show(drawn, plain string) {
	switch {
	case s.terminal:
		fmt.Fprint(s.file, "\r\x1b[2K"+drawn)
	case plain != s.last && time.Since(s.shown) >= s.every:
		s.last, s.shown = plain, time.Now()
		s.say(plain)
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
