package table

import (
	"maps"
	"slices"
)

// update is a checked update expression.
type update struct {
	actions []action
	tree    *change // the actions by the paths of their targets
}

// change is what happens at a path of an item: an action there, or changes below.
type change struct {
	action *action
	below  []branch
}

type branch struct {
	step   step
	change *change
}

// typeNames are the words of the messages about operands of ADD and DELETE.
var typeNames = map[kind]string{
	kindText: "STRING", kindNumber: "NUMBER", kindBinary: "BINARY", kindBoolean: "BOOLEAN", kindNull: "NULL", kindList: "LIST",
	kindDocument: "MAP", kindTexts: "STRING_SET", kindNumbers: "NUMBER_SET", kindBinaries: "BINARY_SET",
}

// update compiles the UpdateExpression; absent, the result is nil.
func (env *environment) update(r *request) (*update, error) {
	const parameter = "UpdateExpression"
	written, found := r.text(parameter)
	if !found {
		return nil, nil
	}
	parsed, err := parse(written, (*parser).update)
	u := &update{tree: &change{}}
	for _, s := range parsed {
		u.actions = append(u.actions, s.actions...)
	}
	if err == nil {
		err = checkSections(parsed)
	}
	if err == nil {
		err = env.resolveUpdate(u.actions)
	}
	if err != nil {
		return nil, inExpression(parameter, err)
	}
	for i := range u.actions {
		u.tree.add(u.actions[i].target.path, &u.actions[i])
	}
	return u, nil
}

// checkSections looks at the words, section by section, and refuses a section that comes twice.
func checkSections(sections []section) error {
	seen := map[string]bool{}
	for _, s := range sections {
		for _, a := range s.actions {
			err := checkWords(a.target, inOperand)
			if err == nil && a.operand != nil {
				err = checkWords(a.operand, inUpdate)
			}
			if err != nil {
				return err
			}
		}
		if seen[s.name] {
			return invalid("The \"%s\" section can only be used once in an update expression;", s.name)
		}
		seen[s.name] = true
	}
	return nil
}

// resolveUpdate resolves all targets before any operand.
func (env *environment) resolveUpdate(actions []action) error {
	targets := make([]path, len(actions))
	for i, a := range actions {
		if err := env.resolvePath(a.target); err != nil {
			return err
		}
		targets[i] = a.target.path
	}
	if err := checkPaths(targets); err != nil {
		return err
	}
	for _, a := range actions {
		if a.operand == nil {
			continue
		}
		if err := firstError(env.resolve(a.operand), checkAction(a)); err != nil {
			return err
		}
	}
	return nil
}

// checkAction refuses operands of ADD and DELETE of a wrong type.
func checkAction(a action) error {
	if a.section == "SET" {
		return nil
	}
	if a.operand.value == nil {
		return nil // not resolved
	}
	k := a.operand.value.kind()
	if isSet(k) || (k == kindNumber && a.section == "ADD") {
		return nil
	}
	return invalid("Incorrect operand type for operator or function; operator: %s, operand type: %s, typeSet: ALLOWED_FOR_%s_OPERAND", a.section, typeNames[k], a.section)
}

func isSet(k kind) bool { return k == kindTexts || k == kindNumbers || k == kindBinaries }

func (c *change) add(p path, a *action) {
	for _, s := range p {
		i := slices.IndexFunc(c.below, func(b branch) bool { return b.step == s })
		if i < 0 {
			i = len(c.below)
			c.below = append(c.below, branch{step: s, change: &change{}})
		}
		c = c.below[i].change
	}
	c.action = a
}

// targets are the paths that the update names.
func (u *update) targets() []path {
	if u == nil {
		return nil
	}
	paths := make([]path, len(u.actions))
	for i, a := range u.actions {
		paths[i] = a.target.path
	}
	return paths
}

// creates tells whether the update brings a missing item into being: one of REMOVE and DELETE alone does not, and does nothing at all.
func (u *update) creates() bool {
	return u == nil || slices.ContainsFunc(u.actions, func(a action) bool { return a.section == "SET" || a.section == "ADD" })
}

