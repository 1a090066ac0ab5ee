package whatsappsim

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"
)

// fetch gets a download URL with the token.
func (w world) fetch(url string) (int, http.Header, []byte) {
	r := httptest.NewRequest(http.MethodGet, url, nil)
	r.Header.Set("Authorization", "Bearer simulated-whatsapp-token")
	rec := httptest.NewRecorder()
	w.sim.ServeHTTP(rec, r)
	return rec.Code, rec.Header(), rec.Body.Bytes()
}

func (w world) media(body string) StoredMedia {
	w.Helper()
	var m StoredMedia
	if code := w.control("POST", "/_sim/media", body, &m); code != 200 || m.ID == "" {
		w.Fatalf("media %s: %d %+v", body, code, m)
	}
	return m
}

func TestAFileMadeByATestArrivesInAMessage(t *testing.T) {
	content := base64.StdEncoding.EncodeToString([]byte("%PDF-1.7 hello"))
	tests := map[string]struct {
		media, inbound, kind, filename string
		size                           int
	}{
		"a document": {
			`{"mime_type":"application/pdf","filename":"offerta.pdf","content_base64":"` + content + `"}`,
			`"text":"eccola"`, "document", "offerta.pdf", 14,
		},
		"a large image":             {`{"mime_type":"image/png","size":6000000}`, `"text":"foto"`, "image", "", 6_000_000},
		"a video":                   {`{"mime_type":"video/mp4","size":1000}`, `"text":"x"`, "video", "", 1000},
		"a voice note":              {`{"mime_type":"audio/ogg; codecs=opus","size":70000}`, `"text":""`, "audio", "", 70_000},
		"a sticker":                 {`{"mime_type":"image/webp","size":10}`, `"text":""`, "sticker", "", 10},
		"an image as a document":    {`{"mime_type":"image/png","filename":"a.png","size":1}`, `"type":"document"`, "document", "a.png", 1},
		"another image as large":    {`{"mime_type":"image/png","size":6000000}`, `"text":"foto"`, "image", "", 6_000_000},
		"an empty file":             {`{"mime_type":"text/plain","filename":"a.txt"}`, `"text":"x"`, "document", "a.txt", 0},
		"a document without a name": {`{"mime_type":"text/plain","size":3}`, `"text":"x"`, "document", "", 3},
	}
	inWorld(t, Options{BaseURL: "http://graph.example"}, func(w world) {
		sums := map[string]string{}
		for name, tt := range tests {
			made := w.media(tt.media)
			var r Receipt
			w.control("POST", "/_sim/inbound", fmt.Sprintf(`{"from":"393331234567","media":%q,%s}`, made.ID, tt.inbound), &r)
			m := list(w.lastValue(), "messages")[0]
			file := field(m, tt.kind)
			_, doc, _ := w.call("GET", "/v24.0/"+made.ID, "")
			status, header, data := w.fetch(text(doc, "url"))
			sum := sha256.Sum256(data)
			if text(m, "type") != tt.kind || text(file, "id") != made.ID || text(file, "filename") != tt.filename {
				w.Errorf("%s: %v", name, m)
			}
			if status != 200 || len(data) != tt.size || made.Size != int64(tt.size) || doc["file_size"] != float64(tt.size) ||
				header.Get("Content-Length") != fmt.Sprint(tt.size) || header.Get("Content-Type") != text(file, "mime_type") {
				w.Errorf("%s: %d, %d bytes, %v %v", name, status, len(data), header, doc)
			}
			if made.SHA256 != hex.EncodeToString(sum[:]) || text(file, "sha256") != base64.StdEncoding.EncodeToString(sum[:]) || doc["sha256"] != made.SHA256 {
				w.Errorf("%s: sums %s, %v, %v of %x", name, made.SHA256, file, doc, sum)
			}
			if other := sums[made.SHA256]; other != "" {
				w.Errorf("%s and %s are the same file", name, other)
			}
			sums[made.SHA256] = name
			if status, _, direct := w.fetch(text(file, "url")); status != 200 || !bytes.Equal(direct, data) {
				w.Errorf("%s: by the webhook's url %d", name, status)
			}
		}
		for name, body := range map[string]string{
			"both":       `{"size":1,"content_base64":"` + content + `"}`,
			"too large":  `{"size":104857601}`,
			"less":       `{"size":-1}`,
			"no base64":  `{"content_base64":"*"}`,
			"a new word": `{"bytes":1}`,
		} {
			var refusal map[string]any
			if code := w.control("POST", "/_sim/media", body, &refusal); code != 400 || refusal["error"] == nil {
				w.Errorf("%s: %d %v", name, code, refusal)
			}
		}
		for name, body := range map[string]string{
			"a file that is not there": `{"from":"393331234567","media":"4711"}`,
			"a text with a file":       fmt.Sprintf(`{"from":"393331234567","type":"text","media":%q}`, w.media(`{"size":1}`).ID),
		} {
			var refusal map[string]any
			if code := w.control("POST", "/_sim/inbound", body, &refusal); code != 400 || refusal["error"] == nil {
				w.Errorf("%s: %d %v", name, code, refusal)
			}
		}
	})
}

