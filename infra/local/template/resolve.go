package template

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// maxDepth, in nested intrinsic functions and references: above it the template refers to itself.
const maxDepth = 100

// resolver evaluates a template's values where they are read. It keeps the first error; after one, every read gives a zero value.
type resolver struct {
	root      map[string]any
	params    map[string]any // string, or []any for a list type
	overrides Overrides
	depth     int
	err       error
}

// node is a place in the template, for reading and for errors. The zero raw value is one that is absent.
type node struct {
	r    *resolver
	path string
	raw  any
}

func (r *resolver) at(section string) node { return node{r, section, r.root[section]} }

// resource is the place of a logical id. Paths in errors start at the logical id, as in CloudFormation's own messages.
func (r *resolver) resource(id string) node {
	n := r.at("Resources").get(id)
	n.path = id
	return n
}

func (r *resolver) property(id, name string) node { return r.resource(id).get("Properties").get(name) }

func (n node) fail(format string, args ...any) {
	if n.r.err == nil {
		n.r.err = fmt.Errorf("%s: %s", n.path, fmt.Sprintf(format, args...))
	}
}

// value evaluates the node itself; what is inside a map or a list stays to be read. nil is absent, or AWS::NoValue.
func (n node) value() any {
	if n.r.err != nil {
		return nil
	}
	name, arg, ok := intrinsic(n.raw)
	if !ok {
		return n.raw
	}
	n.r.depth++
	defer func() { n.r.depth-- }()
	if n.r.depth > maxDepth {
		n.fail("refers to itself")
		return nil
	}
	return n.call(name, arg)
}

// intrinsic recognizes {"Ref": x} and {"Fn::Name": x}.
func intrinsic(v any) (name string, arg any, ok bool) {
	m, isMap := v.(map[string]any)
	if !isMap || len(m) != 1 {
		return "", nil, false
	}
	for name, arg = range m {
		ok = name == "Ref" || strings.HasPrefix(name, "Fn::")
	}
	return name, arg, ok
}

func (n node) get(key string) node {
	child := node{r: n.r, path: n.path + "." + key}
	switch m := n.value().(type) {
	case nil:
	case map[string]any:
		child.raw = m[key]
	default:
		n.fail("must be a mapping")
	}
	return child
}

func (n node) keys() []string {
	switch m := n.value().(type) {
	case nil:
		return nil
	case map[string]any:
		return slices.Sorted(maps.Keys(m))
	}
	n.fail("must be a mapping")
	return nil
}

func (n node) list() []node {
	switch v := n.value().(type) {
	case nil:
		return nil
	case []any:
		items := make([]node, 0, len(v))
		for i, raw := range v {
			item := node{n.r, n.path + "[" + strconv.Itoa(i) + "]", raw}
			if item.value() != nil {
				items = append(items, item)
			}
		}
		return items
	}
	n.fail("must be a list")
	return nil
}

// items is list, for a property that may also be one value by itself.
func (n node) items() []node {
	switch n.value().(type) {
	case nil, []any:
		return n.list()
	}
	return []node{n}
}

// args reads the list that an intrinsic function takes.
func (n node) args(arg any, atLeast, atMost int) []node {
	v, ok := arg.([]any)
	if !ok || len(v) < atLeast || len(v) > atMost {
		n.fail("takes a list of %d to %d", atLeast, atMost)
		return nil
	}
	items := make([]node, len(v))
	for i := range v {
		items[i] = node{n.r, n.path, v[i]}
	}
	return items
}

func (n node) str() string {
	switch v := n.value().(type) {
	case nil:
		return ""
	case string:
		return v
	}
	n.fail("must be a string")
	return ""
}

// required is str, for a property without which its resource means nothing.
func (n node) required() string {
	s := n.str()
	if s == "" {
		n.fail("is required")
	}
	return s
}

func (n node) strs() []string {
	var out []string
	for _, item := range n.list() {
		out = append(out, item.str())
	}
	return out
}

func (n node) number(absent float64) float64 {
	s := n.str()
	if s == "" {
		return absent
	}
	f, err := strconv.ParseFloat(s, 64)
	if err != nil {
		n.fail("%q is not a number", s)
	}
	return f
}

func (n node) integer(absent int) int {
	s := n.str()
	if s == "" {
		return absent
	}
	i, err := strconv.Atoi(s)
	if err != nil {
		n.fail("%q is not a whole number", s)
	}
	return i
}

func (n node) boolean(absent bool) bool {
	switch s := n.str(); s {
	case "":
		return absent
	case "true":
		return true
	case "false":
		return false
	default:
		n.fail("%q is neither true nor false", s)
		return false
	}
}

// between is integer within bounds, both included.
func (n node) between(low, high, absent int) int {
	i := n.integer(absent)
	if i < low || i > high {
		n.fail("%d is not in %d..%d", i, low, high)
	}
	return i
}

// included tells whether a resource's condition, if it has one, holds.
func (r *resolver) included(id string) bool {
	name := r.resource(id).get("Condition").str()
	return name == "" || r.condition(node{r, id + ".Condition", name}, name)
}

func (r *resolver) condition(from node, name string) bool {
	c := r.at("Conditions").get(name)
	if c.raw == nil {
		from.fail("no condition %q", name)
		return false
	}
	return c.holds()
}

// holds evaluates a node of the Conditions section.
func (n node) holds() bool {
	if n.r.err != nil {
		return false
	}
	n.r.depth++
	defer func() { n.r.depth-- }()
	if n.r.depth > maxDepth {
		n.fail("refers to itself")
		return false
	}
	m, ok := n.raw.(map[string]any)
	if !ok || len(m) != 1 {
		n.fail("is not a condition")
		return false
	}
	for name, arg := range m {
		switch name {
		case "Condition":
			s, _ := arg.(string)
			return n.r.condition(n, s)
		case "Fn::Equals":
			a := n.args(arg, 2, 2)
			return a != nil && a[0].str() == a[1].str()
		case "Fn::Not":
			a := n.args(arg, 1, 1)
			return a != nil && !a[0].holds()
		case "Fn::And":
			return !slices.ContainsFunc(n.args(arg, 2, 10), func(c node) bool { return !c.holds() })
		case "Fn::Or":
			return slices.ContainsFunc(n.args(arg, 2, 10), node.holds)
		default:
			n.fail("%s is not a condition", name)
		}
	}
	return false
}
