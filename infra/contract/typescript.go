package main

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"text/template"

	"example.org/realtime/shared/contract"
)

//go:embed realtime.d.ts.tmpl
var declarations string

// typescript is the contract as TypeScript declarations.
func (c *built) typescript() ([]byte, error) {
	t, err := template.New("realtime.d.ts").Funcs(template.FuncMap{
		"comment":   func(name any) string { return c.comments[fmt.Sprint(name)] },
		"literal":   literal,
		"type":      c.typeOf,
		"ref":       func(s *schema) *schema { return &schema{Ref: defs + s.Title} },
		"object":    func(s *schema) string { return c.object(s, "\n") },
		"inline":    func(s *schema) string { return c.object(s, " ") },
		"says":      func(texts ...string) string { return documented("", strings.Join(texts, " ")) },
		"interface": c.declare,
		"union":     c.declareUnion,
	}).Parse(declarations)
	if err != nil {
		return nil, err
	}
	known := map[string]bool{c.ack.Title: true}
	var payloads, requests, control []*schema
	for _, e := range slices.Concat(c.server, c.client) {
		known[e.Payload.Title] = true
		payloads = append(payloads, e.Payload)
	}
	requests = append(requests, c.publish...)
	requests = append(requests, c.answer)
	for _, o := range c.control {
		known[o.Request.Title] = true
		control = append(control, o.Request, o.Answer)
	}
	known[c.answer.Title] = true
	var b bytes.Buffer
	err = t.Execute(&b, map[string]any{
		"Namespace":      contract.Namespace,
		"MessageLimit":   messageLimit,
		"ServerEnvelope": c.serverEnvelope(),
		"ClientEnvelope": c.clientEnvelope(),
		"PublishRequest": publishing,
		"IDShape":        contract.IDShape,
		"Codes":          c.values["Code"],
		"Server":         c.server,
		"ServerDefs":     c.more(known, payloads),
		"Client":         c.client,
		"Ack":            c.ack,
		"RequestDefs":    c.more(known, requests),
		"PublishOptions": options(c.publish[0]),
		"Publish":        own(c.publish),
		"Answer":         c.answer,
		"Control":        c.control,
		"ControlDefs":    c.more(known, control),
		"Failure":        c.failure,
	})
	return b.Bytes(), err
}

// more are the definitions that schemas refer to and that are not known yet; then they are.
func (c *built) more(known map[string]bool, schemas []*schema) (more []*schema) {
	used := map[string]bool{}
	for _, s := range schemas {
		c.uses(s, used)
	}
	for _, def := range c.defs {
		if used[def.name] && !known[def.name] {
			known[def.name] = true
			more = append(more, def.value)
		}
	}
	return more
}

// common are the members of a publish request that are the same for every event.
var common = []string{"id", "except"}

// options is a publish request's common part, and own is the rest of each.
func options(request *schema) *schema {
	members := slices.DeleteFunc(slices.Clone(request.Properties), func(m member[*schema]) bool { return !slices.Contains(common, m.name) })
	return &schema{Properties: members, Additional: request.Additional}
}

func own(requests []*schema) (own []*schema) {
	for _, s := range requests {
		rest := slices.DeleteFunc(slices.Clone(s.Properties), func(m member[*schema]) bool { return slices.Contains(common, m.name) })
		own = append(own, &schema{Properties: rest, Required: s.Required, Additional: s.Additional})
	}
	return own
}

// declare is the interface of an object.
func (c *built) declare(s *schema) string {
	return fmt.Sprintf("%sexport interface %s%s %s", documented("", s.Description), s.Title, c.parameters(s, " = unknown"), c.object(s, "\n"))
}

// declareUnion is the type of a schema with forms.
func (c *built) declareUnion(s *schema) string {
	declared := fmt.Sprintf("%sexport type %s =", documented("", s.Description), s.Title)
	for _, form := range s.OneOf {
		declared += "\n  | " + c.typeOf(form)
	}
	return declared + ";"
}

// parameters are the type parameters of a schema and of those that it refers to, each with a suffix.
func (c *built) parameters(s *schema, suffix string) string {
	var names []string
	visit := func(s *schema) {
		if s.parameter != "" && !slices.Contains(names, s.parameter+suffix) {
			names = append(names, s.parameter+suffix)
		}
	}
	s.walk(visit)
	used := map[string]bool{}
	c.uses(s, used)
	for _, def := range c.defs {
		if used[def.name] {
			def.value.walk(visit)
		}
	}
	if len(names) == 0 {
		return ""
	}
	return "<" + strings.Join(names, ", ") + ">"
}

