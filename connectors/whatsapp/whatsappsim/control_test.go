package whatsappsim

import (
	"testing"
	"time"
)

func TestTheClockCanBeMovedForward(t *testing.T) {
	inWorld(t, Options{RefuseOutsideWindow: true}, func(w world) {
		w.receive(Inbound{From: "393331234567", Text: "ciao"})
		file := w.media(`{"size":1}`)
		before := w.sim.now()
		if _, code, _ := w.send(textTo("+393331234567", "x")); code != 0 {
			w.Errorf("within the window: code %d", code)
		}
		var answer map[string]any
		if code := w.control("POST", "/_sim/clock", `{"advance":"168h1m"}`, &answer); code != 200 || answer["now"] != stamp(before.Add(7*24*time.Hour+time.Minute)) {
			w.Errorf("advance: %d %v", code, answer)
		}
		if _, code, _ := w.send(textTo("+393331234567", "x")); code != 131047 {
			w.Errorf("a week later: code %d", code)
		}
		if status, doc, _ := w.call("GET", "/v24.0/"+file.ID, ""); status != 400 || errorCode(doc) != 100 {
			w.Errorf("a file, a week later: %d %v", status, doc)
		}
		for _, wrong := range []string{`{"advance":"-1h"}`, `{"advance":"tomorrow"}`, `{}`} {
			if code := w.control("POST", "/_sim/clock", wrong, &answer); code != 400 {
				w.Errorf("%s: %d %v", wrong, code, answer)
			}
		}
	})
}
