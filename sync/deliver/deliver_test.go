package deliver_test

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"crmsync/connectors"
	"crmsync/mapping"
	"crmsync/sync/audit"
	"crmsync/sync/deadletter"
	"crmsync/sync/deliver"
	"crmsync/sync/directory"
	"crmsync/sync/record"
	"crmsync/sync/store"
)

// vendor is a CRM in memory without any idempotency: create twice and there
// are two. It says what the next calls answer.
type vendor struct {
	mu       sync.Mutex
	contacts map[string]map[string]any // by record id
	messages []connectors.MessageChange
	files    []connectors.FileChange
	tasks    []task
	calls    map[string]int
	// fail is asked before each call; a failure with commit set carries the
	// call out nevertheless.
	fail func(method string, n int, names []string) (err *connectors.Error, commit bool)
	// reject refuses single records by key or wamid.
	reject map[string]*connectors.Error
	// kept are fields that people have entered, if they may be kept.
	kept   []string
	filled []string
	// names are by which it is known; or unknown says why it is not.
	names   []string
	unknown *connectors.Error
	// batch is how much a call carries, 0 for a hundred.
	batch int
	// third says that a merge makes a third record; moved are where merged ones
	// lead to.
	third bool
	moved map[string]string
}

// fill returns the fields that were given as guesses.
func (v *vendor) fill() []string {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.filled
}

func newVendor() *vendor {
	return &vendor{contacts: map[string]map[string]any{}, calls: map[string]int{}, reject: map[string]*connectors.Error{}, names: []string{"62515"}}
}

func (v *vendor) Limits() connectors.Limits {
	n := cmp.Or(v.batch, 100)
	return connectors.Limits{Contacts: n, Messages: n, LookAfter: time.Second}
}

func (v *vendor) Identity(context.Context) ([]string, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.calls["identity"]++
	if v.unknown != nil {
		return nil, v.unknown
	}
	return v.names, nil
}

func (v *vendor) Setup(context.Context, []connectors.Field, bool) ([]connectors.Finding, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.calls["setup"]++
	return nil, nil
}

// call runs one of the methods for records with the given names.
func (v *vendor) call(method string, names []string, do func(i int) connectors.Result) []connectors.Result {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.calls[method]++
	var failure *connectors.Error
	carryOut := true
	if v.fail != nil {
		failure, carryOut = v.fail(method, v.calls[method], names)
		carryOut = carryOut || failure == nil
	}
	results := make([]connectors.Result, len(names))
	for i := range names {
		if err := v.reject[names[i]]; err != nil {
			results[i].Err = err
			continue
		}
		if carryOut {
			results[i] = do(i)
		}
		if failure != nil {
			results[i] = connectors.Result{Err: failure}
		}
	}
	return results
}

func (v *vendor) WriteContacts(_ context.Context, changes []connectors.ContactChange) []connectors.Result {
	names := make([]string, len(changes))
	for i, c := range changes {
		names[i] = c.Key + c.RecordID
	}
	return v.call("contacts", names, func(i int) connectors.Result {
		c := changes[i]
		id := c.RecordID
		if id == "" {
			id = "record of " + c.Key // upsert by key
		}
		if v.contacts[id] == nil {
			v.contacts[id] = map[string]any{}
		}
		var kept []string
		for _, name := range slices.Concat(c.Fill...) {
			v.filled = append(v.filled, name)
			if slices.Contains(v.kept, name) {
				kept = append(kept, name)
			}
		}
		for k, x := range c.Fields {
			if !slices.Contains(kept, k) {
				v.contacts[id][k] = x
			}
		}
		return connectors.Result{RecordID: id, Kept: kept}
	})
}

func (v *vendor) ReadContacts(_ context.Context, ids, _ []string) []connectors.Reading {
	v.mu.Lock()
	defer v.mu.Unlock()
	readings := make([]connectors.Reading, len(ids))
	for i, id := range ids {
		for v.moved[id] != "" {
			id = v.moved[id]
		}
		if fields := v.contacts[id]; fields != nil {
			readings[i].Record = connectors.Record{ID: id, Fields: maps.Clone(fields), UpdatedAt: time.Now()}
		}
	}
	return readings
}

