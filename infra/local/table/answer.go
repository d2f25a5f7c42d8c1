package table

import (
	"encoding/base64"
	"encoding/json"
	"math"
	"strconv"
)

// answer is a JSON object with its members in order.
type answer []member

type member struct {
	name  string
	value any
}

func (a answer) with(name string, value any) answer { return append(a, member{name, value}) }

// appendJSON encodes answers, attribute values, and the plain values that the API's answers are made of.
func appendJSON(b []byte, v any) []byte {
	switch v := v.(type) {
	case answer:
		b = append(b, '{')
		for i, m := range v {
			b = appendName(b, i, m.name)
			b = appendJSON(b, m.value)
		}
		return append(b, '}')
	case document:
		b = append(b, '{')
		i := 0
		for name, e := range v {
			b = appendName(b, i, name)
			b = appendValue(b, e)
			i++
		}
		return append(b, '}')
	case []document:
		return appendList(b, v, func(b []byte, d document) []byte { return appendJSON(b, d) })
	case []answer:
		return appendList(b, v, func(b []byte, a answer) []byte { return appendJSON(b, a) })
	case []string:
		return appendList(b, v, appendText)
	case string:
		return appendText(b, v)
	case bool:
		return strconv.AppendBool(b, v)
	case int:
		return strconv.AppendInt(b, int64(v), 10)
	case float64:
		return strconv.AppendFloat(b, math.Round(v*1000)/1000, 'f', -1, 64)
	}
	encoded, err := json.Marshal(v) // what a request held, given back
	if err != nil {
		return append(b, "null"...)
	}
	return append(b, encoded...)
}

func appendName(b []byte, i int, name string) []byte {
	if i > 0 {
		b = append(b, ',')
	}
	return append(appendText(b, name), ':')
}

func appendList[T any](b []byte, all []T, one func([]byte, T) []byte) []byte {
	b = append(b, '[')
	for i, e := range all {
		if i > 0 {
			b = append(b, ',')
		}
		b = one(b, e)
	}
	return append(b, ']')
}

// appendValue encodes {"S":"text"} and its like.
func appendValue(b []byte, v value) []byte {
	b = append(b, '{', '"')
	b = append(b, v.kind()...)
	b = append(b, '"', ':')
	switch v := v.(type) {
	case boolean:
		b = strconv.AppendBool(b, bool(v))
	case null:
		b = append(b, "true"...)
	case list:
		b = appendList(b, v, appendValue)
	case document:
		b = appendJSON(b, v)
	case set:
		b = appendList(b, v.members, appendScalar)
	default:
		b = appendScalar(b, v)
	}
	return append(b, '}')
}

// appendScalar encodes the inside of S, N and B, and of the members of sets.
func appendScalar(b []byte, v value) []byte {
	switch v := v.(type) {
	case text:
		return appendText(b, string(v))
	case number:
		return append(append(append(b, '"'), v.String()...), '"')
	case binary:
		b = append(b, '"')
		b = base64.StdEncoding.AppendEncode(b, []byte(v))
		return append(b, '"')
	}
	return b
}

// appendText encodes a string, which is valid UTF-8 since it came from JSON.
func appendText(b []byte, s string) []byte {
	b = append(b, '"')
	from := 0
	for i := range len(s) {
		c := s[i]
		if c >= ' ' && c != '"' && c != '\\' {
			continue
		}
		b = append(b, s[from:i]...)
		from = i + 1
		switch c {
		case '"', '\\':
			b = append(b, '\\', c)
		default:
			b = append(b, '\\', 'u', '0', '0', "0123456789abcdef"[c>>4], "0123456789abcdef"[c&15])
		}
	}
	return append(append(b, s[from:]...), '"')
}
