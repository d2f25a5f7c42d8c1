package table

import (
	"slices"
)

// usage says where a function may stand.
type usage int

const (
	inCondition usage = iota // as a condition
	inOperand                // within one
	inUpdate                 // as the whole right side of SET
	inSum                    // within a right side of SET
)

// functions are those of the expression language.
var functions = map[string]struct {
	operands  int
	allowed   []usage
	firstPath bool // the first operand must be a path
}{
	"attribute_exists":     {1, []usage{inCondition}, true},
	"attribute_not_exists": {1, []usage{inCondition}, true},
	"attribute_type":       {2, []usage{inCondition}, false},
	"begins_with":          {2, []usage{inCondition}, false},
	"contains":             {2, []usage{inCondition}, false},
	"size":                 {1, []usage{inOperand}, false},
	"if_not_exists":        {2, []usage{inUpdate, inSum}, true},
	"list_append":          {2, []usage{inUpdate}, false},
}

// checkWords refuses functions that do not exist, or not here, and names that are reserved.
func checkWords(e *expr, here usage) error {
	for _, s := range e.steps {
		if reserved(s) {
			return invalid("Attribute name is a reserved keyword; reserved keyword: %s", s)
		}
	}
	below := inOperand
	switch {
	case here == inUpdate || here == inSum:
		below = inSum
	case e.op == "AND" || e.op == "OR" || e.op == "NOT":
		below = inCondition
	}
	if e.function {
		f, exists := functions[e.op]
		if !exists {
			return invalid("Invalid function name; function: %s", e.op)
		}
		ofUpdates, update := slices.Contains(f.allowed, inUpdate), below == inSum
		switch {
		case update && !ofUpdates:
			return invalid("The function is not allowed in an update expression; function: %s", e.op)
		case !update && ofUpdates:
			return invalid("The function is not allowed in a condition expression; function: %s", e.op)
		case !slices.Contains(f.allowed, here):
			return invalid("The function is not allowed to be used this way in an expression; function: %s", e.op)
		}
	}
	for _, arg := range e.args {
		if err := checkWords(arg, below); err != nil {
			return err
		}
	}
	return nil
}

// resolve looks up, from the leaves up, what the expression refers to, and refuses operands that can never be right, whatever the item.
func (env *environment) resolve(e *expr) error {
	for _, arg := range e.args {
		if err := env.resolve(arg); err != nil {
			return err
		}
	}
	if err := firstError(env.resolvePath(e), env.resolveValue(e)); err != nil {
		return err
	}
	if e.function {
		f := functions[e.op]
		if len(e.args) != f.operands {
			return invalid("Incorrect number of operands for operator or function; operator or function: %s, number of operands: %d", e.op, len(e.args))
		}
		if f.firstPath && e.args[0].path == nil {
			return invalid("Operator or function requires a document path; operator or function: %s", e.op)
		}
	}
	return checkTypes(e)
}

// checkDistinct refuses a path that is compared with itself.
func checkDistinct(e *expr) error {
	switch e.op {
	case "", "AND", "OR", "NOT", "+", "-", "list_append":
		return nil
	}
	for _, arg := range e.args[1:] {
		if first := e.args[0].path; first != nil && slices.Equal(first, arg.path) {
			return invalid("The first operand must be distinct from the remaining operands for this operator or function; operator: %s, first operand: %s", e.op, first)
		}
	}
	return nil
}

func checkTypes(e *expr) error {
	var allowed []kind
	switch e.op {
	case "<", "<=", ">", ">=", "BETWEEN":
		allowed = []kind{kindText, kindNumber, kindBinary}
	case "begins_with":
		allowed = []kind{kindText, kindBinary}
	case "size":
		allowed = []kind{kindText, kindBinary, kindList, kindDocument, kindTexts, kindNumbers, kindBinaries}
	case "+", "-":
		allowed = []kind{kindNumber}
	case "list_append":
		allowed = []kind{kindList}
	case "IN":
		if n := len(e.args) - 1; n > 100 {
			return invalid("The IN operator is provided with too many operands; number of operands: %d", n)
		}
	}
	for _, arg := range e.args {
		if k := arg.literal(); k != "" && allowed != nil && !slices.Contains(allowed, k) {
			return invalid("Incorrect operand type for operator or function; operator or function: %s, operand type: %s", e.op, k)
		}
	}
	if err := checkDistinct(e); err != nil {
		return err
	}
	switch e.op {
	case "BETWEEN":
		return checkBounds(e.args[1].value, e.args[2].value)
	case "attribute_type":
		return checkTypeName(e.args[1])
	}
	return nil
}

// literal is the kind of an operand that is known without an item, or empty.
func (e *expr) literal() kind {
	switch {
	case e.value != nil:
		return e.value.kind()
	case e.op == "size":
		return kindNumber
	}
	return ""
}

// checkTypeName looks at the second operand of attribute_type.
func checkTypeName(e *expr) error {
	name, ok := e.value.(text)
	switch {
	case e.literal() == "":
		return invalid("Incorrect operand type for operator or function; operator or function: attribute_type, operand type: a document path")
	case !ok:
		return invalid("Incorrect operand type for operator or function; operator or function: attribute_type, operand type: %s", e.literal())
	case !known(kind(name)):
		return invalid("Invalid attribute type name found; type: %s, valid types: {B,NULL,SS,BOOL,L,BS,N,NS,S,M}", name)
	}
	return nil
}

func checkBounds(low, high value) error {
	if low == nil || high == nil {
		return nil
	}
	c, same := order(low, high)
	complaint := ""
	switch {
	case !same:
		complaint = "The BETWEEN operator requires same data type for lower and upper bounds"
	case c > 0:
		complaint = "The BETWEEN operator requires upper bound to be greater than or equal to lower bound"
	default:
		return nil
	}
	return invalid("%s; lower bound operand: AttributeValue: %s, upper bound operand: AttributeValue: %s", complaint, show(low), show(high))
}

// show is the form of a scalar in DynamoDB's messages: {S:text}.
func show(v value) string {
	shown := ""
	switch v := v.(type) {
	case text:
		shown = string(v)
	case number:
		shown = v.String()
	case binary:
		shown = "java.nio.HeapByteBuffer"
	}
	return "{" + string(v.kind()) + ":" + shown + "}"
}
