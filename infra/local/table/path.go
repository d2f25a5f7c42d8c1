package table

import (
	"slices"
	"strconv"
	"strings"
)

// step is one part of a document path: the name of an attribute, or an index of a list.
type step struct {
	name  string
	index int // of a list, when name is empty
}

// path is a document path such as a.b[0].c; it starts with a name.
type path []step

// String is the form that DynamoDB's messages use: [a, b, [0], c].
func (p path) String() string {
	parts := make([]string, len(p))
	for i, s := range p {
		parts[i] = s.name
		if s.name == "" {
			parts[i] = "[" + strconv.Itoa(s.index) + "]"
		}
	}
	return "[" + strings.Join(parts, ", ") + "]"
}

// get is what the path leads to in v, or nil.
func (p path) get(v value) value {
	for _, s := range p {
		switch at := v.(type) {
		case document:
			if s.name == "" {
				return nil
			}
			v = at[s.name]
		case list:
			if s.name != "" || s.index >= len(at) {
				return nil
			}
			v = at[s.index]
		default:
			return nil
		}
	}
	return v
}

// collide tells whether two paths overlap (one leads to or through the other), or conflict (one takes for a list what the other takes for a map).
func collide(p, q path) (overlap, conflict bool) {
	for i := range min(len(p), len(q)) {
		if (p[i].name == "") != (q[i].name == "") {
			return false, true
		}
		if p[i] != q[i] {
			return false, false
		}
	}
	return true, false
}

// checkPaths refuses paths of one expression that overlap or conflict.
func checkPaths(paths []path) error {
	for i, q := range paths {
		for _, p := range paths[:i] {
			overlap, conflict := collide(p, q)
			verb := "overlap"
			if conflict {
				verb = "conflict"
			}
			if overlap || conflict {
				return invalid("Two document paths %s with each other; must remove or rewrite one of these paths; path one: %s, path two: %s", verb, p, q)
			}
		}
	}
	return nil
}

// project is the part of item that the paths lead to: maps keep only what was asked for, lists close up.
func project(item document, paths []path) document {
	var pick func(v value, wanted []path) value
	pick = func(v value, wanted []path) value {
		if slices.ContainsFunc(wanted, func(p path) bool { return len(p) == 0 }) {
			return v
		}
		below := map[step][]path{}
		for _, p := range wanted {
			below[p[0]] = append(below[p[0]], p[1:])
		}
		switch v := v.(type) {
		case document:
			d := document{}
			for s, rest := range below {
				if member, found := v[s.name]; found && s.name != "" {
					if picked := pick(member, rest); picked != nil {
						d[s.name] = picked
					}
				}
			}
			if len(d) > 0 {
				return d
			}
		case list:
			var l list
			for i, member := range v {
				if rest, found := below[step{index: i}]; found {
					if picked := pick(member, rest); picked != nil {
						l = append(l, picked)
					}
				}
			}
			if len(l) > 0 {
				return l
			}
		}
		return nil
	}
	if d, ok := pick(item, paths).(document); ok {
		return d
	}
	return document{}
}
