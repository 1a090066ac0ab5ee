package simcrm

// A Tally counts tasks, and how many there are beyond the first under one key.
type Tally[R comparable] struct {
	keys    map[R]string
	count   map[string]int
	doubles int
}

// TaskKey is what a task is known by: the integration's own key, else its
// title and contact.
func TaskKey(own, title, contact string) string {
	if own != "" {
		return "key\x00" + own
	}
	return "title\x00" + title + "\x00" + contact
}

// Put counts a task under a key, and no longer under the one it had.
func (t *Tally[R]) Put(task R, key string) {
	t.Drop(task)
	if t.keys == nil {
		t.keys, t.count = map[R]string{}, map[string]int{}
	}
	t.keys[task] = key
	t.count[key]++
	if t.count[key] > 1 {
		t.doubles++
	}
}

// Drop forgets a task, if it is known.
func (t *Tally[R]) Drop(task R) {
	key, known := t.keys[task]
	if !known {
		return
	}
	delete(t.keys, task)
	t.count[key]--
	if t.count[key] > 0 {
		t.doubles--
	} else {
		delete(t.count, key)
	}
}

// Len is how many tasks there are.
func (t *Tally[R]) Len() int { return len(t.keys) }

// Doubles are those beyond the first under one key.
func (t *Tally[R]) Doubles() int { return t.doubles }
