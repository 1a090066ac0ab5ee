package mapping_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"go.yaml.in/yaml/v4"

	"crmsync/mapping"
)

const schemaFile = "../config/mapping.schema.json"

func schema(t *testing.T) *jsonschema.Schema {
	t.Helper()
	text, err := mapping.Schema()
	if err != nil {
		t.Fatal(err)
	}
	if *update {
		if err := os.WriteFile(schemaFile, text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	published, err := os.ReadFile(schemaFile)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(text, published) {
		t.Errorf("%s is not what the program prints; write it anew with -update", schemaFile)
	}
	document, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource("mapping.schema.json", document); err != nil {
		t.Fatal(err)
	}
	compiled, err := c.Compile("mapping.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	return compiled
}

// An editor that knows the schema accepts what the program accepts, and underlines
// most of what it refuses: what can be told from one place.
func TestTheSchemaForEditors(t *testing.T) {
	t.Parallel()
	schema := schema(t)
	accepts := func(source []byte) (bool, error) {
		var document any
		if err := yaml.Load(source, &document); err != nil {
			return false, err
		}
		err := schema.Validate(document)
		return err == nil, err
	}
	for _, file := range []string{"../config/mapping.yaml"} {
		source, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if ok, err := accepts(source); !ok {
			t.Errorf("the schema refuses %s: %v", file, err)
		}
	}
	for _, name := range strings.Fields(`a-json-array list-of-lines list-of-accounts no-version version-of-the-future misspelt-section field-under-the-account
		unknown-key-of-a-line line-without-field field-and-value misspelt-direction misspelt-when-empty length-that-is-none length-below-one required-maybe
		nothing-for-a-field list-for-a-field option-without-value table-that-is-a-list own-field-without-type own-field-of-no-type own-field-with-a-bad-name
		own-option-twice unknown-rule-of-a-field matching-without-the-phone same-phone-misspelt duplicates-deleted deleting-somehow message-key-misspelt
		message-word-for-no-status message-of-an-unknown-language expression-empty expression-too-long rules-that-are-no-list rule-without-a-name rule-that-does-nothing rule-with-an-empty-do
		rule-doing-two-things-in-one-line rule-doing-something-unknown rule-on-an-unknown-event rule-with-a-misspelt-condition rule-longer-than-many
		rule-with-a-task-due-some-time rule-that-stops-perhaps team-without-people team-with-somebody-twice hours-without-a-zone`) {
		source, err := os.ReadFile(filepath.Join("testdata/bad", name+".yaml"))
		if err != nil {
			t.Fatal(err)
		}
		if ok, _ := accepts(source); ok {
			t.Errorf("the schema accepts %s", name)
		}
	}
}
