package table

import (
	"strings"
	"unicode/utf8"
)

// token is a piece of an expression: expression[start:end].
type token struct {
	kind       tokenKind
	text       string
	start, end int
}

type tokenKind int

const (
	tokenEnd     tokenKind = iota
	tokenName              // attribute or function
	tokenAlias             // #name
	tokenValue             // :name
	tokenIndex             // digits
	tokenKeyword           // text is in upper case
	tokenSymbol            // = <> < <= > >= ( ) [ ] . , + -
	tokenUnknown           // one character that no expression has
)

// tokens splits an expression; the last token is tokenEnd, at the end of the text.
func tokens(expression string) []token {
	var all []token
	for at := 0; ; {
		for at < len(expression) && strings.IndexByte(" \t\r\n", expression[at]) >= 0 {
			at++
		}
		t := scan(expression[at:])
		t.start, t.end = at, at+t.end
		all = append(all, t)
		if t.kind == tokenEnd {
			return all
		}
		at = t.end
	}
}

// scan reads one token; its end is its length.
func scan(s string) token {
	if s == "" {
		return token{kind: tokenEnd, text: "<EOF>"}
	}
	n, kind := 0, tokenUnknown
	switch c := s[0]; {
	case isLetter(c):
		n, kind = wordLength(s), tokenName
		if keyword(s[:n]) {
			return token{kind: tokenKeyword, text: s[:n], end: n}
		}
	case (c == '#' || c == ':') && wordLength(s[1:]) > 0:
		n, kind = 1+wordLength(s[1:]), tokenAlias
		if c == ':' {
			kind = tokenValue
		}
	case c == '0':
		n, kind = 1, tokenIndex
	case isDigit(c):
		n, kind = len(s)-len(strings.TrimLeft(s, "0123456789")), tokenIndex
	case strings.HasPrefix(s, "<>"), strings.HasPrefix(s, "<="), strings.HasPrefix(s, ">="):
		n, kind = 2, tokenSymbol
	case strings.IndexByte("=<>()[].,+-", c) >= 0:
		n, kind = 1, tokenSymbol
	default:
		_, n = utf8.DecodeRuneInString(s)
	}
	return token{kind: kind, text: s[:n], end: n}
}

// keyword tells the words that are never an attribute's name without an alias, in any expression.
func keyword(word string) bool {
	switch strings.ToUpper(word) {
	case "AND", "OR", "NOT", "IN", "BETWEEN", "SET", "REMOVE", "ADD", "DELETE":
		return true
	}
	return false
}

// wordLength is the length of the letters, digits and underscores that s starts with.
func wordLength(s string) int {
	n := 0
	for n < len(s) && (isLetter(s[n]) || isDigit(s[n]) || s[n] == '_') {
		n++
	}
	return n
}

func isLetter(c byte) bool { return c|0x20 >= 'a' && c|0x20 <= 'z' }
func isDigit(c byte) bool  { return c >= '0' && c <= '9' }