// MergeContacts keeps the first record, or makes a third one to which both lead.
func (v *vendor) MergeContacts(_ context.Context, keep, other string) connectors.Result {
	return v.call("merge", []string{other}, func(int) connectors.Result {
		if v.contacts[keep] == nil || v.contacts[other] == nil {
			return connectors.Result{Err: &connectors.Error{Class: connectors.Conflict}}
		}
		fields := maps.Clone(v.contacts[other])
		for name, value := range v.contacts[keep] {
			if value != nil && value != "" {
				fields[name] = value
			}
		}
		delete(v.contacts, other)
		id := keep
		if v.third {
			delete(v.contacts, keep)
			id = keep + " and " + other
			v.moved = map[string]string{keep: id, other: id}
		}
		v.contacts[id] = fields
		return connectors.Result{RecordID: id}
	})[0]
}

func (v *vendor) EraseContacts(_ context.Context, ids []string) []connectors.Result {
	return v.call("erase", ids, func(i int) connectors.Result {
		if to := v.moved[ids[i]]; to != "" {
			return connectors.Result{Err: &connectors.Error{Class: connectors.Conflict, RecordID: to}}
		}
		delete(v.contacts, ids[i])
		return connectors.Result{}
	})
}

func (v *vendor) EraseMessages(_ context.Context, ids []string) []connectors.Result {
	return v.call("erase messages", ids, func(i int) connectors.Result {
		v.messages = slices.DeleteFunc(v.messages, func(m connectors.MessageChange) bool { return m.RecordID == ids[i] })
		return connectors.Result{}
	})
}

func wamids(changes []connectors.MessageChange) []string {
	names := make([]string, len(changes))
	for i, c := range changes {
		names[i] = c.WAMID
	}
	return names
}

func (v *vendor) FindMessages(_ context.Context, changes []connectors.MessageChange) []connectors.Result {
	return v.call("find", wamids(changes), func(i int) connectors.Result {
		for _, m := range v.messages {
			if m.WAMID == changes[i].WAMID {
				return connectors.Result{RecordID: m.RecordID}
			}
		}
		return connectors.Result{}
	})
}

func (v *vendor) CreateMessages(_ context.Context, changes []connectors.MessageChange) []connectors.Result {
	return v.call("create", wamids(changes), func(i int) connectors.Result {
		m := changes[i]
		m.RecordID = fmt.Sprint(len(v.messages))
		v.messages = append(v.messages, m)
		return connectors.Result{RecordID: m.RecordID, Created: true}
	})
}

func (v *vendor) UpdateMessages(_ context.Context, changes []connectors.MessageChange) []connectors.Result {
	return v.call("update", wamids(changes), func(i int) connectors.Result {
		for n := range v.messages {
			if v.messages[n].RecordID == changes[i].RecordID {
				v.messages[n] = changes[i]
			}
		}
		return connectors.Result{RecordID: changes[i].RecordID}
	})
}

func (v *vendor) AttachFile(_ context.Context, f connectors.FileChange) connectors.Result {
	return v.call("attach", []string{f.Message.WAMID}, func(int) connectors.Result {
		for _, m := range v.messages {
			if m.RecordID == f.Message.RecordID {
				v.files = append(v.files, f)
				return connectors.Result{RecordID: f.Name, Created: true}
			}
		}
		return connectors.Result{Err: &connectors.Error{Class: connectors.Conflict}}
	})[0]
}

// count returns how many messages there are by wamid.
func (v *vendor) count() map[string]int {
	v.mu.Lock()
	defer v.mu.Unlock()
	n := map[string]int{}
	for _, m := range v.messages {
		n[m.WAMID]++
	}
	return n
}

func (v *vendor) called(method string) int {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.calls[method]
}

type silent struct{}

