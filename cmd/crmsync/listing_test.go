package main

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"net/url"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"crmsync/cmd/internal/sandbox"
	"crmsync/config"
	"crmsync/connectors"
	"crmsync/connectors/bitrix24"
	"crmsync/connectors/guard"
	"crmsync/connectors/hubspot"
	"crmsync/connectors/zoho"
	"crmsync/mapping"
	"crmsync/sync/deliver"
)

// All contacts of an account that has 100,000, and then the 1,000 of them that
// have changed, with the fields of the sample mapping. The connector is in this
// process and the account in another, so the heap is the connector's.
func TestMeasureListing(t *testing.T) {
	people, changed, quotas := 6000, 100, []string{"off"}
	if *measure {
		people, changed, quotas = 100_000, 1000, []string{"off", "documented"}
	}
	var table strings.Builder
	for _, quota := range quotas {
		info := simulate(t, "--quota", quota)
		for _, crm := range info.CRMs() {
			t.Run(crm.Account+", quota "+quota, func(t *testing.T) {
				fields := sampleFields(t, crm.Account)
				var names []string
				for _, f := range fields {
					names = append(names, f.Name)
				}
				vendor := connect(info, crm.Account, quota == "documented")
				if _, err := vendor.Setup(t.Context(), fields, true); err != nil {
					t.Fatal(err)
				}
				if status := post(t, crm.URL+"/_sim/contacts", map[string]int{"count": people}); status != http.StatusOK {
					t.Fatalf("seeding: %d", status)
				}
				all := list(t, vendor, crm, connectors.Query{Fields: names}, people, changed)
				since := change(t, crm, all.some)
				some := list(t, vendor, crm, connectors.Query{Fields: names, Since: since}, changed, changed)
				if !slices.Equal(all.some, some.some) {
					t.Error("others were listed than those that have changed")
				}
				for _, l := range []listed{all, some} {
					row := fmt.Sprintf("| %s | %s %s|", crm.Name, quota, l.figures)
					t.Log(row)
					fmt.Fprintln(&table, row)
				}
			})
		}
	}
	if *measure {
		fmt.Printf("\n| | quota | contacts | calls | took | per second | kept at 10 %% | kept at 100 %% | most at a time |\n|---|---|---|---|---|---|---|---|---|\n%s\n", &table)
	}
}

// sampleFields are an account's fields in the sample mapping.
func sampleFields(t *testing.T, account string) []connectors.Field {
	t.Helper()
	source, err := config.Samples.ReadFile("mapping.yaml")
	if err != nil {
		t.Fatal(err)
	}
	m, err := mapping.Compile("mapping.yaml", source)
	if err != nil {
		t.Fatal(err)
	}
	return deliver.FieldsOf(m, account)
}

// connect returns the connector as the worker has it, with the pace of the
// documented quota, or with none.
func connect(info sandbox.Info, account string, paced bool) connectors.Connector {
	limiter := map[string]*guard.Limiter{
		"hubspot": guard.NewLimiter(190, 10*time.Second), "zoho": guard.NewLimiter(50, time.Second), "bitrix24": guard.NewBucket(50, 2),
	}[account]
	pace, searches := limiter.Pace, (func(context.Context) error)(nil)
	if !paced {
		limiter = nil
		pace = func(context.Context) error { return nil }
		searches = pace
	}
	var c connectors.Connector
	switch account {
	case "hubspot":
		c = hubspot.New(hubspot.Options{BaseURL: info.HubSpot.URL, Token: hubspot.StaticToken(info.HubSpot.Token), Pace: pace, PaceSearch: searches})
	case "zoho":
		c = zoho.New(zoho.Options{
			AccountsURL: info.Zoho.AccountsURL, ClientID: info.Zoho.ClientID, ClientSecret: info.Zoho.ClientSecret, RefreshToken: info.Zoho.RefreshToken, Pace: pace,
		})
	default:
		c = bitrix24.New(bitrix24.Options{WebhookURL: info.Bitrix24.URL, Pace: pace})
	}
	return guard.New(c, guard.Options{Limiter: limiter})
}

