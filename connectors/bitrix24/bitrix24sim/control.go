package bitrix24sim

import (
	"io"
	"net/http"

	"crmsync/connectors/internal/simcrm"
)

// control answers the calls under /_sim/.
func (s *Server) control(w http.ResponseWriter, r *http.Request) {
	simcrm.Control(w, r, s, func() any { return s.Stats() }, map[string]http.HandlerFunc{
		"GET knobs": func(w http.ResponseWriter, _ *http.Request) { simcrm.Tell(w, s.Knobs()) },
		"POST knobs": func(w http.ResponseWriter, r *http.Request) {
			raw, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 1<<20))
			if err == nil {
				err = s.turn(raw)
			}
			if err != nil {
				simcrm.Wrong(w, http.StatusBadRequest, err.Error())
				return
			}
			simcrm.Tell(w, s.Knobs())
		},
		"POST webhook": func(w http.ResponseWriter, r *http.Request) {
			var in struct{ URL string }
			if simcrm.Understand(w, r, &in) {
				s.SetEventURL(in.URL)
				simcrm.Tell(w, map[string]string{"url": in.URL})
			}
		},
	})
}