func (silent) Delivery(string, directory.EntityKind, string) {}
func (silent) EndToEnd(string, time.Duration)                {}
func (silent) Batch(string, int)                             {}

// house is a directory and a worker for one account.
type house struct {
	t        *testing.T
	db       *store.DB
	vendor   *vendor
	kind     string
	recorder record.Recorder
	letters  chan deadletter.Letter
	triggers chan directory.Trigger
	worker   *deliver.Worker
	stop     func()
	// mapping returns the mapping in force, nil the usual one.
	mapping func() *mapping.Mapping
}

const mappingText = `
version: 1
accounts:
  crm:
    contact:
      phone: phone
      name: profile_name
      firstname: first_name
      last: last_message_text
`

func newHouse(t *testing.T) *house {
	t.Helper()
	db, err := store.OpenSQLite(context.Background(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	h := &house{
		t: t, db: db, vendor: newVendor(), kind: "hubspot", letters: make(chan deadletter.Letter, 100), triggers: make(chan directory.Trigger, 10_000),
		recorder: record.Recorder{Store: db, Mapping: func() *mapping.Mapping { return &mapping.Mapping{} }, DeliverTo: func(string) []string { return []string{"crm"} }},
	}
	t.Cleanup(func() {
		if h.stop != nil {
			h.stop()
		}
		db.Close()
	})
	return h
}

// start runs a worker until the function that it returns is called.
func (h *house) start() {
	m, err := mapping.Compile("mapping.yaml", []byte(mappingText))
	if err != nil {
		h.t.Fatal(err)
	}
	worker := &deliver.Worker{
		Account: "crm", Kind: h.kind, Connector: h.vendor, Wait: func(ctx context.Context, _ bool) error { return ctx.Err() },
		Mapping: func() *mapping.Mapping { return m }, Store: h.db, Holder: "test",
		Retry: deliver.RetryPolicy{Delays: []time.Duration{50 * time.Millisecond, 100 * time.Millisecond}, SettleWithin: time.Hour},
		Triggers: func(ctx context.Context) ([]directory.Trigger, error) {
			select {
			case trigger := <-h.triggers:
				return []directory.Trigger{trigger}, nil
			case <-ctx.Done():
				return nil, ctx.Err()
			}
		},
		Bury: func(_ context.Context, letters []deadletter.Letter) error {
			for _, l := range letters {
				h.letters <- l
			}
			return nil
		},
		Fetch: func(_ context.Context, _, number string, m connectors.Media) ([]byte, *connectors.Error) {
			return []byte("file " + m.ID + " to " + number), nil
		},
		Observer: silent{}, Log: slog.New(slog.DiscardHandler),
	}
	if h.mapping != nil {
		worker.Mapping = h.mapping
	}
	h.worker = worker
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := worker.Run(ctx); err != nil {
			h.t.Error(err)
		}
	}()
	h.stop = func() { cancel(); <-done; h.stop = nil }
}

// receive records a message and triggers its delivery.
func (h *house) receive(wamid, waID string) {
	h.t.Helper()
	now := time.Now().UTC()
	f := directory.Fact{
		ID: directory.FactID("whatsapp", wamid), Account: "whatsapp", ReceivedAt: now,
		Fact: connectors.Fact{
			Key: wamid, Kind: connectors.KindMessage, Type: "text", At: now, BusinessNumber: "1",
			Person:  &connectors.Person{WAID: waID, ProfileName: "Somebody"},
			Message: &connectors.Message{WAMID: wamid, Direction: connectors.In, Text: "text of " + wamid},
		},
	}
	h.record(f)
}

// send records a message to somebody.
func (h *house) send(wamid, waID string) {
	h.t.Helper()
	now := time.Now().UTC()
	h.record(directory.Fact{
		ID: directory.FactID("whatsapp", wamid), Account: "whatsapp", ReceivedAt: now,
		Fact: connectors.Fact{
			Key: wamid, Kind: connectors.KindMessage, Type: "text", At: now, BusinessNumber: "1",
			Person:  &connectors.Person{WAID: waID},
			Message: &connectors.Message{WAMID: wamid, Direction: connectors.Out, Text: "text of " + wamid},
		},
	})
}

func (h *house) status(wamid, waID, status string) {
	h.t.Helper()
	now := time.Now().UTC()
	h.record(directory.Fact{
		ID: directory.FactID("whatsapp", wamid+status), Account: "whatsapp", ReceivedAt: now,
		Fact: connectors.Fact{
			Key: wamid + status, Kind: connectors.KindStatus, At: now, BusinessNumber: "1",
			Person: &connectors.Person{WAID: waID}, Status: &connectors.Status{WAMID: wamid, Status: status},
		},
	})
}

func (h *house) record(f directory.Fact) {
	h.t.Helper()
	result, err := h.recorder.Record(context.Background(), []directory.Fact{f})
	if err != nil {
		h.t.Fatal(err)
	}
	for _, x := range result.Triggers {
		h.triggers <- x
	}
}

// states counts the links by state.
func (h *house) states() map[directory.State]int64 {
	h.t.Helper()
	tally, err := h.db.Audit(context.Background(), audit.Period{}, "", false)
	if err != nil {
		h.t.Fatal(err)
	}
	n := map[directory.State]int64{}
	for _, c := range tally.Links {
		n[directory.State(c.State)] += c.N
	}
	return n
}

// eventually waits until something holds.
func (h *house) eventually(what string, holds func() bool) {
	h.t.Helper()
	for deadline := time.Now().Add(10 * time.Second); !holds(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			h.t.Fatalf("not within 10 s: %s (links %v, messages %v)", what, h.states(), h.vendor.count())
		}
	}
}