// object is the members of an object: on lines of their own with comments, or on one line without.
func (c *built) object(s *schema, separator string) string {
	var b strings.Builder
	for i, m := range s.Properties {
		if separator == "\n" {
			b.WriteString(documented("  ", remark(m.value)) + "  ")
		} else if i > 0 {
			b.WriteByte(';')
		}
		name, value := m.name, c.typeOf(m.value)
		if !slices.Contains(s.Required, name) {
			name += "?"
			if s.Additional != nil { // a request, where null is another way to leave a member out
				value = strings.TrimSuffix(value, " | null")
			}
		}
		if separator == "\n" {
			b.WriteString(name + ": " + value + ";\n")
		} else {
			b.WriteString(separator + name + ": " + value)
		}
	}
	if separator == "\n" {
		return "{\n" + b.String() + "}"
	}
	return "{" + b.String() + " }"
}

// remark is what is said of a member, with the limits that its type does not show.
func remark(s *schema) string {
	limits := ""
	switch list, text := s.MaxItems > 0, s.MaxLength > 0; {
	case list && s.MinItems > 0:
		limits = fmt.Sprintf("%d to %d.", s.MinItems, s.MaxItems)
	case list:
		limits = fmt.Sprintf("%d at most.", s.MaxItems)
	case text:
		limits = fmt.Sprintf("%d to %d characters.", s.MinLength, s.MaxLength)
	case s.Maximum != nil && *s.Maximum != contract.MaxInstant:
		limits = fmt.Sprintf("%d to %d.", *s.Minimum, *s.Maximum)
	}
	return strings.TrimSpace(s.Description + " " + limits)
}

// documented is a comment before a declaration, if there is something to say.
func documented(indent, text string) string {
	if text == "" {
		return ""
	}
	if len(indent)+len(text) <= width {
		return indent + "/** " + text + " */\n"
	}
	lines, line := "", indent+" *"
	for word := range strings.FieldsSeq(text) {
		if len(line)+1+len(word) > width {
			lines, line = lines+line+"\n", indent+" *"
		}
		line += " " + word
	}
	return indent + "/**\n" + lines + line + "\n" + indent + " */\n"
}

// typeOf is the type of a schema's values.
func (c *built) typeOf(s *schema) string {
	switch {
	case s.Ref != "":
		name := strings.TrimPrefix(s.Ref, defs)
		return name + c.parameters(c.defs.get(name), "")
	case s.Const != nil:
		return literal(s.Const)
	case s.Enum != nil:
		return c.enum(s.Enum)
	case s.parameter != "" && s.Properties != nil:
		return s.parameter + " & " + c.object(s, " ")
	case s.parameter != "":
		return s.parameter
	case s.Examples != nil: // others are possible too, and editors offer these
		return c.enum(s.Examples) + " | (string & {})"
	case s.AnyOf != nil && s.Type == nil, s.OneOf != nil:
		return c.union(append(s.AnyOf, s.OneOf...))
	}
	switch t := s.Type.(type) {
	case []string:
		if slices.Equal(t, notNull) {
			return "{}" // of TypeScript: anything but null and undefined
		}
		var forms []*schema
		for _, name := range t {
			form := *s
			form.Type = name
			forms = append(forms, &form)
		}
		return c.union(forms)
	case string:
		switch t {
		case "integer", "number":
			return "number"
		case "array":
			item := c.typeOf(s.Items)
			if strings.Contains(item, " ") {
				item = "(" + item + ")"
			}
			return item + "[]"
		case "object":
			return c.object(s, " ")
		}
		if s.Pattern == contract.IDPattern && t != "null" {
			return "Id"
		}
		return t
	}
	return "unknown"
}

func (c *built) union(forms []*schema) string {
	var types []string
	for _, form := range forms {
		types = append(types, c.typeOf(form))
	}
	return strings.Join(types, " | ")
}

// enum is one of a list of values, by the list's name if it has one.
func (c *built) enum(values []any) string {
	if reflect.DeepEqual(values, c.values["Code"]) {
		return "ErrorCode"
	}
	var types []string
	for _, value := range values {
		types = append(types, literal(value))
	}
	return strings.Join(types, " | ")
}

// literal is a value as TypeScript writes it.
func literal(value any) string {
	text, _ := json.Marshal(value) // of strings, booleans and null
	return string(text)
}
