package table

// size is what DynamoDB counts, in bytes, toward capacity and the limit of an item ("DynamoDB item sizes and formats"): names and values, sets
// without overhead, lists and maps 3 bytes and 1 more for each element.
func size(v value) int {
	switch v := v.(type) {
	case text:
		return len(v)
	case binary:
		return len(v)
	case number:
		return v.size()
	case list:
		n := 3
		for _, e := range v {
			n += 1 + size(e)
		}
		return n
	case document:
		n := 3 + len(v)
		for name, e := range v {
			n += len(name) + size(e)
		}
		return n
	case set:
		n := 0
		for _, e := range v.members {
			n += size(e)
		}
		return n
	}
	return 1 // BOOL, NULL
}

// size is one byte for every two digits, counted from the decimal point, one more for a sign, and one.
func (n number) size() int {
	if n.digits == "" {
		return 1
	}
	digits := len(n.digits)
	if n.exponent%2 != 0 {
		digits++ // the first pair holds one digit
	}
	bytes := 1 + (digits+1)/2
	if n.negative {
		bytes++
	}
	return bytes
}

// itemSize is the size of an item; nil, no item, is 0.
func itemSize(item document) int {
	n := 0
	for name, v := range item {
		n += len(name) + size(v)
	}
	return n
}
