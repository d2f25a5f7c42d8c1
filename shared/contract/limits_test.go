package contract

import (
	"regexp"
	"strings"
	"testing"
)

// TestValidID holds it to what IDShape says, for every character and at the bounds of the length.
func TestValidID(t *testing.T) {
	shape := regexp.MustCompile(IDPattern)
	ids := []string{"", "a", strings.Repeat("a", 128), strings.Repeat("a", 129), "auth0|5f7c8ec7", "eu-west-1:0b2c", "x@example.org", "\xff", "a\n", "ä"}
	for c := range 256 {
		ids = append(ids, "a"+string(rune(c))+"a", string([]byte{byte(c)}))
	}
	for _, id := range ids {
		if got, want := ValidID(id), shape.MatchString(id); got != want {
			t.Errorf("%q: %v, want %v", id, got, want)
		}
	}
}
