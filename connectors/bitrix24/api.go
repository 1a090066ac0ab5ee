package bitrix24

import (
	"bytes"
	"encoding/json"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// The methods that crmsync calls. Contacts are reached through the classic
// family: it is the one whose lists show phones and which clears fields.
const (
	contactAdd      = "crm.contact.add"
	contactUpdate   = "crm.contact.update"
	contactDelete   = "crm.contact.delete"
	contactList     = "crm.contact.list"
	contactFields   = "crm.contact.fields"
	fieldAdd        = "crm.contact.userfield.add"
	fieldList       = "crm.contact.userfield.list"
	fieldUpdate     = "crm.contact.userfield.update"
	findByComm      = "crm.duplicate.findbycomm"
	commentAdd      = "crm.timeline.comment.add"
	commentGet      = "crm.timeline.comment.get"
	commentList     = "crm.timeline.comment.list"
	commentUpdate   = "crm.timeline.comment.update"
	activityAdd     = "crm.activity.configurable.add"
	activityUpdate  = "crm.activity.configurable.update"
	activityList    = "crm.activity.list"
	userGet         = "user.get"
	scope           = "scope"
	eventBind       = "event.bind"
	eventGet        = "event.get"
	batchMethod     = "batch"
	contactTypeID   = "3"
	contactTypeName = "contact"
)

// params are the parameters of a call: strings, ints, lists and params.
type params map[string]any

// A reference is a text such as $result[a][0][ID], in whose place Bitrix24 puts
// a value of an earlier command of the batch. It is not escaped.
type reference string

// query writes parameters as PHP reads them: filter[>ID]=1&select[0]=ID.
func (p params) query() string {
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(p)) {
		appendQuery(&b, url.QueryEscape(name), p[name])
	}
	return strings.TrimPrefix(b.String(), "&")
}

func appendQuery(b *strings.Builder, key string, v any) {
	inside := func(name string) string { return key + "%5B" + url.QueryEscape(name) + "%5D" }
	switch v := v.(type) {
	case params:
		for _, name := range slices.Sorted(maps.Keys(v)) {
			appendQuery(b, inside(name), v[name])
		}
	case []params:
		for i, x := range v {
			appendQuery(b, inside(strconv.Itoa(i)), x)
		}
	case []string:
		for i, x := range v {
			appendQuery(b, inside(strconv.Itoa(i)), x)
		}
	case reference:
		b.WriteString("&" + key + "=" + string(v))
	case string:
		b.WriteString("&" + key + "=" + url.QueryEscape(v))
	case int:
		b.WriteString("&" + key + "=" + strconv.Itoa(v))
	}
}

// An envelope is what every answer comes in. Success is that there is no
// error, for the code of an error may be empty.
type envelope struct {
	fault
	Result json.RawMessage `json:"result"`
	Total  value           `json:"total"`
	Next   value           `json:"next"`
	Time   timing          `json:"time"`
}

// A fault is an error, of a call or of one command.
type fault struct {
	Code        *value `json:"error"`
	Description value  `json:"error_description"`
}

// batchResult is the result of a batch, each section by the keys of the
// commands.
type batchResult struct {
	Result section[json.RawMessage] `json:"result"`
	Errors section[fault]           `json:"result_error"`
	Next   section[value]           `json:"result_next"`
	Time   section[timing]          `json:"result_time"`
}

// timing is what a call has cost. Old portals leave the last two out.
type timing struct {
	Finish     value `json:"finish"`
	DateFinish value `json:"date_finish"`
	Operating  value `json:"operating"`
	ResetAt    value `json:"operating_reset_at"`
}

// UnmarshalJSON takes whatever comes: timing is never worth a failure.
func (t *timing) UnmarshalJSON(b []byte) error {
	type plain timing
	_ = json.Unmarshal(b, (*plain)(t))
	return nil
}

func (t timing) operating() time.Duration { return t.Operating.seconds() }

// reset is how long it is until some of the time is given back, 0 if unknown.
func (t timing) reset() time.Duration {
	if at, now := t.ResetAt.seconds(), t.Finish.seconds(); at > 0 && now > 0 {
		return max(at-now, 0)
	}
	return 0
}

// A contact is a record as lists show it. Empty multifields are left out.
type contact map[string]json.RawMessage

