package hubspotsim

import (
	"bytes"
	"crypto/md5"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"crmsync/connectors/internal/simcrm"
)

// Scopes of the files API. HubSpot: its specification asks for the first in v3
// and for the other two in 2026-09.
const (
	scopeFiles      = "files"
	scopeFilesRead  = "files.ui_hidden.read"
	scopeFilesWrite = "files.ui_hidden.write"
)

// largestForm bounds the body of an upload.
const largestForm = 128 << 20

// upload is a file in the file manager.
type upload struct {
	id               int64
	name, ext        string
	folder           string
	access           string
	shown            simcrm.File
	data             []byte
	md5              string
	created, expires time.Time
}

// fileStore holds all files, in the order of their ids.
type fileStore struct {
	all []*upload
	// folders are numbered by their paths.
	folders map[string]int64
	nextID  int64
}

// fileOptions are the form's options. HubSpot: the files guide, which says that
// no hidden files can be made; strategies and scopes are those of the
// specification's ImportFromUrlInput and of the guide's section on v3.
type fileOptions struct {
	Access    string `json:"access"`
	TTL       string `json:"ttl"`
	Strategy  string `json:"duplicateValidationStrategy"`
	Scope     string `json:"duplicateValidationScope"`
	Overwrite bool   `json:"overwrite"`
}

// files answers the files API. HubSpot: the files guide and the specification
// in PublicApiSpecs/Files of HubSpot-public-api-spec-collection. Folders have
// no calls of their own here.
func (s *Server) files(c *call) (*reply, *refusal) {
	switch {
	case c.is(http.MethodPost, "files"):
		return s.uploadFile(c)
	case len(c.rest) < 2 || c.rest[0] != "files":
		return nil, c.noRoute()
	}
	f := s.file(c.rest[1])
	switch {
	case f == nil:
		return nil, refuse(http.StatusNotFound, notFound, "File with id %s not found", c.rest[1])
	case c.is(http.MethodGet, "files/*"):
		return ok(s.fileShown(f)), nil
	case c.is(http.MethodGet, "files/*/download"):
		return &reply{status: http.StatusOK, download: f}, nil
	case c.is(http.MethodDelete, "files/*"):
		s.uploads.all = slices.DeleteFunc(s.uploads.all, func(o *upload) bool { return o == f })
		return &reply{status: http.StatusNoContent, wrote: true}, nil
	}
	return nil, c.noRoute()
}

// file finds one that is neither deleted nor past its time.
func (s *Server) file(id string) *upload {
	n, err := strconv.ParseInt(strings.TrimSpace(id), 10, 64)
	at, there := slices.BinarySearchFunc(s.uploads.all, n, func(f *upload, n int64) int { return int(f.id - n) })
	if err != nil || !there || !s.alive(s.uploads.all[at]) {
		return nil
	}
	return s.uploads.all[at]
}

func (s *Server) alive(f *upload) bool { return f.expires.IsZero() || s.Now().Before(f.expires) }

// wrongForm is what an upload is told that lacks something. What HubSpot says
// then is not documented beyond the shape of its errors.
func wrongForm(field, format string, args ...any) *refusal {
	r := refuse(http.StatusBadRequest, validation, format, args...)
	r.Errors = []detail{{Message: r.Message, In: field}}
	return r
}

