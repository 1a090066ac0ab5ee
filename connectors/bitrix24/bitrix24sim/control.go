package bitrix24sim

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// control answers the calls under /_sim/.
func (s *Server) control(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	switch r.Method + " " + strings.TrimPrefix(r.URL.Path, "/_sim/") {
	case "GET stats":
		tell(w, s.Stats())
	case "GET contacts":
		tell(w, s.Contacts(q.Get("id"), q.Get("phone")))
	case "GET messages":
		tell(w, s.Messages(q.Get("wamid"), q.Get("phone")))
	case "DELETE contacts":
		if !s.Delete(q.Get("id")) {
			wrong(w, http.StatusNotFound, "no contact has the id "+strconv.Quote(q.Get("id")))
			return
		}
		tell(w, map[string]bool{"deleted": true})
	case "POST contacts":
		s.controlContacts(w, r)
	case "POST clock":
		var in struct{ Advance string }
		if !understand(w, r, &in) {
			return
		}
		d, err := time.ParseDuration(in.Advance)
		if err != nil || d < 0 {
			wrong(w, http.StatusBadRequest, fmt.Sprintf("advance %q is not a duration such as \"24h\"", in.Advance))
			return
		}
		s.Advance(d)
		tell(w, map[string]string{"now": stamp(s.Now())})
	case "GET knobs":
		tell(w, s.Knobs())
	case "POST knobs":
		raw, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 1<<20))
		if err == nil {
			err = s.turn(raw)
		}
		if err != nil {
			wrong(w, http.StatusBadRequest, err.Error())
			return
		}
		tell(w, s.Knobs())
	case "POST webhook":
		var in struct{ URL string }
		if understand(w, r, &in) {
			s.SetEventURL(in.URL)
			tell(w, map[string]string{"url": in.URL})
		}
	default:
		wrong(w, http.StatusNotFound, "no control call is "+r.Method+" "+r.URL.Path)
	}
}

func (s *Server) controlContacts(w http.ResponseWriter, r *http.Request) {
	var e Edit
	if !understand(w, r, &e) {
		return
	}
	if e.Count != 0 {
		if err := s.Seed(e.Count); err != nil {
			wrong(w, http.StatusBadRequest, err.Error())
			return
		}
		tell(w, map[string]int{"created": e.Count})
		return
	}
	if e.ID == "" && e.Phone == "" && len(e.Fields) == 0 {
		wrong(w, http.StatusBadRequest, "say count, or phone and fields, or id and fields")
		return
	}
	contact, err := s.Edit(e)
	if err != nil {
		wrong(w, http.StatusBadRequest, err.Error())
		return
	}
	tell(w, contact)
}

func understand(w http.ResponseWriter, r *http.Request, into any) bool {
	d := json.NewDecoder(http.MaxBytesReader(w, r.Body, 1<<20))
	d.DisallowUnknownFields()
	err := d.Decode(into)
	if err != nil {
		wrong(w, http.StatusBadRequest, err.Error())
	}
	return err == nil
}

func tell(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(append(encode(v), '\n'))
}

func wrong(w http.ResponseWriter, status int, sentence string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(append(encode(map[string]string{"error": sentence}), '\n'))
}
