package zohosim

import (
	"bytes"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"crmsync/connectors/internal/simcrm"
)

const attachments = "Attachments"

const (
	// largestUpload bounds a whole upload. Zoho: the specification of
	// attachments of 2026-08.
	largestUpload = 100 << 20
	// noteFiles is how many files a note takes. Zoho: the help on notes.
	noteFiles = 5
)

// attachment is a file of a record. Links, which Zoho also attaches, are not
// simulated.
type attachment struct {
	id   int64
	of   *record
	file simcrm.File
	data []byte
	kind string
	by   *user
	at   time.Time
}

// attachments answers /{module}/{id}/Attachments and what lies below. Zoho:
// upload-attachment, get-attachments, download-attachments, delete-attachments,
// and the specification of attachments of 2026-08.
func (s *Server) attachments(c *call, m *module) (*reply, *refusal) {
	of := m.get(c.path[1])
	switch {
	case of == nil:
		return nil, bad(invalidData, "the related id given seems to be invalid", obj{"resource_path_index": 1})
	case len(c.path) > 4:
		return nil, noURL()
	case len(c.path) == 4:
		return s.attachment(c, of, c.path[3])
	case c.Method == http.MethodGet:
		return s.attachmentsOf(c, of)
	case c.Method == http.MethodPost:
		return s.attach(c, of)
	}
	return nil, noMethod()
}

// attach stores a file. Nothing tells one that was sent twice from two.
func (s *Server) attach(c *call, of *record) (*reply, *refusal) {
	name, kind, data, sent := c.upload()
	switch {
	case !sent:
		return nil, missingParam("file")
	case len(data) > s.knobs.AttachmentMB<<20:
		return nil, refuse(http.StatusRequestEntityTooLarge, "FILE_SIZE_MORE_THAN_ALLOWED_SIZE",
			"Please check if the size of the file is in the correct range", nil)
	case strings.HasSuffix(strings.ToLower(name), ".exe"):
		// All files but these are taken; the code is not documented.
		return nil, badParam("file", "file")
	case of.module.name == notesModule && len(s.attached[of]) >= noteFiles:
		// That there is a limit is documented, its code is not.
		return nil, bad(limit, "attachments limit exceeded", obj{"limit": noteFiles})
	}
	if _, hit := s.faults.Rejects("File_Name=" + name); hit {
		return nil, bad(orElse(s.knobs.RejectCode, invalidData), "invalid data", obj{"param_name": "file"})
	}
	a := &attachment{id: s.newID(), of: of, file: simcrm.NewFile(name, data), data: data, kind: kind, by: s.user(c), at: s.Now()}
	s.attached[of] = append(s.attached[of], a)
	return &reply{status: http.StatusOK, wrote: true, body: obj{"data": []obj{{
		"code": "SUCCESS", "message": "attachment uploaded successfully", "status": "success",
		"details": obj{
			"id": a.name(), "Created_Time": s.stamp(a.at), "Modified_Time": s.stamp(a.at),
			"Created_By": a.by.reference(false), "Modified_By": a.by.reference(false),
		},
	}}}}, nil
}

// upload reads the form's file.
func (c *call) upload() (name, kind string, data []byte, sent bool) {
	media, params, err := mime.ParseMediaType(c.Header.Get("Content-Type"))
	if err != nil || media != "multipart/form-data" {
		return "", "", nil, false
	}
	form := multipart.NewReader(bytes.NewReader(c.body), params["boundary"])
	for {
		part, err := form.NextPart()
		if err != nil {
			return "", "", nil, false
		}
		if part.FormName() != "file" || part.FileName() == "" {
			continue
		}
		data, err = io.ReadAll(part)
		return part.FileName(), part.Header.Get("Content-Type"), data, err == nil
	}
}

// attachmentsOf lists a record's files. In which order is not documented.
func (s *Server) attachmentsOf(c *call, of *record) (*reply, *refusal) {
	names, refused := fieldList(c, true)
	if refused != nil {
		return nil, refused
	}
	page, perPage, refused := s.paging(c)
	if refused != nil {
		return nil, refused
	}
	all := s.attached[of]
	all = all[min((page-1)*perPage, len(all)):]
	more := len(all) > perPage
	if more {
		all = all[:perPage]
	}
	rows := []obj{}
	for _, a := range all {
		full, row := s.attachmentShown(a), obj{}
		for name, v := range full {
			if name == "id" || slices.Contains(names, name) || strings.HasPrefix(name, "$") {
				row[name] = v
			}
		}
		rows = append(rows, row)
	}
	info := obj{"per_page": perPage, "count": len(rows), "page": page, "more_records": more, "next_page_token": nil, "previous_page_token": nil, "page_token_expiry": nil}
	if rows = s.spoil(c, rows, info); len(rows) == 0 {
		return nothing(), nil
	}
	return ok(obj{"data": rows, "info": info}), nil
}

func (s *Server) attachmentShown(a *attachment) obj {
	return obj{
		"id": a.name(), "File_Name": a.file.Name, "Size": strconv.Itoa(a.file.Size),
		"Created_Time": s.stamp(a.at), "Modified_Time": s.stamp(a.at),
		"Created_By": a.by.reference(true), "Modified_By": a.by.reference(true), "Owner": a.by.reference(true),
		"Parent_Id":  obj{"id": a.of.name(), "name": s.shown(a.of.value(a.of.now, a.of.module.display))},
		"$se_module": a.of.module.name, "$type": "Attachment", "$file_id": a.file.SHA256[:32], "$link_url": nil, "$editable": true,
	}
}

// attachment answers for one file: its bytes, or that it is gone.
func (s *Server) attachment(c *call, of *record, id string) (*reply, *refusal) {
	at := slices.IndexFunc(s.attached[of], func(a *attachment) bool { return a.name() == id })
	switch {
	case c.Method == http.MethodGet && at < 0:
		return nothing(), nil
	case c.Method == http.MethodGet:
		return &reply{status: http.StatusOK, download: s.attached[of][at]}, nil
	case c.Method != http.MethodDelete:
		return nil, noMethod()
	case at < 0:
		return nil, bad(invalidData, "record not deleted", obj{"resource_path_index": 3})
	}
	s.attached[of] = slices.Delete(slices.Clone(s.attached[of]), at, at+1)
	return &reply{status: http.StatusOK, wrote: true, body: obj{"data": []obj{{
		"code": "SUCCESS", "details": obj{"id": id}, "message": "record deleted", "status": "success",
	}}}}, nil
}

func (a *attachment) name() string { return strconv.FormatInt(a.id, 10) }

func (a *attachment) serve(w http.ResponseWriter) {
	w.Header().Set("Content-Type", orElse(a.kind, "application/octet-stream"))
	w.Header().Set("Content-Disposition", mime.FormatMediaType("attachment", map[string]string{"filename": a.file.Name}))
	w.Header().Set("Content-Length", strconv.Itoa(len(a.data)))
	_, _ = w.Write(a.data)
}