func (h *house) settled(n int64) {
	h.t.Helper()
	h.eventually(fmt.Sprintf("%d links agreed, none pending", n), func() bool {
		s := h.states()
		return s[directory.Agreed] == n && s[directory.Pending] == 0
	})
}

func TestAMessageReachesTheAccountWithItsContact(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.start()
	h.receive("w1", "16315555555")
	h.settled(2)
	contact := h.vendor.contacts["record of 16315555555"]
	if contact["phone"] != "+16315555555" || contact["last"] != "text of w1" {
		t.Errorf("contact = %v", contact)
	}
	if m := h.vendor.messages[0]; m.Text != "text of w1" || m.ContactRecordID != "record of 16315555555" || m.Direction != connectors.In {
		t.Errorf("message = %+v", m)
	}
}

func TestAFileReachesTheAccountAfterItsMessage(t *testing.T) {
	t.Parallel()
	for _, wanted := range []bool{true, false} {
		h := newHouse(t)
		h.recorder.WantsFiles = func(string) bool { return wanted }
		now := time.Now().UTC()
		f := directory.Fact{
			ID: "whatsapp/w1", Account: "whatsapp", ReceivedAt: now,
			Fact: connectors.Fact{
				Key: "w1", Kind: connectors.KindMessage, Type: "document", At: now, BusinessNumber: "1",
				Person: &connectors.Person{WAID: "15550100"},
				Message: &connectors.Message{WAMID: "w1", Direction: connectors.In, Text: "[Document] a.pdf", Media: &connectors.Media{
					ID: "4711", MIMEType: "application/pdf", Filename: "a.pdf",
				}},
			},
		}
		h.record(f)
		h.start()
		if !wanted {
			h.settled(2)
			if len(h.vendor.files) != 0 {
				t.Errorf("files %+v, want none", h.vendor.files)
			}
			h.stop()
			continue
		}
		h.settled(3)
		h.stop()
		got := h.vendor.files
		if len(got) != 1 || got[0].Name != "a.pdf" || string(got[0].Content) != "file 4711 to 1" || got[0].MIMEType != "application/pdf" {
			t.Errorf("files %+v", got)
		}
		h.start()
		again := f
		again.ID, again.Key = "whatsapp/w1 again", "w1 again" // the history tells it once more
		h.record(again)
		h.settled(3)
		if len(h.vendor.files) != 1 {
			t.Errorf("%d files after the message came again, want one", len(h.vendor.files))
		}
	}
}

