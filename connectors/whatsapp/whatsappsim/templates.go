package whatsappsim

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Template is one translation of a message template.
type Template struct {
	ID       string
	Name     string
	Language string
	// Status is APPROVED, PENDING, REJECTED, PAUSED or DISABLED. Defaults to
	// APPROVED.
	Status string
	// Category is UTILITY, MARKETING or AUTHENTICATION. Defaults to UTILITY.
	Category string
	// Named templates take parameters by name instead of by position.
	Named bool
	// HeaderFormat is TEXT, IMAGE, VIDEO, DOCUMENT or LOCATION, or empty.
	HeaderFormat string
	Header       string
	Body         string
	Footer       string
	Buttons      []Button

	pauses int
}

// Button of a template; Type is QUICK_REPLY, URL or COPY_CODE.
type Button struct {
	Type, Text, URL string
}

// DefaultTemplates is the catalogue of a new WABA: Meta's own sample and one
// with two variables.
func DefaultTemplates() []Template {
	return []Template{
		{Name: "hello_world", Language: "en_US", HeaderFormat: "TEXT", Header: "Hello World", Body: "Welcome and congratulations!! This message demonstrates your ability to send a message notification from the Cloud API."},
		{Name: "order_update", Language: "it", Body: "Ciao {{1}}, il tuo ordine {{2}} è in viaggio."},
	}
}

var variable = regexp.MustCompile(`\{\{\s*(\w+)\s*\}\}`)

// variables returns the distinct names of the variables of a text, numbers in
// their order.
func variables(text string) []string {
	var names []string
	for _, m := range variable.FindAllStringSubmatch(text, -1) {
		if !slices.Contains(names, m[1]) {
			names = append(names, m[1])
		}
	}
	if !slices.ContainsFunc(names, func(name string) bool { return !numeric(name) }) {
		slices.SortFunc(names, func(a, b string) int { return cmp.Or(len(a)-len(b), strings.Compare(a, b)) })
	}
	return names
}

func (s *Server) addTemplate(t Template) *Template {
	t.ID = orElse(t.ID, strconv.Itoa(594_425_479_261_596+len(s.templates)))
	t.Status = orElse(t.Status, "APPROVED")
	t.Category = orElse(t.Category, "UTILITY")
	s.templates = append(s.templates, &t)
	return &t
}

func (s *Server) template(name, language string) *Template {
	for _, t := range s.templates {
		if t.Name == name && t.Language == language {
			return t
		}
	}
	return nil
}

// checkTemplate finds the approved translation and compares the parameters
// with it. It returns the rendered body.
func (s *Server) checkTemplate(content any, m *outgoing) (string, *failure) {
	name, language := text(content, "name"), text(field(content, "language"), "code")
	if name == "" || language == "" {
		return "", refuse(131008, "The parameters template['name'] and template['language']['code'] are required.")
	}
	s.mu.Lock()
	var t Template
	if known := s.template(name, language); known != nil {
		t = *known
	}
	s.mu.Unlock()
	switch {
	case t.Status == "PAUSED":
		return "", refuse(132015, "template name (%s) is paused", name)
	case t.Status == "DISABLED":
		return "", refuse(132016, "template name (%s) is disabled", name)
	case t.Status != "APPROVED":
		return "", refuse(132001, "template name (%s) does not exist in %s", name, language)
	}
	if t.Category == "AUTHENTICATION" && m.bsuid {
		return "", refuse(131062, "Authentication templates cannot be sent to a user id")
	}
	m.category = strings.ToLower(t.Category)

	given := map[string]any{}
	var surplus *failure
	for _, c := range list(content, "components") {
		where := strings.ToLower(text(c, "type"))
		if where == "button" {
			where += " " + fmt.Sprint(field(c, "index"))
		}
		given[where] = c
		if n := len(list(c, "parameters")); n > 0 && !t.takes(where) {
			surplus = wrongCount(where, n, 0)
		}
	}
	if f := s.checkHeader(t, list(given["header"], "parameters")); f != nil {
		return "", f
	}
	for _, p := range list(given["header"], "parameters") {
		m.broken = leadsNowhere(field(p, text(p, "type")))
	}
	rendered, f := s.fill(t, "body", t.Body, list(given["body"], "parameters"))
	if f != nil {
		return "", f
	}
	if utf8.RuneCountInString(rendered) > 1024 {
		return "", refuse(132005, "body: the translated text is longer than 1024 characters")
	}
	for i, b := range t.Buttons {
		if f := s.checkButton(t, i, b, given["button "+strconv.Itoa(i)]); f != nil {
			return "", f
		}
	}
	return rendered, surplus
}

