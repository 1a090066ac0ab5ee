package deliver

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"crmsync/connectors"
	"crmsync/mapping"
	"crmsync/sync/directory"
)

// portal is an account with records, and the store that knows of them. Its
// listing shows three a page, and what a test has it show.
type portal struct {
	t       *testing.T
	records []connectors.Record // in the order of their ids
	// listed is what the listing makes of a page.
	listed func(page int, p connectors.Page) (connectors.Page, error)
	links  map[string]directory.Link
	people map[int64]*directory.Contact

	// shown is how many of the records asked for reading shows; nil is all.
	shown func(ids []string) []string

	facts        []directory.Fact
	again        []directory.Pull
	duplicates   map[string]string
	saved        directory.Sweep
	lists, reads int
}

// newPortal is an account whose so many records are all as they were last seen.
func newPortal(t *testing.T, n int) *portal {
	p := &portal{t: t, links: map[string]directory.Link{}, people: map[int64]*directory.Contact{}}
	for i := range n {
		id := strconv.Itoa(1000 + i)
		number := fmt.Sprintf("+1555900%04d", i)
		p.records = append(p.records, connectors.Record{ID: id, Fields: map[string]any{"First": "Ada", "Phone": number}})
		p.links[id] = directory.Link{
			Account: "crm", Entity: contactEntityOf(int64(i + 1)), RecordID: id, State: directory.Agreed,
			Shadow: map[string]string{"First": "Ada", "Phone": number},
		}
		p.people[int64(i+1)] = &directory.Contact{ID: int64(i + 1), Fields: map[string]directory.Value{"first_name": {Text: "Ada"}, "phone": {Text: number}}}
	}
	return p
}

func (p *portal) sweep() *Sweep {
	m, err := mapping.Compile("m", []byte("version: 1\naccounts:\n  crm:\n    contact:\n      First: first_name\n      Phone: phone\n"))
	if err != nil {
		p.t.Fatal(err)
	}
	return &Sweep{
		Account: "crm", Connector: p, Store: p, Mapping: m, Brake: &Brake{},
		Publish: func(_ context.Context, facts []directory.Fact) error { p.facts = append(p.facts, facts...); return nil },
		Wait:    func(ctx context.Context) error { return ctx.Err() },
		Rest:    func(time.Duration) time.Duration { return 0 },
		Log:     slog.New(slog.DiscardHandler),
	}
}

// run sweeps from where a state is, and returns the problem.
func (p *portal) run(s *Sweep, state *directory.Sweep) error {
	if state.Began.IsZero() {
		state.Began = time.Now()
	}
	_, err := s.Run(p.t.Context(), state)
	return err
}

const portalPage = 3

func (p *portal) ListContacts(_ context.Context, q connectors.Query) (page connectors.Page, err error) {
	p.lists++
	n := 0
	if q.Cursor != "" {
		n, _ = strconv.Atoi(q.Cursor)
	}
	from, to := min(n*portalPage, len(p.records)), min((n+1)*portalPage, len(p.records))
	page.Records = slices.Clone(p.records[from:to])
	if to < len(p.records) {
		page.Next = strconv.Itoa(n + 1)
	}
	if p.listed != nil {
		return p.listed(n, page)
	}
	return page, nil
}

func (p *portal) ReadContacts(_ context.Context, ids, _ []string) []connectors.Reading {
	p.reads++
	show := ids
	if p.shown != nil {
		show = p.shown(ids)
	}
	readings := make([]connectors.Reading, len(ids))
	for i, id := range ids {
		if at := slices.IndexFunc(p.records, func(r connectors.Record) bool { return r.ID == id }); at >= 0 && slices.Contains(show, id) {
			readings[i].Record = p.records[at]
		}
	}
	return readings
}

func (p *portal) Limits() connectors.Limits { return connectors.Limits{Contacts: 100} }

func (p *portal) Shadows(_ context.Context, _ string, records []string) (map[string]directory.Link, error) {
	found := map[string]directory.Link{}
	for _, id := range records {
		if l, ok := p.links[id]; ok {
			found[id] = l
		}
	}
	return found, nil
}

func (p *portal) ContactsOf(context.Context, []int64) (map[int64]*directory.Contact, error) {
	return p.people, nil
}

