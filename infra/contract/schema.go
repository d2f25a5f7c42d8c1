package main

import (
	"bytes"
	"encoding/json"
)

// schema is a JSON Schema, in the order in which it is written. It keeps to what draft 7 and 2020-12 have in common, so that
// AsyncAPI's tools read it too.
type schema struct {
	Dialect     string    `json:"$schema,omitempty"`
	ID          string    `json:"$id,omitempty"`
	Title       string    `json:"title,omitempty"`
	Description string    `json:"description,omitempty"`
	Ref         string    `json:"$ref,omitempty"`
	Type        any       `json:"type,omitempty"` // string or []string
	Const       any       `json:"const,omitempty"`
	Enum        []any     `json:"enum,omitempty"`
	Examples    []any     `json:"examples,omitempty"`
	Pattern     string    `json:"pattern,omitempty"`
	MinLength   int       `json:"minLength,omitempty"`
	MaxLength   int       `json:"maxLength,omitempty"`
	Minimum     *int      `json:"minimum,omitempty"`
	Maximum     *int      `json:"maximum,omitempty"`
	Items       *schema   `json:"items,omitempty"`
	MinItems    int       `json:"minItems,omitempty"`
	MaxItems    int       `json:"maxItems,omitempty"`
	Properties  members   `json:"properties,omitempty"`
	Required    []string  `json:"required,omitempty"`
	Additional  *bool     `json:"additionalProperties,omitempty"`
	AnyOf       []*schema `json:"anyOf,omitempty"`
	OneOf       []*schema `json:"oneOf,omitempty"`
	Defs        members   `json:"$defs,omitempty"`

	parameter string // TypeScript's type parameter that stands for it
}

// walk visits the schema and all that it consists of.
func (s *schema) walk(visit func(*schema)) {
	visit(s)
	for _, part := range [][]*schema{s.AnyOf, s.OneOf, {s.Items}} {
		for _, s := range part {
			if s != nil {
				s.walk(visit)
			}
		}
	}
	for _, m := range s.Properties {
		m.value.walk(visit)
	}
}

// members are named schemas.
type members = ordered[*schema]

// document is a JSON object of any members.
type document = ordered[any]

// ordered is a JSON object that is written in the order of its members.
type ordered[V any] []member[V]

type member[V any] struct {
	name  string
	value V
}

// MarshalJSON implements json.Marshaler.
func (o ordered[V]) MarshalJSON() ([]byte, error) {
	var b bytes.Buffer
	for i, m := range o {
		name, err := marshal(m.name)
		if err != nil {
			return nil, err
		}
		value, err := marshal(m.value)
		if err != nil {
			return nil, err
		}
		b.WriteByte("{,"[min(i, 1)])
		b.Write(name)
		b.WriteByte(':')
		b.Write(value)
	}
	if len(o) == 0 {
		b.WriteByte('{')
	}
	b.WriteByte('}')
	return b.Bytes(), nil
}

// get is the member of that name, or V's zero value.
func (o ordered[V]) get(name string) (v V) {
	for _, m := range o {
		if m.name == name {
			return m.value
		}
	}
	return v
}

// marshal is json.Marshal without escapes for HTML.
func marshal(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimRight(b.Bytes(), "\n"), nil
}