// takes says whether a template has the component of a send.
func (t Template) takes(where string) bool {
	switch where {
	case "header":
		return t.HeaderFormat != ""
	case "body":
		return true
	}
	index, ok := strings.CutPrefix(where, "button ")
	i, err := strconv.Atoi(index)
	return ok && err == nil && i >= 0 && i < len(t.Buttons)
}

func wrongCount(where string, given, want int) *failure {
	return refuse(132000, "%s: number of localizable_params (%d) does not match the expected number of params (%d)", where, given, want)
}

func (s *Server) checkHeader(t Template, given []any) *failure {
	switch t.HeaderFormat {
	case "":
		return nil
	case "TEXT":
		rendered, f := s.fill(t, "header", t.Header, given)
		if f == nil && utf8.RuneCountInString(rendered) > 60 {
			return refuse(132005, "header: the translated text is longer than 60 characters")
		}
		return f
	}
	want := strings.ToLower(t.HeaderFormat)
	if len(given) != 1 {
		return refuse(132012, "header: Format mismatch, expected %s, received UNKNOWN", t.HeaderFormat)
	}
	if got := text(given[0], "type"); got != want || field(given[0], want) == nil {
		return refuse(132012, "header: Format mismatch, expected %s, received %s", t.HeaderFormat, strings.ToUpper(orElse(got, "unknown")))
	}
	return nil
}

func (s *Server) checkButton(t Template, i int, b Button, component any) *failure {
	where := fmt.Sprintf("button %d", i)
	given := list(component, "parameters")
	key, least := "", 0
	switch b.Type {
	case "URL":
	case "QUICK_REPLY":
		key = "payload" // and without one, its text
	case "COPY_CODE":
		key, least = "coupon_code", 1
	default:
		return nil
	}
	if kind := text(component, "sub_type"); kind != "" && !strings.EqualFold(kind, b.Type) {
		return refuse(132012, "%s: the template has a button of type %s, not %s", where, b.Type, kind)
	}
	switch {
	case key == "":
		_, f := s.fill(t, where, b.URL, given)
		return f
	case len(given) < least, len(given) > 1:
		return wrongCount(where, len(given), 1)
	case len(given) == 1 && (text(given[0], "type") != key || text(given[0], key) == ""):
		return refuse(132012, "%s: a parameter of type %s is expected", where, key)
	}
	return nil
}

// fill puts parameters into the variables of a text.
func (s *Server) fill(t Template, where, pattern string, given []any) (string, *failure) {
	names := variables(pattern)
	if len(given) != len(names) {
		return "", wrongCount(where, len(given), len(names))
	}
	values := map[string]string{}
	for i, p := range given {
		value, f := s.parameter(where, p)
		if f != nil {
			return "", f
		}
		name := text(p, "parameter_name")
		isPart := where == "body" || where == "header"
		switch {
		case t.Named && isPart && !slices.Contains(names, name):
			return "", refuse(132012, "%s: parameter_name %q is missing or unknown", where, name)
		case !t.Named && name != "":
			return "", refuse(132012, "%s: the template takes parameters by position", where)
		case t.Named && isPart:
			values[name] = value
		default:
			values[names[i]] = value
		}
	}
	if len(values) != len(names) {
		return "", refuse(132012, "%s: a parameter is named twice", where)
	}
	return variable.ReplaceAllStringFunc(pattern, func(v string) string {
		return values[variable.FindStringSubmatch(v)[1]]
	}), nil
}

// parameter returns the text that one parameter renders to.
func (s *Server) parameter(where string, p any) (string, *failure) {
	switch kind := text(p, "type"); kind {
	case "text":
		value, ok := field(p, "text").(string)
		if !ok {
			return "", refuse(132012, "%s: a text parameter needs text", where)
		}
		if value == "" || strings.ContainsAny(value, "\n\t\r") || strings.Contains(value, "     ") {
			return "", refuse(s.opt.Codes.TemplateText, "%s: Param text cannot be empty or have new-line/tab characters or more than 4 consecutive spaces", where)
		}
		return value, nil
	case "currency", "date_time":
		value := text(field(p, kind), "fallback_value")
		if value == "" {
			return "", refuse(132012, "%s: %s needs a fallback_value", where, kind)
		}
		return value, nil
	default:
		return "", refuse(132012, "%s: Format mismatch, expected text, received %s", where, orElse(kind, "UNKNOWN"))
	}
}