func TestAStatusUpdatesTheMessageThatIsThere(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.start()
	h.send("w1", "16315555555")
	h.settled(2)
	for _, status := range []string{"sent", "read", "delivered"} {
		h.status("w1", "16315555555", status)
	}
	h.settled(2)
	h.eventually("the message is read", func() bool {
		h.vendor.mu.Lock()
		defer h.vendor.mu.Unlock()
		return h.vendor.messages[0].Status == "read"
	})
	if n := h.vendor.count(); n["w1"] != 1 {
		t.Errorf("messages = %v, want one", n)
	}
}

// The vendor carries the call out and the answer is lost: the message is
// looked up and not written again.
func TestALostAnswerDoesNotDoubleAMessage(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.vendor.fail = func(method string, n int, _ []string) (*connectors.Error, bool) {
		if method == "create" && n <= 2 {
			return &connectors.Error{Class: connectors.UnknownOutcome, Reason: "the answer was lost"}, true
		}
		return nil, false
	}
	h.start()
	for i := range 10 {
		h.receive(fmt.Sprintf("w%d", i), "16315555555")
	}
	h.settled(11)
	for wamid, n := range h.vendor.count() {
		if n != 1 {
			t.Errorf("%s is there %d times", wamid, n)
		}
	}
	if h.vendor.called("find") == 0 {
		t.Error("nothing was looked up")
	}
}