func (c contact) id() string { return string(c.text("ID")) }

func (c contact) text(name string) value {
	var v value
	_ = v.UnmarshalJSON(c[name])
	return v
}

// texts are the values of a multiple field.
func (c contact) texts(name string) []string {
	var v list[value]
	_ = json.Unmarshal(c[name], &v)
	var all []string
	for _, x := range v {
		if x != "" {
			all = append(all, string(x))
		}
	}
	return all
}

// rows are the rows of a multifield such as PHONE.
func (c contact) rows(name string) []entry {
	var v list[entry]
	_ = json.Unmarshal(c[name], &v)
	return v
}

// An entry is one row of a multifield.
type entry struct {
	ID    value `json:"ID"`
	Value value `json:"VALUE"`
}

// A descriptor is what crm.contact.fields says about a field.
type descriptor struct {
	Type      string     `json:"type"`
	Required  flag       `json:"isRequired"`
	ReadOnly  flag       `json:"isReadOnly"`
	Multiple  flag       `json:"isMultiple"`
	Dynamic   flag       `json:"isDynamic"`
	Title     value      `json:"title"`
	FormLabel value      `json:"formLabel"`
	ListLabel value      `json:"listLabel"`
	Items     list[item] `json:"items"`
}

// An item is one value of an enumeration.
type item struct {
	ID    value `json:"ID"`
	Value value `json:"VALUE"`
}

// A comment is one comment of a timeline.
type comment struct {
	ID      value `json:"ID"`
	Comment value `json:"COMMENT"`
	Created value `json:"CREATED"`
}

// A value is a text, whatever JSON made of it; null is empty.
type value string

// UnmarshalJSON reads any JSON.
func (v *value) UnmarshalJSON(b []byte) error {
	switch {
	case len(b) == 0, bytes.Equal(b, []byte("null")):
		*v = ""
	case b[0] == '"':
		return json.Unmarshal(b, (*string)(v))
	default:
		*v = value(b)
	}
	return nil
}

// seconds is the value as a number of seconds, 0 if it is none.
func (v value) seconds() time.Duration {
	n, err := strconv.ParseFloat(string(v), 64)
	if err != nil || !(n > 0 && n < 1e10) {
		return 0
	}
	// Seconds since 1970 do not fit as nanoseconds of a float.
	whole := time.Duration(n)
	return whole*time.Second + time.Duration((n-float64(whole))*float64(time.Second))
}

// A flag is true, "Y" or 1.
type flag bool

// UnmarshalJSON reads any JSON.
func (f *flag) UnmarshalJSON(b []byte) error {
	switch strings.Trim(string(b), `"`) {
	case "true", "Y", "1":
		*f = true
	default:
		*f = false
	}
	return nil
}

// A section is an object; PHP makes a list of an empty one.
type section[T any] map[string]T

// UnmarshalJSON reads an object, and anything else as an empty one.
func (s *section[T]) UnmarshalJSON(b []byte) error {
	*s = nil
	if len(b) == 0 || b[0] != '{' {
		return nil
	}
	return json.Unmarshal(b, (*map[string]T)(s))
}

// A list is a list; PHP makes an object of one with gaps, and false or ""
// stand for an empty one.
type list[T any] []T

// UnmarshalJSON reads a list, the values of an object in the order of their
// keys, and anything else as an empty one.
func (l *list[T]) UnmarshalJSON(b []byte) error {
	*l = nil
	if len(b) == 0 {
		return nil
	}
	switch b[0] {
	case '[':
		return json.Unmarshal(b, (*[]T)(l))
	case '{':
		var m map[string]T
		if err := json.Unmarshal(b, &m); err != nil {
			return err
		}
		keys := slices.SortedFunc(maps.Keys(m), func(a, b string) int {
			x, _ := strconv.Atoi(a)
			y, _ := strconv.Atoi(b)
			return x - y
		})
		for _, k := range keys {
			*l = append(*l, m[k])
		}
	}
	return nil
}

// isID reports whether s is the id of something in Bitrix24.
func isID(s string) bool {
	n, err := strconv.ParseUint(s, 10, 63)
	return err == nil && n > 0
}

// number is an id as a number, 0 for what is none.
func number(id string) uint64 {
	n, _ := strconv.ParseUint(id, 10, 63)
	return n
}