// apply is item after the update. item itself stays as it is, and every operand is read from it.
func (u *update) apply(item document) (document, error) {
	if u == nil {
		return item, nil
	}
	after, err := u.tree.apply(item, item)
	if err != nil {
		return nil, err
	}
	return after.(document), nil
}

// apply is what becomes of v, which may be nil for a member that does not exist, and a nil result removes it.
func (c *change) apply(v value, item document) (value, error) {
	if c.action != nil {
		return c.action.apply(v, item)
	}
	switch v := v.(type) {
	case document:
		after := maps.Clone(v)
		for _, b := range c.below {
			if b.step.name == "" {
				return nil, errInvalidPath
			}
			member, err := b.change.apply(v[b.step.name], item)
			if err != nil {
				return nil, err
			}
			if member == nil {
				delete(after, b.step.name)
			} else {
				after[b.step.name] = member
			}
		}
		return after, nil
	case list:
		return c.applyList(v, item)
	}
	return nil, errInvalidPath
}

// applyList takes indexes as they were before the update; what lies beyond the end is appended in the order of its index.
func (c *change) applyList(l list, item document) (value, error) {
	branches := slices.SortedFunc(slices.Values(c.below), func(a, b branch) int { return a.step.index - b.step.index })
	after := slices.Clone(l)
	for _, b := range branches {
		if b.step.name != "" {
			return nil, errInvalidPath
		}
		var before value
		if b.step.index < len(l) {
			before = l[b.step.index]
		}
		member, err := b.change.apply(before, item)
		if err != nil {
			return nil, err
		}
		if b.step.index < len(l) {
			after[b.step.index] = member
		} else {
			after = append(after, member)
		}
	}
	return slices.DeleteFunc(after, func(v value) bool { return v == nil }), nil
}

var (
	errInvalidPath   = invalid("The document path provided in the update expression is invalid for update")
	errMissing       = invalid("The provided expression refers to an attribute that does not exist in the item")
	errOperandType   = invalid("An operand in the update expression has an incorrect data type")
	errUpdateTooLong = invalid("Item size to update has exceeded the maximum allowed size")
)

func (a *action) apply(v value, item document) (value, error) {
	switch a.section {
	case "SET":
		return a.operand.compute(item)
	case "REMOVE":
		return nil, nil
	}
	operand := a.operand.value
	if v == nil {
		if a.section == "DELETE" {
			return nil, nil
		}
		return operand, nil
	}
	if v.kind() != operand.kind() {
		return nil, errOperandType
	}
	switch operand := operand.(type) {
	case number:
		return sum(v, operand, false)
	case set:
		s := v.(set) //nolint:forcetypeassert // the same kind
		if a.section == "ADD" {
			return s.union(operand), nil
		}
		if s = s.minus(operand); len(s.members) > 0 {
			return s, nil
		}
	}
	return nil, nil
}

// compute is the right side of a SET.
func (e *expr) compute(item document) (value, error) {
	switch e.op {
	case "":
		if v := e.of(item); v != nil {
			return v, nil
		}
		return nil, errMissing
	case "if_not_exists":
		other, err := e.args[1].compute(item) // must exist, needed or not
		if v := e.args[0].of(item); v != nil && err == nil {
			return v, nil
		}
		return other, err
	}
	left, err := e.args[0].compute(item)
	if err != nil {
		return nil, err
	}
	right, err := e.args[1].compute(item)
	if err != nil {
		return nil, err
	}
	if e.op == "list_append" {
		l, isList := left.(list)
		m, areLists := right.(list)
		if !isList || !areLists {
			return nil, errOperandType
		}
		return slices.Concat(l, m), nil
	}
	return sum(left, right, e.op == "-")
}

func sum(left, right value, minus bool) (value, error) {
	n, isNumber := left.(number)
	m, areNumbers := right.(number)
	if !isNumber || !areNumbers {
		return nil, errOperandType
	}
	if minus {
		m = m.negate()
	}
	total, err := n.add(m)
	if err != nil {
		return nil, invalid("%s", err)
	}
	return total, nil
}
