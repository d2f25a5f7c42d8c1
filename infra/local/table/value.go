package table

import (
	"bytes"
	"encoding/base64"
	"slices"
	"sort"
	"strings"
)

// kind is the name of a type on the wire.
type kind string

const (
	kindText     kind = "S"
	kindNumber   kind = "N"
	kindBinary   kind = "B"
	kindBoolean  kind = "BOOL"
	kindNull     kind = "NULL"
	kindList     kind = "L"
	kindDocument kind = "M"
	kindTexts    kind = "SS"
	kindNumbers  kind = "NS"
	kindBinaries kind = "BS"
)

// maxNesting is how deep lists and maps may nest below an item (service quotas).
const maxNesting = 32

// maxName is the length of an attribute name in bytes (service quotas: 64 KB less one).
const maxName = 65535

// value is an attribute value: text, number, binary, boolean, null, list, document or set. Stored values are never changed, only replaced.
type value interface {
	kind() kind
}

type (
	text     string
	binary   string
	boolean  bool
	null     struct{}
	list     []value
	document map[string]value // a map, and an item
	set      struct {
		of      kind    // SS, NS or BS
		members []value // in ascending order
	}
)

func (text) kind() kind     { return kindText }
func (number) kind() kind   { return kindNumber }
func (binary) kind() kind   { return kindBinary }
func (boolean) kind() kind  { return kindBoolean }
func (null) kind() kind     { return kindNull }
func (list) kind() kind     { return kindList }
func (document) kind() kind { return kindDocument }
func (s set) kind() kind    { return s.of }

// order compares two values of one ordered type (S, N, B); ok is false for any other pair.
func order(a, b value) (c int, ok bool) {
	switch a := a.(type) {
	case text:
		if b, same := b.(text); same {
			return strings.Compare(string(a), string(b)), true
		}
	case number:
		if b, same := b.(number); same {
			return a.compare(b), true
		}
	case binary:
		if b, same := b.(binary); same {
			return strings.Compare(string(a), string(b)), true
		}
	}
	return 0, false
}

// equal compares deeply; lists in order, sets and maps without.
func equal(a, b value) bool {
	switch a := a.(type) {
	case list:
		b, same := b.(list)
		return same && slices.EqualFunc(a, b, equal)
	case set:
		b, same := b.(set)
		return same && a.of == b.of && slices.EqualFunc(a.members, b.members, equal)
	case document:
		b, same := b.(document)
		if !same || len(a) != len(b) {
			return false
		}
		for name, v := range a {
			if w, found := b[name]; !found || !equal(v, w) {
				return false
			}
		}
		return true
	}
	return a == b
}

// nesting is the number of levels of v; a scalar has 1, and so have an empty list and map.
func nesting(v value) int {
	deepest := 0
	switch v := v.(type) {
	case list:
		for _, e := range v {
			deepest = max(deepest, nesting(e))
		}
	case document:
		for _, e := range v {
			deepest = max(deepest, nesting(e))
		}
	}
	return 1 + deepest
}

// find is where v is, or belongs, among the members.
func (s set) find(v value) (int, bool) {
	return sort.Find(len(s.members), func(i int) int { c, _ := order(v, s.members[i]); return c })
}

// union and minus return sets of their own; a set without members is for the caller to drop.
func (s set) union(t set) set {
	u := set{of: s.of, members: slices.Clone(s.members)}
	for _, v := range t.members {
		if i, found := u.find(v); !found {
			u.members = slices.Insert(u.members, i, v)
		}
	}
	return u
}

func (s set) minus(t set) set {
	return set{of: s.of, members: slices.DeleteFunc(slices.Clone(s.members), func(v value) bool { _, found := t.find(v); return found })}
}

// decodeDocument reads an item, a key, or the inside of a map. How deep it may nest is for the caller to check.
func decodeDocument(raw any) (document, error) {
	fields, ok := raw.(map[string]any)
	if !ok {
		return nil, wrongType(raw, "Map")
	}
	d := make(document, len(fields))
	for name, field := range fields {
		switch {
		case name == "":
			return nil, invalid("Empty attribute name")
		case len(name) > maxName:
			return nil, invalid("Attribute name is too large, must be less than %d bytes", maxName+1)
		}
		v, err := decodeValue(field)
		if err != nil {
			return nil, err
		}
		d[name] = v
	}
	return d, nil
}

