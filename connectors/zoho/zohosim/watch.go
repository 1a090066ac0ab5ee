package zohosim

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// Zoho: notifications, enable.
const (
	maxChannels   = 50
	maxWatchToken = 50
	maxExpiry     = 7 * day
	oldExpiry     = day // until v3
	shortExpiry   = time.Hour
	maxWatched    = 10
)

// channel is a subscription to changes.
type channel struct {
	id        string
	events    []string
	url       string
	token     *string
	expires   time.Time
	values    bool
	related   bool
	condition any
	// fields are those of the condition; all of them must change, or any.
	fields []string
	all    bool
	owner  *grant
}

// item is what a caller says about a channel.
type item struct {
	ID        any      `json:"channel_id"`
	Events    []string `json:"events"`
	URL       *string  `json:"notify_url"`
	Token     *string  `json:"token"`
	Expiry    *string  `json:"channel_expiry"`
	Values    *bool    `json:"return_affected_field_values"`
	Related   *bool    `json:"notify_on_related_action"`
	Condition []obj    `json:"notification_condition"`
	Delete    bool     `json:"_delete_events"`
}

func (s *Server) watch(c *call) (*reply, *refusal) {
	now := s.Now()
	for id, ch := range s.channels {
		if !now.Before(ch.expires) {
			delete(s.channels, id)
		}
	}
	switch c.Method {
	case http.MethodGet:
		return s.channelList(c)
	case http.MethodDelete:
		return s.unwatch(c)
	case http.MethodPost, http.MethodPut, http.MethodPatch:
	default:
		return nil, noMethod()
	}
	var in struct {
		Watch []item `json:"watch"`
	}
	if refused := c.decode(&in); refused != nil {
		return nil, refused
	}
	if len(in.Watch) == 0 {
		return nil, bad(mandatory, "required field not found", obj{"api_name": "watch", "json_path": "$.watch"})
	}
	if len(in.Watch) > maxChannels {
		return nil, bad(invalidData, "invalid data", obj{"maximum_length": maxChannels, "api_name": "watch", "json_path": "$.watch"})
	}
	rows := make([]any, len(in.Watch))
	for n, it := range in.Watch {
		ch, message, refused := s.subscribe(c, it, n)
		if refused != nil {
			rows[n] = refused
			continue
		}
		rows[n] = obj{"code": "SUCCESS", "details": obj{"events": s.events(c, ch)}, "message": message, "status": "success"}
	}
	success := http.StatusOK
	if c.Method == http.MethodPost {
		success = http.StatusCreated
	}
	a := s.answered("watch", rows, success)
	a.wrote = false
	return a, nil
}

func notSubscribed(id string) *refusal {
	return bad("NOT_SUBSCRIBED", "not subscribed for actions-watch of the given module", obj{"channel_id": id})
}

// subscribe makes, replaces or changes one channel.
func (s *Server) subscribe(c *call, in item, n int) (*channel, string, *refusal) {
	at := func(name string, more obj) obj {
		d := obj{"api_name": name, "json_path": fmt.Sprintf("$.watch[%d].%s", n, name)}
		for k, v := range more {
			d[k] = v
		}
		return d
	}
	if in.ID == nil {
		return nil, "", bad(mandatory, "required field not found", at("channel_id", nil))
	}
	id := fmt.Sprint(in.ID)
	if _, err := strconv.ParseInt(id, 10, 64); err != nil {
		return nil, "", bad(invalidData, "invalid data", at("channel_id", obj{"expected_data_type": "bigint"}))
	}
	old := s.channels[c.token.grant.id()+id]
	if c.Method != http.MethodPost && old == nil {
		return nil, "", notSubscribed(id)
	}
	ch := &channel{id: id, related: true, owner: c.token.grant}
	if c.Method == http.MethodPatch {
		*ch = *old
	}
	if len(in.Events) == 0 && c.Method != http.MethodPatch {
		return nil, "", bad(mandatory, "required field not found", at("events", nil))
	}
	for _, event := range in.Events {
		name, action, _ := strings.Cut(event, ".")
		m := s.modules[name]
		if (m == nil || m.name == notesModule) && name != "users" || !slices.Contains([]string{"create", "edit", "delete", "all"}, action) {
			return nil, "", bad(invalidData, "invalid data", at("events", nil))
		}
	}
	if c.Method == http.MethodPatch && in.Delete {
		ch.events = slices.DeleteFunc(slices.Clone(ch.events), func(e string) bool { return slices.Contains(in.Events, e) })
		s.channels[c.token.grant.id()+id] = ch
		return ch, "Successfully removed the subscribe details", nil
	}
	if in.Events != nil {
		ch.events = in.Events
	}
	if refused := s.address(ch, in, at); refused != nil {
		return nil, "", refused
	}
	if in.Token != nil {
		if utf8.RuneCountInString(*in.Token) > maxWatchToken {
			return nil, "", bad(invalidData, "invalid data", at("token", obj{"maximum_length": maxWatchToken}))
		}
		ch.token = in.Token
	}
	if in.Expiry != nil || c.Method != http.MethodPatch {
		ch.expires = s.Now().Add(shortExpiry)
	}
	if in.Expiry != nil {
		t, err := time.Parse(time.RFC3339, *in.Expiry)
		if err != nil {
			return nil, "", bad(invalidData, "invalid data", at("channel_expiry", obj{"expected_data_type": "datetime"}))
		}
		most := maxExpiry
		if slices.Contains([]string{"v2", "v2.1", "v3"}, c.version) {
			most = oldExpiry
		}
		if !t.After(s.Now().Add(most)) && t.After(s.Now()) {
			ch.expires = t
		}
	}
	if in.Values != nil {
		ch.values = *in.Values
	}
	if in.Related != nil {
		ch.related = *in.Related
	}
	if in.Condition != nil {
		ch.condition, ch.fields, ch.all = in.Condition, nil, false
		for _, condition := range in.Condition {
			group, _ := condition["field_selection"].(obj)
			if !ch.choose(group) || len(ch.fields) > maxWatched {
				return nil, "", bad(invalidData, "invalid data", at("notification_condition", nil))
			}
		}
	}
	s.channels[c.token.grant.id()+id] = ch
	if c.Method == http.MethodPost {
		return ch, "Successfully subscribed for actions-watch of the given module", nil
	}
	return ch, "Successfully updated the subscribe details", nil
}

