package main

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"crmsync/cmd/internal/sandbox"
)

var webhookRows = []row{
	{id: "W1", fault: "the same call 100 times at once, and again after a restart", push: 1, larger: 20, run: sameCall},
	{id: "W2", fault: "the statuses of a message in any order, 'failed' among them, all in one call or in many", push: 40, larger: 500, run: anyOrder},
	{id: "W3", fault: "one bad part among 99 good ones", push: 3, larger: 50, run: oneBadPart},
	{id: "W4", fault: "bodies of 3 MB less and more a byte, 100 MB, without an end, a lying length, a byte a second", push: 1, larger: 5, run: oddBodies},
	{id: "W5", fault: "the sender hangs up before the answer", push: 50, larger: 500, run: hangsUp},
	{id: "W6", fault: "2,000 idle connections beside the traffic", push: 1, larger: 3, run: idleConnections},
	{id: "W7", fault: "timestamps of 1970 and 2106, in milliseconds, of tomorrow, negative, words", push: 1, larger: 1, run: oddTimes},
	{id: "W8", fault: "the secret is replaced in mid-stream", not: "not built: the tests of connectors/whatsapp hold that both secrets are taken, TestAccountsComeAndGoWhileTheWorkerRuns that a changed one is in force without a restart"},
}

// calm is a world in which nothing is broken but what is sent.
func calm(f *fault) (sandbox.Info, *process, *ledger) {
	info := simulate(f.T)
	worker := serve(f.T, info)
	worker.deliversTo(info, info.Worker.URL, 20*time.Second)
	l := newLedger(f, info)
	l.start(f, 0)
	return info, worker, l
}

// envelope is a webhook's body around what is in its one change.
func (l *ledger) envelope(value string) []byte {
	return fmt.Appendf(nil, `{"object":"whatsapp_business_account","entry":[{"id":%q,"changes":[{"field":"messages","value":{`+
		`"messaging_product":"whatsapp","metadata":{"display_phone_number":"15550783881","phone_number_id":%q},%s}}]}]}`,
		l.info.WhatsApp.WABAID, l.info.WhatsApp.PhoneNumberID, value)
}

// expect puts a message into the ledger that the test sends by itself.
func (l *ledger) expect(wamid, from string, outgoing bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.messages[wamid] = &sentMessage{from: from, outgoing: outgoing, began: time.Now(), acked: 1, of: 1}
}

func inbound(wamid, from, timestamp, text string) string {
	return fmt.Sprintf(`{"from":%q,"id":%q,"timestamp":%q,"type":"text","text":{"body":%q}}`, from, wamid, timestamp, text)
}

// must posts a webhook that has to be answered so.
func (l *ledger) must(f *fault, body []byte, want int) {
	f.Helper()
	if status, err := l.post(body, l.urls[0]); status != want {
		f.Errorf("answered %d (%v), want %d", status, err, want)
	}
}

func now() string { return fmt.Sprint(time.Now().Unix()) }

func sameCall(f *fault) {
	info, worker, l := calm(f)
	for n := range f.rounds {
		wamid := fmt.Sprintf("wamid.SAME%d", n)
		body := l.envelope(`"messages":[` + inbound(wamid, "15558000001", now(), "Hello!") + `]`)
		l.expect(wamid, "15558000001", false)
		for round := range 2 {
			var posts sync.WaitGroup
			for range 100 {
				posts.Go(func() { l.must(f, body, 200) })
			}
			posts.Wait()
			f.inject(100)
			time.Sleep(time.Second)
			if round == 0 && n == 0 {
				worker.stop()
				worker = serve(f.T, info)
				worker.deliversTo(info, info.Worker.URL, 20*time.Second)
			}
		}
	}
	f.settle(l, nil, outcome{})
}

func anyOrder(f *fault) {
	info, _, l := calm(f)
	failed := map[string]bool{}
	for n := range f.rounds {
		wamid, from := fmt.Sprintf("wamid.ORDER%d", n), fmt.Sprintf("15557%06d", n%people)
		list := []string{"sent", "delivered", "read", "delivered"}
		if n%4 == 0 {
			list = append(list, "failed")
			failed[wamid] = true
		}
		f.random.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
		if !failed[wamid] {
			l.expect(wamid, from, true)
		}
		var parts []string
		for i, s := range list {
			parts = append(parts, fmt.Sprintf(`{"id":%q,"status":%q,"timestamp":"%d","recipient_id":%q}`, wamid, s, time.Now().Unix()+int64(i), from))
		}
		f.inject(1)
		if n%2 == 0 {
			l.must(f, l.envelope(`"statuses":[`+strings.Join(parts, ",")+`]`), 200)
			continue
		}
		for _, p := range parts {
			l.must(f, l.envelope(`"statuses":[`+p+`]`), 200)
		}
	}
	f.settle(l, nil, outcome{})
	for _, crm := range info.CRMs() {
		shown := byWAMID(f, crm)
		for wamid := range failed {
			if s := shown[wamid]; len(s) != 1 || s[0].Status != "failed" {
				f.Errorf("%s shows %s as %+v, want failed, which is final", crm.Name, wamid, s)
			}
		}
	}
}