// The program dies after the vendor has carried the call out and before it
// has noted so: the vendor has the message, the directory is in doubt.
func TestACrashAfterTheCallDoesNotDoubleAMessage(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.start()
	h.receive("w1", "16315555555")
	h.settled(2)
	h.stop()

	h.receive("w2", "16315555555")
	due, err := h.db.Due(context.Background(), "crm", 10)
	if err != nil {
		t.Fatal(err)
	}
	due = slices.DeleteFunc(due, func(e directory.Entity) bool { return e.Kind != directory.MessageEntity })
	if len(due) != 1 {
		t.Fatalf("%d messages due, want 1", len(due))
	}
	lease, _, err := h.db.Acquire(context.Background(), "crm", "test", true, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	if err := h.db.Doubt(context.Background(), "crm", lease, due); err != nil {
		t.Fatal(err)
	}
	h.vendor.messages = append(h.vendor.messages, connectors.MessageChange{RecordID: "9", WAMID: "w2", Text: "text of w2"})
	h.start()
	h.settled(3)
	if n := h.vendor.count(); n["w2"] != 1 {
		t.Errorf("messages = %v, want w2 once", n)
	}
}

func TestARefusedRecordBecomesADeadLetterAndTheOthersPass(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.vendor.reject["w3"] = &connectors.Error{Class: connectors.Rejected, Code: "TOO_ODD", Reason: "the message is too odd"}
	for i := range 10 {
		h.receive(fmt.Sprintf("w%d", i), "16315555555")
	}
	h.start()
	h.eventually("9 messages and the contact agreed, one dead", func() bool {
		s := h.states()
		return s[directory.Agreed] == 10 && s[directory.Dead] == 1
	})
	letter := <-h.letters
	if letter.Class != connectors.Rejected || letter.Code != "TOO_ODD" || letter.Attempts != 1 || letter.Entity.Kind != directory.MessageEntity {
		t.Errorf("letter = %+v", letter)
	}
}

func TestARecordThatKeepsFailingIsGivenUpAfterTheRetries(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.vendor.reject["w1"] = &connectors.Error{Class: connectors.Unknown, Reason: "a teapot, short and stout"}
	start := time.Now()
	h.start()
	h.receive("w1", "16315555555")
	letter := <-h.letters
	if letter.Attempts != 3 {
		t.Errorf("given up after %d attempts, want 3", letter.Attempts)
	}
	if got := strings.Join(letter.History, ", "); got != "a teapot; short and stout, a teapot; short and stout, a teapot; short and stout" {
		t.Errorf("history %q, want what became of each attempt", got)
	}
	if d := time.Since(start); d < 150*time.Millisecond {
		t.Errorf("given up after %v, want at least the two pauses, 150 ms", d)
	}
}

func TestAnOutageBurnsNoAttempt(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	var down sync.Map
	down.Store("down", true)
	h.vendor.fail = func(method string, n int, _ []string) (*connectors.Error, bool) {
		if _, isDown := down.Load("down"); !isDown {
			return nil, false
		}
		if method == "create" {
			return &connectors.Error{Class: connectors.UnknownOutcome, Status: 503, Reason: "503"}, n%2 == 0
		}
		return &connectors.Error{Class: connectors.Transient, Status: 503, Reason: "503"}, false
	}
	h.start()
	for i := range 5 {
		h.receive(fmt.Sprintf("w%d", i), fmt.Sprintf("1631555010%d", i))
	}
	h.eventually("the account was tried often", func() bool { return h.vendor.called("contacts") > 4 })
	if s := h.states(); s[directory.Dead] != 0 || s[directory.Pending] != 10 {
		t.Errorf("links = %v during the outage, want 10 pending", s)
	}
	down.Delete("down")
	h.settled(10)
	select {
	case l := <-h.letters:
		t.Errorf("a dead letter: %+v", l)
	default:
	}
}

// A record at which the vendor stumbles with a 500 brings down every call
// that carries it. It must end up alone and be given up, the others pass.
func TestARecordThatBringsDownItsBatchIsIsolated(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.vendor.fail = func(method string, _ int, names []string) (*connectors.Error, bool) {
		for _, name := range names {
			if method == "create" && name == "w7" {
				return &connectors.Error{Class: connectors.UnknownOutcome, Status: 500, Reason: "500"}, false
			}
		}
		return nil, false
	}
	for i := range 20 {
		h.receive(fmt.Sprintf("w%d", i), "16315555555")
	}
	h.start()
	h.eventually("19 messages are there", func() bool { return len(h.vendor.count()) == 19 })
	// While others pass it is given up.
	stop := time.After(30 * time.Second)
	for i := 100; ; i++ {
		h.receive(fmt.Sprintf("w%d", i), "16315555555")
		select {
		case l := <-h.letters:
			if l.Class != connectors.UnknownOutcome {
				t.Errorf("letter = %+v", l)
			}
			return
		case <-stop:
			t.Fatalf("not given up (links %v)", h.states())
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// A record over which the program itself panics ends up alone and is given up,
// and a create that may have been made is looked for before it is made again.
func TestARecordOverWhichTheProgramPanicsIsGivenUp(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.vendor.fail = func(method string, _ int, names []string) (*connectors.Error, bool) {
		if method == "create" && slices.Contains(names, "w3") {
			panic("w3")
		}
		return nil, false
	}
	for i := range 10 {
		h.receive(fmt.Sprintf("w%d", i), "16315555555")
	}
	h.start()
	h.eventually("9 messages and the contact agreed, one dead", func() bool {
		s := h.states()
		return s[directory.Agreed] == 10 && s[directory.Dead] == 1
	})
	if letter := <-h.letters; letter.Code != "PANIC" || letter.Attempts != 3 || letter.Class != connectors.Unknown {
		t.Errorf("letter = %+v", letter)
	}
	if n := h.vendor.called("find"); n == 0 {
		t.Error("it was never looked for, though a call may have been made")
	}
	for wamid, n := range h.vendor.count() {
		if n != 1 {
			t.Errorf("%s is there %d times", wamid, n)
		}
	}
}

func TestAConflictOverTheContactFindsItAgain(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.start()
	h.receive("w1", "16315555555")
	h.settled(2)
	h.vendor.mu.Lock()
	deleted := true // until it is looked for by key
	h.vendor.fail = func(method string, _ int, names []string) (*connectors.Error, bool) {
		if method == "contacts" && slices.Contains(names, "16315555555") {
			deleted = false
		}
		if deleted {
			return &connectors.Error{Class: connectors.Conflict, Reason: "no such contact"}, false
		}
		return nil, false
	}
	h.vendor.mu.Unlock()
	h.receive("w2", "16315555555")
	h.settled(3)
	h.vendor.mu.Lock()
	defer h.vendor.mu.Unlock()
	if deleted {
		t.Error("the contact was not looked for")
	}
}

func TestWhatPeopleHaveEnteredIsNotOverwritten(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.vendor.kept = []string{"firstname"}
	h.start()
	h.receive("w1", "16315555555")
	h.settled(2)
	if got := h.vendor.fill(); !slices.Contains(got, "firstname") || slices.Contains(got, "phone") {
		t.Errorf("guesses = %v, want the name and not the phone", got)
	}
	now := time.Now().UTC().Add(time.Minute)
	h.record(directory.Fact{ // a new profile name
		ID: "whatsapp/renamed", Account: "whatsapp", ReceivedAt: now,
		Fact: connectors.Fact{Key: "renamed", Kind: connectors.KindPerson, At: now, Person: &connectors.Person{WAID: "16315555555", ProfileName: "Somebody Else"}},
	})
	h.settled(2)
	h.vendor.mu.Lock()
	defer h.vendor.mu.Unlock()
	if got := h.vendor.contacts["record of 16315555555"]; got["firstname"] != nil {
		t.Errorf("fields = %v, want the kept name left alone", got)
	}
}

func TestNothingIsWrittenThatTheAccountShowsAlready(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.start()
	h.receive("w1", "16315555555")
	h.settled(2)
	before := h.vendor.called("contacts")
	now := time.Now().UTC()
	h.record(directory.Fact{ // changes the contact, and nothing that is mapped
		ID: "whatsapp/stop", Account: "whatsapp", ReceivedAt: now,
		Fact: connectors.Fact{
			Key: "stop", Kind: connectors.KindPreference, At: now,
			Person: &connectors.Person{WAID: "16315555555"}, Preference: &connectors.Preference{Value: "stop"},
		},
	})
	if s := h.states(); s[directory.Pending]+s[directory.Agreed] != 2 {
		t.Fatalf("links = %v", s)
	}
	h.settled(2)
	if n := h.vendor.called("contacts") - before; n != 0 {
		t.Errorf("%d needless writes of the contact", n)
	}
}

func TestAChangeWhileTheWorkerWasAwayIsFoundWithoutItsTrigger(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.receive("w1", "16315555555")
	for len(h.triggers) > 0 {
		<-h.triggers // lost
	}
	h.start()
	h.settled(2)
}

// A number passes from one person to another while the CRM still shows the
// first with it: the second waits, and never takes over the first's record.
func TestARecycledNumberDoesNotTakeOverARecord(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.start()
	h.receive("w1", "16315555555")
	h.settled(2)
	h.vendor.mu.Lock()
	h.vendor.reject["16315556666record of 16315555555"] = &connectors.Error{Class: connectors.Rejected, Reason: "not now"}
	h.vendor.mu.Unlock()
	now := time.Now().UTC()
	h.record(directory.Fact{
		ID: "whatsapp/moved", Account: "whatsapp", ReceivedAt: now,
		Fact: connectors.Fact{
			Key: "moved", Kind: connectors.KindIdentity, At: now,
			Person: &connectors.Person{WAID: "16315555555"}, Identity: &connectors.Identity{New: connectors.Person{WAID: "16315556666"}},
		},
	})
	h.eventually("the change is refused", func() bool { return h.states()[directory.Dead] == 1 })
	h.receive("w2", "16315555555") // somebody else by now
	h.eventually("the newcomer is given up", func() bool { return h.states()[directory.Dead] == 2 })
	h.vendor.mu.Lock()
	defer h.vendor.mu.Unlock()
	if n := len(h.vendor.messages); n != 1 || h.vendor.contacts["record of 16315555555"]["last"] != "text of w1" {
		t.Errorf("%d messages, contacts %v; want the first person's record untouched", n, h.vendor.contacts)
	}
}
