package table

import (
	"iter"
	"slices"
	"sort"
	"strings"
)

// keyRange is what a KeyConditionExpression selects: a partition, and in it the sort keys between two bounds.
type keyRange struct {
	partition string
	shown     string // the partition key as a Hook sees it
	sort      *expr  // condition on the sort key, or nil
	attribute keyAttribute

	// below and above tell sort keys before and after the range; nil when there is no condition on the sort key.
	below, above func(sortKey string) bool
}

// keyCondition makes a range of the checked KeyConditionExpression.
func (s *store) keyCondition(root *expr) (*keyRange, error) {
	if root == nil {
		return nil, invalid("Either the KeyConditions or KeyConditionExpression parameter must be specified in the request.")
	}
	found := map[string]*expr{}
	if err := s.keyConditions(root, found); err != nil {
		return nil, err
	}
	return s.keyRange(found)
}

// keyConditions takes the ANDs apart and finds the condition on each attribute.
func (s *store) keyConditions(e *expr, found map[string]*expr) error {
	switch e.op {
	case "AND":
		return firstError(s.keyConditions(e.args[0], found), s.keyConditions(e.args[1], found))
	case "=", "<", "<=", ">", ">=", "BETWEEN", "begins_with":
	default:
		return invalid("Invalid operator used in KeyConditionExpression: %s", e.op)
	}
	name, err := s.keyName(e)
	if err != nil {
		return err
	}
	if found[name] != nil {
		return invalid("KeyConditionExpressions must only contain one condition per key")
	}
	found[name] = e
	return nil
}

// keyName is the attribute that a condition is about; a comparison with the attribute on the right is turned around.
func (s *store) keyName(c *expr) (string, error) {
	attribute := -1
	if (c.op == "BETWEEN" || c.op == "begins_with") && c.args[0].path == nil && c.args[0].op == "" {
		return "", invalid("Invalid condition in KeyConditionExpression: %s operator must have the key attribute as its first operand", c.op)
	}
	for i, arg := range c.args {
		switch {
		case arg.op != "":
			return "", invalid("KeyConditionExpressions cannot contain nested operations")
		case arg.path == nil:
			continue
		case attribute >= 0:
			return "", invalid("Invalid condition in KeyConditionExpression: Multiple attribute names used in one condition")
		case len(arg.path) > 1 && !s.schema.has(arg.path[0].name):
			return "", invalid("KeyConditionExpressions cannot have conditions on nested attributes")
		case len(arg.path) > 1:
			return "", nestedKey(arg.path[0].name)
		}
		attribute = i
	}
	switch {
	case attribute < 0:
		return "", invalid("Invalid condition in KeyConditionExpression: No key attribute specified")
	case attribute == 1:
		c.args[0], c.args[1] = c.args[1], c.args[0]
		c.op = strings.NewReplacer("<", ">", ">", "<").Replace(c.op)
	}
	return c.args[0].path[0].name, nil
}

func nestedKey(name string) error {
	return invalid("Key attributes must be scalars; list random access '[]' and map lookup '.' are not allowed: Key: %s", name)
}

// keyRange checks the conditions against the schema.
func (s *store) keyRange(found map[string]*expr) (*keyRange, error) {
	matched := 0
	for _, a := range s.schema {
		if found[a.name] != nil {
			matched++
		}
	}
	partition := found[s.schema[0].name]
	if matched < len(found) || partition == nil {
		absent := s.schema[0].name
		if partition != nil {
			absent = s.schema[len(s.schema)-1].name
		}
		return nil, invalid("Query condition missed key schema element: %s", absent)
	}
	if partition.op != "=" {
		return nil, invalid("Query key condition not supported")
	}
	k := &keyRange{}
	var err error
	if k.partition, err = s.schema[0].operand(partition.args[1].value); err != nil {
		return nil, err
	}
	k.shown = s.show(document{s.schema[0].name: partition.args[1].value}).Partition
	if matched < 2 {
		return k, nil
	}
	k.attribute, k.sort = s.schema[1], found[s.schema[1].name]
	return k, k.bound()
}

// operand encodes the value of a key condition.
func (a keyAttribute) operand(v value) (string, error) {
	if v.kind() != a.kind {
		return "", invalid("One or more parameter values were invalid: Condition parameter type does not match schema type")
	}
	return a.encode(v)
}

// bound sets below and above.
func (k *keyRange) bound() error {
	var at []string
	for _, arg := range k.sort.args[1:] {
		encoded, err := k.attribute.operand(arg.value)
		if err != nil {
			return err
		}
		at = append(at, encoded)
	}
	low, high := at[0], at[len(at)-1]
	never := func(string) bool { return false }
	k.below, k.above = never, never
	switch k.sort.op {
	case "=", "BETWEEN":
		k.below = func(s string) bool { return s < low }
		k.above = func(s string) bool { return s > high }
	case "<":
		k.above = func(s string) bool { return s >= high }
	case "<=":
		k.above = func(s string) bool { return s > high }
	case ">":
		k.below = func(s string) bool { return s <= low }
	case ">=":
		k.below = func(s string) bool { return s < low }
	case "begins_with":
		k.below = func(s string) bool { return s < low }
		k.above = func(s string) bool { return s > low && !strings.HasPrefix(s, low) }
	}
	return nil
}

// includes tells whether the sort key is in the range.
func (k *keyRange) includes(sortKey string) bool {
	return k.sort == nil || (!k.below(sortKey) && !k.above(sortKey))
}

// rows are those of the range, in order or backward, behind the sort key start if it is given.
func (k *keyRange) rows(p *partition, start *string, backward bool) iter.Seq[*row] {
	if p == nil {
		return slices.Values[[]*row](nil)
	}
	from, to := 0, len(p.rows)
	if k.sort != nil {
		from = sort.Search(len(p.rows), func(i int) bool { return !k.below(p.rows[i].sort) })
		to = sort.Search(len(p.rows), func(i int) bool { return k.above(p.rows[i].sort) })
	}
	if start != nil {
		i, found := p.find(*start)
		if backward {
			to = i
		} else if from = i; found {
			from++
		}
	}
	rows := p.rows[from:max(from, to)]
	if !backward {
		return slices.Values(rows)
	}
	return func(yield func(*row) bool) {
		for _, r := range slices.Backward(rows) {
			if !yield(r) {
				return
			}
		}
	}
}