// change edits contacts as a person would, later than all that was before, and
// returns a time in between.
func change(t *testing.T, crm sandbox.CRM, ids []string) time.Time {
	t.Helper()
	field := map[string]string{"hubspot": "firstname", "zoho": "First_Name", "bitrix24": "NAME"}[crm.Account]
	advance := func() {
		if status := post(t, crm.URL+"/_sim/clock", map[string]string{"advance": "1m"}); status != http.StatusOK {
			t.Fatalf("the clock: %d", status)
		}
	}
	advance()
	for _, id := range ids {
		if status := post(t, crm.URL+"/_sim/contacts", map[string]any{"id": id, "fields": map[string]string{field: "Changed"}}); status != http.StatusOK {
			t.Fatalf("changing: %d", status)
		}
	}
	advance() // the search index has caught up
	var first []struct {
		UpdatedAt time.Time `json:"updated_at"`
	}
	get(t, crm.URL+"/_sim/contacts?id="+url.QueryEscape(ids[0]), &first)
	return first[0].UpdatedAt.Add(-time.Second)
}

// listed is what a listing took, and some of its ids from first to last.
type listed struct {
	figures
	some []string
}

type figures struct {
	people, calls, credits int
	took                   time.Duration
	// tenth and whole are the most bytes that were alive on the heap between
	// pages, in the first tenth and in all; peak is the most that were on it at
	// any time, with what was garbage already. All without base, which was
	// there before.
	base, tenth, whole, peak int
}

func (f figures) String() string {
	calls := strconv.Itoa(f.calls)
	if f.credits > 0 {
		calls += fmt.Sprintf(", %d credits", f.credits)
	}
	mb := func(n int) float64 { return float64(n) / 1e6 }
	return fmt.Sprintf("| %d | %s | %.1f s | %.0f | %.1f MB | %.1f MB | %.1f MB ", f.people, calls, f.took.Seconds(), float64(f.people)/f.took.Seconds(), mb(f.tenth), mb(f.whole), mb(f.peak))
}

// list follows a listing to its end, which has so many contacts, none twice.
func list(t *testing.T, vendor connectors.Connector, crm sandbox.CRM, q connectors.Query, people, some int) listed {
	t.Helper()
	var l listed
	l.some = make([]string, 0, some)
	// It has its full size from the beginning, so it is not what grows.
	seen := make(map[uint64]struct{}, people)
	before := statsOf(t, crm)
	debug.FreeOSMemory()
	l.base = alive()
	peak, began := watchHeap(), time.Now()
	for sampled, more := -1, true; more; {
		page, err := vendor.ListContacts(t.Context(), q)
		if err != nil {
			t.Fatalf("after %d contacts: %v", l.people, err)
		}
		for _, r := range page.Records {
			id, err := strconv.ParseUint(r.ID, 10, 64)
			if err != nil {
				t.Fatal(err)
			}
			if _, again := seen[id]; again {
				t.Fatalf("contact %d of the listing was in it before", l.people)
			}
			seen[id] = struct{}{}
			if l.people++; l.people%(people/some) == 0 {
				l.some = append(l.some, strings.Clone(r.ID))
			}
		}
		q.Cursor, more, page = page.Next, page.Next != "", connectors.Page{}
		if percent := 100 * l.people / people; percent > sampled {
			sampled = percent
			kept := alive() - l.base
			l.whole = max(l.whole, kept)
			if percent <= 10 || l.tenth == 0 {
				l.tenth = l.whole
			}
		}
	}
	l.took, l.peak = time.Since(began), peak()-l.base
	after := statsOf(t, crm)
	l.calls, l.credits = after.Calls-before.Calls, after.Credits-before.Credits
	if l.people != people {
		t.Errorf("%d contacts were listed, want %d", l.people, people)
	}
	if n := after.Throttled - before.Throttled; n > 0 {
		t.Errorf("%d calls were refused for quota", n)
	}
	// An id that is kept takes more than twice as much. Of what has changed
	// HubSpot's connector does keep them, so as to list nobody twice.
	if limit := 10*people + 50_000; q.Since.IsZero() && l.whole-l.tenth > limit {
		t.Errorf("%d bytes were kept after a tenth of the listing, %d in the end; want at most %d more", l.tenth, l.whole, limit)
	}
	slices.SortFunc(l.some, func(a, b string) int { return cmp.Or(cmp.Compare(len(a), len(b)), cmp.Compare(a, b)) })
	return l
}

// alive is how many bytes are alive on the heap.
func alive() int {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int(m.HeapAlloc)
}

// watchHeap returns a function that returns the most that was on the heap
// meanwhile.
func watchHeap() func() int {
	stop, most := make(chan struct{}), make(chan int)
	go func() {
		high := 0
		for s := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}; ; {
			metrics.Read(s)
			high = max(high, int(s[0].Value.Uint64()))
			select {
			case <-stop:
				most <- high
				return
			case <-time.After(2 * time.Millisecond):
			}
		}
	}()
	return func() int {
		close(stop)
		return <-most
	}
}
