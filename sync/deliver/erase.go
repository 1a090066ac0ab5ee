package deliver

import (
	"context"
	"fmt"

	"crmsync/connectors"
	"crmsync/mapping"
	"crmsync/sync/directory"
)

// erase has the account delete the records of people who were erased, and returns
// what has become of them, and the work that is another one.
func (w *Worker) erase(ctx context.Context, m *mapping.Mapping, work []directory.Work, call func(ctx context.Context, ids []string) []connectors.Result) (done []settled, other []directory.Work, err error) {
	var at []int
	var ids []string
	for _, todo := range work {
		if !todo.Link.Erase {
			other = append(other, todo)
			continue
		}
		s := begin(m, todo, todo.Link.Wanted)
		if todo.Link.RecordID == "" {
			s.erased()
		} else {
			at, ids = append(at, len(done)), append(ids, todo.Link.RecordID)
		}
		done = append(done, s)
	}
	if len(ids) == 0 {
		return done, other, nil
	}
	w.Observer.Batch(w.Account, len(ids))
	results := call(ctx, ids)
	if len(results) != len(ids) {
		return nil, nil, fmt.Errorf("the connector gave %d results for %d records to delete", len(results), len(ids))
	}
	for n, r := range results {
		s := &done[at[n]]
		switch {
		case r.Err == nil, r.Err.Class == connectors.Conflict:
			s.erased() // or it has become a part of another, which may be somebody else's
		default:
			failed := *r.Err
			failed.Reason = "the record of a person who was erased is not deleted yet: " + failed.Reason
			s.err = &failed
		}
	}
	return done, other, nil
}

// erased completes the outcome of a record that is not there any more.
func (s *settled) erased() {
	s.skip(directory.Erased)
	s.outcome = "erased"
}