func (s *Server) uploadFile(c *call) (*reply, *refusal) {
	kind, params, err := mime.ParseMediaType(c.Header.Get("Content-Type"))
	if err != nil || kind != "multipart/form-data" {
		return nil, refuse(http.StatusUnsupportedMediaType, "", "HTTP 415 Unsupported Media Type")
	}
	form, err := multipart.NewReader(bytes.NewReader(c.body), params["boundary"]).ReadForm(largestForm)
	if err != nil {
		return nil, wrongForm("file", "The form cannot be read")
	}
	field := func(name string) string { return strings.Join(form.Value[name], "") }
	if len(form.File["file"]) != 1 {
		return nil, wrongForm("file", "A file is required")
	}
	if (field("folderId") == "") == (field("folderPath") == "") {
		return nil, wrongForm("folderPath", "Either folderId or folderPath must be provided, but not both")
	}
	folder := path.Clean("/" + field("folderPath"))
	if id := field("folderId"); id != "" {
		if folder = s.uploads.folder(id); folder == "" {
			return nil, refuse(http.StatusNotFound, notFound, "Folder with id %s not found", id)
		}
	}
	var o fileOptions
	if err := json.Unmarshal([]byte(field("options")), &o); err != nil {
		return nil, wrongForm("options", "options is required and must be a JSON object")
	}
	life, refused := o.check()
	if refused != nil {
		return nil, refused
	}
	header := form.File["file"][0]
	content, err := header.Open()
	if err != nil {
		return nil, wrongForm("file", "The file cannot be read")
	}
	defer content.Close()
	data, err := io.ReadAll(content)
	if err != nil {
		return nil, wrongForm("file", "The file cannot be read")
	}
	if most := s.knobs.FileMB << 20; len(data) > most {
		return nil, wrongForm("file", "File is too large: %d bytes, the limit is %d", len(data), most)
	}
	full := orElse(field("fileName"), header.Filename)
	if _, hit := s.faults.Rejects("name=" + full); hit {
		return nil, wrongForm("file", "File type is not supported")
	}
	if path.Ext(full) == "" {
		full += path.Ext(header.Filename)
	}
	return s.keep(c, &upload{
		name: strings.TrimSuffix(full, path.Ext(full)), ext: strings.TrimPrefix(path.Ext(full), "."), folder: folder, access: o.Access, data: data, expires: life(s.Now()),
	}, o)
}

// check reads the options, and how long the file is kept.
func (o fileOptions) check() (life func(time.Time) time.Time, refused *refusal) {
	for _, f := range []struct {
		name, value string
		known       []string
	}{
		{"access", o.Access, []string{"PUBLIC_INDEXABLE", "PUBLIC_NOT_INDEXABLE", "PRIVATE"}},
		{"duplicateValidationStrategy", o.Strategy, []string{"", "NONE", "REJECT", "RETURN_EXISTING"}},
		{"duplicateValidationScope", o.Scope, []string{"", "ENTIRE_PORTAL", "EXACT_FOLDER"}},
	} {
		if !slices.Contains(f.known, f.value) {
			return nil, wrongForm("options", "%s %q is not one of %v", f.name, f.value, f.known)
		}
	}
	if o.TTL == "" {
		return func(time.Time) time.Time { return time.Time{} }, nil
	}
	// At least a day, at most a year.
	var n int
	var unit string
	if _, err := fmt.Sscanf(o.TTL, "P%d%1s", &n, &unit); err != nil || n < 1 || n > map[string]int{"D": 365, "W": 52, "M": 12, "Y": 1}[unit] {
		return nil, wrongForm("options", "ttl %q is not a period from P1D to P1Y", o.TTL)
	}
	return func(now time.Time) time.Time {
		switch unit {
		case "D":
			return now.AddDate(0, 0, n)
		case "W":
			return now.AddDate(0, 0, 7*n)
		case "M":
			return now.AddDate(0, n, 0)
		}
		return now.AddDate(n, 0, 0)
	}, nil
}

