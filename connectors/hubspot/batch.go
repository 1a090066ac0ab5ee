package hubspot

import (
	"context"
	"net/http"
	"strconv"

	"crmsync/connectors"
)

// An outcome is what a batch call said about one of its inputs: an object, an
// error, or neither.
type outcome struct {
	object *object
	err    *connectors.Error
}

// silent is what has to be thought of an input that a batch's answer does not
// mention: HubSpot answers some odd batches with 200 and empty lists.
func silent() *connectors.Error {
	return &connectors.Error{Class: connectors.UnknownOutcome, Status: http.StatusMultiStatus, Reason: "HubSpot's answer does not mention the record"}
}

// write sends inputs to one of the batch endpoints, at most 100 at a time, and
// returns one outcome per input, in order. match says which input an object in
// the results is: neither their order nor the trace ids can be relied on.
//
// A batch that is refused as a whole is halved until the input that it was
// refused for is alone.
func (c *Client) write(ctx context.Context, k kind, path string, inputs []input, match func(in *input, o *object) bool) []outcome {
	out := make([]outcome, len(inputs))
	for i := range inputs {
		inputs[i].TraceID = strconv.Itoa(i)
	}
	// Trouble with the account ends it: the rest has the same trouble.
	var trouble *connectors.Error
	var send func(from, to int)
	send = func(from, to int) {
		if trouble != nil {
			for i := from; i < to; i++ {
				out[i].err = trouble
			}
			return
		}
		var a batchAnswer
		err := c.call(ctx, k, http.MethodPost, path, nil, batch{Inputs: inputs[from:to]}, &a)
		switch {
		case err == nil:
			a.sort(inputs[from:to], out[from:to], match)
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
	for from := 0; from < len(inputs); from += perBatch {
		send(from, min(from+perBatch, len(inputs)))
	}
	return out
}

// sort gives every input what the answer says about it.
func (a *batchAnswer) sort(inputs []input, out []outcome, match func(*input, *object) bool) {
	byTrace := make(map[string]int, len(inputs))
	byID := make(map[string]int, len(inputs))
	for i := range inputs {
		byTrace[inputs[i].TraceID] = i
		if inputs[i].ID != "" {
			byID[inputs[i].ID] = i
		}
	}
	var stray []*connectors.Error
	for i := range a.Errors {
		f := &a.Errors[i]
		known := false
		give := func(names values, index map[string]int) {
			for _, n := range names {
				if j, ok := index[string(n)]; ok {
					out[j].err, known = f.row(), true
				}
			}
		}
		give(f.Context["objectWriteTraceId"], byTrace)
		if !known {
			give(append(append(values{}, f.Context["ids"]...), f.ID), byID)
		}
		if !known {
			stray = append(stray, f.row())
		}
	}
	taken := make([]bool, len(a.Results))
	for i := range inputs {
		if out[i].err != nil {
			continue
		}
		for j := range a.Results {
			if !taken[j] && match(&inputs[i], &a.Results[j]) {
				out[i].object, taken[j] = &a.Results[j], true
				break
			}
		}
	}
	var open []int
	for i := range out {
		if out[i].err == nil && out[i].object == nil {
			open = append(open, i)
		}
	}
	if len(open) == 1 && len(stray) == 1 {
		out[open[0]].err = stray[0]
		return
	}
	for _, i := range open {
		out[i].err = silent()
	}
}

// read fetches objects by id, or by a unique property, at most 100 at a time.
// Ids that HubSpot says it does not have are in missing, under "" those that it
// does not name; one that is in neither was not answered.
func (c *Client) read(ctx context.Context, typ, idProperty string, ids, properties []string) (found []object, missing map[string]bool, err *connectors.Error) {
	missing = map[string]bool{}
	for from := 0; from < len(ids); from += perBatch {
		b := batch{IDProperty: idProperty, Properties: properties}
		for _, id := range ids[from:min(from+perBatch, len(ids))] {
			b.Inputs = append(b.Inputs, input{ID: id})
		}
		var a batchAnswer
		if err := c.call(ctx, batched, http.MethodPost, c.paths.objects+typ+"/batch/read", nil, b, &a); err != nil {
			return nil, nil, err
		}
		found = append(found, a.Results...)
		for i := range a.Errors {
			f := &a.Errors[i]
			if e := f.row(); e.Code != "OBJECT_NOT_FOUND" {
				return nil, nil, e
			}
			for _, id := range f.Context["ids"] {
				missing[string(id)] = true
			}
			if len(f.Context["ids"]) == 0 {
				missing[string(f.ID)] = true
			}
		}
	}
	return found, missing, nil
}

// byID matches an object with the input that names it.
func byID(in *input, o *object) bool { return in.ID == string(o.ID) }

// byProperty matches them by the value of a property.
func byProperty(name string) func(*input, *object) bool {
	return func(in *input, o *object) bool {
		v := in.Properties[name]
		return v != "" && v == string(o.Properties[name])
	}
}
