package bitrix24sim

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/url"
	"strconv"
	"strings"

	"crmsync/connectors/internal/simcrm"
)

// dict is an array as PHP knows it: ordered, and a list when its keys are
// 0, 1, 2, …. As read its values are nil, bool, string, json.Number or *dict; in
// an answer they may be anything, and a json.RawMessage is what is encoded already.
type dict struct {
	keys []string
	vals map[string]any
}

// obj is a JSON object of an answer.
type obj = map[string]any

func newDict() *dict { return &dict{vals: map[string]any{}} }

func (d *dict) set(key string, v any) {
	if _, there := d.vals[key]; !there {
		d.keys = append(d.keys, key)
	}
	d.vals[key] = v
}

// push appends under the next free number.
func (d *dict) push(v any) {
	next := 0
	for _, k := range d.keys {
		if n, err := strconv.Atoi(k); err == nil && n >= next {
			next = n + 1
		}
	}
	d.set(strconv.Itoa(next), v)
}

func (d *dict) len() int {
	if d == nil {
		return 0
	}
	return len(d.keys)
}

// get looks a key up; nil where there is nothing.
func (d *dict) get(key string) any {
	if d == nil {
		return nil
	}
	return d.vals[key]
}

// either looks the key up as it is, then in capitals, then in small letters.
func (d *dict) either(key string) (any, bool) {
	if d == nil {
		return nil, false
	}
	for _, k := range []string{key, strings.ToUpper(key), strings.ToLower(key)} {
		if v, there := d.vals[k]; there {
			return v, true
		}
	}
	return nil, false
}

func (d *dict) dict(key string) *dict {
	v, _ := d.get(key).(*dict)
	return v
}

func (d *dict) isList() bool {
	for n, k := range d.keys {
		if k != strconv.Itoa(n) {
			return false
		}
	}
	return true
}

// MarshalJSON writes a list where PHP would, an empty one in particular.
func (d *dict) MarshalJSON() ([]byte, error) {
	var b bytes.Buffer
	d.write(&b)
	return b.Bytes(), nil
}

func (d *dict) write(b *bytes.Buffer) {
	list := d.isList()
	b.WriteByte("{["[flag(list)])
	for n, k := range d.keys {
		if n > 0 {
			b.WriteByte(',')
		}
		if !list {
			b.Write(simcrm.JSON(k))
			b.WriteByte(':')
		}
		switch v := d.vals[k].(type) {
		case *dict:
			v.write(b)
		case json.RawMessage:
			b.Write(v)
		default:
			b.Write(simcrm.JSON(v))
		}
	}
	b.WriteByte("}]"[flag(list)])
}

func flag(b bool) int {
	if b {
		return 1
	}
	return 0
}

// decode reads a JSON value, keeping the order of keys.
func decode(raw []byte) (any, error) {
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	v, err := decodeValue(d, maxDepth)
	if err != nil {
		return nil, err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("more than one value")
	}
	return v, nil
}

// maxDepth is PHP's.
const maxDepth = 512

func decodeValue(d *json.Decoder, depth int) (any, error) {
	if depth == 0 {
		return nil, errors.New("nested too deeply")
	}
	t, err := d.Token()
	if err != nil {
		return nil, err
	}
	open, is := t.(json.Delim)
	if !is {
		return t, nil
	}
	out := newDict()
	for d.More() {
		key := strconv.Itoa(len(out.keys))
		if open == '{' {
			k, err := d.Token()
			if err != nil {
				return nil, err
			}
			key, _ = k.(string)
		}
		v, err := decodeValue(d, depth-1)
		if err != nil {
			return nil, err
		}
		out.set(key, v)
	}
	_, err = d.Token()
	return out, err
}

// redecode turns a value, or its JSON, into what a caller would read.
func redecode(v any) any {
	raw, is := v.(json.RawMessage)
	if !is {
		raw = simcrm.JSON(v)
	}
	out, err := decode(raw)
	if err != nil {
		panic(err)
	}
	return out
}

// parseForm reads a query or form as PHP does: filter[>ID]=10, select[]=ID.
func parseForm(text string, into *dict) {
	for pair := range strings.SplitSeq(text, "&") {
		name, value, _ := strings.Cut(pair, "=")
		name, value = unescape(name), unescape(value)
		if name == "" {
			continue
		}
		place(into, name, value)
	}
}

// unescape is lenient, as PHP is.
func unescape(s string) string {
	if out, err := url.QueryUnescape(s); err == nil {
		return out
	}
	s = strings.ReplaceAll(s, "+", " ")
	for at := 0; at+2 < len(s); at++ {
		if n, err := strconv.ParseUint(s[at+1:at+3], 16, 8); s[at] == '%' && err == nil {
			s = s[:at] + string([]byte{byte(n)}) + s[at+3:]
		}
	}
	return s
}

// place puts a value where a name such as a[b][][c] says.
func place(d *dict, name string, v any) {
	root, rest, nested := strings.Cut(name, "[")
	if !nested || root == "" || !strings.Contains(rest, "]") {
		d.set(name, v)
		return
	}
	key := root
	for {
		part, after, closed := strings.Cut(rest, "]")
		if !closed {
			break
		}
		next := d.dict(key)
		if next == nil {
			next = newDict()
			if key == "" {
				d.push(next)
			} else {
				d.set(key, next)
			}
		}
		d, key = next, part
		if !strings.HasPrefix(after, "[") {
			break
		}
		rest = after[1:]
	}
	if key == "" {
		d.push(v)
		return
	}
	d.set(key, v)
}
