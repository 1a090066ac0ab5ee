package hubspotsim_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"crmsync/connectors/hubspot/hubspotsim"
)

// v3 is the signature as HubSpot's guide describes it, over a URL in which
// that is decoded which has to be.
func v3(secret, url, body, timestamp string) string {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte("POST" + url + body + timestamp))
	return base64.StdEncoding.EncodeToString(mac.Sum(nil))
}

func v1(secret, body string) string {
	sum := sha256.Sum256([]byte(secret + body))
	return hex.EncodeToString(sum[:])
}

func TestBothSignatures(t *testing.T) {
	t.Parallel()
	// The published vectors hold for what the wire is compared with below.
	const published = "yyyyyyyy-yyyy-yyyy-yyyy-yyyyyyyyyyyy"
	same(t, "vector", v3(published, "https://www.example.com/webhook_uri", "{'example_field':'example_value'}", "1693657560000"),
		"K36dawei4A+QBNolUOqo7s91KQDWQ5MXZ/QufNYuk/Y=")
	same(t, "vector", v1(published, `[{"eventId":1,"subscriptionId":12345,"portalId":62515,"occurredAt":1564113600000,`+
		`"subscriptionType":"contact.creation","attemptNumber":0,"objectId":123,"changeSource":"CRM","changeFlag":"NEW","appId":54321}]`),
		"232db2615f3d666fe21a8ec971ac7b5402d33b9a925784df3ca654d05f4817de")
	rc := receive(t, nil)
	a := open(t, hubspotsim.Options{ClientSecret: "test-secret", WebhookURL: rc.url + "?tag=a%3Ab%2Fc&x=1%202"})
	a.person(obj{"firstname": "Zoë & <Co>"})
	h := rc.requests(t, 1)[0]
	same(t, "version", h.header.Get("X-HubSpot-Signature-Version"), "v1")
	same(t, "v1", h.header.Get("X-HubSpot-Signature"), v1("test-secret", h.body))
	stamp := h.header.Get("X-HubSpot-Request-Timestamp")
	same(t, "timestamp", stamp, "1790841600000")
	same(t, "v3", h.header.Get("X-HubSpot-Signature-v3"), v3("test-secret", rc.url+"?tag=a:b/c&x=1%202", h.body, stamp))
	same(t, "content type", h.header.Get("Content-Type"), "application/json")
	if !strings.HasPrefix(h.header.Get("User-Agent"), "HubSpot Connect 2.0") {
		t.Errorf("got User-Agent %q", h.header.Get("User-Agent"))
	}
}

// fast makes the 24 hours of retries a fraction of a second.
var fast = hubspotsim.Knobs{Compress: 1e6}

func TestWhatIsNotTakenIsSentAgain(t *testing.T) {
	t.Parallel()
	for name, refuse := range map[string]func(w http.ResponseWriter, r *http.Request){
		"a server error": func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusInternalServerError) },
		"a client error": func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNotFound) },
		"a redirection":  func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/elsewhere", http.StatusFound) },
		"no answer":      func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
		"too late a one": func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() },
		"half an answer": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "9")
			_, _ = w.Write([]byte("ok"))
		},
		"not quite taken": func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusMultipleChoices) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var a *account
			rc := receive(t, func(n int, w http.ResponseWriter, r *http.Request) {
				a.pass(time.Second)
				if n < 2 {
					refuse(w, r)
				}
			})
			k := fast
			if name == "too late a one" {
				k.EventTimeoutMS = 500
			}
			a = open(t, hubspotsim.Options{ClientSecret: "s", WebhookURL: rc.url, Knobs: k})
			id := a.person(obj{"firstname": "Ada"})
			hooks := rc.requests(t, 3)
			for n, h := range hooks {
				e := h.events[0]
				same(t, "attempt", e["attemptNumber"], n)
				same(t, "object", fmt.Sprintf("%.0f", e["objectId"]), id)
				same(t, "event", e["eventId"], hooks[0].events[0]["eventId"])
				same(t, "occurred", e["occurredAt"], hooks[0].events[0]["occurredAt"])
				same(t, "timestamp", h.header.Get("X-HubSpot-Request-Timestamp"), strconv.Itoa(1790841600000+n*1000))
				same(t, "v3", h.header.Get("X-HubSpot-Signature-v3"), v3("s", rc.url, h.body, h.header.Get("X-HubSpot-Request-Timestamp")))
			}
		})
	}
}

func TestAfterTenRetriesAWebhookIsLost(t *testing.T) {
	t.Parallel()
	rc := receive(t, func(_ int, w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusServiceUnavailable) })
	a := open(t, hubspotsim.Options{WebhookURL: rc.url, Knobs: fast})
	a.person(obj{"firstname": "Ada"})
	hooks := rc.requests(t, 11)
	same(t, "last attempt", hooks[10].events[0]["attemptNumber"], 10)
	time.Sleep(100 * time.Millisecond)
	same(t, "attempts", len(rc.arrived()), 11)
}

