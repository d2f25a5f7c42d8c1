// Package schemas holds JSON to the schemas of events/contract, for tests.
package schemas

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// Schema is one of them.
type Schema struct {
	compiled *jsonschema.Schema
}

// Load reads the schema of that name, which is its path below events/contract/schema without .json. root is the
// repository's.
func Load(root, name string) (*Schema, error) { return load(root, name, func(any) {}) }

// Strict is Load of a schema that allows no member that it does not name, other than in what backends publish.
func Strict(root, name string) (*Schema, error) { return load(root, name, seal) }

func load(root, name string, change func(any)) (*Schema, error) {
	raw, err := os.ReadFile(filepath.Join(root, "events/contract/schema", filepath.FromSlash(name)+".json")) //nolint:gosec // of this repository
	if err != nil {
		return nil, err
	}
	document, err := jsonschema.UnmarshalJSON(bytes.NewReader(raw))
	if err != nil {
		return nil, fmt.Errorf("schema %s: %w", name, err)
	}
	change(document)
	compiler := jsonschema.NewCompiler()
	compiler.DefaultDraft(jsonschema.Draft2020)
	compiler.AssertFormat()
	if err := compiler.AddResource(name, document); err != nil {
		return nil, fmt.Errorf("schema %s: %w", name, err)
	}
	compiled, err := compiler.Compile(name)
	if err != nil {
		return nil, fmt.Errorf("schema %s: %w", name, err)
	}
	return &Schema{compiled}, nil
}

// seal refuses more members in each object that says nothing of them. A backend may publish messages and notifications that have
// more than the document names.
func seal(document any) {
	switch part := document.(type) {
	case []any:
		for _, item := range part {
			seal(item)
		}
	case map[string]any:
		title, _ := part["title"].(string)
		if strings.HasPrefix(title, "Messages") || title == "NotificationsNewPayload" {
			return
		}
		if _, said := part["additionalProperties"]; part["type"] == "object" && !said {
			part["additionalProperties"] = false
		}
		for _, item := range part {
			seal(item)
		}
	}
}

// Check tells what is wrong with a JSON document, member by member.
func (s *Schema) Check(raw []byte) error {
	document, err := jsonschema.UnmarshalJSON(bytes.NewReader(raw))
	if err != nil {
		return err
	}
	return s.compiled.Validate(document)
}
