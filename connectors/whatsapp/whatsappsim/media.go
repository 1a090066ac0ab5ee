package whatsappsim

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// mediaPath begins the download URLs, as on the platform's own download host.
const mediaPath = "whatsapp_business"

const keptMedia = 20_000

// Lives of media. Cloud API guide: ids from webhooks can be fetched for 7 days,
// ids of uploaded files for 30; a download URL lives 5 minutes.
const (
	receivedLife = 7 * 24 * time.Hour
	uploadedLife = 30 * 24 * time.Hour
	downloadLife = 5 * time.Minute
)

// largestMedia is what a user can send at most.
const largestMedia = 100 << 20

// mediaKinds are the types of messages that carry a file.
var mediaKinds = []string{"image", "video", "audio", "document", "sticker"}

// MediaForms choose between forms which are all seen in the field.
type MediaForms struct {
	WebhookSHA256 string // "base64" (default) or "hex"
	AnswerSHA256  string // "hex" (default) or "base64"
	SizeAsText    bool   // file_size is a string, as the guide's page has it
}

// Media is a file that a user sends.
type Media struct {
	MIMEType string `json:"mime_type"`
	// Filename travels with documents only.
	Filename string `json:"filename"`
	// Content is the file. Without it, Size bytes are made up, no two files
	// alike.
	Content []byte `json:"content_base64"`
	Size    int64  `json:"size"`
}

// StoredMedia says what became of a [Media].
type StoredMedia struct {
	ID       string `json:"id"`
	MIMEType string `json:"mime_type"`
	Filename string `json:"filename,omitempty"`
	Size     int64  `json:"size"`
	SHA256   string `json:"sha256"` // hex
}

// medium is one stored file.
type medium struct {
	mime, filename string
	size           int64
	sum            [sha256.Size]byte
	open           func() io.Reader
	till           time.Time
}

// AddMedia stores a file which an [Inbound] can carry then.
func (s *Server) AddMedia(in Media) (StoredMedia, error) {
	if len(in.Content) > 0 && in.Size > 0 {
		return StoredMedia{}, errors.New("give size or content_base64, not both")
	}
	if in.Size < 0 || in.Size > largestMedia || len(in.Content) > largestMedia {
		return StoredMedia{}, fmt.Errorf("the size is not between 0 and %d", largestMedia)
	}
	m := &medium{mime: cmp.Or(in.MIMEType, "image/jpeg"), filename: in.Filename, size: in.Size, till: s.now().Add(receivedLife)}
	if len(in.Content) > 0 {
		m.size, m.open = int64(len(in.Content)), func() io.Reader { return bytes.NewReader(in.Content) }
	}
	id := s.store(m)
	return StoredMedia{id, m.mime, m.filename, m.size, hex.EncodeToString(m.sum[:])}, nil
}

// RemoveMedia forgets a file, as the platform does after a time, and reports
// whether there was one.
func (s *Server) RemoveMedia(id string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	m := s.media[id]
	if m == nil || m.open == nil {
		return false
	}
	// What is left of it is that the id was one of a file.
	s.media[id] = &medium{}
	return true
}

// store keeps a file under a new id.
func (s *Server) store(m *medium) (id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.mediaIDs) >= keptMedia {
		delete(s.media, s.mediaIDs[0])
		s.mediaIDs = s.mediaIDs[1:]
	}
	id = strconv.FormatUint(900_000_000_000_000+s.rng.Uint64()%100_000_000_000_000, 10)
	if m.open == nil {
		seed := sha256.Sum256([]byte(id))
		m.open = func() io.Reader { return io.LimitReader(rand.NewChaCha8(seed), m.size) }
	}
	h := sha256.New()
	_, _ = io.Copy(h, m.open()) // from memory
	h.Sum(m.sum[:0])
	s.media[id] = m
	s.mediaIDs = append(s.mediaIDs, id)
	return id
}

// sha256 is a file's digest in one of the two forms in use.
func (m *medium) sha256(form string) string {
	if form == "base64" {
		return base64.StdEncoding.EncodeToString(m.sum[:])
	}
	return hex.EncodeToString(m.sum[:])
}

// kindOf is the type of a message that carries a file of this MIME type.
func kindOf(mime string) string {
	kind, _, _ := strings.Cut(mime, "/")
	switch {
	case strings.HasPrefix(mime, "image/webp"):
		return "sticker"
	case kind == "image", kind == "video", kind == "audio":
		return kind
	}
	return "document"
}

