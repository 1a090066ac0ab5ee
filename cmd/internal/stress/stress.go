// Package stress sends a worker webhooks at a given rate and finds out, from
// the CRMs themselves, what became of each message.
package stress

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"strings"
	"time"
)

// Options say what is sent, and what is expected of the worker.
type Options struct {
	// Rate is how many messages are sent a minute, on average, for Lasting.
	Rate    float64
	Lasting time.Duration
	// Ramp raises the rate step by step instead; Lasting bounds it.
	Ramp *Ramp
	// Mix is what the messages are like.
	Mix Mix
	// Seed makes the same messages again.
	Seed uint64

	// MaxDelay is what 99 in 100 messages may take until a CRM has them, and
	// MaxErrors the share of webhooks that may not be answered 200.
	MaxDelay  time.Duration
	MaxErrors float64
	// Grace is how long to wait for what is missing when the last message has
	// been sent.
	Grace time.Duration
	// Progress is told how far it is, about once a second.
	Progress func(Progress)
}

// Ramp raises the rate until the delay or the errors are too much.
type Ramp struct {
	// From and By are messages a minute.
	From, By float64
	// Step is how long a rate is kept.
	Step time.Duration
}

// Mix says what the messages are like.
type Mix struct {
	// People is how many write or are written to at a time; each is new with
	// the first message. New is the share of messages after which one of them
	// leaves and somebody new comes.
	People int     `json:"people"`
	New    float64 `json:"new"`
	// Outgoing is the share of messages that the business sends. They are known
	// by three webhooks: sent, delivered and read.
	Outgoing float64 `json:"outgoing"`
	// Duplicates is the share of webhooks that come a second time.
	Duplicates float64 `json:"duplicates"`
	// Burst is how much of every ten seconds comes all at once.
	Burst time.Duration `json:"burst_ns"`
}

// Progress is how far a run is.
type Progress struct {
	Elapsed time.Duration
	// Of is how long it lasts, 0 if that is not known.
	Of time.Duration
	// Rate is the present one, in messages a minute.
	Rate float64
	// Sent counts messages, Errors webhooks.
	Sent, Errors int
	// InCRM counts messages per account, as the CRMs do.
	InCRM []Count
	// Answer is the 99th percentile of the answers in the last seconds.
	Answer time.Duration
	// Settling says that all has been sent, and what is missing is waited for.
	Settling bool
}

// Count is a number of an account.
type Count struct {
	Name  string
	Count int
}

// Run sends, waits, reads back and judges. A ctx that ends cuts the sending
// short; what has been sent is read back all the same.
func Run(ctx context.Context, t *Target, o Options) (*Result, error) {
	r := &run{target: t, options: o, ledger: newLedger(o.Seed, len(t.CRMs)), http: newClient()}
	defer r.http.CloseIdleConnections()
	if err := r.start(ctx); err != nil {
		return nil, err
	}
	sampling, stopSampling := context.WithCancel(context.WithoutCancel(ctx))
	watched := make(chan struct{})
	go func() { defer close(watched); r.watch(sampling) }()

	sending, stopSending := context.WithCancel(ctx)
	defer stopSending()
	var steps []Step
	judged := make(chan struct{})
	go func() {
		defer close(judged)
		if o.Ramp != nil {
			steps = r.judgeSteps(sending, stopSending)
		}
	}()
	r.send(sending)
	r.sentAll.Store(true)
	if o.Ramp == nil {
		stopSending()
	}
	<-judged
	interrupted := ctx.Err() != nil
	// A second interruption ends the program.
	err := r.settle(context.WithoutCancel(ctx))
	stopSampling()
	<-watched
	if err != nil {
		return nil, err
	}
	result := r.result(steps)
	result.Interrupted = interrupted
	select {
	case <-t.Ended:
		result.Failures = append(result.Failures, "the worker's process has ended")
	default:
	}
	result.judge(o)
	return result, nil
}

// describe says on what a run takes place, and how busy that is.
func describe() string {
	text := fmt.Sprintf("%d cores, %s, %s/%s", runtime.NumCPU(), runtime.Version(), runtime.GOOS, runtime.GOARCH)
	if load, err := os.ReadFile("/proc/loadavg"); err == nil {
		last, _, _ := strings.Cut(string(load), " ")
		text += ", load average " + last + " before"
	}
	return text
}
