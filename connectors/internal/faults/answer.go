package faults

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"
)

const (
	// oversize is above the 20 MB which a caller may be expected to swallow.
	oversize = 24 << 20
	// held bounds how long a connection is kept open for nothing.
	held = 10 * time.Minute
)

// serve answers a call that a fault hits.
func (i *Injector) serve(w http.ResponseWriter, r *http.Request, vendor http.Handler, f Fault) {
	switch f.Mode {
	case Outage:
		i.outage(w, r, f)
	case Slow:
		if !i.wait(r, f.Delay) {
			panic(http.ErrAbortHandler)
		}
		vendor.ServeHTTP(w, r)
	case Reset:
		cut(w)
	case Redirect:
		i.redirect(w, r)
	default:
		a := handle(vendor, r)
		switch f.Mode {
		case ResetAfterCommit:
			cut(w)
		case Garbage:
			kind := garbage[i.chance(len(garbage))]
			a.body, a.status = []byte(kind.body), http.StatusOK
			a.header = http.Header{"Content-Type": {kind.contentType}}
			if kind.encoding != "" {
				a.header.Set("Content-Encoding", kind.encoding)
			}
			a.send(w, len(a.body))
		case Truncate:
			i.truncate(w, a)
		case Slowloris:
			i.drip(w, r, a)
		case HalfClose:
			i.halfClose(w, a)
		case Silence:
			a.send(w, 0)
			_ = http.NewResponseController(w).Flush()
			i.wait(r, held)
			panic(http.ErrAbortHandler)
		case Oversize:
			a.header.Del("Content-Length")
			a.copyHeader(w)
			w.WriteHeader(a.status)
			// Blanks before JSON are JSON: only the size is wrong.
			blanks := bytes.Repeat([]byte(" "), 1<<20)
			for sent := 0; sent < oversize; sent += len(blanks) {
				if _, err := w.Write(blanks); err != nil {
					return
				}
			}
			_, _ = w.Write(a.body)
		}
	}
}

func (i *Injector) outage(w http.ResponseWriter, r *http.Request, f Fault) {
	if f.Status == 0 && f.Code == 0 {
		f.Status = []int{http.StatusInternalServerError, http.StatusServiceUnavailable}[i.chance(2)]
	}
	if f.RetryAfter != "" {
		w.Header().Set("Retry-After", f.RetryAfter)
	}
	if i.opts.Outage != nil && i.opts.Outage(w, r, f) {
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=UTF-8")
	w.WriteHeader(f.Status)
	_, _ = fmt.Fprintf(w, "<!DOCTYPE html>\n<html><head><title>%[1]d %[2]s</title></head><body><h1>%[2]s</h1></body></html>\n",
		f.Status, http.StatusText(f.Status))
}

func (i *Injector) redirect(w http.ResponseWriter, r *http.Request) {
	to := []string{"http://169.254.169.254/latest/meta-data/", r.URL.RequestURI()}[i.chance(2)]
	status := []int{http.StatusFound, http.StatusTemporaryRedirect}[i.chance(2)]
	w.Header().Set("Location", to)
	w.WriteHeader(status)
}

// truncate sends half of the body, either as if it were all, or with the full
// length announced.
func (i *Injector) truncate(w http.ResponseWriter, a *answer) {
	if len(a.body) == 0 {
		cut(w)
		return
	}
	half := len(a.body) / 2
	if i.chance(2) == 0 {
		a.body = a.body[:half]
		a.send(w, half)
		return
	}
	a.send(w, half)
	_ = http.NewResponseController(w).Flush()
	panic(http.ErrAbortHandler)
}

func (i *Injector) drip(w http.ResponseWriter, r *http.Request, a *answer) {
	a.send(w, 0)
	flush := http.NewResponseController(w).Flush
	_ = flush()
	for n := range a.body {
		if !i.wait(r, time.Second) {
			panic(http.ErrAbortHandler)
		}
		if _, err := w.Write(a.body[n : n+1]); err != nil {
			return
		}
		_ = flush()
	}
}

func (i *Injector) halfClose(w http.ResponseWriter, a *answer) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	defer func() { _ = conn.Close() }()
	var head bytes.Buffer
	_, _ = fmt.Fprintf(&head, "HTTP/1.1 %d %s\r\n", a.status, http.StatusText(a.status))
	a.header.Set("Content-Length", strconv.Itoa(len(a.body)+1))
	_ = a.header.Write(&head)
	head.WriteString("\r\n")
	head.Write(a.body[:len(a.body)/2])
	if _, err := conn.Write(head.Bytes()); err != nil {
		return
	}
	if half, ok := conn.(interface{ CloseWrite() error }); ok {
		_ = half.CloseWrite()
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_, _ = io.Copy(io.Discard, conn)
	}()
	timer := time.NewTimer(held)
	defer timer.Stop()
	select {
	case <-done:
		return
	case <-timer.C:
	case <-i.closed:
	}
	_ = conn.Close()
	<-done
}

// cut ends the connection without an answer, by RST where the transport has one.
func cut(w http.ResponseWriter) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	plain := conn
	if t, ok := conn.(interface{ NetConn() net.Conn }); ok {
		plain = t.NetConn()
	}
	if tcp, ok := plain.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	_ = plain.Close()
}

// answer is what the vendor would have said.
type answer struct {
	header http.Header
	status int
	body   []byte
}

func handle(vendor http.Handler, r *http.Request) *answer {
	a := &answer{header: http.Header{}}
	vendor.ServeHTTP(a, r)
	if a.status == 0 {
		a.status = http.StatusOK
	}
	return a
}

func (a *answer) Header() http.Header { return a.header }

func (a *answer) WriteHeader(status int) {
	if a.status == 0 {
		a.status = status
	}
}

func (a *answer) Write(p []byte) (int, error) {
	a.WriteHeader(http.StatusOK)
	a.body = append(a.body, p...)
	return len(p), nil
}

// send announces the whole body and sends n bytes of it.
func (a *answer) send(w http.ResponseWriter, n int) {
	a.copyHeader(w)
	if len(a.body) > 0 {
		w.Header().Set("Content-Length", strconv.Itoa(len(a.body)))
	}
	w.WriteHeader(a.status)
	if n > 0 {
		_, _ = w.Write(a.body[:n])
	}
}

func (a *answer) copyHeader(w http.ResponseWriter) {
	for k, v := range a.header {
		w.Header()[k] = v
	}
}

// garbage is what proxies, captive portals and broken releases have sent.
var garbage = []struct{ contentType, encoding, body string }{
	{"text/html", "", "<html><body>Welcome to the guest network</body></html>"},
	{"application/json", "", ""},
	{"application/json", "", "\xef\xbb\xbf{\"ok\":"},
	{"application/json", "", "{\"message\":\"caf\xe9\x00\""},
	{"application/json", "", `{"results":"none","result":7,"data":{"a":NaN}}`},
	{"application/json", "", `["unexpected", 1e999]`},
	{"application/json", "", strings.Repeat("[", 10000)},
	{"application/json", "gzip", "this is not compressed"},
	{"application/octet-stream", "", "\x7fELF\x02\x01\x01\x00\x00\x00"},
}
