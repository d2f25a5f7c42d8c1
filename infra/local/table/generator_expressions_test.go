package table

import (
	"fmt"
	"slices"
	"strings"
)

// alias refers to an attribute by name.
func (g *generator) alias(name string) string {
	if !g.chance(3) && name != "user" && name != "v#1" {
		return name
	}
	alias := "#" + strings.ReplaceAll(name, "#", "_")
	if !g.chance(300) {
		g.names[alias] = name
	} else if g.chance(2) {
		return name
	}
	return alias
}

// ref refers to a value.
func (g *generator) ref(v object) string {
	ref := fmt.Sprintf(":v%d", len(g.values))
	if g.chance(400) {
		return ref
	}
	g.values[ref] = v
	return ref
}

func (g *generator) anyValue() object {
	if g.chance(300) {
		return g.badValue()
	}
	return g.value(1)
}

func (g *generator) path() string {
	switch g.IntN(12) {
	case 0:
		return g.alias("m") + "." + g.alias(one(g, "a", "b", "c", "user"))
	case 1:
		return g.alias("m") + "." + g.alias("b") + "." + g.alias(one(g, "c", "d"))
	case 2:
		return g.alias("l") + fmt.Sprintf("[%d]", g.IntN(5))
	case 3:
		return g.alias("l") + "[1]." + g.alias(one(g, "a", "b"))
	case 4:
		return g.alias(one(g, "a", "s", "n")) + one(g, ".a", "[0]", "[1].a", ".user", ".b.c")
	}
	return g.alias(one(g, "a", "b", "n", "s", "l", "m", "ss", "ns", "bs", "t", "user", "v#1", "zz"))
}

func (g *generator) operand() string {
	switch g.IntN(12) {
	case 0:
		return "size(" + g.path() + ")"
	case 1:
		return "(" + g.operand() + ")"
	case 2, 3, 4, 5:
		return g.path()
	}
	return g.ref(g.anyValue())
}

func (g *generator) condition(depth int) string {
	if depth > 0 && g.chance(3) {
		switch g.IntN(5) {
		case 0:
			return "NOT " + g.condition(depth-1)
		case 1:
			return "(" + g.condition(depth-1) + ")"
		}
		return g.condition(depth-1) + one(g, " AND ", " OR ", " and ") + g.condition(depth-1)
	}
	switch g.IntN(12) {
	case 0:
		return "attribute_exists(" + g.path() + ")"
	case 1:
		return "attribute_not_exists(" + g.path() + ")"
	case 2:
		return "attribute_type(" + g.path() + ", " + g.ref(textOf(one(g, "S", "N", "B", "L", "M", "SS", "NS", "BS", "BOOL", "NULL", "x"))) + ")"
	case 3:
		return "begins_with(" + g.operand() + ", " + g.ref(one(g, textOf("a"), textOf(""), binaryOf("a"), numberOf("1"))) + ")"
	case 4, 5:
		return "contains(" + g.operand() + ", " + g.operand() + ")"
	case 6:
		return g.operand() + " BETWEEN " + g.operand() + " AND " + g.operand()
	case 7:
		return g.operand() + " IN (" + g.operand() + one(g, "", ", "+g.operand(), ","+g.operand()+","+g.operand()) + ")"
	}
	return g.operand() + one(g, " = ", "=", " <> ", " < ", " <= ", " > ", " >= ") + g.operand()
}

func (g *generator) sum() string {
	switch g.IntN(8) {
	case 0:
		return g.path() + one(g, " + ", " - ", "-") + g.ref(numberOf(g.digits()))
	case 1:
		return "if_not_exists(" + g.path() + ", " + g.ref(numberOf(g.digits())) + ") + " + g.ref(numberOf(g.digits()))
	case 2:
		return "if_not_exists(" + g.operand() + ", " + g.operand() + ")"
	case 3:
		return "list_append(" + one(g, "l", g.path(), "if_not_exists(l, "+g.ref(object{"L": []any{}})+")") + ", " + g.ref(one(g, object{"L": []any{numberOf("9")}}, textOf("x"))) + ")"
	case 4:
		return g.path()
	case 5:
		return g.operand() + " + " + g.operand()
	}
	return g.ref(g.anyValue())
}