// keep stores a file unless its options find it there already. That a duplicate
// is one of the same content is assumed; the pages do not say.
func (s *Server) keep(c *call, f *upload, o fileOptions) (*reply, *refusal) {
	sum := md5.Sum(f.data)
	f.md5 = hex.EncodeToString(sum[:])
	same := slices.IndexFunc(s.uploads.all, func(old *upload) bool {
		return s.alive(old) && old.md5 == f.md5 && (o.Scope != "EXACT_FOLDER" || old.folder == f.folder)
	})
	switch {
	case same >= 0 && o.Strategy == "REJECT":
		return nil, refuse(http.StatusConflict, conflict, "A duplicate file already exists: %d", s.uploads.all[same].id)
	case same >= 0 && o.Strategy == "RETURN_EXISTING":
		old := s.uploads.all[same]
		return &reply{status: http.StatusCreated, body: s.fileShown(old), location: c.URL.Path + "/" + strconv.FormatInt(old.id, 10)}, nil
	}
	taken := func(name string) int {
		return slices.IndexFunc(s.uploads.all, func(old *upload) bool {
			return old.folder == f.folder && strings.EqualFold(old.name, name) && strings.EqualFold(old.ext, f.ext)
		})
	}
	if at := taken(f.name); at >= 0 && o.Overwrite {
		s.uploads.all = slices.Delete(s.uploads.all, at, at+1)
	}
	name := f.name
	for n := 1; taken(f.name) >= 0; n++ {
		f.name = fmt.Sprintf("%s-%d", name, n)
	}
	s.uploads.nextID++
	f.id, f.created, f.shown = s.uploads.nextID, s.Now(), simcrm.NewFile(f.full(), f.data)
	s.uploads.number(f.folder)
	s.uploads.all = append(s.uploads.all, f)
	return &reply{status: http.StatusCreated, body: s.fileShown(f), location: c.URL.Path + "/" + strconv.FormatInt(f.id, 10), wrote: true}, nil
}

func (f *upload) full() string {
	if f.ext == "" {
		return f.name
	}
	return f.name + "." + f.ext
}

// number is the id of a folder, which an upload makes where there is none.
func (d *fileStore) number(folder string) int64 {
	if d.folders == nil {
		d.folders = map[string]int64{}
	}
	if d.folders[folder] == 0 {
		d.folders[folder] = int64(700_000_000 + len(d.folders))
	}
	return d.folders[folder]
}

func (d *fileStore) folder(id string) string {
	for folder, n := range d.folders {
		if strconv.FormatInt(n, 10) == id {
			return folder
		}
	}
	return ""
}

// kinds are the types of files by extension; all else is OTHER.
var kinds = map[string]string{
	"jpg": "IMG", "jpeg": "IMG", "png": "IMG", "gif": "IMG", "webp": "IMG", "mp4": "MOVIE", "3gp": "MOVIE",
	"ogg": "AUDIO", "mp3": "AUDIO", "amr": "AUDIO", "aac": "AUDIO", "m4a": "AUDIO",
	"pdf": "DOCUMENT", "txt": "DOCUMENT", "doc": "DOCUMENT", "docx": "DOCUMENT", "xls": "DOCUMENT", "xlsx": "DOCUMENT", "csv": "DOCUMENT",
}

func (s *Server) fileShown(f *upload) map[string]any {
	url := fmt.Sprintf("https://%d.fs1.hubspotusercontent-na1.net/hubfs/%d%s", s.opts.PortalID, s.opts.PortalID, path.Join(f.folder, f.full()))
	shown := map[string]any{
		"id": strconv.FormatInt(f.id, 10), "createdAt": simcrm.Stamp(f.created), "updatedAt": simcrm.Stamp(f.created), "archived": false,
		"parentFolderId": strconv.FormatInt(s.uploads.number(f.folder), 10), "name": f.name, "extension": f.ext, "path": path.Join(f.folder, f.full()),
		"size": len(f.data), "type": orElse(kinds[strings.ToLower(f.ext)], "OTHER"), "encoding": f.ext, "access": f.access, "isUsableInContent": true,
		"url": url, "defaultHostingUrl": url, "fileMd5": f.md5,
	}
	if !f.expires.IsZero() {
		shown["expiresAt"] = f.expires.UnixMilli()
	}
	return shown
}

func (f *upload) serve(w http.ResponseWriter) {
	w.Header().Set("Content-Type", orElse(mime.TypeByExtension("."+f.ext), "application/octet-stream"))
	w.Header().Set("Content-Disposition", mime.FormatMediaType("attachment", map[string]string{"filename": f.full()}))
	w.Header().Set("Content-Length", strconv.Itoa(len(f.data)))
	_, _ = w.Write(f.data)
}

// attached are the files that hs_attachment_ids names. HubSpot: the notes
// guide, ids with semicolons between them.
func (s *Server) attached(ids string) []simcrm.File {
	var list []simcrm.File
	for id := range strings.SplitSeq(ids, ";") {
		if f := s.file(id); f != nil {
			list = append(list, f.shown)
		}
	}
	return list
}
