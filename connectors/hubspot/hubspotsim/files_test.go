package hubspotsim_test

import (
	"bytes"
	"fmt"
	"mime/multipart"
	"net/http"
	"strings"
	"testing"
	"time"

	"crmsync/connectors/hubspot/hubspotsim"
)

const files = "/files/v3/files"

// form posts a file, fields in pairs.
func (a *account) form(path, name, content string, fields ...string) answer {
	a.t.Helper()
	var form bytes.Buffer
	w := multipart.NewWriter(&form)
	for n := 0; n+1 < len(fields); n += 2 {
		_ = w.WriteField(fields[n], fields[n+1])
	}
	if name != "" {
		part, _ := w.CreateFormFile("file", name)
		_, _ = part.Write([]byte(content))
	}
	_ = w.Close()
	got, err := a.send(http.MethodPost, path, &form, http.Header{
		"Content-Type": {w.FormDataContentType()}, "Authorization": {"Bearer " + a.token},
	})
	if err != nil {
		a.t.Fatal(err)
	}
	return got
}

// upload stores a private file under /whatsapp with more options.
func (a *account) upload(name, content, options string) answer {
	a.t.Helper()
	return a.form(files, name, content, "folderPath", "/whatsapp", "options", `{"access":"PRIVATE"`+options+`}`)
}

func TestAFileIsUploaded(t *testing.T) {
	t.Parallel()
	a := open(t, hubspotsim.Options{})
	for _, path := range []string{"/files/v3/files", "/files/2026-03/files", "/files/2026-09/files"} {
		got := a.form(path, "cat.png", "meow "+path, "folderPath", "library/cat_archive"+path, "options", `{"access":"PRIVATE"}`).want(t, 201)
		id := got.str("id")
		same(t, "location", got.header.Get("Location"), path+"/"+id)
		for name, want := range map[string]any{
			"name": "cat", "extension": "png", "path": "/library/cat_archive" + path + "/cat.png", "type": "IMG", "access": "PRIVATE",
			"size": len("meow " + path), "archived": false, "createdAt": "2026-10-01T08:00:00.000Z",
		} {
			same(t, name, got.at(name), want)
		}
		same(t, "as read", a.get(path+"/"+id).want(t, 200).body, got.body)
		same(t, "bytes", a.get(path+"/"+id+"/download").want(t, 200).body, "meow "+path)
		folder := a.form(path, "dog.pdf", "woof", "folderId", got.str("parentFolderId"), "options", `{"access":"PUBLIC_NOT_INDEXABLE"}`, "fileName", "renamed")
		same(t, "in the folder", folder.want(t, 201).str("path"), "/library/cat_archive"+path+"/renamed.pdf")
		a.remove(path+"/"+id).says(t, 204)
		a.get(path+"/"+id).says(t, 404, "OBJECT_NOT_FOUND")
		a.remove(path+"/"+id).says(t, 404)
	}
	a.get("/files/2025-01/files/1").says(t, 404)
	a.get("/files/v3/folders/1").says(t, 404)
	same(t, "writes", a.Stats().Writes, 9)
}

func TestWhatAnUploadNeeds(t *testing.T) {
	t.Parallel()
	a := open(t, hubspotsim.Options{})
	private := `{"access":"PRIVATE"}`
	for name, tt := range map[string]struct {
		file   string
		fields []string
		says   string
	}{
		"a file":                 {"", []string{"folderPath", "/x", "options", private}, `"in":"file"`},
		"a folder":               {"a.txt", []string{"options", private}, "Either folderId or folderPath"},
		"one folder":             {"a.txt", []string{"folderId", "1", "folderPath", "/x", "options", private}, "not both"},
		"options":                {"a.txt", []string{"folderPath", "/x"}, `"in":"options"`},
		"options in JSON":        {"a.txt", []string{"folderPath", "/x", "options", "PRIVATE"}, `"in":"options"`},
		"access":                 {"a.txt", []string{"folderPath", "/x", "options", "{}"}, "access"},
		"access that can be had": {"a.txt", []string{"folderPath", "/x", "options", `{"access":"HIDDEN_PRIVATE"}`}, "access"},
		"a known strategy":       {"a.txt", []string{"folderPath", "/x", "options", `{"access":"PRIVATE","duplicateValidationStrategy":"MERGE"}`}, "duplicateValidationStrategy"},
		"a known scope":          {"a.txt", []string{"folderPath", "/x", "options", `{"access":"PRIVATE","duplicateValidationScope":"WORLD"}`}, "duplicateValidationScope"},
		"a year at most":         {"a.txt", []string{"folderPath", "/x", "options", `{"access":"PRIVATE","ttl":"P13M"}`}, "ttl"},
		"a day at least":         {"a.txt", []string{"folderPath", "/x", "options", `{"access":"PRIVATE","ttl":"PT1H"}`}, "ttl"},
	} {
		got := a.form(files, tt.file, "x", tt.fields...)
		if got.status != 400 || !strings.Contains(got.body, tt.says) || got.str("category") != "VALIDATION_ERROR" {
			t.Errorf("%s: got %d %s", name, got.status, got.body)
		}
	}
	a.form(files, "a.txt", "x", "folderId", "1", "options", private).says(t, 404)
	a.post(files, obj{"file": "x"}).says(t, 415)
	large := strings.Repeat("x", 20<<20)
	a.upload("most.bin", large, "").says(t, 201)
	a.upload("more.bin", large+"x", "").says(t, 400, "too large")
	a.post("/_sim/knobs", `{"file_mb":21}`).want(t, 200)
	a.upload("more.bin", large+"x", "").says(t, 201)
	a.post("/_sim/faults", `{"mode":"reject","match":"poison"}`).want(t, 200)
	a.upload("poison.pdf", "x", "").says(t, 400)
	a.upload("sound.pdf", "x", "").says(t, 201)
}

