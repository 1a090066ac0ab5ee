package stress

import (
	"context"
	"fmt"
	"net/url"
	"sync"
	"time"
)

// readers is how many calls read from a CRM at a time.
const readers = 8

// shown is a message as a simulator's control plane shows it.
type shown struct {
	WAMID       string    `json:"wamid"`
	Text        string    `json:"text"`
	Status      string    `json:"status"`
	CommittedAt time.Time `json:"committed_at"`
}

// simStats are a simulator's own counts.
type simStats struct {
	Calls     int64 `json:"calls"`
	Throttled int64 `json:"throttled"`
	Messages  int   `json:"messages"`
	// DuplicateMessages are those beyond the first of one WhatsApp message.
	DuplicateMessages int `json:"duplicate_messages"`
}

func (r *run) stats(ctx context.Context) ([]simStats, error) {
	all := make([]simStats, len(r.target.CRMs))
	for i, crm := range r.target.CRMs {
		if err := r.get(ctx, crm.URL+"/_sim/stats", &all[i]); err != nil {
			return nil, fmt.Errorf("ask %s's simulator: %w", crm.Name, err)
		}
	}
	return all, nil
}

// unused makes sure that no CRM shows what this run is going to send: an earlier
// run's messages would be taken for it.
func (r *run) unused(ctx context.Context) error {
	for _, crm := range r.target.CRMs {
		var list []shown
		if err := r.get(ctx, crm.URL+"/_sim/messages?wamid="+url.QueryEscape(r.ledger.wamid(0)), &list); err != nil {
			return fmt.Errorf("ask %s's simulator: %w", crm.Name, err)
		}
		if len(list) > 0 {
			return fmt.Errorf("%s has the messages of seed %d already; choose another --seed, or start new simulators and a new worker", crm.Name, r.options.Seed)
		}
	}
	return nil
}

// read reads from a CRM what it shows of some people.
func (r *run) read(ctx context.Context, crm int, people []int) error {
	work := make(chan int)
	failed := make(chan error, readers)
	var reading sync.WaitGroup
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	for range readers {
		reading.Go(func() {
			for person := range work {
				if err := r.readPerson(ctx, crm, person); err != nil {
					failed <- err
					cancel()
					return
				}
			}
		})
	}
	for _, person := range people {
		select {
		case work <- person:
		case <-ctx.Done():
		}
	}
	close(work)
	reading.Wait()
	select {
	case err := <-failed:
		return fmt.Errorf("read %s: %w", r.target.CRMs[crm].Name, err)
	default:
		return ctx.Err()
	}
}

func (r *run) readPerson(ctx context.Context, crm, person int) error {
	address, number := r.target.CRMs[crm].URL, url.QueryEscape("+"+r.ledger.phone(person))
	var contacts []struct{}
	if err := r.get(ctx, address+"/_sim/contacts?phone="+number, &contacts); err != nil {
		return err
	}
	var list []shown
	if err := r.get(ctx, address+"/_sim/messages?phone="+number, &list); err != nil {
		return err
	}
	r.ledger.shown(crm, person, r.began, list, len(contacts))
	return nil
}

// late is how long after the last message a second copy may still come.
const late = 2 * time.Second

// settle waits until every CRM shows what was acknowledged, at most for the
// grace time, then reads everybody once more: what was written twice shows up
// last.
func (r *run) settle(ctx context.Context) error {
	deadline := time.Now().Add(r.options.Grace)
	for r.behind(ctx) && time.Now().Before(deadline) {
		time.Sleep(200 * time.Millisecond)
	}
	for crm := range r.target.CRMs {
		if err := r.read(ctx, crm, r.ledger.everybody()); err != nil {
			return err
		}
		for {
			missing := r.ledger.missing(crm, 0, r.ledger.sent(), true)
			if len(missing) == 0 || time.Now().After(deadline) {
				break
			}
			time.Sleep(200 * time.Millisecond)
			if err := r.read(ctx, crm, missing); err != nil {
				return err
			}
		}
	}
	r.sampleNow(ctx)
	if len(r.target.CRMs) > 0 {
		time.Sleep(min(late, r.options.Grace))
	}
	for crm := range r.target.CRMs {
		if err := r.read(ctx, crm, r.ledger.everybody()); err != nil {
			return err
		}
	}
	var err error
	r.after, err = r.stats(ctx)
	return err
}

// behind reports whether a CRM counts fewer messages than were acknowledged.
func (r *run) behind(ctx context.Context) bool {
	now, err := r.stats(ctx)
	if err != nil {
		return false // reading says so too
	}
	r.ledger.mu.Lock()
	acked := r.ledger.acked
	r.ledger.mu.Unlock()
	for i := range now {
		if now[i].Messages-r.before[i].Messages < acked {
			return true
		}
	}
	return false
}
