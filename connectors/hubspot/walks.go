package hubspot

import (
	"maps"
	"slices"
	"sync"
)

// walks remember what listings of changes have listed, since a contact that is
// changed meanwhile comes by again. They are memory only: after a restart, or
// beyond their size, it is listed twice, which is better than not at all.
type walks struct {
	mu   sync.Mutex
	list []*walk
}

// A walk is one listing: the page on which it listed each record, and the last
// page. Who asks for a page again has not got what it and those behind listed.
type walk struct {
	name string
	page map[string]int
	last int
}

const (
	maxWalks  = 4
	maxWalked = 100_000
)

// fresh leaves out what was listed on earlier pages.
func (w *walks) fresh(at position, ids []string) []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	i := slices.IndexFunc(w.list, func(k *walk) bool { return k.name == at.Walk })
	if i < 0 {
		if len(w.list) == maxWalks {
			w.list = w.list[1:]
		}
		w.list = append(w.list, &walk{name: at.Walk, page: map[string]int{}})
		i = len(w.list) - 1
	}
	k := w.list[i]
	if at.Page <= k.last {
		maps.DeleteFunc(k.page, func(_ string, page int) bool { return page >= at.Page })
	}
	k.last = at.Page
	return slices.DeleteFunc(ids, func(id string) bool {
		_, listed := k.page[id]
		if !listed && len(k.page) < maxWalked {
			k.page[id] = at.Page
		}
		return listed
	})
}
