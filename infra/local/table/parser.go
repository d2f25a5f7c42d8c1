package table

import (
	"strings"
)

// maxExpression, in bytes, and maxOperators are the limits of one expression (service quotas, "Expression parameters").
const (
	maxExpression = 4096
	maxOperators  = 300
)

// expr is a node of a parsed expression: a path, a value, or an operator or function with its operands.
type expr struct {
	op       string   // operator or function; empty for a path or a value
	function bool     // op is a function
	steps    []string // of a path, as written: a, #b, [0]
	ref      string   // of a value, as written: :v
	args     []*expr
	grouped  bool // stood in parentheses

	path  path  // set by check
	value value // set by check
}

// parser is a recursive descent over the tokens of one expression. The first error is kept; after it every token is the end, so that all loops stop.
type parser struct {
	text      string
	tokens    []token
	at        int
	operators int
	err       error
}

// parse runs one grammar over the whole of text.
func parse[T any](text string, grammar func(*parser) T) (result T, err error) {
	p := &parser{text: text}
	switch {
	case text == "":
		return result, invalid("The expression can not be empty;")
	case len(text) > maxExpression:
		return result, invalid("Expression size has exceeded the maximum allowed size; expression size: %d", len(text))
	}
	p.tokens = tokens(text)
	result = grammar(p)
	p.end()
	switch {
	case p.err != nil:
		return result, p.err
	case p.operators > maxOperators:
		return result, invalid("The expression contains too many operators; operator count: %d", maxOperators+1)
	}
	return result, nil
}

func (p *parser) peek() token { return p.tokens[p.at] }

func (p *parser) next() token {
	t := p.tokens[p.at]
	if t.kind != tokenEnd {
		p.at++
	}
	return t
}

// accept takes the next token if it is that symbol or keyword.
func (p *parser) accept(texts ...string) (string, bool) {
	t := p.peek()
	if t.kind != tokenSymbol && t.kind != tokenKeyword {
		return "", false
	}
	for _, text := range texts {
		if strings.EqualFold(t.text, text) {
			p.next()
			return text, true
		}
	}
	return "", false
}

func (p *parser) expect(text string) {
	if _, ok := p.accept(text); !ok {
		p.fail()
	}
}

func (p *parser) end() {
	if p.peek().kind != tokenEnd {
		p.fail()
	}
}

// fail reports the next token with its neighbours, as DynamoDB does.
func (p *parser) fail() {
	from, to := 0, p.tokens[min(p.at+1, len(p.tokens)-1)].end
	if p.at > 0 {
		from = p.tokens[p.at-1].start
	}
	p.stop(invalid("Syntax error; token: \"%s\", near: \"%s\"", p.peek().text, p.text[from:to]))
}

// stop keeps the first error and skips the rest.
func (p *parser) stop(err error) {
	p.err = firstError(p.err, err)
	p.at = len(p.tokens) - 1
}

func (p *parser) operator(op string, args ...*expr) *expr {
	p.operators++
	return &expr{op: op, args: args}
}

// condition := and (OR and)*
func (p *parser) condition() *expr { return p.disjunction(false) }

func (p *parser) disjunction(inGroup bool) *expr {
	left := p.conjunction(inGroup)
	for {
		if _, ok := p.accept("OR"); !ok {
			return left
		}
		left = p.operator("OR", left, p.conjunction(false))
	}
}

func (p *parser) conjunction(inGroup bool) *expr {
	left := p.negation(inGroup)
	for {
		if _, ok := p.accept("AND"); !ok {
			return left
		}
		left = p.operator("AND", left, p.negation(false))
	}
}

func (p *parser) negation(inGroup bool) *expr {
	if _, ok := p.accept("NOT"); ok {
		return p.operator("NOT", p.negation(false))
	}
	return p.predicate(inGroup)
}

