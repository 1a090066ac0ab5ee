package record_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"crmsync/connectors"
	"crmsync/mapping"
	"crmsync/sync/directory"
	"crmsync/sync/record"
	"crmsync/sync/store"
)

var (
	ctx   = context.Background()
	start = time.Date(2026, 11, 20, 9, 0, 0, 0, time.UTC)
)

func recorder(t *testing.T) (*record.Recorder, *store.DB) {
	t.Helper()
	db, err := store.OpenSQLite(ctx, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return &record.Recorder{Store: db, Mapping: func() *mapping.Mapping { return &mapping.Mapping{} }, DeliverTo: func(string) []string { return []string{"hubspot"} }}, db
}

// fact is what whatsapp reported under a key at a minute.
func fact(key string, kind connectors.Kind, minute int, p *connectors.Person) directory.Fact {
	return directory.Fact{
		ID: directory.FactID("whatsapp", key), Account: "whatsapp", ReceivedAt: start.Add(time.Hour),
		Fact: connectors.Fact{
			Key: key, Kind: kind, Type: "text", At: start.Add(time.Duration(minute) * time.Minute),
			BusinessNumber: "1000", BusinessPhone: "15550100", Person: p,
		},
	}
}

func kerry() *connectors.Person {
	return &connectors.Person{WAID: "16315555555", ProfileName: "Kerry Fisher"}
}

func message(wamid string, minute int, p *connectors.Person, direction connectors.Direction, text string) directory.Fact {
	f := fact(wamid, connectors.KindMessage, minute, p)
	f.Message = &connectors.Message{WAMID: wamid, Direction: direction, Text: text}
	return f
}

func status(wamid, word string, minute int, p *connectors.Person) directory.Fact {
	f := fact(wamid+" "+word, connectors.KindStatus, minute, p)
	f.Type = word
	f.Status = &connectors.Status{WAMID: wamid, Status: word}
	return f
}

func apply(t *testing.T, r *record.Recorder, facts ...directory.Fact) record.Result {
	t.Helper()
	result, err := r.Record(ctx, facts)
	if err != nil {
		t.Fatal(err)
	}
	return result
}

// world is what the directory holds, without the ids that depend on arrival.
type world struct {
	Contacts map[string]map[string]string // by number or user id: the mapped view as text
	Messages map[string]string            // by wamid: whose, direction, text, time, status
}

func read(t *testing.T, db *store.DB) world {
	t.Helper()
	w := world{Contacts: map[string]map[string]string{}, Messages: map[string]string{}}
	due, err := db.Due(ctx, "hubspot", 1000)
	if err != nil {
		t.Fatal(err)
	}
	var ids, messageIDs []int64
	for _, e := range due {
		ids = append(ids, e.ID)
	}
	for id := range int64(200) {
		messageIDs = append(messageIDs, id)
	}
	contacts, err := db.Load(ctx, "hubspot", directory.ContactEntity, ids)
	if err != nil {
		t.Fatal(err)
	}
	keys := map[int64]string{}
	for _, work := range contacts {
		keys[work.Contact.ID] = work.Contact.AccountKey()
		view := map[string]string{}
		for name, v := range work.Contact.View() {
			view[name] = fmt.Sprint(v)
		}
		w.Contacts[work.Contact.AccountKey()] = view
	}
	messages, err := db.Load(ctx, "hubspot", directory.MessageEntity, messageIDs)
	if err != nil {
		t.Fatal(err)
	}
	for _, work := range messages {
		m := work.Message
		w.Messages[m.WAMID] = fmt.Sprintf("%s %s %q %s %s", keys[m.ContactID], m.Direction, m.Body(), m.At.Format(time.RFC3339), m.Status)
	}
	return w
}

func TestAMessageMakesAContactAndTwoDebts(t *testing.T) {
	t.Parallel()
	r, db := recorder(t)
	result := apply(t, r, message("w1", 0, kerry(), connectors.In, "Hello!"))
	if len(result.Triggers) != 2 {
		t.Errorf("triggers = %v, want one for the contact and one for the message", result.Triggers)
	}
	w := read(t, db)
	view := w.Contacts["16315555555"]
	for name, want := range map[string]string{
		"phone": "+16315555555", "first_name": "Kerry", "last_name": "Fisher", "country": "US", "consent": "transactional",
		"last_message_text": "Hello!", "last_message_direction": "in", "unread_count": "1", "business_number": "1000",
	} {
		if view[name] != want {
			t.Errorf("%s = %q, want %q", name, view[name], want)
		}
	}
	if got, want := w.Messages["w1"], `16315555555 in "Hello!" 2026-11-20T09:00:00Z `; got != want {
		t.Errorf("message = %s, want %s", got, want)
	}
}

func TestTheSameFactsAgainChangeNothing(t *testing.T) {
	t.Parallel()
	r, db := recorder(t)
	facts := []directory.Fact{message("w1", 0, kerry(), connectors.In, "Hello!"), status("w2", "read", 1, kerry())}
	apply(t, r, append(facts, facts...)...)
	before := read(t, db)
	if again := apply(t, r, facts...); len(again.Triggers) != 0 || len(again.Recorded) != 0 {
		t.Errorf("recording again gave %+v, want nothing", again)
	}
	if after := read(t, db); !reflect.DeepEqual(after, before) {
		t.Errorf("after  %+v\nbefore %+v", after, before)
	}
}

// Whatever the order in which facts arrive, and however they are cut into
// batches, the directory ends up the same.
func TestOrderDoesNotMatter(t *testing.T) {
	t.Parallel()
	renamed := &connectors.Person{WAID: "16315555555", ProfileName: "Kerry F."}
	nobody := &connectors.Person{UserID: "US.13491208655302741918", Username: "kf"}
	stop := fact("stop", connectors.KindPreference, 7, kerry())
	stop.Preference = &connectors.Preference{Category: "marketing_messages", Value: "stop"}
	resume := fact("resume", connectors.KindPreference, 6, kerry())
	resume.Preference = &connectors.Preference{Category: "marketing_messages", Value: "resume"}
	edit := message("w9", 8, kerry(), connectors.In, "Hello again!")
	edit.Message.Target = "w1"
	facts := []directory.Fact{
		message("w1", 0, kerry(), connectors.In, "Hello!"),
		message("w2", 3, renamed, connectors.In, "Anyone?"),
		message("w3", 2, kerry(), connectors.Out, "Good morning"),
		message("w4", 5, nobody, connectors.In, "Ciao"),
		status("w3", "sent", 2, kerry()), status("w3", "delivered", 3, nil), status("w3", "read", 4, kerry()),
		status("w5", "failed", 4, kerry()), status("w5", "delivered", 3, kerry()),
		stop, resume, edit,
	}
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	var first world
	for round := range 25 {
		r, db := recorder(t)
		random.Shuffle(len(facts), func(i, j int) { facts[i], facts[j] = facts[j], facts[i] })
		for rest := facts; len(rest) > 0; {
			n := 1 + random.IntN(len(rest))
			apply(t, r, rest[:n]...)
			rest = rest[n:]
		}
		w := read(t, db)
		if round == 0 {
			first = w
			for wamid, want := range map[string]string{
				"w1": `16315555555 in "Hello again!" 2026-11-20T09:00:00Z `,
				"w3": `16315555555 out "Good morning" 2026-11-20T09:02:00Z read`,
				"w5": fmt.Sprintf(`16315555555 out %q 2026-11-20T09:03:00Z failed`, directory.UnreportedText),
				"w4": `US.13491208655302741918 in "Ciao" 2026-11-20T09:05:00Z `,
			} {
				if w.Messages[wamid] != want {
					t.Errorf("%s = %s\nwant %s", wamid, w.Messages[wamid], want)
				}
			}
			if got := w.Contacts["16315555555"]["consent"]; got != "opted_out" {
				t.Errorf("consent = %s, want opted_out", got)
			}
			if got := w.Contacts["16315555555"]["last_name"]; got != "Fisher" {
				t.Errorf("last name = %s, want Fisher: the newest report says so", got)
			}
			continue
		}
		if !reflect.DeepEqual(w, first) {
			t.Fatalf("round %d: %+v\nwant %+v", round, w, first)
		}
	}
}

func TestAStatusBeforeItsMessageIsKept(t *testing.T) {
	t.Parallel()
	r, db := recorder(t)
	apply(t, r, status("w1", "delivered", 2, nil)) // names nobody
	if w := read(t, db); len(w.Messages) != 0 {
		t.Fatalf("a message of nobody is to be delivered: %v", w.Messages)
	}
	apply(t, r, message("w1", 1, kerry(), connectors.Out, "Your order is here"))
	want := `16315555555 out "Your order is here" 2026-11-20T09:01:00Z delivered`
	if got := read(t, db).Messages["w1"]; got != want {
		t.Errorf("message = %s, want %s", got, want)
	}
}

func TestTheVariantsOfAMobileAreOneContact(t *testing.T) {
	t.Parallel()
	pairs := map[string][2]string{
		"Brazil, with and without the ninth digit": {"5511987654321", "551187654321"},
		"Mexico, with and without the 1":           {"5215512345678", "525512345678"},
		"Argentina, with and without the 9":        {"5491123456789", "541123456789"},
	}
	for name, pair := range pairs {
		for _, pair := range [][2]string{pair, {pair[1], pair[0]}} {
			r, db := recorder(t)
			apply(t, r, message("w1", 0, &connectors.Person{WAID: pair[0]}, connectors.In, "a"))
			apply(t, r, message("w2", 1, &connectors.Person{WAID: pair[1]}, connectors.In, "b"))
			if w := read(t, db); len(w.Contacts) != 1 {
				t.Errorf("%s: %d contacts, want 1", name, len(w.Contacts))
			}
		}
	}
	r, db := recorder(t)
	apply(t, r, message("w1", 0, &connectors.Person{WAID: "551133334444"}, connectors.In, "a"))
	apply(t, r, message("w2", 1, &connectors.Person{WAID: "5511933334444"}, connectors.In, "b"))
	if w := read(t, db); len(w.Contacts) != 2 {
		t.Errorf("a landline in Brazil and a mobile with its digits: %d contacts, want 2", len(w.Contacts))
	}
}

func TestAPersonKeepsTheirContactWhenTheyChangeNumber(t *testing.T) {
	t.Parallel()
	r, db := recorder(t)
	apply(t, r, message("w1", 0, kerry(), connectors.In, "before"))
	moved := fact("moved", connectors.KindIdentity, 5, &connectors.Person{WAID: "16315555555"})
	moved.Identity = &connectors.Identity{New: connectors.Person{WAID: "16315556666"}}
	apply(t, r, moved)
	apply(t, r, message("w2", 6, &connectors.Person{WAID: "16315556666"}, connectors.In, "after"))
	apply(t, r, message("w3", 1, kerry(), connectors.In, "late, but sent before"))
	w := read(t, db)
	if len(w.Contacts) != 1 || w.Contacts["16315556666"]["phone"] != "+16315556666" {
		t.Fatalf("contacts = %v, want one with the new number", w.Contacts)
	}
	apply(t, r, message("w4", 60*24*200, &connectors.Person{WAID: "16315555555", ProfileName: "Somebody Else"}, connectors.In, "new owner"))
	if w = read(t, db); len(w.Contacts) != 2 {
		t.Errorf("%d contacts after the old number went to somebody else, want 2", len(w.Contacts))
	}
}

func TestSendersWithoutAPhoneAreContacts(t *testing.T) {
	t.Parallel()
	r, db := recorder(t)
	p := &connectors.Person{UserID: "IT.13491208655302741918", Username: "giulia.b"}
	apply(t, r, message("w1", 0, p, connectors.In, "Ciao"))
	apply(t, r, message("w2", 1, &connectors.Person{UserID: p.UserID, WAID: "393331234567"}, connectors.In, "e il mio numero"))
	w := read(t, db)
	if len(w.Contacts) != 1 {
		t.Fatalf("contacts = %v, want one", w.Contacts)
	}
	if view := w.Contacts["393331234567"]; view["user_id"] != p.UserID || view["phone"] != "+393331234567" || view["name"] != "giulia.b" {
		t.Errorf("contact = %v", view)
	}
}

func TestAMalformedPartIsReportedOnceAndHoldsUpNobody(t *testing.T) {
	t.Parallel()
	r, db := recorder(t)
	bad := fact("bad", connectors.KindMalformed, 0, nil)
	bad.Reason, bad.Raw = "messages[3].id is not a text", []byte("{\xff")
	result := apply(t, r, message("w1", 0, kerry(), connectors.In, "a"), bad, message("w2", 1, kerry(), connectors.In, "b"))
	if len(result.Malformed) != 1 || result.Malformed[0].ID != bad.ID {
		t.Errorf("malformed = %v, want the bad one", result.Malformed)
	}
	if again := apply(t, r, bad); len(again.Malformed) != 0 {
		t.Error("the same malformed part was reported twice")
	}
	if w := read(t, db); len(w.Messages) != 2 {
		t.Errorf("%d messages, want 2", len(w.Messages))
	}
}

// Facts that no connector makes, and at which the program panics: it is worth
// as little to the others as one that cannot be read, and not the end.
func TestAFactAtWhichTheProgramPanicsHoldsUpNobody(t *testing.T) {
	t.Parallel()
	r, db := recorder(t)
	var facts []directory.Fact
	for i, kind := range []connectors.Kind{connectors.KindMessage, connectors.KindStatus, connectors.KindPreference, connectors.KindIdentity} {
		wamid := fmt.Sprintf("w%d", i)
		facts = append(facts, message(wamid, i, kerry(), connectors.In, "a"), fact("hollow "+string(kind), kind, i, kerry()))
	}
	result := apply(t, r, facts...)
	if len(result.Malformed) != 4 || len(result.Recorded) != 8 {
		t.Fatalf("%d malformed and %d recorded, want 4 and 8", len(result.Malformed), len(result.Recorded))
	}
	for _, f := range result.Malformed {
		if !strings.Contains(f.Reason, "panics in crmsync/sync/record.") {
			t.Errorf("reason = %q, want where", f.Reason)
		}
		if _, ok := record.Refused(f.Raw); !ok {
			t.Errorf("%s does not hold the fact", f.Raw)
		}
	}
	if w := read(t, db); len(w.Messages) != 4 {
		t.Errorf("%d messages, want 4", len(w.Messages))
	}
	if again := apply(t, r, facts...); len(again.Malformed) != 0 {
		t.Error("they were reported twice")
	}
}

func TestTextThatADatabaseRefusesIsCleaned(t *testing.T) {
	t.Parallel()
	r, db := recorder(t)
	p := &connectors.Person{WAID: "16315555555", ProfileName: "A\x00B\xff"}
	apply(t, r, message("w1", 0, p, connectors.In, "nul \x00 and half \xed\xa0\x80 a character"))
	w := read(t, db)
	for _, text := range []string{w.Messages["w1"], w.Contacts["16315555555"]["profile_name"]} {
		if strings.ContainsRune(text, 0) || strings.Contains(text, "\xff") {
			t.Errorf("%q was stored as it came", text)
		}
	}
}

func TestAFactFromTheFutureDoesNotWinForEver(t *testing.T) {
	t.Parallel()
	r, db := recorder(t)
	apply(t, r, message("w1", 60*24*365*80, kerry(), connectors.In, "from 2106"))
	later := message("w2", 60*2, &connectors.Person{WAID: "16315555555", ProfileName: "Kerry Smith"}, connectors.In, "from today")
	later.ReceivedAt = start.Add(3 * time.Hour)
	apply(t, r, later)
	if got := read(t, db).Contacts["16315555555"]["profile_name"]; got != "Kerry Smith" {
		t.Errorf("profile name = %q, want the one reported later", got)
	}
}

func TestWhatIsNotActedUponIsKept(t *testing.T) {
	t.Parallel()
	r, _ := recorder(t)
	other := fact("other", connectors.KindOther, 0, nil)
	other.Type, other.Raw = "account_alerts", []byte(`{"a":1}`)
	odd := status("w1", "warning", 0, kerry())
	result := apply(t, r, other, odd)
	if len(result.Recorded) != 2 || len(result.Triggers) != 0 {
		t.Errorf("recorded %d, triggers %v; want 2 and none", len(result.Recorded), result.Triggers)
	}
	kinds := []string{string(result.Recorded[0].Kind), string(result.Recorded[1].Kind)}
	if !slices.Equal(kinds, []string{"other", "status"}) {
		t.Errorf("kinds = %v", kinds)
	}
}

// A CRM says of every record that it has changed, also when crmsync changed
// it, and often. Each record is a debt to read it, once; nothing else is kept.
func TestNewsOfARecordIsADebtToReadIt(t *testing.T) {
	t.Parallel()
	r, db := recorder(t)
	m, err := mapping.Compile("m.yaml", []byte("version: 1\naccounts:\n  zoho:\n    contact:\n      First_Name: first_name\n      WhatsApp_Last_Status: last_status\n"))
	if err != nil {
		t.Fatal(err)
	}
	r.Mapping = func() *mapping.Mapping { return m }
	var news []directory.Fact
	for i := range 200 {
		f := fact(fmt.Sprint("record:", i), connectors.KindRecord, 0, nil)
		f.Account = "zoho"
		f.Record = &connectors.RecordNews{ID: fmt.Sprint(i % 20), Change: connectors.RecordUpdated}
		news = append(news, f)
	}
	for i := range 100 {
		news[i].Record.Fields = []string{"Description", "First_Name"}
	}
	unread := fact("record:unread", connectors.KindRecord, 0, nil)
	unread.Account = "zoho"
	unread.Record = &connectors.RecordNews{ID: "4711", Change: connectors.RecordUpdated, Fields: []string{"WhatsApp_Last_Status"}}
	apply(t, r, unread)
	news[199].Record.Change, news[199].Record.Survivor = connectors.RecordMerged, "77"
	result := apply(t, r, news...)
	if len(result.Recorded) != 200 || len(result.Triggers)+len(result.Malformed) != 0 {
		t.Errorf("result %+v", result)
	}
	// Among other facts it does not disturb them.
	result = apply(t, r, news[0], message("w1", 0, kerry(), connectors.In, "Hello!"), news[1])
	if len(result.Recorded) != 3 || len(result.Triggers) != 2 {
		t.Errorf("result %+v", result)
	}
	if w := read(t, db); len(w.Contacts) != 1 || len(w.Messages) != 1 {
		t.Errorf("the directory holds %+v", w)
	}
	pulls, err := db.Pulls(ctx, "zoho", 100)
	if err != nil || len(pulls) != 21 {
		t.Fatalf("%d records are to be read, want each of the 21 once; error %v", len(pulls), err)
	}
	for _, p := range pulls {
		if p.ID == "19" && p.Change != connectors.RecordMerged {
			t.Errorf("the last news of 19 is %s", p.Change)
		}
	}
	if other, err := db.Pulls(ctx, "hubspot", 100); err != nil || len(other) != 0 {
		t.Errorf("another account owes %v, error %v", other, err)
	}
	// There is news of one of them while they are read: it stays owed.
	time.Sleep(2 * time.Millisecond)
	apply(t, r, news[7])
	if err := db.Pulled(ctx, pulls); err != nil {
		t.Fatal(err)
	}
	if left, err := db.Pulls(ctx, "zoho", 100); err != nil || len(left) != 1 || left[0].ID != "7" {
		t.Errorf("left are %v, error %v", left, err)
	}
	if err := db.Record(ctx, func(tx directory.Tx) error {
		known, err := tx.Known(news)
		if len(known) != 0 {
			t.Errorf("%d rows are kept", len(known))
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
}

// WhatsApp tells times in seconds, so an edit and a revocation may have the
// time of their message. They win in whatever order they arrive.
func TestEditsOfTheSameSecondWin(t *testing.T) {
	t.Parallel()
	change := func(wamid, text string, revoked bool) directory.Fact {
		f := message(wamid, 0, kerry(), connectors.In, text)
		f.Message.Target, f.Message.Revoked = "w1", revoked
		return f
	}
	original := message("w1", 0, kerry(), connectors.In, "zzz wrong")
	edit, revocation := change("w2", "aaa right", false), change("w3", "[gone]", true)
	tests := map[string]struct {
		facts []directory.Fact
		want  string
	}{
		"edited":                {[]directory.Fact{original, edit}, "aaa right"},
		"edited before":         {[]directory.Fact{edit, original}, "aaa right"},
		"revoked":               {[]directory.Fact{original, edit, revocation}, "[gone]"},
		"revoked before":        {[]directory.Fact{revocation, edit, original}, "[gone]"},
		"revoked in the middle": {[]directory.Fact{original, revocation, edit}, "[gone]"},
	}
	for name, tt := range tests {
		r, db := recorder(t)
		for _, f := range tt.facts {
			apply(t, r, f) // each on its own, so that what is stored counts
		}
		if got := read(t, db).Messages["w1"]; !strings.Contains(got, tt.want) {
			t.Errorf("%s: %s, want the text %q", name, got, tt.want)
		}
	}
}

func TestAStatusTeachesAPersonsOtherNames(t *testing.T) {
	t.Parallel()
	r, db := recorder(t)
	both := kerry()
	both.UserID = "US.13491208655302741918"
	apply(t, r, status("w1", "sent", 0, kerry()))
	apply(t, r, status("w1", "delivered", 1, both))
	apply(t, r, message("w2", 2, &connectors.Person{UserID: both.UserID}, connectors.In, "a reply"))
	if w := read(t, db); len(w.Contacts) != 1 || len(w.Messages) != 2 {
		t.Errorf("%d contacts and %d messages, want one contact with two messages", len(w.Contacts), len(w.Messages))
	}
}

func TestAStatusOfAMessageReceivedIsNone(t *testing.T) {
	t.Parallel()
	r, db := recorder(t)
	apply(t, r, message("w1", 0, kerry(), connectors.In, "Hello!"))
	apply(t, r, status("w1", "failed", 1, kerry()))
	if got := read(t, db).Messages["w1"]; strings.Contains(got, "failed") {
		t.Errorf("message = %s", got)
	}
}

func TestAShorterNameClearsTheRestOfTheLongerOne(t *testing.T) {
	t.Parallel()
	r, db := recorder(t)
	apply(t, r, message("w1", 0, kerry(), connectors.In, "a"))
	apply(t, r, message("w2", 1, &connectors.Person{WAID: "16315555555", ProfileName: "Zoe"}, connectors.In, "b"))
	if view := read(t, db).Contacts["16315555555"]; view["first_name"] != "Zoe" || view["last_name"] != "<nil>" {
		t.Errorf("names = %q %q, want Zoe and none", view["first_name"], view["last_name"])
	}
}

// A second account that hears of a contact by a message which changes nothing
// about the contact owes the contact too.
func TestAnAccountThatHearsOfAMessageHearsOfItsContact(t *testing.T) {
	t.Parallel()
	r, _ := recorder(t)
	apply(t, r, message("w1", 5, kerry(), connectors.In, "newest"))
	r.DeliverTo = func(string) []string { return []string{"zoho"} }
	older := message("w0", 3, kerry(), connectors.Out, "older")
	older.Kind = connectors.KindStatus
	older.Message, older.Status = nil, &connectors.Status{WAMID: "w1x", Status: "sent"}
	result := apply(t, r, older)
	kinds := map[string]bool{}
	for _, x := range result.Triggers {
		if x.Account == "zoho" {
			kinds[string(x.Entity.Kind)] = true
		}
	}
	if !kinds["contact"] || !kinds["message"] {
		t.Errorf("triggers = %v, want zoho to owe the contact and the message", result.Triggers)
	}
}

func TestAFileIsADebtWhereFilesAreWanted(t *testing.T) {
	t.Parallel()
	r, db := recorder(t)
	r.WantsFiles = func(account string) bool { return account == "whatsapp" }
	with := func(key, wamid, id string) directory.Fact {
		f := message(wamid, 0, kerry(), connectors.In, "[Image]")
		f.ID, f.Key = directory.FactID("whatsapp", key), key
		f.Message.Media = &connectors.Media{ID: id, MIMEType: "image/jpeg", SHA256: "abc", Filename: "a.jpg"}
		return f
	}
	// The second fact tells the same message, as the history does.
	result := apply(t, r, with("k1", "w1", "4711"), with("k2", "w1", "4712"))
	if len(result.Triggers) != 2 {
		t.Errorf("triggers = %v, want those of the contact and the message only: a file comes after them", result.Triggers)
	}
	apply(t, r, with("k3", "w1", "4713"))
	elsewhere := with("k4", "w2", "4714")
	elsewhere.Account = "other"
	apply(t, r, elsewhere)
	var ids []int64
	for id := range int64(20) {
		ids = append(ids, id)
	}
	work, err := db.Load(ctx, "hubspot", directory.FileEntity, ids)
	if err != nil || len(work) != 1 || work[0].Message.WAMID != "w1" {
		t.Fatalf("files owed: %+v (error %v), want one", work, err)
	}
	if m := work[0].File.Media; m.ID != "4711" && m.ID != "4712" || m.SHA256 != "abc" || m.Filename != "a.jpg" || m.MIMEType != "image/jpeg" {
		t.Errorf("file = %+v", m)
	}
}
