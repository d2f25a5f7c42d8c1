package main

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"example.org/realtime/shared/contract"
)

// builder makes schemas of the structs of shared/contract, by their json and schema tags.
type builder struct {
	source *source
	defs   members // the structs that others refer to
	err    error   // the first thing that a schema cannot say
}

// direction is who makes an object, which decides what its reader has to be prepared for.
type direction int

const (
	answered direction = iota // by the service: a member that may be left out is never null
	payload                   // by a backend or the service, for clients: such a member may be null, and others may be there
	request                   // for the service, which takes null for left out and refuses a member that it does not know
)

// object is the schema of a struct. only names the members that it has here; none means all.
func (b *builder) object(v any, d direction, only ...string) *schema {
	t := reflect.TypeOf(v)
	s := &schema{Title: t.Name(), Description: b.source.comments[t.Name()], Type: "object"}
	for field := range t.Fields() {
		name, options, _ := strings.Cut(field.Tag.Get("json"), ",")
		if name == "-" || len(only) > 0 && !slices.Contains(only, name) {
			continue
		}
		optional := strings.Contains(options, "omit")
		rules := b.rules(field)
		value := b.value(field.Type, rules, d)
		if _, some := rules["some"]; some {
			s.AnyOf = append(s.AnyOf, filled(name, value))
		}
		value.Description = b.source.comments[t.Name()+"."+field.Name]
		if value.Description == "" {
			value.Description = b.source.explain(value.Enum)
		}
		if optional && d != answered || !optional && field.Type.Kind() == reflect.Pointer {
			value = orNull(value)
		}
		if !optional {
			s.Required = append(s.Required, name)
		}
		s.Properties = append(s.Properties, member[*schema]{name, value})
	}
	if d == request {
		s.Additional = new(bool)
	}
	return s
}

// filled is for an object in which that member has something: an entry, or true.
func filled(name string, value *schema) *schema {
	something := &schema{Const: true}
	if value.Type == "array" {
		something = &schema{Type: "array", MinItems: 1}
	}
	return &schema{Required: []string{name}, Properties: members{{name, something}}}
}

// rules are the words of a schema tag, with what stands behind their =.
func (b *builder) rules(field reflect.StructField) map[string]string {
	words := map[string]string{}
	tag, ok := field.Tag.Lookup("schema")
	if !ok {
		return words
	}
	for word := range strings.SplitSeq(tag, ",") {
		name, value, _ := strings.Cut(word, "=")
		if !slices.Contains([]string{"id", "text", "millis", "dto", "open", "enum", "min", "max", "some"}, name) {
			b.fail("%s: %q is no word of a schema tag", field.Name, name)
		}
		words[name] = value
	}
	return words
}

func (b *builder) fail(format string, args ...any) {
	if b.err == nil {
		b.err = fmt.Errorf(format, args...)
	}
}

// limits are the constants that a schema tag may name.
var limits = map[string]int{
	"MaxAudience":        contract.MaxAudience,
	"MaxDenySeconds":     contract.MaxDenySeconds,
	"MaxPresenceUsers":   contract.MaxPresenceUsers,
	"MaxPublishIDLength": contract.MaxPublishIDLength,
	"MaxReasonLength":    contract.MaxReasonLength,
	"MaxUsersPerRequest": contract.MaxUsersPerRequest,
}

// limit is the number that a rule names; 0 when it is not there.
func (b *builder) limit(rules map[string]string, rule string) int {
	word, ok := rules[rule]
	if !ok {
		return 0
	}
	if n, ok := limits[word]; ok {
		return n
	}
	n, err := strconv.Atoi(word)
	if err != nil {
		b.fail("%s=%s: neither a number nor one of the limits in shared/contract", rule, word)
	}
	return n
}

var rawMessage = reflect.TypeFor[json.RawMessage]()

// value is the schema of a type with what the tag of its member says.
func (b *builder) value(t reflect.Type, rules map[string]string, d direction) *schema {
	_, text := rules["text"]
	if _, millis := rules["millis"]; millis {
		return &schema{Type: "integer", Minimum: new(int), Maximum: new(contract.MaxInstant)}
	}
	switch t.Kind() {
	case reflect.Pointer:
		return b.value(t.Elem(), rules, d)
	case reflect.Bool:
		return &schema{Type: "boolean"}
	case reflect.Int, reflect.Int64:
		s := &schema{Type: "integer", Minimum: new(b.limit(rules, "min"))}
		if most := b.limit(rules, "max"); most > 0 {
			s.Maximum = &most
		}
		return s
	case reflect.String:
		s := &schema{Type: "string", MaxLength: b.limit(rules, "max")}
		if text {
			s.MinLength = 1
		}
		if _, id := rules["id"]; id {
			s.Pattern = contract.IDPattern
		}
		if values := b.source.values[t.Name()]; values != nil {
			if _, open := rules["open"]; open {
				s.Examples = values
			} else {
				s.Enum, s.MinLength = values, 0
			}
		}
		if list, ok := rules["enum"]; ok {
			for word := range strings.FieldsSeq(list) {
				s.Enum = append(s.Enum, word)
			}
		}
		return s
	case reflect.Slice:
		if t == rawMessage {
			return &schema{Type: notNull, parameter: rules["dto"]}
		}
		of := map[string]string{}
		for _, rule := range []string{"id", "text"} {
			if _, ok := rules[rule]; ok {
				of[rule] = ""
			}
		}
		return &schema{Type: "array", Items: b.value(t.Elem(), of, d), MinItems: b.limit(rules, "min"), MaxItems: b.limit(rules, "max")}
	case reflect.Struct:
		return b.reference(b.object(reflect.Zero(t).Interface(), d))
	}
	b.fail("%s is not a type of a contract", t)
	return &schema{}
}

// notNull are the types of JSON but null.
var notNull = []string{"object", "array", "string", "number", "boolean"}

// reference keeps a schema in $defs, by its title, and refers to it.
func (b *builder) reference(s *schema) *schema {
	if b.defs.get(s.Title) == nil {
		b.defs = append(b.defs, member[*schema]{s.Title, s})
	}
	return &schema{Ref: defs + s.Title}
}

const defs = "#/$defs/"

// orNull is s, or null.
func orNull(s *schema) *schema {
	switch {
	case s.Ref != "":
		return &schema{Description: s.Description, AnyOf: []*schema{{Ref: s.Ref}, {Type: "null"}}}
	case s.Enum != nil:
		s.Enum = append(slices.Clone(s.Enum), nil)
	}
	switch t := s.Type.(type) {
	case string:
		s.Type = []string{t, "null"}
	case []string:
		s.Type = append(slices.Clone(t), "null")
	}
	return s
}
