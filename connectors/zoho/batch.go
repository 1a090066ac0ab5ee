package zoho

import (
	"context"
	"encoding/json"
	"net/http"

	"crmsync/connectors"
)

// An outcome is what a write said about one of its records.
type outcome struct {
	id  string
	new bool
	// by is the field by which an upsert recognised the record.
	by  string
	err *connectors.Error
}

// A batch is a write of any number of records.
type batch struct {
	method, path string
	// check is the key that an upsert compares; key is the field that tells
	// our records apart.
	check, key string
	records    []map[string]any
	creating   bool
	// noTrigger is for modules whose writes take no trigger.
	noTrigger bool
}

// write sends records, at most 100 at a time, and returns one outcome per
// record, in order. Rows do not say which record they are about: they come in
// the order of the records, whatever the status (Zoho: insert-records).
//
// A call that is refused as a whole is halved until the record that it was
// refused for is alone.
func (c *Client) write(ctx context.Context, b batch) []outcome {
	out := make([]outcome, len(b.records))
	// Trouble with the account ends it: the rest has the same trouble.
	var trouble *connectors.Error
	var send func(from, to int)
	send = func(from, to int) {
		err := trouble
		if err == nil {
			err = c.writeOnce(ctx, b, from, to, out)
		}
		switch {
		case err == nil:
			return
		case err.Class.AccountTrouble():
			trouble = err
		case to-from > 1 && err.Class != connectors.UnknownOutcome:
			send(from, (from+to)/2)
			send((from+to)/2, to)
			return
		}
		for i := from; i < to; i++ {
			out[i].err = err
		}
	}
	for from := 0; from < len(b.records); from += perBatch {
		send(from, min(from+perBatch, len(b.records)))
	}
	return out
}

// writeOnce makes one call. Its error is for a call without rows.
func (c *Client) writeOnce(ctx context.Context, b batch, from, to int, out []outcome) *connectors.Error {
	body := write{Data: b.records[from:to], Trigger: []string{}}
	if b.check != "" {
		body.Check = []string{b.check}
	}
	q := call{
		method: b.method, path: b.path, in: body,
		batched: true, heavy: to-from > lightBatch, creating: b.creating,
	}
	if b.noTrigger {
		q.in = map[string]any{"data": body.Data}
	}
	a, err := c.do(ctx, q)
	if err != nil {
		return err
	}
	if len(a.Data) != to-from {
		return unaccounted(a.status)
	}
	for i, raw := range a.Data {
		out[from+i] = a.outcome(raw, b.key)
	}
	return nil
}

func (e *envelope) outcome(raw json.RawMessage, key string) outcome {
	var r answerRow
	if json.Unmarshal(raw, &r) != nil {
		return outcome{err: unaccounted(e.status)}
	}
	switch {
	case r.Code != "SUCCESS" || r.Status == "error":
		if r.code() == "" || r.code() == "SUCCESS" {
			return outcome{err: unaccounted(e.status)}
		}
		return outcome{err: r.explain(e.status, key)}
	case id(r.Details.ID) == "":
		return outcome{err: unaccounted(e.status)}
	}
	return outcome{
		id: string(r.Details.ID), by: string(r.Duplicate),
		new: r.Action == "insert" || r.Action == "" && e.status == http.StatusCreated,
	}
}

// unaccounted is what has to be thought of a record that an answer does not
// account for.
func unaccounted(status int) *connectors.Error {
	return &connectors.Error{Class: connectors.UnknownOutcome, Status: status, Reason: "Zoho's answer does not account for the record"}
}