// predicate := operand comparator operand | operand BETWEEN operand AND operand | operand IN (operand, ...) | function | (condition).
// In parentheses it may turn out to be an operand alone: (a) = :v.
func (p *parser) predicate(inGroup bool) *expr {
	left := p.primary(func() *expr { return p.disjunction(true) })
	if left.isCondition() {
		return left
	}
	if op, ok := p.accept("=", "<>", "<", "<=", ">", ">="); ok {
		return p.operator(op, left, p.operand())
	}
	if _, ok := p.accept("BETWEEN"); ok {
		low := p.operand()
		p.expect("AND")
		return p.operator("BETWEEN", left, low, p.operand())
	}
	if _, ok := p.accept("IN"); ok {
		p.expect("(")
		in := p.operator("IN", append([]*expr{left}, p.operands()...)...)
		p.expect(")")
		return in
	}
	alone := left.function || (inGroup && p.peek().text == ")")
	if !alone {
		p.fail()
	}
	return left
}

// isCondition tells comparisons and logic from operands; a function may be either.
func (e *expr) isCondition() bool { return e.op != "" && !e.function }

func (p *parser) operands() []*expr {
	all := []*expr{p.operand()}
	for {
		if _, ok := p.accept(","); !ok {
			return all
		}
		all = append(all, p.operand())
	}
}

// operand := path | value | function(operand, ...) | (operand)
func (p *parser) operand() *expr { return p.primary(p.operand) }

// primary is an operand, or whatever group parses in parentheses.
func (p *parser) primary(group func() *expr) *expr {
	switch t := p.peek(); {
	case t.kind == tokenSymbol && t.text == "(":
		p.next()
		e := group()
		p.expect(")")
		if e.grouped {
			p.stop(invalid("The expression has redundant parentheses;"))
		}
		e.grouped = true
		return e
	case t.kind == tokenValue:
		p.next()
		return &expr{ref: t.text}
	case t.kind == tokenName && p.tokens[p.at+1].text == "(":
		p.next()
		p.next()
		e := p.operator(t.text, p.operands()...)
		e.function = true
		p.expect(")")
		return e
	}
	return p.path()
}

// path := name (.name | [index])*
func (p *parser) path() *expr {
	e := &expr{steps: []string{p.pathName()}}
	for {
		if _, ok := p.accept("."); ok {
			e.steps = append(e.steps, p.pathName())
		} else if _, ok := p.accept("["); ok {
			if p.peek().kind != tokenIndex {
				p.fail()
			}
			e.steps = append(e.steps, "["+p.next().text+"]")
			p.expect("]")
		} else {
			return e
		}
	}
}

func (p *parser) pathName() string {
	if k := p.peek().kind; k != tokenName && k != tokenAlias {
		p.fail()
	}
	return p.next().text
}

// projection := path (, path)*
func (p *parser) projection() []*expr {
	all := []*expr{p.path()}
	for {
		if _, ok := p.accept(","); !ok {
			return all
		}
		all = append(all, p.path())
	}
}

// section is a clause of an update expression.
type section struct {
	name    string // SET, REMOVE, ADD or DELETE
	actions []action
}

// action is one change of an update expression.
type action struct {
	section string
	target  *expr
	operand *expr // nil for REMOVE
}

// update := (SET path = sum, ... | REMOVE path, ... | ADD path value, ... | DELETE path value, ...)+
func (p *parser) update() []section {
	var all []section
	for p.peek().kind != tokenEnd || len(all) == 0 {
		name, ok := p.accept("SET", "REMOVE", "ADD", "DELETE")
		if !ok {
			p.fail()
			break
		}
		s := section{name: name}
		for more := true; more; _, more = p.accept(",") {
			s.actions = append(s.actions, p.action(name))
		}
		all = append(all, s)
	}
	return all
}

func (p *parser) action(section string) action {
	a := action{section: section, target: p.path()}
	switch section {
	case "SET":
		p.expect("=")
		a.operand = p.sum()
	case "ADD", "DELETE":
		p.operators++
		if p.peek().kind != tokenValue {
			p.fail()
		}
		a.operand = &expr{ref: p.next().text}
	}
	return a
}

// sum := operand ((+ | -) operand)?; parentheses may stand around all of it, but a sum is no operand.
func (p *parser) sum() *expr {
	left := p.primary(p.sum)
	if left.isCondition() {
		return left // a sum in parentheses
	}
	if op, ok := p.accept("+", "-"); ok {
		return p.operator(op, left, p.operand())
	}
	return left
}