// document is the template as the templates edge shows it.
func (t Template) document() map[string]any {
	parts := []any{}
	if t.HeaderFormat != "" {
		h := map[string]any{"type": "HEADER", "format": t.HeaderFormat}
		if t.HeaderFormat == "TEXT" {
			h["text"] = t.Header
		}
		parts = append(parts, h)
	}
	parts = append(parts, map[string]any{"type": "BODY", "text": t.Body})
	if t.Footer != "" {
		parts = append(parts, map[string]any{"type": "FOOTER", "text": t.Footer})
	}
	if len(t.Buttons) > 0 {
		buttons := []any{}
		for _, b := range t.Buttons {
			button := map[string]any{"type": b.Type, "text": b.Text}
			if b.URL != "" {
				button["url"] = b.URL
			}
			buttons = append(buttons, button)
		}
		parts = append(parts, map[string]any{"type": "BUTTONS", "buttons": buttons})
	}
	format := "POSITIONAL"
	if t.Named {
		format = "NAMED"
	}
	return map[string]any{
		"id": t.ID, "name": t.Name, "language": t.Language, "status": t.Status, "category": t.Category,
		"parameter_format": format, "components": parts,
	}
}

func (s *Server) getTemplates(r *http.Request) (any, *failure) {
	q := r.URL.Query()
	s.mu.Lock()
	defer s.mu.Unlock()
	all := []any{}
	for _, t := range s.templates {
		if matches(q.Get("name"), t.Name) && matches(q.Get("status"), t.Status) &&
			matches(q.Get("language"), t.Language) && matches(q.Get("category"), t.Category) {
			all = append(all, selected(t.document(), r, "name", "language", "status", "category", "parameter_format", "components"))
		}
	}
	return page(r, all), nil
}

func matches(want, got string) bool { return want == "" || want == got }

// postTemplate creates a template, which is approved after its review.
func (s *Server) postTemplate(r *http.Request) (any, *failure) {
	doc, f := body(r)
	if f != nil {
		return nil, f
	}
	t := Template{
		Name: text(doc, "name"), Language: text(doc, "language"), Category: strings.ToUpper(text(doc, "category")),
		Named: strings.EqualFold(text(doc, "parameter_format"), "named"), Status: "PENDING",
	}
	for _, c := range list(doc, "components") {
		switch strings.ToUpper(text(c, "type")) {
		case "HEADER":
			t.HeaderFormat, t.Header = strings.ToUpper(text(c, "format")), text(c, "text")
		case "BODY":
			t.Body = text(c, "text")
		case "FOOTER":
			t.Footer = text(c, "text")
		case "BUTTONS":
			for _, b := range list(c, "buttons") {
				t.Buttons = append(t.Buttons, Button{strings.ToUpper(text(b, "type")), text(b, "text"), text(b, "url")})
			}
		}
	}
	if !regexp.MustCompile(`^[a-z0-9_]{1,512}$`).MatchString(t.Name) || t.Language == "" || t.Category == "" || t.Body == "" {
		return nil, refuse(100, "name, language, category and a body are required")
	}
	s.mu.Lock()
	if s.template(t.Name, t.Language) != nil {
		s.mu.Unlock()
		return nil, refuse(2388024, "There is already content for this template in this language")
	}
	added := s.addTemplate(t)
	answer := map[string]any{"id": added.ID, "status": added.Status, "category": added.Category}
	s.mu.Unlock()
	s.after(s.opt.ReviewAfter, func() { s.SetTemplateStatus(t.Name, t.Language, "APPROVED", "NONE") })
	return answer, nil
}

func (s *Server) deleteTemplate(r *http.Request) (any, *failure) {
	q := r.URL.Query()
	name, id := q.Get("name"), q.Get("hsm_id")
	s.mu.Lock()
	defer s.mu.Unlock()
	before := len(s.templates)
	s.templates = slices.DeleteFunc(s.templates, func(t *Template) bool {
		return t.Name == name && (id == "" || t.ID == id)
	})
	if len(s.templates) == before {
		return nil, refuse(100, "Message template not found")
	}
	return success(), nil
}

// digest is a stable 32-digit hex id.
func digest(of string) string {
	sum := sha256.Sum256([]byte(of))
	return hex.EncodeToString(sum[:16])
}
