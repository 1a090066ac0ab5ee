// Package journal makes one message or task of a call of all changes that mean the
// same one.
package journal

import "crmsync/connectors"

// A Note is one message of a call, or several changes with the same key, of
// which the last counts.
type Note struct {
	connectors.MessageChange
	changes []int
}

// Key tells a message apart from all others: a wamid alone may stand for one
// message on each of two business numbers.
func Key(ch *connectors.MessageChange) string { return ch.BusinessNumber + "/" + ch.WAMID }

// Of returns the notes of changes, in the order in which they first come.
// Changes without a wamid are refused in results.
func Of(changes []connectors.MessageChange, results []connectors.Result) []*Note {
	var all []*Note
	byKey := map[string]*Note{}
	for i, ch := range changes {
		if ch.WAMID == "" {
			results[i].Err = &connectors.Error{Class: connectors.Rejected, Reason: "the message has no wamid"}
			continue
		}
		key := Key(&ch)
		n := byKey[key]
		if n == nil {
			n = &Note{}
			byKey[key] = n
			all = append(all, n)
		}
		ch.Text = connectors.Clean(ch.Text)
		n.MessageChange = ch
		n.changes = append(n.changes, i)
	}
	return all
}

// Give is the result of every change that the note stands for.
func (n *Note) Give(results []connectors.Result, r connectors.Result) {
	for _, i := range n.changes {
		results[i] = r
	}
}

// Result is what the note was given.
func (n *Note) Result(results []connectors.Result) connectors.Result { return results[n.changes[0]] }
