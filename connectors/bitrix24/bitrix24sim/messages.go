package bitrix24sim

import (
	"html"
	"regexp"
	"slices"
	"strings"
	"time"
)

// message is a WhatsApp message that a comment or an activity logs.
type message struct {
	id, owner                      int64
	wamid, direction, text, status string
	at, committed                  time.Time
	// files are those of the comment, whichever of its messages they came with.
	files []*file
	// seq is the order in which messages were logged.
	seq int64
}

// log holds all messages.
type log struct {
	all     map[int64]*message
	seq     int64
	byWAMID map[string][]*message
	doubles int
}

var marker = regexp.MustCompile(`^— WhatsApp ([^·]+?) · (\d{4}-\d\d-\d\dT[0-9:.]+(?:Z|[+-]\d\d:\d\d))(?: · ([^·]*?))? · (\S+)$`)

// relog reads the messages of a comment anew. One that was there already
// keeps the time at which it was committed.
func (s *Server) relog(m *comment) {
	old := m.messages
	s.unlog(old)
	m.messages = readComment(m.text)
	for _, one := range m.messages {
		one.id, one.owner, one.committed, one.files = m.id, m.owner, s.Now(), m.files
		if at := slices.IndexFunc(old, func(o *message) bool { return o.wamid == one.wamid }); at >= 0 {
			one.committed = old[at].committed
		}
		s.enlog(one)
	}
}

// readComment finds blocks of a text, an empty line and a marker line, such
// as "— WhatsApp in · 2026-11-20T09:00:00Z · delivered · wamid.X". A marker
// stands between empty lines; of several without a text between them the
// last one counts.
func readComment(text string) []*message {
	var out []*message
	lines := strings.Split(strings.ReplaceAll(text, "\r\n", "\n"), "\n")
	isMarker := func(n int) bool {
		return marker.MatchString(lines[n]) && (n == 0 || lines[n-1] == "") && (n == len(lines)-1 || lines[n+1] == "")
	}
	begin := 0
	for n := range lines {
		if !isMarker(n) || n+2 < len(lines) && isMarker(n+2) {
			continue
		}
		part := marker.FindStringSubmatch(lines[n])
		at, _ := time.Parse(time.RFC3339, part[2])
		body := strings.TrimSuffix(strings.Join(lines[begin:n], "\n"), "\n")
		out = append(out, &message{direction: part[1], at: at, status: part[3], wamid: part[4], text: html.UnescapeString(body)})
		begin = n + 2
	}
	return out
}

// filesOf are the files in comments of their own, whose last line names the
// message: "— WhatsApp file · wamid.X".
func (s *Server) filesOf(m *message) []*file {
	var list []*file
	for _, c := range s.timeline.byOwner[m.owner] {
		if len(c.files) > 0 && strings.HasSuffix("\n"+c.text, "\n— WhatsApp file · "+m.wamid) {
			list = append(list, c.files...)
		}
	}
	return list
}

func (s *Server) enlog(m *message) {
	s.log.seq++
	m.seq = s.log.seq
	s.log.all[m.seq] = m
	s.log.byWAMID[m.wamid] = append(s.log.byWAMID[m.wamid], m)
	if len(s.log.byWAMID[m.wamid]) > 1 {
		s.log.doubles++
	}
}

func (s *Server) unlog(list []*message) {
	for _, m := range list {
		if len(s.log.byWAMID[m.wamid]) > 1 {
			s.log.doubles--
		}
		same := func(o *message) bool { return o == m }
		s.log.byWAMID[m.wamid] = slices.DeleteFunc(s.log.byWAMID[m.wamid], same)
		if len(s.log.byWAMID[m.wamid]) == 0 {
			delete(s.log.byWAMID, m.wamid)
		}
		delete(s.log.all, m.seq)
	}
}

// forget drops what hangs on a contact that is deleted.
func (s *Server) forget(owner int64) {
	for _, m := range slices.Clone(s.timeline.byOwner[owner]) {
		s.dropComment(m)
	}
	for _, a := range slices.Clone(s.activities.byOwner[owner]) {
		s.dropActivity(a)
	}
}
