package bitrix24

import (
	"context"
	"net/url"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"crmsync/connectors"
)

func TestTwoCallsDoNotHoldTheSameName(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var c claims
		first, err := c.take(t.Context(), []string{"key 1", "phone 1", "phone 1"})
		if err != nil {
			t.Fatal(err)
		}
		other, err := c.take(t.Context(), []string{"key 2"})
		if err != nil {
			t.Fatal("somebody else has to wait")
		}
		if other.add("phone 1") {
			t.Error("a second call got a number that is held")
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := c.take(ctx, []string{"key 3", "phone 1"}); err == nil {
			t.Error("a second call got names of which one is held")
		}
		time.AfterFunc(time.Second, first.end)
		began := time.Now()
		if _, err := c.take(t.Context(), []string{"phone 1"}); err != nil || time.Since(began) != time.Second {
			t.Errorf("got it after %v (%v), want when the first has ended", time.Since(began), err)
		}
		if other.add("key 1") {
			t.Error("a call may hold what another has changed since it began")
		}
		late, err := c.take(t.Context(), nil)
		if err != nil || !late.add("key 1") {
			t.Error("what was let go is still held")
		}
		other.end()
		late.end()
		if len(c.live) != 1 || len(c.freedAt) > 4 {
			t.Errorf("%d live, and remembers %v", len(c.live), c.freedAt)
		}
	})
}

// Two people whose numbers one person's record has are looked for at the same
// time. The second call has read the record before the first wrote its key.
func TestWhatAnotherCallHasChangedIsNotTaken(t *testing.T) {
	p, c := newPortal(t)
	r := person("51", "", "PHONE", rowsOf("+5215512345678", "+393470000001"))
	p.people(r)
	var keys []string
	p.on(contactUpdate, func(q url.Values) any {
		if k := q.Get("fields[" + keyField + "]"); k != "" {
			keys = append(keys, k)
			r[keyField] = k
		}
		return true
	})
	p.on(contactAdd, growing(900))
	var mu sync.Mutex
	reads := 0
	second, firstDone := make(chan struct{}), make(chan struct{})
	orig := c.send
	c.pipe.send = func(ctx context.Context, cmds []*command, pace pacer) ([]outcome, *connectors.Error) {
		o, err := orig(ctx, cmds, pace)
		for _, cmd := range cmds {
			f, _ := cmd.params["filter"].(params)
			if f["@ID"] == nil {
				continue
			}
			mu.Lock()
			reads++
			n := reads
			mu.Unlock()
			if n == 1 {
				<-second
			} else {
				close(second)
				<-firstDone // the rest of the request takes its time
			}
		}
		return o, err
	}
	results := make([][]connectors.Result, 2)
	var w sync.WaitGroup
	for i, key := range []string{"5215512345678", "393470000001"} {
		w.Go(func() {
			results[i] = c.WriteContacts(t.Context(), []connectors.ContactChange{change(key)})
			if i == 0 {
				close(firstDone)
			}
		})
		time.Sleep(100 * time.Millisecond)
	}
	w.Wait()
	if first := results[0][0]; first.Err != nil || first.RecordID != "51" || len(keys) != 1 {
		t.Errorf("the first got %+v; keys written: %v", first, keys)
	}
	if err := results[1][0].Err; err == nil || err.Class != connectors.Transient || err.Code != "RECORD_BUSY" {
		t.Errorf("the second got %+v, want to be put off", results[1][0])
	}
}
