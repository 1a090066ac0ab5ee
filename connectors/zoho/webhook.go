package zoho

import (
	"bytes"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/json"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"crmsync/connectors"
)

// A Receiver understands the notifications of one organisation.
type Receiver struct {
	token string
}

var _ connectors.Receiver = (*Receiver)(nil)

// NewReceiver returns a receiver of notifications that carry the token which
// their channel was opened with. Without a token nothing verifies.
func NewReceiver(token string) *Receiver { return &Receiver{token: token} }

// Challenge answers nothing: Zoho does not ask.
func (r *Receiver) Challenge(url.Values) (answer string, ok bool) { return "", false }

// Verify reports whether the body carries the token. Zoho does not sign (Zoho:
// notifications/enable).
func (r *Receiver) Verify(_ http.Header, body []byte) bool {
	var in map[string]json.RawMessage
	var token string
	if json.Unmarshal(body, &in) != nil || json.Unmarshal(in["token"], &token) != nil {
		return false
	}
	// Digests have one length, so that the comparison does not tell the
	// token's.
	got, want := sha256.Sum256([]byte(token)), sha256.Sum256([]byte(r.token))
	return subtle.ConstantTimeCompare(got[:], want[:]) == 1 && r.token != ""
}

// A callback is a notification. It names records and does not hold them.
type callback struct {
	Time      value   `json:"server_time"`
	Module    value   `json:"module"`
	Operation value   `json:"operation"`
	Channel   value   `json:"channel_id"`
	IDs       []value `json:"ids"`
	// Affected are the changed fields of updated records, each element one
	// record's by its id. What is of another form says nothing.
	Affected json.RawMessage `json:"affected_fields"`
}

// fieldsOf are the fields of a record that have changed; none if Zoho does not
// say.
func (in *callback) fieldsOf(record value) []string {
	var all []map[string][]string
	if in.Operation != "update" || json.Unmarshal(in.Affected, &all) != nil {
		return nil
	}
	var fields []string
	for _, one := range all {
		fields = append(fields, one[string(record)]...)
	}
	return fields
}

// changes are Zoho's words for what happened: subscriptions say create and
// edit where notifications say insert and update.
var changes = map[value]connectors.RecordChange{
	"insert": connectors.RecordCreated, "create": connectors.RecordCreated,
	"update": connectors.RecordUpdated, "edit": connectors.RecordUpdated,
	"delete": connectors.RecordDeleted,
}

// Split takes a verified body apart into facts, one per record, see
// [connectors.Receiver]. No fact repeats the token.
func (r *Receiver) Split(body []byte) []connectors.Fact {
	var members map[string]json.RawMessage
	if json.Unmarshal(body, &members) != nil || members == nil {
		return []connectors.Fact{malformed("the body is not a JSON object", body)}
	}
	// The order of members is not fixed; without the token and in the order
	// of their names the same notification has one form. The parameters of
	// the address may be secret as well.
	delete(members, "token")
	delete(members, "query_params")
	raw, err := json.Marshal(members)
	if err != nil {
		return []connectors.Fact{malformed("the body is not a JSON object", body)}
	}
	var in callback
	if err := json.Unmarshal(raw, &in); err != nil {
		return []connectors.Fact{malformed("ids is not a list", raw)}
	}
	at := in.at()
	typ := connectors.TypeWord(strings.Trim(string(in.Module+"."+in.Operation), "."))
	change, known := changes[in.Operation]
	if in.Module != "" && in.Module != contacts || in.Operation != "" && !known {
		return []connectors.Fact{{Kind: connectors.KindOther, Key: "other:" + connectors.Digest(raw), Type: typ, At: at, Raw: raw}}
	}
	switch {
	case in.Module == "":
		return []connectors.Fact{malformed("module is missing", raw)}
	case in.Operation == "":
		return []connectors.Fact{malformed("operation is missing", raw)}
	case len(in.IDs) == 0:
		return []connectors.Fact{malformed("ids is missing or empty", raw)}
	}

	var facts []connectors.Fact
	var odd []value
	seen := map[value]bool{}
	for _, record := range in.IDs {
		switch {
		case seen[record]:
			continue
		case id(record) == "":
			odd = append(odd, record)
		default:
			facts = append(facts, connectors.Fact{
				Kind: connectors.KindRecord, Key: in.key(record, raw), Type: typ, At: at,
				Record: &connectors.RecordNews{ID: string(record), Change: change, Fields: in.fieldsOf(record)},
			})
		}
		seen[record] = true
	}
	if len(odd) > 0 {
		members["ids"], _ = json.Marshal(odd)
		if rest, err := json.Marshal(members); err == nil {
			raw = rest
		}
		facts = append(facts, malformed("ids has what is no id", raw))
	}
	return facts
}

// key is the same for the same notification, and another for what happens to
// the record later.
func (in *callback) key(record value, raw []byte) string {
	when := id(in.Time)
	if when == "" {
		when = connectors.Digest(raw)
	}
	channel := id(in.Channel)
	if channel == "" {
		channel = connectors.Digest([]byte(in.Channel))[:16]
	}
	return strings.Join([]string{"record", channel, string(in.Operation), string(record), when}, ":")
}

// at is Zoho's clock in milliseconds.
func (in *callback) at() time.Time {
	ms, err := strconv.ParseInt(string(in.Time), 10, 64)
	if err != nil || ms <= 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms).UTC()
}

func malformed(reason string, raw []byte) connectors.Fact {
	return connectors.Fact{Kind: connectors.KindMalformed, Key: "malformed:" + connectors.Digest(raw), Reason: reason, Raw: bytes.Clone(raw)}
}
