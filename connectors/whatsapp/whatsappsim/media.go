package whatsappsim

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"io"
	"net/http"
	"strconv"
	"time"
)

// mediaPath begins the download URLs, as on the platform's own download host.
const mediaPath = "whatsapp_business"

const keptMedia = 20_000

// medium is one stored file. Cloud API guide: ids from webhooks can be fetched
// for 7 days, ids of uploaded files for 30; a download URL lives 5 minutes.
type medium struct {
	mime string
	data []byte
	till time.Time
}

func (s *Server) store(mime string, data []byte, life time.Duration) (id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.mediaIDs) >= keptMedia {
		delete(s.media, s.mediaIDs[0])
		s.mediaIDs = s.mediaIDs[1:]
	}
	id = strconv.FormatUint(900_000_000_000_000+s.rng.Uint64()%100_000_000_000_000, 10)
	s.media[id] = &medium{mime, data, s.now().Add(life)}
	s.mediaIDs = append(s.mediaIDs, id)
	return id
}

// inboundMedia makes the object of a media message; sha256 is base64 there.
func (s *Server) inboundMedia(kind, caption string) map[string]any {
	mime := map[string]string{
		"image": "image/jpeg", "video": "video/mp4", "audio": "audio/ogg; codecs=opus",
		"document": "application/pdf", "sticker": "image/webp",
	}[kind]
	data := []byte("simulated " + kind)
	id := s.store(mime, data, 7*24*time.Hour)
	sum := sha256.Sum256(data)
	m := map[string]any{"id": id, "mime_type": mime, "sha256": base64.StdEncoding.EncodeToString(sum[:])}
	if s.opt.BaseURL != "" {
		m["url"] = s.opt.BaseURL + s.download(id)
	}
	switch kind {
	case "audio":
		m["voice"] = true
	case "sticker":
		m["animated"] = false
	case "document":
		m["filename"] = "preventivo.pdf"
	}
	if caption != "" && kind != "audio" && kind != "sticker" {
		m["caption"] = caption
	}
	return m
}

// download is the path of a URL that lives 5 minutes from now.
func (s *Server) download(id string) string {
	ext := strconv.FormatInt(s.now().Add(5*time.Minute).Unix(), 10)
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
		s.mu.Lock()
		delete(s.media, id)
		s.mu.Unlock()
		return success(), nil
	case http.MethodGet:
		sum := sha256.Sum256(m.data)
		return map[string]any{
			"messaging_product": "whatsapp", "id": id, "mime_type": m.mime,
			"sha256": hex.EncodeToString(sum[:]), "file_size": len(m.data),
			"url": "http://" + r.Host + s.download(id),
		}, nil
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
	_, _ = w.Write(m.data)
	return nil, nil
}

func (s *Server) uploadMedia(r *http.Request) (any, *failure) {
	file, header, err := r.FormFile("file")
	if err != nil || r.FormValue("messaging_product") != "whatsapp" {
		return nil, refuse(100, "messaging_product and file are required as form fields")
	}
	defer file.Close()
	data, err := io.ReadAll(io.LimitReader(file, 100<<20))
	if err != nil {
		return nil, refuse(131000, "the upload broke off")
	}
	mime := orElse(r.FormValue("type"), header.Header.Get("Content-Type"))
	return map[string]any{"id": s.store(mime, data, 30*24*time.Hour)}, nil
}
