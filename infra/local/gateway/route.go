package gateway

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"regexp"
	"strings"
)

// selection is a parsed route selection expression: literals and variables in turn.
type selection []part

type part struct {
	literal string
	path    []string // of a variable in the body, outermost first; nil for a literal
}

// variable is ${request.body.path}. A lone $request.body.path is the same without braces.
var variable = regexp.MustCompile(`\$\{request\.body\.([^{}$]+)\}`)

var name = regexp.MustCompile(`^[A-Za-z0-9_-]+$`)

// parseSelection takes the forms that the documentation of route selection expressions lists: static text (\$default among it),
// $request.body.path, and text with ${request.body.path}.
func parseSelection(expression string) (selection, error) {
	if path, ok := strings.CutPrefix(expression, "$request.body."); ok {
		expression = "${request.body." + path + "}"
	}
	var parts selection
	rest := expression
	for _, at := range variable.FindAllStringSubmatchIndex(expression, -1) {
		parts = append(parts, part{literal: expression[len(expression)-len(rest) : at[0]]})
		path := strings.Split(expression[at[2]:at[3]], ".")
		for _, step := range path {
			if !name.MatchString(step) {
				return nil, invalid("RouteSelectionExpression", "%q is no path of names joined by dots", expression[at[2]:at[3]])
			}
		}
		parts = append(parts, part{path: path})
		rest = expression[at[1]:]
	}
	parts = append(parts, part{literal: rest})
	for i, p := range parts {
		literal := strings.ReplaceAll(p.literal, `\$`, "")
		if strings.Contains(literal, "$") {
			return nil, invalid("RouteSelectionExpression", "%q: variables are $request.body.path or ${request.body.path}, and \\$ is a dollar", p.literal)
		}
		parts[i].literal = strings.ReplaceAll(p.literal, `\$`, "$")
	}
	return parts, nil
}

// key evaluates the expression over a message. A path that leads nowhere is "", and a message that is no JSON selects $default.
func (s selection) key(body []byte) string {
	var key strings.Builder
	var document any
	decoded := false
	for _, p := range s {
		key.WriteString(p.literal)
		if p.path == nil {
			continue
		}
		if !decoded {
			var err error
			if document, err = decode(body); err != nil {
				return routeDefault
			}
			decoded = true
		}
		key.WriteString(lookup(document, p.path))
	}
	return key.String()
}

// lookup returns the value at path as text, "" when there is none.
func lookup(value any, path []string) string {
	for _, step := range path {
		object, ok := value.(map[string]any)
		if !ok {
			return ""
		}
		value = object[step]
	}
	return text(value)
}

// text writes a JSON value as a route key: strings as they are, numbers as they were written, null as nothing, and arrays as the
// documentation shows them, "[item1, item2]".
func text(value any) string {
	switch v := value.(type) {
	case nil:
		return ""
	case string:
		return v
	case []any:
		items := make([]string, len(v))
		for i, item := range v {
			items[i] = text(item)
		}
		return "[" + strings.Join(items, ", ") + "]"
	default:
		b, err := marshal(v)
		if err != nil {
			return ""
		}
		return string(b)
	}
}

// decode reads exactly one JSON value and keeps numbers as they were written.
func decode(body []byte) (any, error) {
	decoder := json.NewDecoder(bytes.NewReader(body))
	decoder.UseNumber()
	var value any
	if err := decoder.Decode(&value); err != nil {
		return nil, err
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("more than one JSON value")
	}
	return value, nil
}
