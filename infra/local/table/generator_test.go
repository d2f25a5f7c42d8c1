package table

import (
	"encoding/base64"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
)

// generator makes random requests, most of them valid, over a few items whose attributes have many shapes.
type generator struct {
	*rand.Rand
	table string

	names  map[string]any // ExpressionAttributeNames of the request at hand
	values map[string]any // ExpressionAttributeValues
}

type object = map[string]any

// one takes one of the choices.
func one[T any](g *generator, choices ...T) T { return choices[g.IntN(len(choices))] }

// chance is true once in n times.
func (g *generator) chance(n int) bool { return g.IntN(n) == 0 }

func textOf(s string) object   { return object{"S": s} }
func numberOf(s string) object { return object{"N": s} }
func binaryOf(s string) object { return object{"B": base64.StdEncoding.EncodeToString([]byte(s))} }

func (g *generator) key() object {
	return object{"pk": textOf(one(g, "p", "q")), "sk": textOf(one(g, "a", "b", "c#1", "c#2", "é", "z"))}
}

// anyKey is now and then no key at all.
func (g *generator) anyKey() object {
	k := g.key()
	if !g.chance(40) {
		return k
	}
	switch g.IntN(5) {
	case 0:
		delete(k, "sk")
	case 1:
		k["sk"] = numberOf("1")
	case 2:
		k["pk"] = textOf("")
	case 3:
		k["x"] = textOf("x")
	default:
		delete(k, "sk")
		k["x"] = textOf("x")
	}
	return k
}

// keys are up to most keys, now and then one twice.
func (g *generator) keys(most int) []object {
	var all []object
	for range 1 + g.IntN(most) {
		if g.chance(100) {
			break
		}
		k := g.anyKey()
		if g.chance(60) || !slices.ContainsFunc(all, func(o object) bool { return encoded(o) == encoded(k) }) {
			all = append(all, k)
		}
	}
	return all
}

func (g *generator) digits() string {
	return one(g, "0", "1", "2", "-1", "5", "10", "-0.5", "1.50", "100", "1E3", "0.001", "12345678901234567890123456789012345678",
		"1E125", "9.9E125", "-1E125", "1E-130", "1795411703885", "99999999999999999999999999999999999999", "007", "+3", ".5", "5.",
		fmt.Sprint(g.IntN(1000)), fmt.Sprint(g.IntN(100)), fmt.Sprint(g.Int64()))
}

func (g *generator) word() string {
	return one(g, "", "a", "b", "ab", "abc", "é", "😀", "a#b", "S", "N", "L", "x\"y\\z\n", strings.Repeat("x", g.IntN(1200)))
}

func (g *generator) value(depth int) object {
	kinds := 10
	if depth <= 0 {
		kinds = 8
	}
	switch g.IntN(kinds) {
	case 0, 1:
		return textOf(g.word())
	case 2, 3:
		return numberOf(g.digits())
	case 4:
		return binaryOf(g.word())
	case 5:
		return object{"BOOL": g.chance(2)}
	case 6:
		return object{"NULL": true}
	case 7:
		return g.set()
	case 8:
		l := []any{}
		for range g.IntN(4) {
			l = append(l, g.value(depth-1))
		}
		return object{"L": l}
	}
	m := object{}
	for range g.IntN(4) {
		m[one(g, "a", "b", "c", "user")] = g.value(depth - 1)
	}
	return object{"M": m}
}

func (g *generator) set() object {
	switch g.IntN(3) {
	case 0:
		return object{"SS": some(g, any("a"), "b", "c", "é", "aa")}
	case 1:
		return object{"NS": some(g, any("1"), "2", "-3", "10", "0.5")}
	}
	return object{"BS": some(g, any("AQ=="), "AQI=", "/w==")}
}

// some takes a few of the choices, at least one.
func some[T any](g *generator, choices ...T) []T {
	g.Shuffle(len(choices), func(i, j int) { choices[i], choices[j] = choices[j], choices[i] })
	return choices[:1+g.IntN(len(choices))]
}

// badValue is a value that DynamoDB refuses.
func (g *generator) badValue() object {
	return one(g,
		object{"SS": []any{}}, object{"NS": []any{}}, object{"BS": []any{}}, object{"SS": []any{"a", "a"}}, object{"NS": []any{"1", "1.0"}},
		object{"BS": []any{"AQ==", "AQ=="}}, object{}, object{"S": "a", "N": "1"}, object{"N": ""}, object{"N": "x"}, object{"N": "1E126"},
		object{"N": "1E-131"}, object{"N": strings.Repeat("9", 39)}, object{"NULL": false}, object{"L": []any{object{}}}, deep(32), object{"N": "1e"},
		object{"M": object{"": textOf("x")}})
}

// deep is lists in lists.
func deep(levels int) object {
	v := textOf("x")
	for range levels {
		v = object{"L": []any{v}}
	}
	return v
}

// attributes of the items, each mostly of the type of its name.
func (g *generator) item() object {
	item := g.anyKey()
	for _, name := range some(g, "a", "b", "n", "s", "l", "m", "ss", "ns", "bs", "t", "user", "v#1") {
		item[name] = g.attribute(name)
	}
	if g.chance(2) { // what nested updates need
		item["l"], item["m"], item["n"] = g.attribute("l"), g.attribute("m"), g.attribute("n")
	}
	if g.chance(80) {
		item["a"] = g.badValue()
	}
	if g.chance(30) { // around a boundary of capacity
		item["s"] = textOf(strings.Repeat("s", one(g, 1024, 2048, 4096)-20+g.IntN(40)))
	}
	return item
}

