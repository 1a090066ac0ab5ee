package hubspotsim

import (
	"fmt"
	"slices"
	"strings"
)

// Knobs are what HubSpot leaves undocumented, does now and then, or has done
// one way and then another. A client has to get along with every setting.
type Knobs struct {
	// MergeKeepsPrimary keeps the primary's id in a merge, as before 2025. By
	// default what is left has an id of its own.
	MergeKeepsPrimary bool `json:"merge_keeps_primary"`
	// MergeKeepsModified leaves the primary's lastmodifieddate as it was.
	MergeKeepsModified bool `json:"merge_keeps_modified"`
	// MergedBatchRead finds merged contacts under their former ids in batch
	// reads too.
	MergedBatchRead bool `json:"merged_batch_read"`

	// PlainTasks refuses custom properties of tasks. The properties guide lists
	// tasks among the objects with properties and says nothing of custom ones.
	PlainTasks bool `json:"plain_tasks"`

	// FileMB is the largest file, in megabytes. Defaults to 20, which is the free
	// tier's as far as known; paid ones take much more.
	FileMB int `json:"file_mb"`

	// Subscriptions are the app's: types such as "contact.creation" or
	// "object.creation"; of propertyChange either one property, as in
	// "contact.propertyChange:phone", or all that can be written. Defaults to
	// all that there are for contacts.
	Subscriptions []string `json:"subscriptions"`
	// InitialValues tells of the values of a new contact one by one, too.
	InitialValues bool `json:"initial_values"`
	// EventDelayMS holds events back, in milliseconds.
	EventDelayMS int `json:"event_delay_ms"`
	// ReorderEvents, DuplicateEvents and CollidingEvents are shares between 0
	// and 1: of events which later ones may overtake, which come twice, and
	// which have the id of another contact's.
	ReorderEvents   float64 `json:"reorder_events"`
	DuplicateEvents float64 `json:"duplicate_events"`
	CollidingEvents float64 `json:"colliding_events"`
	// EventTimeoutMS is how long an answer is waited for. Defaults to 5000.
	EventTimeoutMS int `json:"event_timeout_ms"`
	// Compress divides the pauses between attempts, and the 24 hours which
	// they make up. Defaults to 1.
	Compress float64 `json:"compress"`
}

func (k Knobs) orDefault() Knobs {
	if k.EventTimeoutMS == 0 {
		k.EventTimeoutMS = 5000
	}
	if k.FileMB == 0 {
		k.FileMB = 20
	}
	if k.Compress == 0 {
		k.Compress = 1
	}
	if k.Subscriptions == nil {
		k.Subscriptions = []string{
			"contact.creation", "contact.deletion", "contact.merge", "contact.privacyDeletion", "contact.propertyChange",
		}
	}
	return k
}

// The subscription types that this account has something to say about, and the
// properties that none may name. HubSpot: the webhooks guide.
var (
	subscriptionTypes = []string{
		"contact.creation", "contact.deletion", "contact.merge", "contact.privacyDeletion", "contact.propertyChange",
		"object.creation", "object.deletion", "object.merge", "object.propertyChange",
	}
	unsubscribable = []string{"hs_lastmodifieddate", "num_unique_conversion_events"}
)

func (k Knobs) check() error {
	for _, sub := range k.Subscriptions {
		kind, property, named := strings.Cut(sub, ":")
		switch {
		case !slices.Contains(subscriptionTypes, kind) || named && !strings.HasSuffix(kind, ".propertyChange"):
			return fmt.Errorf("subscription %q is not one of %v", sub, subscriptionTypes)
		case slices.Contains(unsubscribable, property):
			return fmt.Errorf("subscription %q: that property cannot be subscribed to", sub)
		}
	}
	if k.Compress < 0 || k.EventTimeoutMS < 0 || k.EventDelayMS < 0 {
		return fmt.Errorf("compress, event_timeout_ms and event_delay_ms are not below 0")
	}
	return nil
}

// Knobs returns the present setting.
func (s *Server) Knobs() Knobs {
	s.mu.Lock()
	defer s.mu.Unlock()
	k := s.knobs
	k.Subscriptions = slices.Clone(k.Subscriptions)
	return k
}

// SetKnobs replaces the whole setting.
func (s *Server) SetKnobs(k Knobs) error {
	k = k.orDefault()
	if err := k.check(); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.knobs = k
	s.post.set(s.webhookURL, k)
	return nil
}
