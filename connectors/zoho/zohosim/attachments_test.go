package zohosim_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"mime/multipart"
	"strings"
	"testing"

	"crmsync/connectors/zoho/zohosim"
)

// attach uploads a file to a record.
func (a *org) attach(record, name, content string) (got answer) {
	a.t.Helper()
	var form bytes.Buffer
	w := multipart.NewWriter(&form)
	part, _ := w.CreateFormFile("file", name)
	_, _ = part.Write([]byte(content))
	_ = w.Close()
	a.with("Content-Type", w.FormDataContentType(), func() { got = a.post(record+"/Attachments", form.String()) })
	return got
}

func TestAFileIsAttachedToARecord(t *testing.T) {
	t.Parallel()
	a := open(t, zohosim.Options{})
	ada := "/Contacts/" + a.person(obj{"Last_Name": "Ada"})
	a.get(ada+"/Attachments?fields=id").silent(t, 204)
	up := a.attach(ada, "offerta è.pdf", "hello").want(t, 200)
	id := up.str("data", 0, "details", "id")
	up.says(t, 200, `"code":"SUCCESS"`, "attachment uploaded successfully", "Created_Time", "Modified_By")
	a.get(ada+"/Attachments").says(t, 400, "REQUIRED_PARAM_MISSING", `"param_name":"fields"`)
	list := a.get(ada+"/Attachments?fields=File_Name,Size,Parent_Id").want(t, 200)
	same(t, "listed", list.count("data"), 1)
	same(t, "name", list.str("data", 0, "File_Name"), "offerta è.pdf")
	same(t, "size, a text", list.str("data", 0, "Size"), "5")
	same(t, "of", list.str("data", 0, "Parent_Id", "name"), "Ada")
	same(t, "not asked for", list.at("data", 0, "Owner"), nil)
	same(t, "more", list.at("info", "more_records"), false)
	same(t, "bytes", a.get(ada+"/Attachments/"+id).want(t, 200).body, "hello")

	same(t, "another of the same", a.attach(ada, "offerta è.pdf", "hello").want(t, 200).str("data", 0, "details", "id") == id, false)
	same(t, "two of them", a.get(ada+"/Attachments?fields=id").count("data"), 2)
	page := a.get(ada+"/Attachments?fields=id&per_page=1").want(t, 200)
	same(t, "more", page.at("info", "more_records"), true)
	same(t, "second page", a.get(ada+"/Attachments?fields=id&per_page=1&page=2").count("data"), 1)

	a.remove(ada+"/Attachments/"+id).says(t, 200, "record deleted", id)
	a.remove(ada+"/Attachments/"+id).says(t, 400, "INVALID_DATA", "record not deleted")
	a.get(ada+"/Attachments/"+id).silent(t, 204)
	same(t, "one left", a.get(ada+"/Attachments?fields=id").count("data"), 1)
	a.put(ada+"/Attachments", nil).says(t, 400, "INVALID_REQUEST_METHOD")
	a.remove(ada).want(t, 200)
	a.get(ada+"/Attachments?fields=id").says(t, 400, "INVALID_DATA", "the related id given seems to be invalid", `"resource_path_index":1`)
}

func TestWhatIsNotAttached(t *testing.T) {
	t.Parallel()
	a := open(t, zohosim.Options{Grants: map[string]zohosim.Grant{
		"without": {Scopes: []string{"ZohoCRM.modules.contacts.ALL"}},
		"with":    {Scopes: []string{"ZohoCRM.modules.contacts.ALL", "ZohoCRM.modules.attachments.ALL"}},
	}})
	person := a.person(obj{})
	ada := "/Contacts/" + person
	a.attach("/Nothing/"+person, "a.txt", "x").says(t, 400, "INVALID_MODULE")
	a.attach("/Contacts/4711", "a.txt", "x").says(t, 400, "INVALID_DATA", "the related id given seems to be invalid")
	a.post(ada+"/Attachments", obj{"file": "x"}).says(t, 400, "REQUIRED_PARAM_MISSING", `"param_name":"file"`)
	a.attach(ada, "Setup.EXE", "x").says(t, 400, "INVALID_DATA")
	large := strings.Repeat("x", 20<<20)
	a.attach(ada, "most.bin", large).says(t, 200)
	a.attach(ada, "more.bin", large+"x").says(t, 413, "FILE_SIZE_MORE_THAN_ALLOWED_SIZE", "correct range")
	a.knob(`{"attachment_mb":40}`)
	a.attach(ada, "more.bin", large+large).says(t, 200)
	a.attach(ada, "far too large.bin", strings.Repeat(large, 5)).says(t, 413, "BODY_SIZE_REACHED")
	same(t, "attached", a.get(ada+"/Attachments?fields=id").count("data"), 2)
	a.fault(`{"mode":"reject","match":"poison.pdf"}`)
	a.attach(ada, "poison.pdf", "x").says(t, 400, "INVALID_DATA")
	a.attach(ada, "sound.pdf", "x").says(t, 200)
	a.token = a.refresh("without").str("access_token")
	a.attach(ada, "a.txt", "x").says(t, 401, "OAUTH_SCOPE_MISMATCH")
	a.token = a.refresh("with").str("access_token")
	a.attach(ada, "a.txt", "x").says(t, 200)
}

func TestAnAttachmentCostsACredit(t *testing.T) {
	t.Parallel()
	a := open(t, zohosim.Options{Quota: "documented"})
	ada := "/Contacts/" + a.person(obj{})
	before := a.Stats()
	a.attach(ada, "a.txt", `{"data":[{},{},{},{},{},{},{},{},{},{},{}]}`).want(t, 200)
	a.get(ada+"/Attachments?fields=id").want(t, 200)
	same(t, "credits", a.Stats().Credits-before.Credits, 2)
	same(t, "writes", a.Stats().Writes-before.Writes, 1)
	same(t, "counted", a.Stats().ByCall["POST /Contacts/{id}/Attachments"], 1)
}

func TestFilesOfMessagesAreShown(t *testing.T) {
	t.Parallel()
	a := open(t, zohosim.Options{})
	a.messages()
	ada := a.person(obj{})
	module := a.post("/WhatsApp_Messages", rows(obj{"Name": "m", "WAMID": "wamid.A", "Contact": obj{"id": ada}})).want(t, 201).str("data", 0, "details", "id")
	marked := a.post("/Notes", rows(note(ada, "yes\n\n— WhatsApp in · wamid.B"))).want(t, 201).str("data", 0, "details", "id")
	a.attach("/WhatsApp_Messages/"+module, "a.pdf", "hello").want(t, 200)
	for n := range 5 {
		a.attach("/Notes/"+marked, fmt.Sprintf("%d.jpg", n), strings.Repeat("x", n)).want(t, 200)
	}
	a.attach("/Notes/"+marked, "sixth.jpg", "x").says(t, 400, "LIMIT_EXCEEDED", `"limit":5`)
	got := list[zohosim.Message](t, a.get("/_sim/messages?wamid=wamid.A"))
	sum := sha256.Sum256([]byte("hello"))
	same(t, "of the module", fmt.Sprintf("%+v", got[0].Files), fmt.Sprintf("[{Name:a.pdf Size:5 SHA256:%s}]", hex.EncodeToString(sum[:])))
	got = list[zohosim.Message](t, a.get("/_sim/messages?wamid=wamid.B"))
	same(t, "of the note", []any{len(got[0].Files), got[0].Files[4].Name, got[0].Files[4].Size}, "[5 4.jpg 4]")
}
