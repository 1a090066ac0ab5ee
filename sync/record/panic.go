package record

import (
	"fmt"
	"runtime"
	"strings"
)

// A panicked is a panic as an error. It says where, and none of the values:
// those are other people's.
type panicked struct{ where string }

func (p *panicked) Error() string { return "the program panics in " + p.where }

// recovered makes an error of a panic: a fact at which the program stumbles
// each time it comes would otherwise end it each time.
func recovered(f func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = &panicked{where()}
		}
	}()
	return f()
}

// where is the function that panicked.
func where() string {
	callers := make([]uintptr, 32)
	frames := runtime.CallersFrames(callers[:runtime.Callers(0, callers)])
	for panics := false; ; {
		f, more := frames.Next()
		switch {
		case f.Function == "runtime.gopanic":
			panics = true
		case panics && !strings.HasPrefix(f.Function, "runtime."):
			return fmt.Sprintf("%s, line %d", f.Function, f.Line)
		}
		if !more {
			return "a place unknown"
		}
	}
}
