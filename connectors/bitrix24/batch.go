package bitrix24

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"

	"crmsync/connectors"
)

// A command is one call inside of a batch.
type command struct {
	method string
	params params
	// creates says that repeating it would not be harmless.
	creates bool
	rank    rank
	// subject is what the order of commands is kept for, such as a timeline;
	// empty if it does not matter to other callers.
	subject string
	// done is given what became of it, when all before it have been.
	done func(o outcome)
}

// An outcome is what a batch said about one of its commands: its result, or an
// error.
type outcome struct {
	result json.RawMessage
	// next is where the next page of a list starts, empty on the last.
	next string
	err  *connectors.Error
}

// decode reads the result into v.
func (o *outcome) decode(v any) *connectors.Error {
	if o.err != nil {
		return o.err
	}
	if json.Unmarshal(o.result, v) != nil {
		return &connectors.Error{Class: connectors.Transient, Status: http.StatusOK, Reason: "the result is not what Bitrix24 documents"}
	}
	return nil
}

// silent is what has to be thought of a command that an answer does not
// mention.
func silent(cmd *command) *connectors.Error {
	e := &connectors.Error{Class: connectors.Transient, Status: http.StatusOK, Reason: "Bitrix24's answer does not mention the record"}
	if cmd.creates {
		e.Class = connectors.UnknownOutcome
	}
	return e
}

// run executes commands in order and tells each what became of it. They share
// requests with those of other callers.
func (c *Client) run(ctx context.Context, cmds []command) {
	c.settle(cmds, func(open []*command) []outcome { return c.pipe.run(ctx, open) })
}

// runAlone executes commands that name each other, in one request of their
// own.
func (c *Client) runAlone(ctx context.Context, cmds []command) {
	c.settle(cmds, func(open []*command) []outcome {
		outcomes, _ := c.send(ctx, open, c.rest.Pace)
		return outcomes
	})
}

// settle has those commands executed whose methods have time left, and tells
// all of them what became of it.
func (c *Client) settle(cmds []command, execute func(open []*command) []outcome) {
	outcomes := make([]outcome, len(cmds))
	var open []*command
	var at []int
	for i := range cmds {
		if outcomes[i].err = c.budget.hold(cmds[i].method); outcomes[i].err == nil {
			open, at = append(open, &cmds[i]), append(at, i)
		}
	}
	if len(open) > 0 {
		for n, o := range execute(open) {
			outcomes[at[n]] = o
		}
	}
	for i := range cmds {
		cmds[i].done(outcomes[i])
	}
}

// send executes up to 50 commands in one request. A request that is refused as
// a whole is halved until the command that it was refused for is alone. The
// error is that of a request that failed for all of them.
func (c *Client) send(ctx context.Context, cmds []*command, pace pacer) ([]outcome, *connectors.Error) {
	outcomes := make([]outcome, len(cmds))
	err := c.batch(ctx, cmds, outcomes, pace)
	switch {
	case err == nil:
		return outcomes, nil
	case len(cmds) > 1 && !err.Class.AccountTrouble() && err.Class != connectors.UnknownOutcome:
		half := len(cmds) / 2
		first, err := c.send(ctx, cmds[:half], c.rest.Pace)
		copy(outcomes, first)
		if err != nil && err.Class.AccountTrouble() {
			fail(outcomes[half:], cmds[half:], err)
			return outcomes, err
		}
		second, err := c.send(ctx, cmds[half:], c.rest.Pace)
		copy(outcomes[half:], second)
		return outcomes, err
	}
	fail(outcomes, cmds, err)
	return outcomes, err
}

// fail gives commands the error with which their request has failed.
func fail(outcomes []outcome, cmds []*command, err *connectors.Error) {
	for i := range outcomes {
		e := *err
		if e.Class == connectors.UnknownOutcome && !cmds[i].creates {
			e.Class = connectors.Transient
		}
		outcomes[i].err = &e
	}
}

// batch sends the commands in one request. The keys are no numbers, else
// Bitrix24 would answer with lists now and objects then, and in the
// alphabetical order in which they are sent, which is that of execution
// (Bitrix24: batch).
func (c *Client) batch(ctx context.Context, cmds []*command, outcomes []outcome, pace pacer) *connectors.Error {
	k := batched
	lines := make(map[string]string, len(cmds))
	for n, cmd := range cmds {
		if cmd.creates {
			k = creating
		}
		lines[key(n)] = cmd.method + "?" + cmd.params.query()
	}
	env, err := c.paced(ctx, k, batchMethod, params{"halt": 0, "cmd": lines}, pace)
	if err != nil {
		return err
	}
	var b batchResult
	if json.Unmarshal(env.Result, &b) != nil {
		err := &connectors.Error{Class: connectors.Transient, Status: http.StatusOK, Reason: "the answer is not that of a batch"}
		if k == creating {
			err.Class = connectors.UnknownOutcome
		}
		return err
	}
	for n, cmd := range cmds {
		o := &outcomes[n]
		if t, ok := b.Time[key(n)]; ok {
			c.budget.note(cmd.method, t)
		}
		result, ok := b.Result[key(n)]
		fault, failed := b.Errors[key(n)]
		switch {
		case failed:
			o.err = classify(http.StatusOK, true, fault, cmd.creates)
			if o.err.Code == codeBlocked {
				o.err.RetryAfter, o.err.Held = c.budget.refuse(cmd.method), true
			}
		case ok:
			o.result, o.next = result, string(b.Next[key(n)])
		default:
			o.err = silent(cmd)
		}
	}
	return nil
}

// key is the name of the nth command of a batch.
func key(n int) string { return fmt.Sprintf("c%02d", n) }
