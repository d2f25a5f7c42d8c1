package table

import (
	"strings"
	"unicode/utf16"
)

// holds evaluates a checked condition; a nil condition holds, a nil item has no attributes.
func (e *expr) holds(item document) bool {
	if e == nil {
		return true
	}
	switch e.op {
	case "AND":
		return e.args[0].holds(item) && e.args[1].holds(item)
	case "OR":
		return e.args[0].holds(item) || e.args[1].holds(item)
	case "NOT":
		return !e.args[0].holds(item)
	}
	operands := make([]value, len(e.args))
	for i, arg := range e.args {
		operands[i] = arg.of(item)
	}
	return compare(e.op, operands)
}

// of is the value of an operand, or nil when the item does not have it.
func (e *expr) of(item document) value {
	switch {
	case e.value != nil:
		return e.value
	case e.op == "size":
		return length(e.args[0].of(item))
	}
	return e.path.get(item)
}

// compare evaluates a comparison or a function. A missing operand makes everything false but <> and attribute_not_exists.
func compare(op string, operands []value) bool {
	first := operands[0]
	switch op {
	case "attribute_exists":
		return first != nil
	case "attribute_not_exists":
		return first == nil
	case "=":
		return same(first, operands[1])
	case "<>":
		return !same(first, operands[1])
	case "IN":
		for _, v := range operands[1:] {
			if same(first, v) {
				return true
			}
		}
		return false
	case "BETWEEN":
		low, above := order(first, operands[1])
		high, below := order(first, operands[2])
		return above && below && low >= 0 && high <= 0
	case "attribute_type":
		return first != nil && operands[1] == text(first.kind())
	case "begins_with":
		return beginsWith(first, operands[1])
	case "contains":
		return contains(first, operands[1])
	}
	c, ordered := order(first, operands[1])
	if !ordered {
		return false
	}
	switch op {
	case "<":
		return c < 0
	case "<=":
		return c <= 0
	case ">":
		return c > 0
	}
	return c >= 0
}

// same is equal for operands that exist.
func same(a, b value) bool { return a != nil && b != nil && equal(a, b) }

func beginsWith(v, prefix value) bool {
	switch v := v.(type) {
	case text:
		p, ok := prefix.(text)
		return ok && strings.HasPrefix(string(v), string(p))
	case binary:
		p, ok := prefix.(binary)
		return ok && strings.HasPrefix(string(v), string(p))
	}
	return false
}

// contains looks for a substring in text and binary, for a member in sets and lists.
func contains(v, sought value) bool {
	switch v := v.(type) {
	case text:
		s, ok := sought.(text)
		return ok && strings.Contains(string(v), string(s))
	case binary:
		s, ok := sought.(binary)
		return ok && strings.Contains(string(v), string(s))
	case set:
		if sought == nil || sought.kind() != v.of[:1] {
			return false
		}
		_, found := v.find(sought)
		return found
	case list:
		for _, member := range v {
			if same(member, sought) {
				return true
			}
		}
	}
	return false
}

// length is what size() gives, or nil: UTF-16 code units of text, bytes of binary, members of the rest.
func length(v value) value {
	n := 0
	switch v := v.(type) {
	case text:
		for _, r := range v {
			n += utf16.RuneLen(r)
		}
	case binary:
		n = len(v)
	case list:
		n = len(v)
	case document:
		n = len(v)
	case set:
		n = len(v.members)
	default:
		return nil
	}
	return integer(n)
}
