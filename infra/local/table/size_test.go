package table

import (
	"testing"
)

// TestSize: AWS's rules, and what DynamoDB Local was seen to charge for.
func TestSize(t *testing.T) {
	for _, test := range []struct {
		value object
		want  int
	}{
		{object{"S": ""}, 0},
		{object{"S": "abc"}, 3},
		{object{"S": "é"}, 2},
		{object{"S": "😀"}, 4},
		{object{"B": "AQID"}, 3},
		{object{"BOOL": false}, 1},
		{object{"NULL": true}, 1},
		{object{"L": []any{}}, 3},
		{object{"M": object{}}, 3},
		{object{"L": []any{textOf("a")}}, 5},
		{object{"L": []any{textOf("a"), textOf("b")}}, 7},
		{object{"M": object{"k": textOf("a")}}, 6},
		{object{"M": object{"k": textOf("a"), "j": textOf("bb")}}, 10},
		{object{"L": []any{object{"L": []any{}}}}, 7},
		{object{"M": object{"k": object{"M": object{"z": object{"BOOL": true}}}}}, 11},
		{object{"SS": []any{"a", "bc"}}, 3},
		{object{"BS": []any{"AQ==", "AQI="}}, 3},
		{object{"NS": []any{"12", "345"}}, 5},
		{numberOf("0"), 1},
		{numberOf("1"), 2},
		{numberOf("-1"), 3},
		{numberOf("12"), 2},
		{numberOf("100"), 2},
		{numberOf("120"), 3},
		{numberOf("123"), 3},
		{numberOf("-123"), 4},
		{numberOf("1234"), 3},
		{numberOf("12345"), 4},
		{numberOf("1.5"), 3},
		{numberOf("0.5"), 2},
		{numberOf("0.05"), 2},
		{numberOf("0.123"), 3},
		{numberOf("12e10"), 2},
		{numberOf("12e11"), 3},
		{numberOf("1e-130"), 2},
		{numberOf("1795411703885"), 8},
		{numberOf("99999999999999999999999999999999999999"), 20},
		{numberOf("9999999999999999999999999999999999999"), 20},
	} {
		v, err := decodeValue(test.value)
		if err != nil {
			t.Errorf("%v: %v", test.value, err)
		} else if got := size(v); got != test.want {
			t.Errorf("size of %v = %d, want %d", test.value, got, test.want)
		}
	}
	item := document{"pk": text("p"), "n": number{}, "l": list{}}
	if got := itemSize(item); got != 2+1+1+1+1+3 {
		t.Errorf("itemSize = %d", got)
	}
	if got := itemSize(nil); got != 0 {
		t.Errorf("itemSize of nothing = %d", got)
	}
}

func TestUnits(t *testing.T) {
	for _, test := range []struct {
		bytes                int
		consistent, eventual float64
	}{{0, 1, 0.5}, {1, 1, 0.5}, {4096, 1, 0.5}, {4097, 2, 1}, {8192, 2, 1}, {8193, 3, 1.5}} {
		if got := readUnits(test.bytes, true).Read; got != test.consistent {
			t.Errorf("reading %d bytes consistently costs %v, want %v", test.bytes, got, test.consistent)
		}
		if got := readUnits(test.bytes, false).Read; got != test.eventual {
			t.Errorf("reading %d bytes costs %v, want %v", test.bytes, got, test.eventual)
		}
	}
	for _, test := range []struct {
		before, after int
		want          float64
	}{{0, 0, 1}, {0, 1, 1}, {0, 1024, 1}, {0, 1025, 2}, {3000, 1, 3}, {1, 3000, 3}, {2048, 0, 2}} {
		if got := writeUnits(test.before, test.after).Write; got != test.want {
			t.Errorf("writing %d bytes over %d costs %v, want %v", test.after, test.before, got, test.want)
		}
	}
}
