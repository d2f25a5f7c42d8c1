package table

import (
	"strings"
	"testing"
)

// FuzzExpressions: no text makes a parser panic or loop, and what parses as a condition still does with a space at every end.
func FuzzExpressions(f *testing.F) {
	for _, w := range dataModelWrites {
		f.Add(w.update)
		f.Add(w.condition)
	}
	for _, seed := range []string{"", " ", "a = :n)", "((a", "a.b[0].#c IN (:x, size(b))", "SET a = if_not_exists(a, :x) + :y", "é 😀", "NOT NOT (", "a BETWEEN b AND", "SET SET", "pk, sk.a[1]", "\xff\xfe"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		_, conditionErr := parse(text, (*parser).condition)
		_, _ = parse(text, (*parser).update)
		_, _ = parse(text, (*parser).projection)
		if _, err := parse(" "+text+" ", (*parser).condition); conditionErr == nil && err != nil && len(text)+2 <= maxExpression {
			t.Errorf("%q is a condition, with spaces around it: %v", text, err)
		}
		all := tokens(text)
		for i, token := range all {
			between := text[:token.start]
			if i > 0 {
				between = text[all[i-1].end:token.start]
			}
			if strings.Trim(between, " \t\r\n") != "" || token.kind != tokenEnd && text[token.start:token.end] != token.text {
				t.Errorf("%q: token %d is %+v, after %q", text, i, token, between)
			}
		}
	})
}
