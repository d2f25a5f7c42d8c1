package trace

import (
	"regexp"
	"testing"
	"time"
)

func TestParse(t *testing.T) {
	const root = "1-6566edd0-0123456789abcdef01234567"
	tests := map[string]Header{
		"":              {},
		"nonsense;Root": {},
		"Root=" + root:  {Root: root},
		" Root=" + root + " ; Parent=00f067aa0ba902b7;Sampled=0":          {Root: root, Parent: "00f067aa0ba902b7"},
		"Root=" + root + ";Parent=00f067aa0ba902b7;Lineage=a:1|b:2":       {Root: root, Parent: "00f067aa0ba902b7", Lineage: "a:1|b:2"},
		"Root=" + root + ";Parent=00f067aa0ba902b7;Lineage=1:a:1%7C1:b:2": {Root: root, Parent: "00f067aa0ba902b7", Lineage: "1:a:1|1:b:2"},
		"Root=" + root + ";Sampled=1;Self=x;Lineage=a%zz":                 {Root: root, Lineage: "a%zz"},
	}
	for header, want := range tests {
		if got := Parse(header); got != want {
			t.Errorf("%q: %+v, want %+v", header, got, want)
		}
		if again := Parse(Parse(header).String()); again != want {
			t.Errorf("%q written and read again: %+v, want %+v", header, again, want)
		}
	}
}

func TestNew(t *testing.T) {
	now := time.Unix(1701245392, 0)
	root, segment := NewRoot(now), NewSegment()
	if !regexp.MustCompile(`^1-6566f1d0-[0-9a-f]{24}$`).MatchString(root) || root == NewRoot(now) {
		t.Errorf("root %s", root)
	}
	if !regexp.MustCompile(`^[0-9a-f]{16}$`).MatchString(segment) || segment == NewSegment() {
		t.Errorf("segment %s", segment)
	}
}

func TestContext(t *testing.T) {
	want := Header{Root: "r", Parent: "p"}
	if got := FromContext(NewContext(t.Context(), want)); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
	if got := FromContext(t.Context()); got != (Header{}) {
		t.Errorf("%+v without one", got)
	}
}