func TestTheSameFileTwice(t *testing.T) {
	t.Parallel()
	a := open(t, hubspotsim.Options{})
	first := a.upload("a.pdf", "hello", "").want(t, 201).str("id")
	second := a.upload("a.pdf", "hello", "").want(t, 201)
	same(t, "two files", second.str("id") != first, true)
	same(t, "another name", second.str("path"), "/whatsapp/a-1.pdf")
	existing := a.upload("b.pdf", "hello", `,"duplicateValidationStrategy":"RETURN_EXISTING"`).want(t, 201)
	same(t, "the first", existing.str("id"), first)
	a.upload("b.pdf", "hello", `,"duplicateValidationStrategy":"REJECT","duplicateValidationScope":"EXACT_FOLDER"`).says(t, 409, "duplicate")
	elsewhere := a.form(files, "a.pdf", "hello", "folderPath", "/elsewhere", "options",
		`{"access":"PRIVATE","duplicateValidationStrategy":"RETURN_EXISTING","duplicateValidationScope":"EXACT_FOLDER"}`).want(t, 201)
	same(t, "none in that folder", elsewhere.str("path"), "/elsewhere/a.pdf")
	a.upload("b.pdf", "another", `,"duplicateValidationStrategy":"REJECT"`).says(t, 201)
	over := a.upload("a.pdf", "changed", `,"overwrite":true`).want(t, 201)
	same(t, "in its place", over.str("path"), "/whatsapp/a.pdf")
	a.get(files+"/"+first).says(t, 404)
}

func TestAFileMayEnd(t *testing.T) {
	t.Parallel()
	a := open(t, hubspotsim.Options{})
	id := a.upload("a.pdf", "hello", `,"ttl":"P2W"`).want(t, 201).str("id")
	a.pass(14*24*time.Hour - time.Second)
	a.get(files+"/"+id).says(t, 200)
	a.pass(time.Second)
	a.get(files+"/"+id).says(t, 404)
}

func TestFilesHaveScopesOfTheirOwn(t *testing.T) {
	t.Parallel()
	a := open(t, hubspotsim.Options{Tokens: map[string][]string{
		"contacts": {"crm.objects.contacts.read", "crm.objects.contacts.write"},
		"files":    {"files"}, "reader": {"files.ui_hidden.read"}, "writer": {"files.ui_hidden.write"},
	}})
	id := a.upload("a.pdf", "hello", "").want(t, 201).str("id")
	for token, want := range map[string][3]int{
		"contacts": {403, 403, 403}, "files": {200, 201, 201}, "reader": {200, 403, 403}, "writer": {403, 403, 201},
	} {
		a.token = token
		got := [3]int{
			a.get(files + "/" + id).status, a.upload("a.pdf", "x", "").status,
			a.form("/files/2026-09/files", "a.pdf", "x", "folderPath", "/x", "options", `{"access":"PRIVATE"}`).status,
		}
		same(t, token, got, want)
	}
}

func TestAMessageHasFiles(t *testing.T) {
	t.Parallel()
	a := open(t, hubspotsim.Options{})
	one, two := a.upload("a.pdf", "hello", "").want(t, 201).str("id"), a.upload("b.jpg", "picture", "").want(t, 201).str("id")
	p := whatsApp("look\n\n— WhatsApp in · wamid.A")
	p["hs_attachment_ids"] = one + ";" + two
	id := a.post(communications, obj{"properties": p}).want(t, 201).str("id")
	same(t, "as read", a.get(communications+"/"+id+"?properties=hs_attachment_ids").str("properties", "hs_attachment_ids"), one+";"+two)
	shown := list[hubspotsim.Message](t, a.get("/_sim/messages?wamid=wamid.A"))[0].Files
	same(t, "files", fmt.Sprintf("%+v", shown[0]), "{Name:a.pdf Size:5 SHA256:2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824}")
	same(t, "both", len(shown), 2)
	a.patch(communications+"/"+id, obj{"properties": obj{"hs_attachment_ids": two}}).want(t, 200)
	same(t, "one left", a.Messages("wamid.A", "")[0].Files[0].Name, "b.jpg")
	a.remove(files+"/"+two).says(t, 204)
	same(t, "none that is deleted", len(a.Messages("wamid.A", "")[0].Files), 0)
}

func TestMessagesMayHaveNoFiles(t *testing.T) {
	t.Parallel()
	a := open(t, hubspotsim.Options{CommunicationAttachments: "refused"})
	p := whatsApp("hello")
	p["hs_attachment_ids"] = "1"
	a.post(communications, obj{"properties": p}).says(t, 400, "PROPERTY_DOESNT_EXIST")
	a.get("/crm/v3/properties/communications/hs_attachment_ids").says(t, 404)
}