// inboundMedia makes the object of a media message, of a file made up where id
// is empty.
func (s *Server) inboundMedia(kind, caption, id string) map[string]any {
	if id == "" {
		m := &medium{mime: map[string]string{
			"image": "image/jpeg", "video": "video/mp4", "audio": "audio/ogg; codecs=opus",
			"document": "application/pdf", "sticker": "image/webp",
		}[kind], till: s.now().Add(receivedLife)}
		if kind == "document" {
			m.filename = "preventivo.pdf"
		}
		data := []byte("simulated " + kind)
		m.size, m.open = int64(len(data)), func() io.Reader { return bytes.NewReader(data) }
		id = s.store(m)
	}
	file := s.find(id)
	m := map[string]any{"id": id, "mime_type": file.mime, "sha256": file.sha256(s.opt.Media.WebhookSHA256)}
	if s.opt.BaseURL != "" {
		m["url"] = s.opt.BaseURL + s.download(id)
	}
	switch kind {
	case "audio":
		m["voice"] = true
	case "sticker":
		m["animated"] = false
	case "document":
		if file.filename != "" {
			m["filename"] = file.filename
		}
	}
	if caption != "" && kind != "audio" && kind != "sticker" {
		m["caption"] = caption
	}
	return m
}

// download is the path of a URL that lives 5 minutes from now.
func (s *Server) download(id string) string {
	ext := strconv.FormatInt(s.now().Add(downloadLife).Unix(), 10)
	return "/" + mediaPath + "/attachments/?mid=" + id + "&ext=" + ext + "&hash=" + digest(s.opt.AppSecret+id+ext)
}

func (s *Server) find(id string) *medium {
	s.mu.Lock()
	defer s.mu.Unlock()
	m := s.media[id]
	if m == nil || s.now().After(m.till) {
		return nil
	}
	return m
}

// describeMedia answers and deletes by media id.
func (s *Server) describeMedia(r *http.Request, id string) (any, *failure) {
	m := s.find(id)
	if m == nil {
		f := refuse(100, "")
		f.subcode, f.kind = 33, "GraphMethodException"
		return nil, f
	}
	if number := r.URL.Query().Get("phone_number_id"); number != "" && number != s.opt.PhoneNumberID {
		return nil, refuse(100, "phone_number_id does not own this media")
	}
	switch r.Method {
	case http.MethodDelete:
		s.RemoveMedia(id)
		return success(), nil
	case http.MethodGet:
		answer := map[string]any{
			"messaging_product": "whatsapp", "id": id, "mime_type": m.mime,
			"sha256": m.sha256(s.opt.Media.AnswerSHA256), "file_size": m.size,
			"url": "http://" + r.Host + s.download(id),
		}
		if s.opt.Media.SizeAsText {
			answer["file_size"] = strconv.FormatInt(m.size, 10)
		}
		return answer, nil
	}
	return nil, s.unknownRoute(r)
}

// mediaBytes serves a download URL. An expired one is 404.
func (s *Server) mediaBytes(w http.ResponseWriter, r *http.Request, edge string) (any, *failure) {
	if _, f := s.authorize(r, scopeMessaging); f != nil {
		return nil, f
	}
	q := r.URL.Query()
	id, ext := q.Get("mid"), q.Get("ext")
	m := s.find(id)
	till, _ := strconv.ParseInt(ext, 10, 64)
	if edge != "attachments" || m == nil || q.Get("hash") != digest(s.opt.AppSecret+id+ext) || s.now().Unix() > till {
		return nil, s.unknownRoute(r)
	}
	w.Header().Set("Content-Type", m.mime)
	w.Header().Set("Content-Length", strconv.FormatInt(m.size, 10))
	_, _ = io.Copy(w, m.open())
	return nil, nil
}

func (s *Server) uploadMedia(r *http.Request) (any, *failure) {
	file, header, err := r.FormFile("file")
	if err != nil || r.FormValue("messaging_product") != "whatsapp" {
		return nil, refuse(100, "messaging_product and file are required as form fields")
	}
	defer file.Close()
	data, err := io.ReadAll(io.LimitReader(file, largestMedia))
	if err != nil {
		return nil, refuse(131000, "the upload broke off")
	}
	return map[string]any{"id": s.store(&medium{
		mime: orElse(r.FormValue("type"), header.Header.Get("Content-Type")), filename: header.Filename,
		size: int64(len(data)), open: func() io.Reader { return bytes.NewReader(data) }, till: s.now().Add(uploadedLife),
	})}, nil
}