// fitting is an update that suits the usual types of the attributes; some of its parts may yet miss.
func (g *generator) fitting() string {
	number := func() string { return g.ref(numberOf(one(g, "1", "-1", "0.5", "100", fmt.Sprint(g.IntN(1000))))) }
	value := func() string { return g.ref(g.value(1)) }
	index := func() string { return fmt.Sprintf("[%d]", g.IntN(5)) }
	n, l, m := func() string { return g.alias("n") }, func() string { return g.alias("l") }, func() string { return g.alias("m") }
	sections := map[string][]func() string{
		"SET": {
			func() string { return n() + " = " + n() + one(g, " + ", " - ") + number() },
			func() string { return n() + " = if_not_exists(" + n() + ", " + number() + ") + " + number() },
			func() string { return "b = " + value() },
			func() string { return g.alias("user") + " = " + value() },
			func() string { return l() + index() + " = " + value() },
			func() string {
				return l() + index() + " = " + value() + ", " + l() + "[7] = " + value() + ", " + l() + "[5] = " + l() + "[0]"
			},
			func() string { return l() + "[1].a = " + l() + "[1].a + " + number() },
			func() string {
				return l() + " = list_append(" + l() + ", " + g.ref(object{"L": []any{g.value(0)}}) + ")"
			},
			func() string { return m() + ".a = " + value() },
			func() string { return m() + "." + g.alias("user") + " = " + n() + ", " + m() + ".c = " + m() + ".a" },
			func() string { return m() + ".b.c = " + value() + ", " + m() + ".b.d = " + value() },
			func() string { return "duplicate = " + one(g, "l", "m", "n", "ss", "sk", "m.b") },
		},
		"REMOVE": {
			func() string { return one(g, "b", "zz", "duplicate", "t", g.alias("user")) },
			func() string { return l() + index() },
			func() string { return l() + "[0], " + l() + "[2]" },
			func() string { return l() + "[1].b" },
			func() string { return m() + ".a, " + m() + ".zz" },
			func() string { return m() + ".b.c" },
		},
		"ADD": {
			func() string { return "hits " + number() },
			func() string { return n() + " " + number() },
			func() string { return m() + ".hits " + number() },
			func() string { return "ss " + g.ref(object{"SS": some(g, any("a"), "b", "c", "d", "e")}) },
			func() string { return "ns " + g.ref(object{"NS": some(g, any("1"), "1.0E1", "-2", "0.5")}) },
			func() string { return "fresh " + g.ref(g.set()) },
		},
		"DELETE": {
			func() string { return "ss " + g.ref(object{"SS": some(g, any("a"), "b", "c", "d", "e")}) },
			func() string { return "ns " + g.ref(object{"NS": some(g, any("1"), "2", "3.0")}) },
			func() string { return "bs " + g.ref(object{"BS": some(g, any("AQ=="), "AQI=")}) },
			func() string { return "zz " + g.ref(g.set()) },
		},
	}
	var clauses []string
	for _, section := range some(g, "SET", "SET", "REMOVE", "ADD", "DELETE") {
		if !slices.ContainsFunc(clauses, func(c string) bool { return strings.HasPrefix(c, section) }) {
			clauses = append(clauses, section+" "+one(g, sections[section]...)())
		}
	}
	return strings.Join(clauses, " ")
}

func (g *generator) update() string {
	if !g.chance(6) {
		return g.fitting()
	}
	var b strings.Builder
	for _, section := range some(g, "SET", "REMOVE", "ADD", "DELETE", "SET") {
		b.WriteString(section + " ")
		for i := range 1 + g.IntN(2) {
			if i > 0 {
				b.WriteString(", ")
			}
			b.WriteString(g.action(section))
		}
		b.WriteString(" ")
	}
	return strings.TrimRight(b.String(), one(g, " ", ""))
}

func (g *generator) action(section string) string {
	target := g.path()
	if g.chance(60) {
		target = one(g, "pk", "sk", "#pk")
		g.names["#pk"] = "pk"
		if target != "#pk" {
			delete(g.names, "#pk")
		}
	}
	switch section {
	case "SET":
		return target + one(g, " = ", "=") + g.sum()
	case "ADD":
		return target + " " + g.ref(one(g, numberOf(g.digits()), g.set(), g.set(), g.anyValue()))
	case "DELETE":
		return target + " " + g.ref(one(g, g.set(), g.set(), g.anyValue()))
	}
	return target
}

func (g *generator) keyCondition() string {
	partition := g.alias("pk") + " = " + g.ref(textOf(one(g, "p", "q", "nobody")))
	if g.chance(40) {
		partition = g.condition(1)
	}
	sortValue := func() string { return g.ref(textOf(one(g, "a", "b", "c", "c#1", "z", "é", "~"))) }
	sk := g.alias("sk")
	switch g.IntN(12) {
	case 0:
		return partition
	case 1, 2:
		return partition + " AND begins_with(" + sk + ", " + g.ref(textOf(one(g, "c", "c#", "c#1", "a", "x", one(g, "", "c")))) + ")"
	case 3, 4:
		return partition + " AND " + sk + " BETWEEN " + sortValue() + " AND " + sortValue()
	case 5:
		if g.chance(3) {
			return partition + " AND " + g.condition(1)
		}
		return partition
	case 6:
		return sk + " > " + sortValue() + " AND " + partition
	case 7:
		return "(" + partition + ") AND (" + sortValue() + one(g, " < ", " >= ", " = ") + sk + ")"
	}
	return partition + " AND " + sk + one(g, " = ", " < ", " <= ", " > ", " >= ", one(g, " <> ", " > ")) + sortValue()
}

func (g *generator) projection() string {
	paths := []string{g.path()}
	for range g.IntN(3) {
		paths = append(paths, g.path())
	}
	return strings.Join(paths, one(g, ",", ", "))
}

// expression is now and then broken.
func (g *generator) expression(s string) string {
	if !g.chance(40) {
		return s
	}
	fields := strings.Fields(s)
	i := g.IntN(len(fields))
	switch g.IntN(4) {
	case 0:
		fields = append(fields[:i], fields[i+1:]...)
	case 1:
		fields[i] += one(g, ")", "(", " AND", ".", "[", "]", "[01]", " :v0", "!", " user", " =", ",", " 5", "#", "é", ";", " NOT", " IN", "+", "-")
	case 2:
		fields[i] = one(g, "AND", "a", ":v0", "(", ")", "=", "foo(a)", "size(a)", "SET", "add", "-1", "\"a\"")
	default:
		j := g.IntN(len(fields))
		fields[i], fields[j] = fields[j], fields[i]
	}
	return strings.Join(fields, " ")
}
