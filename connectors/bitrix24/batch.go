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

// run executes commands in order, 50 to a request, and tells each what became
// of it. A request that is refused as a whole is halved until the command that
// it was refused for is alone; trouble with the account ends it, for the rest
// has the same trouble.
func (c *Client) run(ctx context.Context, cmds []command) {
	outcomes := make([]outcome, len(cmds))
	var trouble *connectors.Error
	var send func(at []int)
	send = func(at []int) {
		if len(at) == 0 {
			return
		}
		err := trouble
		if err == nil {
			err = c.batch(ctx, cmds, outcomes, at)
		}
		switch {
		case err == nil:
			return
		case trouble != nil:
		case err.Class.AccountTrouble():
			trouble = err
		case len(at) > 1 && err.Class != connectors.UnknownOutcome:
			send(at[:len(at)/2])
			send(at[len(at)/2:])
			return
		}
		for _, i := range at {
			e := *err
			if e.Class == connectors.UnknownOutcome && !cmds[i].creates {
				e.Class = connectors.Transient
			}
			outcomes[i].err = &e
		}
	}

	var at []int
	for i := range cmds {
		if outcomes[i].err = c.budget.hold(cmds[i].method); outcomes[i].err == nil {
			at = append(at, i)
		}
		if len(at) == perBatch {
			send(at)
			at = nil
		}
	}
	send(at)
	for i := range cmds {
		cmds[i].done(outcomes[i])
	}
}

// batch sends the commands with the given indexes in one request. The keys are
// no numbers, else Bitrix24 would answer with lists now and objects then, and
// in the alphabetical order in which they are sent, which is that of execution
// (Bitrix24: batch).
func (c *Client) batch(ctx context.Context, cmds []command, outcomes []outcome, at []int) *connectors.Error {
	k := batched
	lines := make(map[string]string, len(at))
	for n, i := range at {
		cmd := &cmds[i]
		if cmd.creates {
			k = creating
		}
		lines[key(n)] = cmd.method + "?" + cmd.params.query()
	}
	env, err := c.call(ctx, k, batchMethod, params{"halt": 0, "cmd": lines})
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
	for n, i := range at {
		cmd, o := &cmds[i], &outcomes[i]
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