func (p *portal) LinkedRecords(_ context.Context, _ string, after int64, limit int) (list []directory.Link, err error) {
	for _, l := range p.links {
		if l.Entity.ID > after {
			list = append(list, l)
		}
	}
	slices.SortFunc(list, func(x, y directory.Link) int { return int(x.Entity.ID - y.Entity.ID) })
	return list[:min(limit, len(list))], nil
}

func (p *portal) CountRecords(context.Context, string) (int64, error) {
	return int64(len(p.links)), nil
}

func (p *portal) SaveSweep(_ context.Context, s *directory.Sweep) error {
	p.saved = *s
	return nil
}

func (p *portal) ReadAgain(_ context.Context, pulls []directory.Pull) error {
	p.again = append(p.again, pulls...)
	return nil
}

func (p *portal) SeenDuplicates(context.Context, string, []string) (map[string]string, error) {
	return p.duplicates, nil
}

// took counts the facts that say that a record is gone, that it has lost its
// name, and others.
func (p *portal) took() (gone, emptied, others int) {
	for _, f := range p.facts {
		switch {
		case f.Observed.Gone:
			gone++
		case f.Observed.Fields["First"] == "":
			emptied++
		default:
			others++
		}
	}
	return gone, emptied, others
}

func (p *portal) wants(gone, emptied, others int) {
	p.t.Helper()
	if g, e, o := p.took(); g != gone || e != emptied || o != others {
		p.t.Errorf("%d gone, %d emptied, %d others; want %d, %d, %d", g, e, o, gone, emptied, others)
	}
}

// Whatever a listing leaves out or shows in vain: nothing is lost as long as the
// records themselves are as they were, and what differs in them is found.
func TestAListingIsNotBelievedInWhatItLacks(t *testing.T) {
	for name, listed := range map[string]func(n int, p connectors.Page) (connectors.Page, error){
		"empty at once":       func(int, connectors.Page) (connectors.Page, error) { return connectors.Page{}, nil },
		"empty in the middle": func(n int, p connectors.Page) (connectors.Page, error) { return cut(n, p, 0), nil },
		"half of a page":      func(n int, p connectors.Page) (connectors.Page, error) { return cut(n, p, 1), nil },
		"half of every page":  func(_ int, p connectors.Page) (connectors.Page, error) { p.Records = p.Records[:1]; return p, nil },
		"without any values": func(_ int, p connectors.Page) (connectors.Page, error) {
			for i := range p.Records {
				p.Records[i].Fields = nil
			}
			return p, nil
		},
	} {
		p := newPortal(t, 60)
		p.records[59].Fields = map[string]any{"First": "Bea", "Phone": "+15559000059"}
		p.listed = listed
		state := &directory.Sweep{}
		if err := p.run(p.sweep(), state); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		p.wants(0, 0, 1)
		if state.Compared != 60 || state.Changed != 1 || state.Gone+state.Emptied != 0 {
			t.Errorf("%s: %+v", name, *state)
		}
	}
}

// cut is a listing that ends with a part of its sixth page.
func cut(n int, p connectors.Page, keep int) connectors.Page {
	if n == 5 {
		return connectors.Page{Records: p.Records[:keep]}
	}
	return p
}

// Some vendors read by listing: what shows less than there is does so both ways.
// However few they are, nothing is believed to be gone.
func TestAReadingIsNotBelievedEither(t *testing.T) {
	none := func([]string) []string { return nil }
	for name, tt := range map[string]struct {
		listed func(n int, p connectors.Page) (connectors.Page, error)
		shown  func(ids []string) []string
	}{
		"nothing at all": {func(int, connectors.Page) (connectors.Page, error) { return connectors.Page{}, nil }, none},
		"nothing after a page": {func(n int, p connectors.Page) (connectors.Page, error) {
			if n == 0 {
				return connectors.Page{Records: p.Records}, nil
			}
			return connectors.Page{}, nil
		}, none},
		"half of it": {func(_ int, p connectors.Page) (connectors.Page, error) { p.Records = p.Records[:1]; return p, nil }, func(ids []string) []string {
			ids = slices.Sorted(slices.Values(ids))
			return ids[:len(ids)/2]
		}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := newPortal(t, 9)
				p.listed, p.shown = tt.listed, tt.shown
				if err := p.run(p.sweep(), &directory.Sweep{}); err == nil {
					t.Error("there is nothing wrong")
				}
				p.wants(0, 0, 0)
			})
		})
	}
}

func TestAListingThatGoesRoundInCirclesEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPortal(t, 60)
		p.listed = func(n int, page connectors.Page) (connectors.Page, error) {
			if n > 4 {
				page.Records, page.Next = p.records[12:15], strconv.Itoa(n%4+5)
			}
			return page, nil
		}
		state := &directory.Sweep{}
		err := p.run(p.sweep(), state)
		if err == nil || p.lists > 30 {
			t.Errorf("%d pages, error %v", p.lists, err)
		}
		p.wants(0, 0, 0)
	})
}

// What is gone, or has lost a value, by the records themselves: a few are taken
// over, and of more a person is asked.
func TestHowMuchMayBeLost(t *testing.T) {
	for name, tt := range map[string]struct {
		people, gone, emptied int
		allowed               bool
		stops                 bool
	}{
		"one of each":                       {100, 1, 1, false, false},
		"a few of few":                      {20, 5, 5, false, false},
		"more than a few":                   {20, 6, 5, false, true},
		"a twentieth":                       {400, 10, 10, false, false},
		"more than a twentieth":             {400, 11, 10, false, true},
		"all of them":                       {100, 100, 0, false, true},
		"a field of all of them":            {100, 0, 100, false, true},
		"the last few":                      {10, 10, 0, false, true},
		"all of them, which somebody wants": {250, 0, 250, true, false},
		"half of them, and somebody wants":  {250, 125, 125, true, false},
	} {
		p := newPortal(t, tt.people)
		p.records = p.records[tt.gone:]
		for i := range tt.emptied {
			p.records[i].Fields = map[string]any{"First": nil, "Phone": p.records[i].Fields["Phone"]}
		}
		state := &directory.Sweep{MassChange: tt.allowed}
		err := p.run(p.sweep(), state)
		if errors.Is(err, ErrTooMuch) != tt.stops || err != nil && !tt.stops {
			t.Errorf("%s: error %v", name, err)
		}
		if tt.stops {
			p.wants(0, 0, 0)
			continue
		}
		p.wants(tt.gone, tt.emptied, 0)
		if state.Gone != int64(tt.gone) || state.Emptied != int64(tt.emptied) {
			t.Errorf("%s: %+v", name, *state)
		}
	}
}

// The brake counts what one sweep after the other takes over, and forgets it
// with time.
func TestLossesAddUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPortal(t, 200)
		s := p.sweep()
		lose := func(n int) error {
			p.facts = nil
			for _, r := range p.records[:n] {
				_ = r
			}
			p.records = p.records[n:]
			err := p.run(s, &directory.Sweep{Began: time.Now()})
			for _, f := range p.facts {
				delete(p.links, f.Observed.ID)
			}
			return err
		}
		if err := lose(8); err != nil {
			t.Error(err)
		}
		if err := lose(8); !errors.Is(err, ErrTooMuch) {
			t.Errorf("another 8 at once: %v", err)
		}
		time.Sleep(massWithin + time.Minute)
		if err := lose(0); err != nil {
			t.Errorf("8 an hour later: %v", err)
		}
		p.wants(8, 0, 0)
	})
}

// A sweep that goes on after a restart does not get round the brake with what
// it sees of a part, and cannot tell what is gone. The next whole one does.
func TestASweepThatGoesOnIsBrakedToo(t *testing.T) { synctest.Test(t, testASweepThatGoesOn) }

