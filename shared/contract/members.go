package contract

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// members reads a JSON object member by member and keeps the first thing wrong with it. Names match exactly, which
// decoding into a struct would not do.
type members struct {
	path string // of the object, "" for the request itself
	raw  map[string]json.RawMessage
	err  error
}

// object starts reading raw. known lists the members it may have; none means that any other may be there too.
func object(path string, raw json.RawMessage, known ...string) *members {
	m := &members{path: path}
	if path == "" {
		m.path = "request"
	}
	if err := json.Unmarshal(raw, &m.raw); err != nil || m.raw == nil {
		m.err = invalid(m.path, "must be a JSON object")
		return m
	}
	m.path = path
	if !utf8.Valid(raw) {
		m.fail("", "must be UTF-8")
	}
	if len(known) > 0 {
		names := make([]string, 0, len(m.raw))
		for name := range m.raw {
			names = append(names, name)
		}
		slices.Sort(names)
		for _, name := range names {
			if !slices.Contains(known, name) {
				m.fail(clip(name), "unknown member, expected %s", strings.Join(known, ", "))
			}
		}
	}
	return m
}

// clip keeps a name that a stranger chose from filling an error message: of a longer one, the characters within its first 64 bytes.
func clip(name string) string {
	if len(name) > 64 {
		return strings.ToValidUTF8(name[:64], "") + "..."
	}
	return name
}

func (m *members) at(name string) string {
	switch {
	case m.path == "" && name == "":
		return "request"
	case m.path == "":
		return name
	case name == "":
		return m.path
	}
	return m.path + "." + name
}

func (m *members) fail(name, format string, args ...any) {
	if m.err == nil {
		m.err = invalid(m.at(name), format, args...)
	}
}

// has tells whether the member is there and not null.
func (m *members) has(name string) bool {
	raw, ok := m.raw[name]
	return ok && !isNull(raw)
}

func isNull(raw json.RawMessage) bool { return string(bytes.TrimSpace(raw)) == "null" }

// value is a member that must be there and not be null.
func (m *members) value(name string) json.RawMessage {
	if m.err == nil && !m.has(name) {
		m.fail(name, "required")
	}
	return m.raw[name]
}

// decode reads a required member into v; want says what it must be.
func (m *members) decode(name string, v any, want string) {
	raw := m.value(name)
	if m.err == nil && json.Unmarshal(raw, v) != nil {
		m.fail(name, "must be %s", want)
	}
}

// text is a required string that is not empty.
func (m *members) text(name string) (s string) {
	m.decode(name, &s, "a string")
	if m.err == nil && s == "" {
		m.fail(name, "must not be empty")
	}
	return s
}

func (m *members) id(name string) (s string) {
	m.decode(name, &s, "a string")
	if m.err == nil && !ValidID(s) {
		m.fail(name, "must be %s", IDShape)
	}
	return s
}

// ids is a list of at most limit ids; limit 0 is none. It must be there.
func (m *members) ids(name string, limit int) (list []string) {
	var raw []json.RawMessage
	m.decode(name, &raw, "an array of ids")
	if m.err == nil && limit > 0 && len(raw) > limit {
		m.fail(name, "%d entries, %d at most", len(raw), limit)
	}
	for i, item := range raw {
		var s string
		if m.err == nil && (json.Unmarshal(item, &s) != nil || !ValidID(s)) {
			m.fail(fmt.Sprintf("%s[%d]", name, i), "must be a string of %s", IDShape)
		}
		list = append(list, s)
	}
	return list
}

// flag is an optional boolean.
func (m *members) flag(name string) (b bool) {
	if m.has(name) {
		m.decode(name, &b, "true or false")
	}
	return b
}

// notNull tells whether a member that must be there, but may be null, is not null.
func (m *members) notNull(name, want string) bool {
	if _, ok := m.raw[name]; m.err == nil && !ok {
		m.fail(name, "required, %s", want)
	}
	return m.has(name)
}

// nullable is a string or null.
func (m *members) nullable(name string) (s *string) {
	const want = "a string or null"
	if m.notNull(name, want) {
		s = new(string)
		m.decode(name, s, want)
	}
	return s
}

// whole is a required whole number of 0 to most. 3600.0 is one, as some languages write it.
func (m *members) whole(name string, most int, want string) int {
	var f float64
	m.decode(name, &f, want)
	if m.err == nil && (f < 0 || f > float64(most) || f != math.Trunc(f)) {
		m.fail(name, "must be %s", want)
	}
	return int(f)
}

// millis is an instant: whole epoch milliseconds, or null.
func (m *members) millis(name string) *int64 {
	const want = "whole epoch milliseconds or null"
	if !m.notNull(name, want) {
		return nil
	}
	at := int64(m.whole(name, MaxInstant, want))
	return &at
}

// within says the path of a list entry.
func within(name string, i int) string { return name + "[" + strconv.Itoa(i) + "]" }
