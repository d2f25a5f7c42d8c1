package table

import (
	"math/big"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestParseNumber(t *testing.T) {
	nines := strings.Repeat("9", 38)
	for _, test := range []struct {
		in, want string // want is the canonical form, or an error's beginning
	}{
		{"0", "0"},
		{"-0", "0"},
		{"0.00", "0"},
		{"0e1000", "0"},
		{"7", "7"},
		{"+3", "3"},
		{"-7.1234", "-7.1234"},
		{"0001.23", "1.23"},
		{".5", "0.5"},
		{"5.", "5"},
		{"1.50", "1.5"},
		{"100", "100"},
		{"1E3", "1000"},
		{"1e+5", "100000"},
		{"-17.4E3", "-17400"},
		{"15e-1", "1.5"},
		{"1.5E-5", "0.000015"},
		{"3.1415926535897932384626433832795028841", "3.1415926535897932384626433832795028841"},
		{nines, nines},
		{nines + "000", nines + "000"},
		{"0.00" + nines, "0.00" + nines},
		{"1" + strings.Repeat("0", 125), "1" + strings.Repeat("0", 125)},
		{"1E125", "1" + strings.Repeat("0", 125)},
		{"9.9E125", "99" + strings.Repeat("0", 124)},
		{"1E-130", "0." + strings.Repeat("0", 129) + "1"},
		{"10E-131", "0." + strings.Repeat("0", 129) + "1"},
		{nines + "9", "Attempting to store more than 38"},
		{"1." + strings.Repeat("0", 37) + "1", "Attempting to store more than 38"},
		{"1E126", "Number overflow"},
		{"-11E125", "Number overflow"},
		{"1e999999999999", "Number overflow"},
		{"1E-131", "Number underflow"},
		{"0.9E-130", "Number underflow"},
		{"", "The parameter cannot be converted to a numeric value"},
		{"x", "The parameter cannot be converted to a numeric value: x"},
		{" 1", "The parameter cannot be"},
		{"1 ", "The parameter cannot be"},
		{"NaN", "The parameter cannot be"},
		{"Infinity", "The parameter cannot be"},
		{"--1", "The parameter cannot be"},
		{"1.2.3", "The parameter cannot be"},
		{"1e", "The parameter cannot be"},
		{"1e++1", "The parameter cannot be"},
		{"1e+-1", "The parameter cannot be"},
		{"e5", "The parameter cannot be"},
		{".", "The parameter cannot be"},
		{"+", "The parameter cannot be"},
		{"1_000", "The parameter cannot be"},
		{"0x10", "The parameter cannot be"},
		{"٣", "The parameter cannot be"},
		{"1e1.5", "The parameter cannot be"},
	} {
		n, err := parseNumber(test.in)
		switch {
		case err != nil && !strings.HasPrefix(err.Error(), test.want):
			t.Errorf("parseNumber(%q): %v, want %s", test.in, err, test.want)
		case err == nil && n.String() != test.want:
			t.Errorf("parseNumber(%q) = %s, want %s", test.in, n, test.want)
		}
	}
}

func TestAddNumbers(t *testing.T) {
	nines := strings.Repeat("9", 38)
	for _, test := range []struct{ a, b, want string }{
		{"1", "2", "3"},
		{"1", "-1", "0"},
		{"0", "-5", "-5"},
		{"0.1", "0.2", "0.3"},
		{"-1", "0.5", "-0.5"},
		{nines, "1", "1" + strings.Repeat("0", 38)},
		{"1", "10000000000000000000000", "10000000000000000000001"},
		{"1.1E-129", "-1E-129", "0." + strings.Repeat("0", 129) + "1"},
		{nines, "2", "Number overflow"},
		{"1E50", "1", "Number overflow"},
		{"9E125", "9E125", "Number overflow"},
		{"1E-129", "-1.01E-129", "Number underflow"},
	} {
		sum, err := numberIn(t, test.a).add(numberIn(t, test.b))
		switch {
		case err != nil && !strings.HasPrefix(err.Error(), test.want):
			t.Errorf("%s + %s: %v, want %s", test.a, test.b, err, test.want)
		case err == nil && sum.String() != test.want:
			t.Errorf("%s + %s = %s, want %s", test.a, test.b, sum, test.want)
		}
	}
}

func numberIn(t interface{ Fatal(...any) }, s string) number {
	n, err := parseNumber(s)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// numbers generates decimal numbers within the limits.
var numbers = rapid.Custom(func(t *rapid.T) string {
	digits := rapid.StringMatching(`-?[0-9]{1,10}(\.[0-9]{1,10})?`).Draw(t, "digits")
	return digits + rapid.SampledFrom([]string{"", "e3", "E-7", "e+20", "e-20"}).Draw(t, "exponent")
})

// TestNumberProperties holds numbers to math/big.
func TestNumberProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b := numbers.Draw(t, "a"), numbers.Draw(t, "b")
		x, y := numberIn(t, a), numberIn(t, b)
		bigX, bigY := rational(t, a), rational(t, b)
		if want := bigX.Cmp(bigY); x.compare(y) != want || strings.Compare(x.sortKey(), y.sortKey()) != want || (x == y) != (want == 0) {
			t.Fatalf("%s and %s: compare %d, order of keys %d, equal %t; want %d", a, b, x.compare(y), strings.Compare(x.sortKey(), y.sortKey()), x == y, want)
		}
		if again := numberIn(t, x.String()); again != x {
			t.Fatalf("%s: %v, read again %v", a, x, again)
		}
		want := new(big.Rat).Add(bigX, bigY)
		if sum, err := x.add(y); err == nil && rational(t, sum.String()).Cmp(want) != 0 {
			t.Fatalf("%s + %s = %s", a, b, sum)
		}
		if difference, err := x.add(y.negate()); err == nil && rational(t, difference.String()).Cmp(want.Sub(bigX, bigY)) != 0 {
			t.Fatalf("%s - %s = %s", a, b, difference)
		}
	})
}

func rational(t *rapid.T, s string) *big.Rat {
	r, ok := new(big.Rat).SetString(s)
	if !ok {
		t.Fatalf("%s is no number", s)
	}
	return r
}

func TestNumberKeysAtTheLimits(t *testing.T) {
	ascending := []string{"-9.9E125", "-1E125", "-12", "-1.25", "-1.2", "-1", "-0.1", "-1.1E-129", "-1E-129", "-1E-130", "0", "1E-130", "1E-129", "0.1", "1", "1.2", "1.25", "12", "100", "1E125", "9.9E125"}
	for i := range ascending[1:] {
		a, b := numberIn(t, ascending[i]), numberIn(t, ascending[i+1])
		if a.compare(b) >= 0 || a.sortKey() >= b.sortKey() {
			t.Errorf("%s is not before %s", a, b)
		}
	}
}
