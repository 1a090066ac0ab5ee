package simcrm

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// A CRM is a simulated CRM, as its control plane sees it.
type CRM[V any] interface {
	// Contacts returns the contacts with the id, else those with the phone
	// number, else all; Messages likewise.
	Contacts(id, phone string) []Contact
	Messages(wamid, phone string) []Message
	// Tasks returns the task with the id, else those of the contact, else all.
	Tasks(id, contact string) []Task
	// Edit and Delete do what a person would.
	Edit(e Edit[V]) (Contact, error)
	Delete(id string) bool
	Seed(count int) error
	Advance(d time.Duration)
	Now() time.Time
}

// Control answers a call under /_sim/. Stats are crm's, which may have more
// than [Stats]; more are the calls that only this vendor has, such as "POST
// purge".
func Control[V any](w http.ResponseWriter, r *http.Request, crm CRM[V], stats func() any, more Calls) {
	q := r.URL.Query()
	call := r.Method + " " + strings.TrimPrefix(r.URL.Path, "/_sim/")
	switch call {
	case "GET stats":
		Tell(w, stats())
	case "GET contacts":
		Tell(w, crm.Contacts(q.Get("id"), q.Get("phone")))
	case "GET messages":
		Tell(w, crm.Messages(q.Get("wamid"), q.Get("phone")))
	case "GET tasks":
		Tell(w, crm.Tasks(q.Get("id"), q.Get("contact_id")))
	case "DELETE contacts":
		if !crm.Delete(q.Get("id")) {
			Wrong(w, http.StatusNotFound, "no contact has the id "+strconv.Quote(q.Get("id")))
			return
		}
		Tell(w, map[string]bool{"deleted": true})
	case "POST contacts":
		edit(w, r, crm)
	case "POST clock":
		var in struct{ Advance string }
		if !Understand(w, r, &in) {
			return
		}
		d, err := time.ParseDuration(in.Advance)
		if err != nil || d < 0 {
			Wrong(w, http.StatusBadRequest, fmt.Sprintf("advance %q is not a duration such as \"24h\"", in.Advance))
			return
		}
		crm.Advance(d)
		Tell(w, map[string]string{"now": Stamp(crm.Now())})
	default:
		if answer := more[call]; answer != nil {
			answer(w, r)
			return
		}
		Wrong(w, http.StatusNotFound, "no control call is "+r.Method+" "+r.URL.Path)
	}
}

func edit[V any](w http.ResponseWriter, r *http.Request, crm CRM[V]) {
	var e Edit[V]
	if !Understand(w, r, &e) {
		return
	}
	if e.Count != 0 {
		if err := crm.Seed(e.Count); err != nil {
			Wrong(w, http.StatusBadRequest, err.Error())
			return
		}
		Tell(w, map[string]int{"created": e.Count})
		return
	}
	if e.ID == "" && e.Phone == "" && len(e.Fields) == 0 {
		Wrong(w, http.StatusBadRequest, "say count, or phone and fields, or id and fields")
		return
	}
	contact, err := crm.Edit(e)
	if err != nil {
		Wrong(w, http.StatusBadRequest, err.Error())
		return
	}
	Tell(w, contact)
}

// Calls are control calls of one vendor, by method and name.
type Calls = map[string]http.HandlerFunc

// Knobs are the calls that show a vendor's knobs and turn those that are named.
func Knobs[K any](shown func() K, set func(K) error) Calls {
	return Calls{
		"GET knobs": func(w http.ResponseWriter, _ *http.Request) { Tell(w, shown()) },
		"POST knobs": func(w http.ResponseWriter, r *http.Request) {
			var raw json.RawMessage
			if !Understand(w, r, &raw) {
				return
			}
			k := shown()
			err := json.Unmarshal(raw, &k)
			if err == nil {
				err = set(k)
			}
			if err != nil {
				Wrong(w, http.StatusBadRequest, err.Error())
				return
			}
			Tell(w, shown())
		},
	}
}

// Webhook is the call that says where events go.
func Webhook(set func(url string)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		var in struct{ URL string }
		if Understand(w, r, &in) {
			set(in.URL)
			Tell(w, map[string]string{"url": in.URL})
		}
	}
}

// Understand reads the body of a control call; what it cannot, it refuses.
func Understand(w http.ResponseWriter, r *http.Request, into any) bool {
	d := json.NewDecoder(http.MaxBytesReader(w, r.Body, 1<<20))
	d.DisallowUnknownFields()
	d.UseNumber()
	err := d.Decode(into)
	if err != nil {
		Wrong(w, http.StatusBadRequest, err.Error())
	}
	return err == nil
}

// Tell answers a control call.
func Tell(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(append(JSON(v), '\n'))
}

// Wrong refuses a control call.
func Wrong(w http.ResponseWriter, status int, sentence string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(append(JSON(map[string]string{"error": sentence}), '\n'))
}
