package bitrix24sim

import (
	"encoding/json"
	"net/http"
	"strings"

	"crmsync/connectors/internal/simcrm"
)

const maxBatch = 50

// batch carries out commands one after the other and answers 200 whatever
// became of them. Bitrix24: batch execution of requests.
func (s *Server) batch(c *call) (*reply, *refusal) {
	given, _ := c.p.either("cmd")
	commands, is := given.(*dict)
	if !is {
		return nil, refuse(http.StatusBadRequest, "100", "Could not find value for parameter {cmd}")
	}
	halt, _ := c.p.either("halt")
	results, errs, totals, nexts, times := newDict(), newDict(), newDict(), newDict(), newDict()
	for n, key := range commands.keys {
		text, _ := commands.vals[key].(string)
		began := s.Now()
		sub := &call{r: c.r, who: c.who, nested: true, p: newDict()}
		name, query, _ := strings.Cut(text, "?")
		sub.method = strings.TrimSuffix(strings.ToLower(strings.Trim(name, "/ ")), ".json")
		var out *reply
		refused := refuse(http.StatusBadRequest, "ERROR_BATCH_LENGTH_EXCEEDED", "Max batch length exceeded")
		switch {
		case n >= maxBatch:
		case sub.method == "batch":
			refused = refuse(http.StatusBadRequest, "ERROR_BATCH_METHOD_NOT_ALLOWED", "Method is not allowed for batch usage")
		default:
			parseForm(query, sub.p)
			substitute(sub.p, results)
			out, refused = s.run(sub)
		}
		c.wrote = c.wrote || sub.wrote
		if refused != nil {
			if refused.status == http.StatusTooManyRequests {
				s.throttled++
			}
			errs.set(key, refused.body())
			if truth(halt) {
				break
			}
			continue
		}
		results.set(key, json.RawMessage(simcrm.JSON(out.result)))
		times.set(key, s.timing(began, s.quota.operating[sub.who.key+" "+sub.method]))
		if out.total != nil {
			totals.set(key, *out.total)
		}
		if out.next != nil {
			nexts.set(key, *out.next)
		}
	}
	return ok(obj{"result": results, "result_error": errs, "result_total": totals, "result_next": nexts, "result_time": times})
}

// substitute replaces $result[key][field] in the values of a command.
func substitute(p, results *dict) {
	for _, k := range p.keys {
		switch v := p.vals[k].(type) {
		case string:
			p.vals[k] = resolve(v, results)
		case *dict:
			substitute(v, results)
		}
	}
}

// resolve leaves a reference to nothing as it is.
func resolve(text string, results *dict) any {
	const mark = "$result["
	begin := strings.Index(text, mark)
	if begin < 0 {
		return text
	}
	var at any = results
	rest := text[begin+len(mark)-1:]
	for strings.HasPrefix(rest, "[") {
		key, after, closed := strings.Cut(rest[1:], "]")
		d, is := at.(*dict)
		if !closed || !is {
			break
		}
		value, there := d.vals[key]
		if !there {
			return text
		}
		// Results are encoded once, and read only where a command refers to one.
		if raw, is := value.(json.RawMessage); is {
			value = redecode(raw)
		}
		at, rest = value, after
	}
	if begin == 0 && rest == "" {
		return at
	}
	if _, nested := at.(*dict); nested {
		return text
	}
	tail, _ := resolve(rest, results).(string)
	return text[:begin] + str(at) + tail
}

// truth is PHP's.
func truth(v any) bool {
	if d, is := v.(*dict); is {
		return d.len() > 0
	}
	t := str(v)
	return t != "" && t != "0" && t != "false"
}

// str is PHP's conversion of a scalar.
func str(v any) string {
	switch v := v.(type) {
	case string:
		return v
	case json.Number:
		return v.String()
	case bool:
		if v {
			return "1"
		}
	}
	return ""
}
