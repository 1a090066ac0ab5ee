package deliver

import (
	"context"
	"fmt"

	"crmsync/connectors"
	"crmsync/mapping"
	"crmsync/sync/directory"
)

// keyShadow is the place in a contact's shadow of the key that the account
// knows it by. No vendor's field has such a name.
const keyShadow = "(key)"

// writeContacts brings a batch of contacts to the account.
func (w *Worker) writeContacts(ctx context.Context, work []directory.Work) ([]settled, error) {
	batch := make([]settled, len(work))
	var changes []connectors.ContactChange
	var shadows []map[string]string
	var changed []int
	m := w.Mapping()
	for i, todo := range work {
		batch[i] = begin(todo, todo.Contact.Version)
		link := &batch[i].Link
		fields := m.Translate(w.Account, todo.Contact.View())
		diff, shadow := difference(fields, link.Shadow)
		key := todo.Contact.AccountKey()
		if link.RecordID != "" && len(diff) == 0 && shadow[keyShadow] == key {
			batch[i].agree(link.RecordID, shadow, "unchanged")
			continue
		}
		change := connectors.ContactChange{RecordID: link.RecordID, Phones: todo.Contact.Phones(), Fields: diff}
		if link.RecordID == "" || shadow[keyShadow] != key {
			change.Key = key
		}
		if link.RecordID == "" {
			change.Fill = guesses(m.Lines(w.Account), diff)
		}
		shadow[keyShadow] = key
		changes, shadows, changed = append(changes, change), append(shadows, shadow), append(changed, i)
	}
	if len(changes) == 0 {
		return batch, nil
	}
	w.Observer.Batch(w.Account, len(changes))
	results := w.Connector.WriteContacts(ctx, changes)
	if len(results) != len(changes) {
		return nil, fmt.Errorf("the connector gave %d results for %d contacts", len(results), len(changes))
	}
	for n, r := range results {
		s := &batch[changed[n]]
		if r.Err != nil {
			s.err = r.Err
			continue
		}
		outcome := "updated"
		if s.Link.RecordID == "" {
			outcome = "created"
		}
		for _, name := range r.Kept {
			shadows[n][name] = keptShadow
		}
		s.agree(r.RecordID, shadows[n], outcome)
	}
	return batch, nil
}

// guesses are the fields that people know better, those that belong together
// in a group.
func guesses(lines []mapping.Line, fields map[string]any) [][]string {
	var groups [][]string
	at := map[string]int{}
	for _, l := range lines {
		if _, written := fields[l.To]; !written || l.Info.Guess == "" {
			continue
		}
		i, ok := at[l.Info.Guess]
		if !ok {
			i = len(groups)
			at[l.Info.Guess] = i
			groups = append(groups, nil)
		}
		groups[i] = append(groups[i], l.To)
	}
	return groups
}

func begin(todo directory.Work, version int64) settled {
	return settled{
		Outcome:     directory.Outcome{Link: todo.Link, Loaded: version},
		wasTroubled: todo.Link.Class != "",
		since:       todo.Link.Since,
	}
}

// agree completes the outcome of an entity that the account shows now.
func (s *settled) agree(recordID string, shadow map[string]string, outcome string) {
	l := &s.Link
	s.Link = directory.Link{
		Account: l.Account, Entity: l.Entity, RecordID: recordID, Shadow: shadow,
		State: directory.Agreed, Agreed: s.Loaded, Since: l.Since,
	}
	s.outcome = outcome
}