// decodeValue reads {"S": "text"} and its like.
func decodeValue(raw any) (value, error) {
	if raw == nil {
		raw = map[string]any{}
	}
	fields, ok := raw.(map[string]any)
	if !ok {
		return nil, wrongType(raw, "AttributeValue")
	}
	var only kind
	for name, field := range fields {
		if field == nil || !known(kind(name)) {
			continue
		}
		if only != "" {
			return nil, invalid("Supplied AttributeValue has more than one datatypes set, must contain exactly one of the supported datatypes")
		}
		only = kind(name)
	}
	if only == "" {
		return nil, invalid("Supplied AttributeValue is empty, must contain exactly one of the supported datatypes")
	}
	return decodeKind(only, fields[string(only)])
}

func known(k kind) bool {
	switch k {
	case kindText, kindNumber, kindBinary, kindBoolean, kindNull, kindList, kindDocument, kindTexts, kindNumbers, kindBinaries:
		return true
	}
	return false
}

func decodeKind(k kind, raw any) (value, error) {
	switch k {
	case kindText, kindNumber, kindBinary:
		s, ok := raw.(string)
		if !ok {
			return nil, wrongType(raw, "String")
		}
		return decodeScalar(k, s)
	case kindBoolean, kindNull:
		b, ok := raw.(bool)
		if !ok {
			return nil, wrongType(raw, "Boolean")
		}
		if k == kindBoolean {
			return boolean(b), nil
		}
		if !b {
			return nil, invalid("One or more parameter values were invalid: Null attribute value types must have the value of true")
		}
		return null{}, nil
	case kindDocument:
		return decodeDocument(raw)
	}
	members, ok := raw.([]any)
	if !ok {
		return nil, wrongType(raw, "List")
	}
	if k != kindList {
		return decodeSet(k, members)
	}
	l := make(list, 0, len(members))
	for _, member := range members {
		v, err := decodeValue(member)
		if err != nil {
			return nil, err
		}
		l = append(l, v)
	}
	return l, nil
}

func decodeScalar(k kind, s string) (value, error) {
	switch k {
	case kindNumber:
		n, err := parseNumber(s)
		if err != nil {
			return nil, invalid("%s", err)
		}
		return n, nil
	case kindBinary:
		b, err := base64.StdEncoding.DecodeString(s)
		if err != nil {
			return nil, malformed("a binary value is not base64: " + err.Error())
		}
		return binary(b), nil
	}
	return text(s), nil
}

func decodeSet(k kind, raw []any) (value, error) {
	if len(raw) == 0 {
		switch k {
		case kindTexts:
			return nil, invalid("One or more parameter values were invalid: An string set  may not be empty")
		case kindNumbers:
			return nil, invalid("One or more parameter values were invalid: An number set  may not be empty")
		}
		return nil, invalid("One or more parameter values were invalid: Binary sets should not be empty")
	}
	s := set{of: k, members: make([]value, 0, len(raw))}
	for _, r := range raw {
		member, ok := r.(string)
		if !ok {
			return nil, wrongType(r, "String")
		}
		v, err := decodeScalar(k[:1], member)
		if err != nil {
			return nil, err
		}
		s.members = append(s.members, v)
	}
	slices.SortFunc(s.members, func(a, b value) int { c, _ := order(a, b); return c })
	if len(slices.CompactFunc(slices.Clone(s.members), equal)) != len(raw) {
		return nil, duplicates(k, raw)
	}
	return s, nil
}

func duplicates(k kind, raw []any) error {
	switch k {
	case kindTexts:
		var b bytes.Buffer
		for i, r := range raw {
			if i > 0 {
				b.WriteString(", ")
			}
			b.WriteString(r.(string))
		}
		return invalid("One or more parameter values were invalid: Input collection [%s] contains duplicates.", b.String())
	case kindNumbers:
		return invalid("Input collection contains duplicates")
	}
	return invalid("One or more parameter values were invalid: Input collection of type BS contains duplicates.")
}
