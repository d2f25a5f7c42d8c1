package table

import (
	"errors"
	"math/big"
	"strconv"
	"strings"
)

// DynamoDB's numbers: up to 38 significant digits, magnitudes from 1E-130 to 9.99...E+125 (service quotas, "Data types and values").
const (
	maxDigits   = 38
	maxExponent = 126  // of 0.d × 10^exponent
	minExponent = -129 // the same
)

// number is sign × 0.digits × 10^exponent. It is comparable: digits has neither leading nor trailing zeros, and zero is the zero value.
type number struct {
	negative bool
	digits   string
	exponent int
}

var (
	errOverflow  = errors.New("Number overflow. Attempting to store a number with magnitude larger than supported range")   //nolint:staticcheck // ST1005: the API's own words
	errUnderflow = errors.New("Number underflow. Attempting to store a number with magnitude smaller than supported range") //nolint:staticcheck // ST1005: the API's own words
	errPrecision = errors.New("Attempting to store more than 38 significant digits in a Number")                            //nolint:staticcheck // ST1005: the API's own words
	errNumeric   = errors.New("The parameter cannot be converted to a numeric value")                                       //nolint:staticcheck // ST1005: the API's own words
)

// parseNumber reads [+-]digits[.digits][e[+-]digits], where either side of the point may be empty but not both.
func parseNumber(s string) (number, error) {
	rest := s
	negative := false
	if rest != "" && (rest[0] == '+' || rest[0] == '-') {
		negative = rest[0] == '-'
		rest = rest[1:]
	}
	exponent := 0
	if i := strings.IndexAny(rest, "eE"); i >= 0 {
		text := strings.TrimPrefix(rest[i+1:], "+")
		if strings.HasPrefix(text, "+") || strings.HasPrefix(rest[i+1:], "+-") {
			return number{}, notNumeric(s)
		}
		e, err := strconv.Atoi(text)
		if err != nil {
			return number{}, notNumeric(s)
		}
		exponent, rest = e, rest[:i]
	}
	whole, fraction, _ := strings.Cut(rest, ".")
	digits := whole + fraction
	if digits == "" || strings.Trim(digits, "0123456789") != "" {
		return number{}, notNumeric(s)
	}
	return newNumber(negative, digits, exponent+len(whole), errPrecision)
}

func notNumeric(s string) error {
	if s == "" {
		return errNumeric
	}
	return errors.New(errNumeric.Error() + ": " + s)
}

// newNumber brings ±0.digits × 10^exponent into its canonical form. Too many digits are errPrecision when they were sent, errOverflow when they
// were computed.
func newNumber(negative bool, digits string, exponent int, tooLong error) (number, error) {
	trimmed := strings.TrimLeft(digits, "0")
	exponent -= len(digits) - len(trimmed)
	trimmed = strings.TrimRight(trimmed, "0")
	switch {
	case trimmed == "":
		return number{}, nil
	case exponent > maxExponent:
		return number{}, errOverflow
	case exponent < minExponent:
		return number{}, errUnderflow
	case len(trimmed) > maxDigits:
		return number{}, tooLong
	}
	return number{negative: negative, digits: trimmed, exponent: exponent}, nil
}

// String is the plain decimal form in which DynamoDB returns numbers, never with an exponent.
func (n number) String() string {
	if n.digits == "" {
		return "0"
	}
	var b strings.Builder
	if n.negative {
		b.WriteByte('-')
	}
	switch d := n.digits; {
	case n.exponent <= 0:
		b.WriteString("0." + strings.Repeat("0", -n.exponent) + d)
	case n.exponent >= len(d):
		b.WriteString(d + strings.Repeat("0", n.exponent-len(d)))
	default:
		b.WriteString(d[:n.exponent] + "." + d[n.exponent:])
	}
	return b.String()
}

func (n number) sign() int {
	switch {
	case n.digits == "":
		return 0
	case n.negative:
		return -1
	}
	return 1
}

// compare is -1, 0 or +1 as n is less than, equal to or greater than m.
func (n number) compare(m number) int {
	s := n.sign()
	if d := s - m.sign(); d != 0 || s == 0 {
		return sign(d)
	}
	if d := n.exponent - m.exponent; d != 0 {
		return s * sign(d)
	}
	return s * strings.Compare(n.digits, m.digits)
}

func sign(d int) int {
	return min(max(d, -1), 1)
}

// integer is i as a number.
func integer(i int) number {
	n, _ := parseNumber(strconv.Itoa(i)) // an int is within every limit
	return n
}

func (n number) negate() number {
	n.negative = !n.negative && n.digits != ""
	return n
}

// add is exact; a sum that needs more than 38 digits is an error, as on AWS, and not rounded.
func (n number) add(m number) (number, error) {
	low := min(n.exponent-len(n.digits), m.exponent-len(m.digits))
	sum := new(big.Int).Add(n.scaled(low), m.scaled(low))
	digits := new(big.Int).Abs(sum).String()
	return newNumber(sum.Sign() < 0, digits, low+len(digits), errOverflow)
}

// scaled is n ÷ 10^low as an integer.
func (n number) scaled(low int) *big.Int {
	i := new(big.Int)
	if n.digits == "" {
		return i
	}
	i.SetString(n.digits+strings.Repeat("0", n.exponent-len(n.digits)-low), 10)
	if n.negative {
		i.Neg(i)
	}
	return i
}

// sortKey encodes n so that the bytes of encoded numbers compare as the numbers do.
func (n number) sortKey() string {
	if n.digits == "" {
		return "\x01"
	}
	exponent := n.exponent + 256                                                    // positive, and less than 1<<16
	b := append([]byte{2, byte(exponent >> 8), byte(exponent & 0xff)}, n.digits...) //nolint:gosec // G115: 9 bits
	if n.negative {
		b[0] = 0
		for i := 1; i < len(b); i++ {
			b[i] = ^b[i]
		}
		b = append(b, 0xff) // a number with more digits is smaller
	}
	return string(b)
}