func TestTheRetriesTakeUpToADay(t *testing.T) {
	t.Parallel()
	rc := receive(t, func(_ int, w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusServiceUnavailable) })
	a := open(t, hubspotsim.Options{WebhookURL: rc.url})
	same(t, "milliseconds that an answer is waited for", a.get("/_sim/knobs").at("event_timeout_ms"), 5000)
	a.person(obj{"firstname": "Ada"})
	rc.requests(t, 1)
	a.post("/_sim/clock", `{"advance":"30s"}`).want(t, 200)
	rc.requests(t, 1)
	rc.later(a, time.Minute, 2)
	hooks := rc.requests(t, 2)
	// The receiver's clock was not moved.
	same(t, "timestamp", hooks[1].header.Get("X-HubSpot-Request-Timestamp"), "1790841600000")
	rc.later(a, 13*time.Hour, 11)
	rc.requests(t, 11)
	a.Advance(24 * time.Hour)
	rc.requests(t, 11)
}

func TestRetriesAreSpacedByChance(t *testing.T) {
	t.Parallel()
	rc := receive(t, func(n int, w http.ResponseWriter, _ *http.Request) {
		if n < 20 {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	})
	a := open(t, hubspotsim.Options{WebhookURL: rc.url, Knobs: hubspotsim.Knobs{DuplicateEvents: 1}})
	a.batch("create", many(20)[:10]).want(t, 201)
	// The doubles go alone, what they double goes together.
	first := len(rc.until(t, "events", 20, func(hooks []hook) int { return len(flat(hooks)) }))
	same(t, "webhooks", first, 11)
	a.Advance(42 * time.Second)
	rc.requests(t, first)
	a.Advance(21 * time.Second)
	time.Sleep(100 * time.Millisecond)
	if n := len(rc.arrived()); n == first || n == 2*first {
		t.Errorf("got %d webhooks again after 63s, want some of %d", n-first, first)
	}
	a.Advance(22 * time.Second)
	rc.requests(t, 2*first)
}

func TestTheAddressIsThatOfTheAttempt(t *testing.T) {
	t.Parallel()
	down := receive(t, func(_ int, w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadGateway) })
	up := receive(t, nil)
	a := open(t, hubspotsim.Options{})
	a.person(obj{"firstname": "Nobody hears of her"})
	a.SetWebhookURL(down.url)
	a.person(obj{"firstname": "Ada"})
	down.requests(t, 1)
	a.SetWebhookURL(up.url)
	up.later(a, 2*time.Minute, 1)
	same(t, "attempt", up.events(t, 1)[0]["attemptNumber"], 1)
}

func TestTenAtOnceAHundredInOne(t *testing.T) {
	t.Parallel()
	held := make(chan struct{})
	release := sync.OnceFunc(func() { close(held) })
	defer release()
	rc := receive(t, func(n int, _ http.ResponseWriter, _ *http.Request) {
		if n < 10 {
			<-held
		}
	})
	a := open(t, hubspotsim.Options{WebhookURL: rc.url})
	for n := range 10 {
		a.person(obj{"firstname": fmt.Sprint(n)})
		rc.requests(t, n+1)
	}
	var many []obj
	for n := range 100 {
		many = append(many, obj{"properties": obj{"firstname": fmt.Sprint(n)}})
	}
	a.batch("create", many).want(t, 201)
	a.batch("create", many[:30]).want(t, 201)
	rc.requests(t, 10)
	release()
	hooks := rc.until(t, "events", 140, func(hooks []hook) int { return len(flat(hooks)) })
	var sizes []int
	for _, h := range hooks {
		sizes = append(sizes, len(h.events))
	}
	slices.Sort(sizes)
	same(t, "sizes", sizes, "[1 1 1 1 1 1 1 1 1 1 30 100]")
	same(t, "at once", rc.most, 10)
}

func TestEventsAreDoubledCollideAndOvertake(t *testing.T) {
	t.Parallel()
	run := func(k hubspotsim.Knobs, want int) []hook {
		rc := receive(t, nil)
		a := open(t, hubspotsim.Options{WebhookURL: rc.url})
		if err := a.SetKnobs(k); err != nil {
			t.Fatal(err)
		}
		for n := range 10 {
			a.person(obj{"firstname": fmt.Sprint(n)})
			a.pass(time.Second)
		}
		return rc.until(t, "events", want, func(hooks []hook) int { return len(flat(hooks)) })
	}
	distinct := func(events []obj, field string) int {
		list := told(events, field)
		return len(slices.Compact(list))
	}
	plain := flat(run(hubspotsim.Knobs{}, 10))
	same(t, "event ids", distinct(plain, "eventId"), 10)

	doubled := run(hubspotsim.Knobs{DuplicateEvents: 1}, 20)
	same(t, "event ids of doubles", distinct(flat(doubled), "eventId"), 10)
	for _, h := range doubled {
		same(t, "doubles in one webhook", distinct(h.events, "eventId"), len(h.events))
	}
	same(t, "attempts of doubles", strings.Join(slices.Compact(told(flat(doubled), "attemptNumber")), " "), "0")

	colliding := flat(run(hubspotsim.Knobs{CollidingEvents: 1}, 10))
	if ids := distinct(colliding, "eventId"); ids == 10 {
		t.Error("no two events have one id")
	}
	same(t, "objects of colliding events", distinct(colliding, "objectId"), 10)

	began := time.Now()
	late := flat(run(hubspotsim.Knobs{ReorderEvents: 1, EventDelayMS: 60}, 10))
	if took := time.Since(began); took < 60*time.Millisecond {
		t.Errorf("delivered after %v, want not before 60ms", took)
	}
	if slices.IsSortedFunc(late, func(x, y obj) int { return int(x["occurredAt"].(float64) - y["occurredAt"].(float64)) }) {
		t.Error("no event has overtaken another")
	}
}
