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