func oneBadPart(f *fault) {
	_, _, l := calm(f)
	bad := []string{`{"from":"15556000001"}`, `{"status":"x"}`, `[]`, `{"from":7,"id":"wamid.BAD","timestamp":"1","type":"text","text":[]}`, `"word"`, `null`}
	for n := range f.rounds {
		var parts []string
		for i := range 99 {
			wamid, from := fmt.Sprintf("wamid.GOOD%d-%d", n, i), fmt.Sprintf("15556%06d", i%people)
			l.expect(wamid, from, false)
			parts = append(parts, inbound(wamid, from, now(), "x"))
		}
		parts[f.random.IntN(99)] += "," + bad[n%3]
		l.must(f, l.envelope(`"messages":[`+strings.Join(parts, ",")+`]`), 200)
		f.inject(1)
	}
	f.settle(l, nil, outcome{letters: f.rounds, within: 3 * time.Minute})
}

func oddBodies(f *fault) {
	_, worker, l := calm(f)
	memory := residentMiB(f.T, worker.cmd.Process.Pid)
	const limit = 3 << 20
	for n := range f.rounds {
		for _, c := range []struct{ more, want int }{{-1, 200}, {0, 200}, {1, 413}} {
			wamid := fmt.Sprintf("wamid.BIG%d-%d", n, c.more)
			body := l.envelope(`"messages":[` + inbound(wamid, "15555000001", now(), "x") + `],"padding":""`)
			at := bytes.LastIndex(body, []byte(`"}}]}]}`))
			body = append(append(append([]byte{}, body[:at]...), bytes.Repeat([]byte("p"), limit+c.more-len(body))...), body[at:]...)
			if c.want == 200 {
				l.expect(wamid, "15555000001", false)
			}
			l.must(f, body, c.want)
			f.inject(1)
		}
		u, _ := url.Parse(l.urls[0])
		// A hundred megabytes, in chunks, of which no length is said.
		chunked, err := http.NewRequestWithContext(f.Context(), http.MethodPost, l.urls[0], io.LimitReader(endless{}, 100<<20))
		if err != nil {
			f.Fatal(err)
		}
		if response, err := l.client.Do(chunked); err == nil {
			if response.Body.Close(); response.StatusCode != 413 {
				f.Errorf("100 MB: %s, want 413", response.Status)
			}
		} // cut off is fine: nobody reads 100 MB
		f.inject(1)
		for name, send := range map[string]string{
			"a length that lies": "POST " + u.Path + " HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n{}",
			"headers only":       "POST " + u.Path + " HTTP/1.1\r\nHost: x\r\nContent-Len",
			"a byte a second":    "POST " + u.Path + " HTTP/1.1\r\nHost: x\r\nContent-Length: 60\r\n\r\n{",
		} {
			c, err := net.Dial("tcp", u.Host)
			if err != nil {
				f.Fatal(err)
			}
			_, _ = io.WriteString(c, send)
			slow := strings.HasPrefix(name, "a byte")
			ended := make(chan struct{})
			if slow {
				go func() {
					for pauseFor(l.giveUp, time.Second) {
						if _, err := c.Write([]byte(" ")); err != nil {
							return
						}
					}
				}()
			}
			began := time.Now()
			go func() { _, _ = io.Copy(io.Discard, c); close(ended) }()
			select {
			case <-ended:
			case <-time.After(15 * time.Second):
				f.Errorf("%s: the connection is still open after %v, want at most 10 s or so", name, time.Since(began).Round(time.Second))
			}
			c.Close()
			f.inject(1)
		}
	}
	after := residentMiB(f.T, worker.cmd.Process.Pid)
	f.note("memory %d to %d MiB", memory, after)
	f.settle(l, nil, outcome{})
}

type endless struct{}

func (endless) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = ' '
	}
	return len(p), nil
}

func hangsUp(f *fault) {
	_, _, l := calm(f)
	u, _ := url.Parse(l.urls[0])
	for n := range f.rounds {
		wamid, from := fmt.Sprintf("wamid.HUNG%d", n), fmt.Sprintf("15554%06d", n%people)
		body := l.envelope(`"messages":[` + inbound(wamid, from, now(), "x") + `]`)
		c, err := net.Dial("tcp", u.Host)
		if err != nil {
			f.Fatal(err)
		}
		fmt.Fprintf(c, "POST %s HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nX-Hub-Signature-256: sha256=%s\r\nContent-Length: %d\r\n\r\n%s",
			u.Path, l.sign(body), len(body), body)
		time.Sleep(f.between(0, 3*time.Millisecond))
		c.Close()
		f.inject(1)
		l.expect(wamid, from, false) // sent again, it has to be there once
		l.must(f, body, 200)
	}
	f.settle(l, nil, outcome{})
}

func idleConnections(f *fault) {
	info := simulate(f.T)
	worker := serve(f.T, info)
	worker.deliversTo(info, info.Worker.URL, 20*time.Second)
	u, _ := url.Parse(info.Worker.URL)
	for range 2000 {
		c, err := net.Dial("tcp", u.Host)
		if err != nil {
			f.Fatal(err)
		}
		defer c.Close()
		f.inject(1)
	}
	l := f.traffic(info, 20)
	time.Sleep(5 * time.Second)
	f.settle(l, nil, outcome{})
	if n := l.answered(0, 503, 500); n > 0 {
		f.Errorf("%d webhooks were not taken beside them", n)
	}
}

func oddTimes(f *fault) {
	_, _, l := calm(f)
	letters := 0
	for n, at := range []string{"0", "1", "4294967295", now() + "000", fmt.Sprint(time.Now().Unix() + 86400), "-5", "soon", ""} {
		wamid := fmt.Sprintf("wamid.TIME%d", n)
		l.expect(wamid, "15553000001", false)
		l.must(f, l.envelope(`"messages":[`+inbound(wamid, "15553000001", at, "x")+`]`), 200)
		f.inject(1)
	}
	f.settle(l, nil, outcome{letters: letters})
}