func (g *generator) attribute(name string) object {
	if g.chance(8) {
		return g.value(2)
	}
	switch name {
	case "n", "a":
		return numberOf(g.digits())
	case "l":
		return object{"L": []any{g.value(0), object{"M": object{"a": numberOf("1"), "b": g.value(1)}}, numberOf("3")}}
	case "m":
		return object{"M": object{"a": numberOf("1"), "b": object{"M": object{"c": g.value(0)}}, "user": textOf("u")}}
	case "ss":
		return object{"SS": some(g, any("a"), "b", "c")}
	case "ns":
		return object{"NS": some(g, any("1"), "2", "3")}
	case "bs":
		return object{"BS": some(g, any("AQ=="), "AQI=")}
	case "s", "user":
		return textOf(g.word())
	}
	return g.value(2)
}

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

// begin starts a request with its own names and values.
func (g *generator) begin() object {
	g.names, g.values = object{}, object{}
	r := object{"TableName": g.table}
	if g.chance(2) {
		r["ReturnConsumedCapacity"] = one(g, "TOTAL", "INDEXES", "NONE")
	}
	return r
}

// end adds the names and values that the expressions of the request need, and now and then one more.
func (g *generator) end(r object) object {
	if g.chance(80) {
		g.names["#unused"] = "x"
	}
	if g.chance(80) {
		g.values[":unused"] = textOf("x")
	}
	if g.chance(200) {
		g.values["bad"] = textOf("x")
	}
	if len(g.names) > 0 || g.chance(200) {
		r["ExpressionAttributeNames"] = g.names
	}
	if len(g.values) > 0 || g.chance(200) {
		r["ExpressionAttributeValues"] = g.values
	}
	return r
}

func (g *generator) returns(r object, choices ...string) {
	if !g.chance(3) {
		r["ReturnValues"] = one(g, choices...)
	}
	if g.chance(3) {
		r["ReturnValuesOnConditionCheckFailure"] = one(g, "ALL_OLD", "NONE")
	}
}

// request is a random operation and its parameters.
func (g *generator) request() (operation string, r object) {
	r = g.begin()
	switch operation = one(g, "PutItem", "PutItem", "UpdateItem", "UpdateItem", "UpdateItem", "UpdateItem", "DeleteItem", "GetItem", "Query", "Query", "Scan", "BatchGetItem", "BatchWriteItem"); operation {
	case "PutItem":
		r["Item"] = g.item()
		g.returns(r, "NONE", "ALL_OLD")
	case "UpdateItem":
		r["Key"] = g.anyKey()
		if !g.chance(30) {
			r["UpdateExpression"] = g.expression(g.update())
		}
		g.returns(r, "NONE", "ALL_OLD", "ALL_NEW", "UPDATED_OLD", "UPDATED_NEW")
	case "DeleteItem":
		r["Key"] = g.anyKey()
		g.returns(r, "NONE", "ALL_OLD")
	case "GetItem":
		r["Key"] = g.anyKey()
		return operation, g.read(r)
	case "Query":
		r["KeyConditionExpression"] = g.expression(g.keyCondition())
		return operation, g.page(r)
	case "Scan":
		return operation, g.page(r)
	case "BatchGetItem":
		return operation, g.batchGet(r)
	case "BatchWriteItem":
		return operation, g.batchWrite(r)
	}
	if g.chance(3) {
		r["ConditionExpression"] = g.expression(g.condition(2))
	}
	return operation, g.end(r)
}

func (g *generator) read(r object) object {
	if g.chance(2) {
		r["ConsistentRead"] = g.chance(2)
	}
	if g.chance(3) {
		r["ProjectionExpression"] = g.expression(g.projection())
	}
	r = g.end(r)
	delete(r, "ExpressionAttributeValues")
	return r
}

func (g *generator) page(r object) object {
	if g.chance(2) {
		r["FilterExpression"] = g.expression(g.condition(1))
	}
	if g.chance(3) {
		r["ProjectionExpression"] = g.expression(g.projection())
	}
	if g.chance(2) {
		r["ConsistentRead"] = g.chance(2)
	}
	if g.chance(5) {
		r["Select"] = one(g, "COUNT", "ALL_ATTRIBUTES")
	}
	if r["ProjectionExpression"] != nil && g.chance(3) || g.chance(60) {
		r["Select"] = "SPECIFIC_ATTRIBUTES"
	}
	if r["KeyConditionExpression"] == nil {
		return g.end(r)
	}
	if g.chance(2) {
		r["Limit"] = one(g, 1, 2, 3, 4, 5, 1+g.IntN(5), 1+g.IntN(5), g.IntN(5))
	}
	if g.chance(2) {
		r["ScanIndexForward"] = g.chance(2)
	}
	if g.chance(4) {
		r["ExclusiveStartKey"] = g.anyKey()
	}
	return g.end(r)
}

func (g *generator) batchGet(r object) object {
	keys := []any{}
	for _, k := range g.keys(6) {
		keys = append(keys, k)
	}
	get := object{"Keys": keys}
	if g.chance(2) {
		get["ProjectionExpression"] = g.projection()
	}
	if g.chance(2) {
		get["ConsistentRead"] = true
	}
	if len(g.names) > 0 {
		get["ExpressionAttributeNames"] = g.names
	}
	delete(r, "TableName")
	r["RequestItems"] = object{g.table: get}
	return r
}

func (g *generator) batchWrite(r object) object {
	writes := []any{}
	for _, k := range g.keys(5) {
		if g.chance(3) {
			writes = append(writes, object{"DeleteRequest": object{"Key": k}})
		} else {
			item := g.item()
			maps.Copy(item, k)
			writes = append(writes, object{"PutRequest": object{"Item": item}})
		}
	}
	delete(r, "TableName")
	r["RequestItems"] = object{g.table: writes}
	return r
}