func testASweepThatGoesOn(t *testing.T) {
	p := newPortal(t, 99)
	for i := range p.records {
		p.records[i].Fields = map[string]any{"Phone": p.records[i].Fields["Phone"]}
	}
	p.records = p.records[:90]
	broken := errors.New("killed")
	p.listed = func(n int, page connectors.Page) (connectors.Page, error) {
		time.Sleep(saveEvery)
		if n == 27 { // 81 were seen
			return page, broken
		}
		return page, nil
	}
	if err := p.run(p.sweep(), &directory.Sweep{}); !errors.Is(err, broken) {
		t.Fatal(err)
	}
	p.listed = nil
	state := p.saved
	if err := p.run(p.sweep(), &state); !errors.Is(err, ErrTooMuch) || !state.Partial {
		t.Errorf("it goes on: %v, %+v", err, state)
	}
	p.wants(0, 0, 0)
	if p.lists != 28+3 {
		t.Errorf("%d pages were read", p.lists)
	}
	again := &directory.Sweep{MassChange: true}
	if err := p.run(p.sweep(), again); err != nil || again.Partial {
		t.Errorf("%v, %+v", err, again)
	}
	p.wants(9, 90, 0)
}

// A page that the vendor has forgotten begins the sweep again; one that it
// refuses in the middle of a run does not.
func TestAForgottenPageBeginsAgain(t *testing.T) {
	p := newPortal(t, 30)
	p.records = p.records[1:]
	refuse := &connectors.Error{Class: connectors.Rejected, Code: "INVALID_CURSOR"}
	p.listed = func(n int, page connectors.Page) (connectors.Page, error) {
		if n == 7 {
			return page, refuse
		}
		return page, nil
	}
	state := directory.Sweep{Cursor: "7", Read: 21, Emptied: 5, Calls: 7, Began: time.Now()}
	err := p.run(p.sweep(), &state)
	if connectors.AsError(err) != refuse || state.Read != 21 || p.lists != 1+7+1 || state.Partial {
		t.Errorf("error %v, %d pages, %+v", err, p.lists, state)
	}
	p.listed = func(n int, page connectors.Page) (connectors.Page, error) {
		if p.lists == 1 {
			return page, refuse
		}
		return page, nil
	}
	p.lists = 0
	state = directory.Sweep{Cursor: "7", Read: 21, Emptied: 5, Calls: 7, Began: time.Now()}
	if err := p.run(p.sweep(), &state); err != nil || state.Read != 29 || state.Emptied != 0 {
		t.Errorf("error %v, %+v", err, state)
	}
	p.wants(1, 0, 0)
}

// A sweep that pauses knows what it has seen when it goes on.
func TestASweepInSlices(t *testing.T) {
	p := newPortal(t, 30)
	p.records[3].Fields = map[string]any{"Phone": p.records[3].Fields["Phone"]}
	p.records = p.records[1:]
	s := p.sweep()
	s.Enough = func(*directory.Sweep) bool { return true }
	state := &directory.Sweep{Began: time.Now()}
	slices := 1
	for ; ; slices++ {
		done, err := s.Run(t.Context(), state)
		if err != nil {
			t.Fatal(err)
		}
		if done {
			break
		}
	}
	p.wants(1, 1, 0)
	if slices != 10 || p.lists != 10 || state.Partial || state.Read != 29 {
		t.Errorf("%d slices, %d pages, %+v", slices, p.lists, *state)
	}
}

// What a sweep tells of it does not do.
func TestADryRunTells(t *testing.T) {
	p := newPortal(t, 40)
	p.records = p.records[20:]
	p.records[0].Fields = map[string]any{"First": "Bea", "Phone": p.records[0].Fields["Phone"]}
	p.records[1].Fields = map[string]any{"Phone": p.records[1].Fields["Phone"]}
	p.records = append(p.records, connectors.Record{ID: "9", Fields: map[string]any{"Phone": "+15551112222"}}, connectors.Record{ID: "10"})
	s := p.sweep()
	var told []Finding
	s.Tell = func(f Finding) { told = append(told, f) }
	state := &directory.Sweep{}
	if err := p.run(s, state); err != nil {
		t.Fatal(err)
	}
	p.wants(0, 0, 0)
	if p.saved.Read != 0 {
		t.Error("it has saved its state")
	}
	gone, fresh, fields := 0, 0, 0
	for _, f := range told {
		switch {
		case f.Gone:
			gone++
		case f.New:
			fresh++
		default:
			fields++
		}
	}
	if gone != 20 || fresh != 1 || fields != 2 || state.Skipped != 1 {
		t.Errorf("%d gone, %d new, %d fields; %+v", gone, fresh, fields, *state)
	}
}
