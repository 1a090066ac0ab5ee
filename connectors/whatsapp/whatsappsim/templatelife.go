package whatsappsim

import (
	"strconv"
	"time"
)

// pauses of a template of low quality. Cloud API guide: 3 hours the first time,
// 6 the second; the third time it is disabled.
var pauses = []struct {
	title string
	lasts time.Duration
}{{"FIRST_PAUSE", 3 * time.Hour}, {"SECOND_PAUSE", 6 * time.Hour}}

// SetTemplateStatus changes a template as Meta's review does, webhook
// included. Sends follow the new state at once. A pause ends by itself, and a
// third one disables. FLAGGED is a warning which changes nothing; REINSTATED
// and UNARCHIVED approve. It reports whether there is such a template.
func (s *Server) SetTemplateStatus(name, language, status, reason string) bool {
	s.mu.Lock()
	t := s.template(name, language)
	if t == nil {
		s.mu.Unlock()
		return false
	}
	event, before := status, t.Status
	value := t.event()
	switch event {
	case "PAUSED":
		t.pauses++
		if n := t.pauses; n <= len(pauses) {
			p := pauses[n-1]
			value["other_info"] = map[string]any{"title": p.title, "description": "The template is paused because of its quality."}
			defer s.after(p.lasts, func() { s.unpause(name, language, n) })
			break
		}
		event, status = "DISABLED", "DISABLED"
		value["other_info"] = map[string]any{"title": "DISABLED", "description": "The template is disabled because of its quality."}
	case "FLAGGED":
		status = before
	case "REINSTATED", "UNARCHIVED":
		status = "APPROVED"
	case "APPROVED":
		if before == "PAUSED" {
			value["other_info"] = map[string]any{"title": "UNPAUSE", "description": "The template is no longer paused."}
		}
	}
	if event == "DISABLED" {
		value["disable_info"] = map[string]any{"disable_date": s.now().Format("2006-01-02")}
	}
	t.Status = status
	value["event"], value["reason"], value["message_template_category"] = event, orElse(reason, "NONE"), t.Category
	s.mu.Unlock()
	s.publish(update{fieldTemplate, value})
	return true
}

// unpause ends the n-th pause of a template, unless something else did.
func (s *Server) unpause(name, language string, n int) {
	s.mu.Lock()
	t := s.template(name, language)
	still := t != nil && t.Status == "PAUSED" && t.pauses == n
	s.mu.Unlock()
	if still {
		s.SetTemplateStatus(name, language, "APPROVED", "")
	}
}

// SetTemplateCategory changes the category of a template which Meta finds to
// be the wrong one, webhook included. With a notice, which Meta gives 24 hours
// before, there is a webhook now and the change comes after it. It reports
// whether there is such a template.
func (s *Server) SetTemplateCategory(name, language, category string, notice time.Duration) bool {
	s.mu.Lock()
	t := s.template(name, language)
	if t == nil {
		s.mu.Unlock()
		return false
	}
	value := t.event()
	if notice > 0 {
		// Cloud API guide: here the new category is the current one.
		value["correct_category"], value["new_category"] = category, t.Category
		value["category_update_timestamp"] = s.now().Add(notice).Unix()
		defer s.after(notice, func() { s.SetTemplateCategory(name, language, category, 0) })
	} else {
		value["previous_category"], value["new_category"] = t.Category, category
		t.Category = category
	}
	s.mu.Unlock()
	s.publish(update{fieldCategory, value})
	return true
}

// event is what every webhook about a template has.
func (t *Template) event() map[string]any {
	id, _ := strconv.ParseInt(t.ID, 10, 64)
	return map[string]any{
		"message_template_id": id, "message_template_name": t.Name, "message_template_language": t.Language,
	}
}
