package zohosim

import (
	"encoding/json"
	"net/http"
	"strconv"

	"crmsync/connectors/internal/simcrm"
)

// control answers the calls under /_sim/.
func (s *Server) control(w http.ResponseWriter, r *http.Request) {
	simcrm.Control(w, r, s, func() any { return s.Stats() }, map[string]http.HandlerFunc{
		"POST purge": func(w http.ResponseWriter, r *http.Request) {
			var in struct{ ID string }
			if !simcrm.Understand(w, r, &in) {
				return
			}
			if !s.Purge(in.ID) {
				simcrm.Wrong(w, http.StatusNotFound, "the recycle bin has no contact "+strconv.Quote(in.ID))
				return
			}
			simcrm.Tell(w, map[string]bool{"purged": true})
		},
		"GET knobs": func(w http.ResponseWriter, _ *http.Request) { simcrm.Tell(w, s.Knobs()) },
		"POST knobs": func(w http.ResponseWriter, r *http.Request) {
			var raw json.RawMessage
			if !simcrm.Understand(w, r, &raw) {
				return
			}
			if err := s.turn(raw); err != nil {
				simcrm.Wrong(w, http.StatusBadRequest, err.Error())
				return
			}
			simcrm.Tell(w, s.Knobs())
		},
	})
}
