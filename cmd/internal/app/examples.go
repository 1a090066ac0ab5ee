package app

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"crmsync/config"
	"crmsync/mapping"
	"crmsync/mapping/example"
	"crmsync/sync/directory"
)

// ExamplesOf is the folder of a mapping's examples: mapping.examples beside
// mapping.yaml.
func ExamplesOf(file string) string {
	return strings.TrimSuffix(file, filepath.Ext(file)) + ".examples"
}

// RunExamples runs the examples in a folder, none if there is no such folder. The
// findings are where the mapping does not do what they expect.
func RunExamples(ctx context.Context, file string, m *mapping.Mapping, dir string) (n int, findings mapping.Findings, err error) {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil, nil
	}
	if err != nil {
		return 0, nil, fmt.Errorf("read the examples: %w", err)
	}
	for _, entry := range entries {
		name := filepath.Join(dir, entry.Name())
		if ext := filepath.Ext(name); entry.IsDir() || ext != ".yaml" && ext != ".yml" {
			continue
		}
		n++
		found, err := runExample(ctx, file, m, name)
		if err != nil {
			return n, findings, err
		}
		findings = append(findings, found...)
	}
	return n, findings, nil
}

func runExample(ctx context.Context, file string, m *mapping.Mapping, name string) (mapping.Findings, error) {
	source, err := os.ReadFile(name)
	if err != nil {
		return nil, fmt.Errorf("read an example: %w", err)
	}
	e, err := example.Read(name, source, m)
	if found, invalid := errors.AsType[mapping.Findings](err); invalid {
		return found, nil
	}
	if e.Contact != nil {
		view := exampleView(e.Contact)
		return e.Compare(m, func(account string) example.Translation {
			fields, refused := m.Translate(account, view)
			return example.Translation{Reached: true, Fields: fields, Refused: refused}
		}), nil
	}
	body, problem := examplePayload(e, name)
	if problem != "" {
		return mapping.Findings{e.Finding(problem)}, nil
	}
	r := &Rehearsal{file: file, mapping: m, account: config.WhatsApp}
	tried, err := r.Payload(ctx, body)
	switch {
	case err != nil:
		return nil, err
	case len(tried.Contacts) != 1:
		return mapping.Findings{e.Finding(fmt.Sprintf("the webhook is about %d contacts; an example has one", len(tried.Contacts)))}, nil
	}
	contact := tried.Contacts[0]
	return e.Compare(m, func(account string) example.Translation {
		a, reached := contact.Accounts[account]
		t := example.Translation{Reached: reached, Fields: map[string]any{}}
		for field, f := range a.Fields {
			t.Fields[field] = f.Value
		}
		for _, m := range contact.Messages {
			if text, logged := m.Accounts[account]; logged && text.Refused == "" {
				t.Messages = append(t.Messages, text.Text)
			}
		}
		for _, refused := range a.Refused {
			t.Refused = append(t.Refused, mapping.Refusal{Line: mapping.Line{To: refused.Field, Number: refused.Line}, Reason: refused.Reason})
		}
		return t
	}), nil
}

// examplePayload is the webhook of an example.
func examplePayload(e *example.Example, name string) (body []byte, problem string) {
	if e.PayloadFile == "" {
		return checkedPayload(e.Payload)
	}
	file := e.PayloadFile
	if !filepath.IsAbs(file) {
		file = filepath.Join(filepath.Dir(name), file)
	}
	opened, err := os.Open(file)
	if err != nil {
		return nil, "the payload cannot be read: " + err.Error()
	}
	defer opened.Close()
	if body, err = ReadPayload(opened, e.PayloadFile); err != nil {
		return nil, err.Error()
	}
	return body, ""
}

func checkedPayload(body []byte) ([]byte, string) {
	body, err := ReadPayload(strings.NewReader(string(body)), "the payload")
	if err != nil {
		return nil, err.Error()
	}
	return body, ""
}

// exampleView is an example's contact as a mapping sees it: with what follows from
// its fields, such as the parts of a name, where the example does not say it.
func exampleView(fields map[string]any) map[string]any {
	contact := directory.Contact{Fields: make(map[string]directory.Value, len(fields))}
	for name, value := range fields {
		contact.Fields[name] = directory.Value{Text: directory.TextOf(value), Entered: true}
	}
	view := contact.View()
	for name, value := range fields {
		if _, shipped := mapping.Contact[name]; shipped && value != nil {
			view[name] = value
		}
	}
	return view
}

// NewExample is what an example is made of.
type NewExample struct {
	// Who is a contact of the directory; see [Book.Find].
	Who string
	// Name is the file's, without folder and ending. Empty is contact-42.
	Name string
	// AsIs keeps the contact's values. Without it what could say who it is is
	// invented.
	AsIs bool
}

// WriteExample writes an example of what a mapping makes of a contact into the
// mapping's folder, and returns its path. What is there already stays as it is,
// and is an error.
func WriteExample(ctx context.Context, c *config.Config, mappingFile string, n NewExample) (file string, err error) {
	m, err := ReadMapping(mappingFile)
	if err != nil {
		return "", err
	}
	b, err := openBook(ctx, c, m)
	if err != nil {
		return "", err
	}
	defer b.Close()
	p, err := b.profile(ctx, n.Who)
	switch {
	case err != nil:
		return "", err
	case p.Contact.Erased.Is():
		return "", fmt.Errorf("contact:%d was erased; nothing is known of it", p.Contact.ID)
	}
	fields := knownFields(m, p.Contact.View())
	about := "A contact of the directory, as it was."
	if !n.AsIs {
		fields = invented(m, fields)
		about = "A contact of the directory; names, numbers, addresses and texts are invented."
	}
	view := exampleView(fields)
	got := map[string]example.Translation{}
	for _, account := range m.Accounts() {
		t := example.Translation{Reached: true}
		t.Fields, t.Refused = m.Translate(account, view)
		got[account] = t
	}
	text, err := example.Write(about, fields, FieldOrder(fields), m, got)
	if err != nil {
		return "", err
	}
	if n.Name == "" {
		n.Name = fmt.Sprintf("contact-%d", p.Contact.ID)
	}
	dir := ExamplesOf(mappingFile)
	file = filepath.Join(dir, n.Name+".yaml")
	if err := os.MkdirAll(dir, 0o755); err != nil { //nolint:gosec // it lies in a repository, beside the mapping
		return file, err
	}
	return file, writeNew(file, text)
}

// writeNew writes a file that is not there yet.
func writeNew(file string, text []byte) error {
	f, err := os.OpenFile(file, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644) //nolint:gosec // like its folder
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("%s is there already and stays as it is; choose another name with --name", file)
	}
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	return errors.Join(err, f.Close())
}