func TestMediaThatIsGone(t *testing.T) {
	inWorld(t, Options{}, func(w world) {
		kept, removed, deleted := w.media(`{"size":1}`), w.media(`{"size":1}`), w.media(`{"size":1}`)
		_, doc, _ := w.call("GET", "/v24.0/"+removed.ID, "")
		var gone map[string]any
		if w.control("DELETE", "/_sim/media?id="+removed.ID, "", &gone); gone["deleted"] != true {
			w.Errorf("removed: %v", gone)
		}
		if w.control("DELETE", "/_sim/media?id="+removed.ID, "", &gone); gone["deleted"] != false {
			w.Errorf("removed again: %v", gone)
		}
		w.call("DELETE", "/v24.0/"+deleted.ID, "")
		refused := func(name, path string) {
			w.Helper()
			status, doc, _ := w.call("GET", path, "")
			if status != 400 || errorCode(doc) != 100 || field(doc["error"], "error_subcode") != 33.0 {
				w.Errorf("%s: %d %v", name, status, doc)
			}
		}
		refused("removed", "/v24.0/"+removed.ID)
		refused("deleted", "/v24.0/"+deleted.ID)
		refused("never there", "/v24.0/4711?phone_number_id="+pnid)
		if status, _, _ := w.fetch(text(doc, "url")); status != 404 {
			w.Errorf("the url of a file that is gone: %d", status)
		}
		time.Sleep(7*24*time.Hour - time.Minute)
		if status, doc, _ := w.call("GET", "/v24.0/"+kept.ID, ""); status != 200 {
			w.Errorf("within a week: %d %v", status, doc)
		}
		time.Sleep(2 * time.Minute)
		refused("after a week", "/v24.0/"+kept.ID)
	})
}

func TestADownloadURLIsNotGuessed(t *testing.T) {
	inWorld(t, Options{}, func(w world) {
		a, b := w.media(`{"size":1}`), w.media(`{"size":1}`)
		_, doc, _ := w.call("GET", "/v24.0/"+a.ID, "")
		url := text(doc, "url")
		if status, _, _ := w.fetch(string(bytes.Replace([]byte(url), []byte(a.ID), []byte(b.ID), 1))); status != 404 {
			w.Errorf("another file under the same url: %d", status)
		}
		time.Sleep(5 * time.Minute)
		if status, _, _ := w.fetch(url); status != 200 {
			w.Errorf("just within five minutes: %d", status)
		}
		time.Sleep(time.Second)
		if status, _, _ := w.fetch(url); status != 404 {
			w.Errorf("after them: %d", status)
		}
		_, doc, _ = w.call("GET", "/v24.0/"+a.ID, "")
		if status, _, _ := w.fetch(text(doc, "url")); status != 200 {
			w.Errorf("asked for again: %d", status)
		}
	})
}

func TestTheFormsOfWhatIsToldOfAFile(t *testing.T) {
	inWorld(t, Options{Media: MediaForms{WebhookSHA256: "hex", AnswerSHA256: "base64", SizeAsText: true}}, func(w world) {
		made := w.media(`{"mime_type":"image/jpeg","size":303833}`)
		sum, _ := hex.DecodeString(made.SHA256)
		w.receive(Inbound{From: "393331234567", Media: made.ID})
		_, doc, _ := w.call("GET", "/v24.0/"+made.ID, "")
		if got := text(field(list(w.lastValue(), "messages")[0], "image"), "sha256"); got != made.SHA256 {
			w.Errorf("in the webhook %s, want %s", got, made.SHA256)
		}
		if doc["sha256"] != base64.StdEncoding.EncodeToString(sum) || doc["file_size"] != "303833" {
			w.Errorf("described as %v", doc)
		}
	})
}