func (s *Server) address(ch *channel, in item, at func(string, obj) obj) *refusal {
	if in.URL == nil {
		if ch.url == "" {
			return bad(mandatory, "required field not found", at("notify_url", nil))
		}
		return nil
	}
	u, err := url.Parse(*in.URL)
	if err != nil || u.Host == "" || u.Scheme != "https" && (s.knobs.RequireHTTPS || u.Scheme != "http") {
		return bad(invalidData, "invalid data", at("notify_url", obj{"expected_data_type": "website"}))
	}
	ch.url = *in.URL
	return nil
}

// choose reads a group of fields; more than two have to be nested in pairs.
func (ch *channel) choose(group obj) bool {
	list, grouped := group["group"].([]any)
	if !grouped {
		f, _ := group["field"].(obj)
		name, is := f["api_name"].(string)
		if name == "" {
			name, is = group["api_name"].(string)
		}
		ch.fields = append(ch.fields, name)
		return is
	}
	if len(list) > 2 {
		return false
	}
	ch.all = ch.all || group["group_operator"] == "and"
	return !slices.ContainsFunc(list, func(v any) bool { inner, is := v.(obj); return !is || !ch.choose(inner) })
}

// modules are those whose changes the channel carries.
func (ch *channel) modules() []string {
	var names []string
	for _, event := range ch.events {
		if name, _, _ := strings.Cut(event, "."); !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names
}

// resource is where a module's records are. It says v2 in every version.
func (s *Server) resource(r *http.Request, name string) string { return s.base(r) + "/crm/v2/" + name }

func (s *Server) events(c *call, ch *channel) []obj {
	list := []obj{}
	for _, name := range ch.modules() {
		id := ""
		if m := s.modules[name]; m != nil {
			id = strconv.FormatInt(m.id, 10)
		}
		list = append(list, obj{
			"channel_expiry": s.stamp(ch.expires), "resource_uri": s.resource(c.Request, name), "resource_id": id,
			"resource_name": name, "channel_id": ch.id,
		})
	}
	return list
}

func (s *Server) channelList(c *call) (*reply, *refusal) {
	page, perPage, refused := s.paging(c)
	if refused != nil {
		return nil, refused
	}
	var mine []*channel
	for _, ch := range s.channels {
		if ch.owner == c.token.grant {
			mine = append(mine, ch)
		}
	}
	slices.SortFunc(mine, func(a, b *channel) int { return strings.Compare(a.id, b.id) })
	var list []obj
	for _, ch := range mine {
		if id := c.q.Get("channel_id"); id != "" && id != ch.id {
			continue
		}
		for _, e := range s.events(c, ch) {
			name := e["resource_name"].(string)
			if only := c.q.Get("module"); only != "" && only != name {
				continue
			}
			var token any
			if ch.token != nil {
				token = *ch.token
			}
			for k, v := range (obj{
				"notify_on_related_action": ch.related, "return_affected_field_values": ch.values, "notify_url": ch.url, "fields": nil,
				"notification_condition": ch.condition, "token": token,
				"events": slices.DeleteFunc(slices.Clone(ch.events), func(event string) bool { return !strings.HasPrefix(event, name+".") }),
			}) {
				e[k] = v
			}
			list = append(list, e)
		}
	}
	rest := list[min((page-1)*perPage, len(list)):]
	list = rest[:min(perPage, len(rest))]
	if len(list) == 0 {
		return nothing(), nil
	}
	return ok(obj{"watch": list, "info": obj{"per_page": perPage, "count": len(list), "page": page, "more_records": len(rest) > len(list)}}), nil
}

func (s *Server) unwatch(c *call) (*reply, *refusal) {
	if c.q.Get("channel_ids") == "" {
		return nil, missingParam("channel_ids")
	}
	var rows []any
	for _, id := range strings.Split(c.q.Get("channel_ids"), ",") {
		key := c.token.grant.id() + strings.TrimSpace(id)
		ch := s.channels[key]
		if ch == nil {
			rows = append(rows, notSubscribed(id))
			continue
		}
		delete(s.channels, key)
		for _, e := range s.events(c, ch) {
			delete(e, "channel_expiry")
			delete(e, "resource_name")
			rows = append(rows, obj{"code": "SUCCESS", "details": e, "message": "Successfully un-subscribed from actions-watch", "status": "success"})
		}
	}
	a := s.answered("watch", rows, http.StatusOK)
	a.wrote = false
	return a, nil
}
