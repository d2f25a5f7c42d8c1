package table

import (
	"maps"
	"net/http"
	"strings"
	"testing"
)

func TestUpdates(t *testing.T) { onEngines(t, testUpdates) }

// gone marks an attribute that an update removes.
var gone any

func testUpdates(t *testing.T, e engine) {
	l := sample["l"].(object)["L"].([]any)
	for update, want := range map[string]object{ // the attributes that change
		"SET n = :one":                           {"n": numberOf("1")},
		"set n = n + :one":                       {"n": numberOf("6")},
		"SET n = n - :n9":                        {"n": numberOf("-4")},
		"SET n = :n9 - n":                        {"n": numberOf("4")},
		"SET n = :one + :two":                    {"n": numberOf("3")},
		"SET n = n+n":                            {"n": numberOf("10")},
		"SET n = (n + :one)":                     {"n": numberOf("6")},
		"SET n = (n) + (:one)":                   {"n": numberOf("6")},
		"SET q = :big + :one":                    {"q": numberOf("1" + strings.Repeat("0", 38))},
		"SET q = n, n = :one":                    {"q": numberOf("5"), "n": numberOf("1")},
		"SET n = s, s = n":                       {"n": textOf("hello"), "s": numberOf("5")},
		"SET q = pk":                             {"q": textOf("p")},
		"SET q = if_not_exists(zz, :one)":        {"q": numberOf("1")},
		"SET q = if_not_exists(n, :one)":         {"q": numberOf("5")},
		"SET q = if_not_exists(zz, n)":           {"q": numberOf("5")},
		"SET q = if_not_exists(zz, :one) + :one": {"q": numberOf("2")},
		"SET q = if_not_exists(m.zz, if_not_exists(l[9], :two))": {"q": numberOf("2")},
		"SET list2 = list_append(list2, :l9)":                    {"list2": object{"L": []any{numberOf("1"), numberOf("9")}}},
		"SET list2 = list_append(:l9, list2)":                    {"list2": object{"L": []any{numberOf("9"), numberOf("1")}}},
		"SET q = list_append(if_not_exists(zz, :l), :l9)":        {"q": object{"L": []any{numberOf("1"), numberOf("9")}}},
		"SET l[0] = :x":                       {"l": object{"L": []any{textOf("x"), l[1], l[2]}}},
		"SET l[9] = :x":                       {"l": object{"L": []any{l[0], l[1], l[2], textOf("x")}}},
		"SET l[9] = :x, l[5] = :a, l[1] = :s": {"l": object{"L": []any{l[0], textOf("hello"), l[2], textOf("a"), textOf("x")}}},
		"SET l[0] = l[1], l[1] = l[0]":        {"l": object{"L": []any{l[1], l[0], l[2]}}},
		"SET l[2].a = :x":                     {"l": object{"L": []any{l[0], l[1], object{"M": object{"a": textOf("x")}}}}},
		"SET l[2].c = :x":                     {"l": object{"L": []any{l[0], l[1], object{"M": object{"a": numberOf("3"), "c": textOf("x")}}}}},
		"SET m.a = :x, m.b.d = m.a":           {"m": object{"M": object{"a": textOf("x"), "b": object{"M": object{"c": textOf("d"), "d": numberOf("1")}}}}},
		"SET m.#u = :x":                       {"m": object{"M": object{"a": numberOf("1"), "b": object{"M": object{"c": textOf("d")}}, "user": textOf("x")}}},
		"SET #dot = :x":                       {"a.b": textOf("x")},
		"SET m = :l":                          {"m": object{"L": []any{numberOf("1")}}},
		"REMOVE n":                            {"n": gone},
		"REMOVE zz, s":                        {"s": gone},
		"REMOVE l[0]":                         {"l": object{"L": []any{l[1], l[2]}}},
		"REMOVE l[9]":                         {},
		"REMOVE l[2], l[0]":                   {"l": object{"L": []any{l[1]}}},
		"REMOVE l[0], l[1], l[2]":             {"l": object{"L": []any{}}},
		"REMOVE l[0] SET l[1] = :x":           {"l": object{"L": []any{textOf("x"), l[2]}}},
		"SET l[4] = :x REMOVE l[1]":           {"l": object{"L": []any{l[0], l[2], textOf("x")}}},
		"REMOVE l[2].a":                       {"l": object{"L": []any{l[0], l[1], object{"M": object{}}}}},
		"REMOVE m.a, m.zz":                    {"m": object{"M": object{"b": object{"M": object{"c": textOf("d")}}}}},
		"REMOVE m.b.c":                        {"m": object{"M": object{"a": numberOf("1"), "b": object{"M": object{}}}}},
		"REMOVE n SET q = n":                  {"n": gone, "q": numberOf("5")},
		"ADD n :two":                          {"n": numberOf("7")},
		"ADD n :i":                            {"n": numberOf("2")},
		"ADD q :two":                          {"q": numberOf("2")},
		"ADD m.a :two, m.q :two":              {"m": object{"M": object{"a": numberOf("3"), "q": numberOf("2"), "b": object{"M": object{"c": textOf("d")}}}}},
		"ADD l[0] :two":                       {"l": object{"L": []any{numberOf("3"), l[1], l[2]}}},
		"ADD ss :new":                         {"ss": object{"SS": []any{"a", "b", "c"}}},
		"ADD ns :new2":                        {"ns": object{"NS": []any{"1", "2.5", "7"}}},
		"ADD q :bs":                           {"q": object{"BS": []any{"AQ=="}}},
		"DELETE ss :new":                      {"ss": object{"SS": []any{"a"}}},
		"DELETE ss :ss":                       {"ss": gone},
		"DELETE ns :new2":                     {"ns": object{"NS": []any{"1"}}},
		"DELETE q :ss":                        {},
		"DELETE m.q :ss":                      {},
		"SET n = :one ADD q :two DELETE ss :new REMOVE s": {"n": numberOf("1"), "q": numberOf("2"), "ss": object{"SS": []any{"a"}}, "s": gone},
	} {
		put(t, e, sample)
		status, answer := e(t, "UpdateItem", withSample(object{"TableName": "app", "Key": keyOf(sample), "UpdateExpression": update, "ReturnValues": "ALL_NEW"}, update))
		after := maps.Clone(sample)
		for name, v := range want {
			if after[name] = v; v == nil {
				delete(after, name)
			}
		}
		x := exchange{}
		if diff := x.diff(after, answer["Attributes"]); status != http.StatusOK || diff != "" {
			t.Errorf("%s: status %d, %v\n(-want +got) %s", update, status, answer["__type"], diff)
		}
		_, stored := e(t, "GetItem", object{"TableName": "app", "Key": keyOf(sample)})
		if diff := x.diff(after, stored["Item"]); diff != "" {
			t.Errorf("%s: stored (-want +got) %s", update, diff)
		}
	}
}

func TestUpdateErrors(t *testing.T) { onEngines(t, testUpdateErrors) }

func testUpdateErrors(t *testing.T, e engine) {
	const (
		prefix   = "Invalid UpdateExpression: "
		path     = "The document path provided in the update expression is invalid for update"
		absent   = "The provided expression refers to an attribute that does not exist in the item"
		dataType = "An operand in the update expression has an incorrect data type"
	)
	for update, want := range map[string]string{
		"":                                 prefix + `The expression can not be empty;`,
		"SET":                              prefix + `Syntax error; token: "<EOF>", near: "SET"`,
		"a = :x":                           prefix + `Syntax error; token: "a", near: "a ="`,
		"SET a":                            prefix + `Syntax error; token: "<EOF>", near: "a"`,
		"SET a = :x,":                      prefix + `Syntax error; token: "<EOF>", near: ","`,
		"SET a :x":                         prefix + `Syntax error; token: ":x", near: "a :x"`,
		"SET :x = a":                       prefix + `Syntax error; token: ":x", near: "SET :x ="`,
		"SET (a) = :x":                     prefix + `Syntax error; token: "(", near: "SET (a"`,
		"SET a = b = :x":                   prefix + `Syntax error; token: "=", near: "b = :x"`,
		"SET a = n + :n + :n":              prefix + `Syntax error; token: "+", near: ":n + :n"`,
		"SET a = (n + :n) + n":             prefix + `Syntax error; token: "+", near: ") + n"`,
		"SET a = if_not_exists(a, n + n)":  prefix + `Syntax error; token: "+", near: "n + n"`,
		"SET a = :x; REMOVE s":             prefix + `Syntax error; token: ";", near: ":x; REMOVE"`,
		"REMOVE :x":                        prefix + `Syntax error; token: ":x", near: "REMOVE :x"`,
		"REMOVE n s":                       prefix + `Syntax error; token: "s", near: "n s"`,
		"ADD n = :n":                       prefix + `Syntax error; token: "=", near: "n = :n"`,
		"ADD n n":                          prefix + `Syntax error; token: "n", near: "n n"`,
		"DELETE ss":                        prefix + `Syntax error; token: "<EOF>", near: "ss"`,
		"SET a = ((:x))":                   prefix + `The expression has redundant parentheses;`,
		"SET user = :x":                    prefix + `Attribute name is a reserved keyword; reserved keyword: user`,
		"SET a = #undef":                   prefix + `An expression attribute name used in the document path is not defined; attribute name: #undef`,
		"SET a = :undef":                   prefix + `An expression attribute value used in expression is not defined; attribute value: :undef`,
		"SET a = :x SET b = :x":            prefix + `The "SET" section can only be used once in an update expression;`,
		"REMOVE a add n :n REMOVE b":       prefix + `The "REMOVE" section can only be used once in an update expression;`,
		"SET a = :x, a = :x":               prefix + `Two document paths overlap with each other; must remove or rewrite one of these paths; path one: [a], path two: [a]`,
		"SET n = :x REMOVE #n":             prefix + `Two document paths overlap with each other; must remove or rewrite one of these paths; path one: [n], path two: [n]`,
		"SET m = :x, m.a = :x":             prefix + `Two document paths overlap with each other; must remove or rewrite one of these paths; path one: [m], path two: [m, a]`,
		"SET l[0].a = :x, l[0] = :x":       prefix + `Two document paths overlap with each other; must remove or rewrite one of these paths; path one: [l, [0], a], path two: [l, [0]]`,
		"SET m.a = :x, m[0] = :x":          prefix + `Two document paths conflict with each other; must remove or rewrite one of these paths; path one: [m, a], path two: [m, [0]]`,
		"SET a = foo(b)":                   prefix + `Invalid function name; function: foo`,
		"SET a = size(s)":                  prefix + `The function is not allowed in an update expression; function: size`,
		"SET a = list_append(l, :l9) + :n": prefix + `The function is not allowed to be used this way in an expression; function: list_append`,
		"SET a = list_append(list_append(l, :l9), :l9)": prefix + `The function is not allowed to be used this way in an expression; function: list_append`,
		"SET a = if_not_exists(:x, :x)":                 prefix + `Operator or function requires a document path; operator or function: if_not_exists`,
		"SET a = if_not_exists(a)":                      prefix + `Incorrect number of operands for operator or function; operator or function: if_not_exists, number of operands: 1`,
		"SET a = if_not_exists(n, n)":                   prefix + `The first operand must be distinct from the remaining operands for this operator or function; operator: if_not_exists, first operand: [n]`,
		"SET a = n + :s":                                prefix + `Incorrect operand type for operator or function; operator or function: +, operand type: S`,
		"SET a = :l - n":                                prefix + `Incorrect operand type for operator or function; operator or function: -, operand type: L`,
		"SET a = list_append(l, :s)":                    prefix + `Incorrect operand type for operator or function; operator or function: list_append, operand type: S`,
		"ADD n :s":                                      prefix + `Incorrect operand type for operator or function; operator: ADD, operand type: STRING, typeSet: ALLOWED_FOR_ADD_OPERAND`,
		"ADD n :t":                                      prefix + `Incorrect operand type for operator or function; operator: ADD, operand type: BOOLEAN, typeSet: ALLOWED_FOR_ADD_OPERAND`,
		"ADD l :l9":                                     prefix + `Incorrect operand type for operator or function; operator: ADD, operand type: LIST, typeSet: ALLOWED_FOR_ADD_OPERAND`,
		"ADD m :m":                                      prefix + `Incorrect operand type for operator or function; operator: ADD, operand type: MAP, typeSet: ALLOWED_FOR_ADD_OPERAND`,
		"DELETE n :n":                                   prefix + `Incorrect operand type for operator or function; operator: DELETE, operand type: NUMBER, typeSet: ALLOWED_FOR_DELETE_OPERAND`,
		"DELETE b :b":                                   prefix + `Incorrect operand type for operator or function; operator: DELETE, operand type: BINARY, typeSet: ALLOWED_FOR_DELETE_OPERAND`,
		"SET pk = :x":                                   `One or more parameter values were invalid: Cannot update attribute pk. This attribute is part of the key`,
		"ADD n :n REMOVE sk":                            `One or more parameter values were invalid: Cannot update attribute sk. This attribute is part of the key`,
		"SET #pk.a = :x":                                `One or more parameter values were invalid: Cannot update attribute pk. This attribute is part of the key`,
		"SET a = zz":                                    absent,
		"SET a = zz + :n":                               absent,
		"SET a = m.zz":                                  absent,
		"SET a = l[7]":                                  absent,
		"SET a = if_not_exists(zz, yy)":                 absent,
		"SET a = if_not_exists(n, yy)":                  absent,
		"SET a = list_append(zz, :l9)":                  absent,
		"SET n = s + :n":                                dataType,
		"SET a = if_not_exists(zz, :s) + :n":            dataType,
		"SET a = list_append(s, :l9)":                   dataType,
		"ADD s :n":                                      dataType,
		"ADD ss :ns":                                    dataType,
		"ADD ss :n":                                     dataType,
		"DELETE n :ss":                                  dataType,
		"SET zz.a = :x":                                 path,
		"SET s.a = :x":                                  path,
		"SET s[0] = :x":                                 path,
		"SET m[0] = :x":                                 path,
		"SET l.a = :x":                                  path,
		"SET m.zz.a = :x":                               path,
		"SET l[9].a = :x":                               path,
		"REMOVE zz.a":                                   path,
		"REMOVE s[0]":                                   path,
		"ADD zz.n :n":                                   path,
		"SET a = :big + :two":                           `Number overflow. Attempting to store a number with magnitude larger than supported range`,
	} {
		status, answer := e(t, "UpdateItem", withSample(object{"TableName": "app", "Key": keyOf(sample), "UpdateExpression": update}, update))
		if status != http.StatusBadRequest || answer["__type"] != typeValidation || !sameMessage(want, messageOf(answer)) {
			t.Errorf("%q: status %d, %v\nwant %s", update, status, answer, want)
		}
	}
	_, stored := e(t, "GetItem", object{"TableName": "app", "Key": keyOf(sample)})
	x := exchange{}
	if diff := x.diff(sample, stored["Item"]); diff != "" {
		t.Errorf("an update that failed has changed the item (-want +got):\n%s", diff)
	}
}

// TestUpdateOfNothing: what becomes of an item that does not exist.
func TestUpdateOfNothing(t *testing.T) {
	for _, test := range []struct {
		update string
		want   object // attributes beside the key; nil for no item
	}{
		{"", object{}},
		{"SET a = :x", object{"a": textOf("x")}},
		{"SET a = pk", object{"a": textOf("nobody")}},
		{"ADD a :n", object{"a": numberOf("5")}},
		{"REMOVE b ADD a :ss DELETE c :ss", object{"a": object{"SS": []any{"a", "b"}}}},
		// AWS does nothing here, DynamoDB Local creates an item without attributes.
		{"REMOVE a", nil},
		{"REMOVE a.b, c[0]", nil},
		{"DELETE a :ss", nil},
		{"REMOVE b DELETE a :ss", nil},
	} {
		e := newSample(t)
		key := object{"pk": textOf("nobody"), "sk": textOf("s")}
		r := withSample(object{"TableName": "app", "Key": key, "ReturnValues": "ALL_NEW", "ReturnConsumedCapacity": "TOTAL"}, test.update)
		if test.update != "" {
			r["UpdateExpression"] = test.update
		}
		status, answer := e(t, "UpdateItem", r)
		if status != http.StatusOK || answer["ConsumedCapacity"].(object)["CapacityUnits"] != 1.0 {
			t.Errorf("%q: status %d, %v", test.update, status, answer)
		}
		var want any
		if test.want != nil {
			maps.Copy(test.want, key)
			want = test.want
		}
		_, stored := e(t, "GetItem", object{"TableName": "app", "Key": key})
		x := exchange{}
		if diff := x.diff(want, answer["Attributes"]); diff != "" {
			t.Errorf("%q: attributes (-want +got):\n%s", test.update, diff)
		}
		if diff := x.diff(want, stored["Item"]); diff != "" {
			t.Errorf("%q: stored (-want +got):\n%s", test.update, diff)
		}
	}
}

// TestUpdatedParts: UPDATED_OLD and UPDATED_NEW return the parts that the expression names, as AWS does; DynamoDB Local returns whole attributes.
func TestUpdatedParts(t *testing.T) {
	l := sample["l"].(object)["L"].([]any)
	for _, test := range []struct {
		update   string
		old, new object
	}{
		{"SET n = :one, q = :two", object{"n": numberOf("5")}, object{"n": numberOf("1"), "q": numberOf("2")}},
		{"SET n = :n", object{"n": numberOf("5")}, object{"n": numberOf("5")}},
		{"REMOVE n", object{"n": numberOf("5")}, nil},
		{"SET q = :one", nil, object{"q": numberOf("1")}},
		{"SET m.a = :x", object{"m": object{"M": object{"a": numberOf("1")}}}, object{"m": object{"M": object{"a": textOf("x")}}}},
		{"SET m.q = :x", nil, object{"m": object{"M": object{"q": textOf("x")}}}},
		{"SET l[1] = :x, m.b.c = :x", object{"l": object{"L": []any{l[1]}}, "m": object{"M": object{"b": object{"M": object{"c": textOf("d")}}}}}, object{"l": object{"L": []any{textOf("x")}}, "m": object{"M": object{"b": object{"M": object{"c": textOf("x")}}}}}},
		{"SET l[100] = :x", nil, nil},
		{"REMOVE l[0], l[9]", object{"l": object{"L": []any{l[0]}}}, object{"l": object{"L": []any{l[1]}}}},
		{"ADD ss :new DELETE ns :new2", object{"ss": object{"SS": []any{"a", "b"}}, "ns": object{"NS": []any{"1", "2.5"}}}, object{"ss": object{"SS": []any{"a", "b", "c"}}, "ns": object{"NS": []any{"1"}}}},
	} {
		for returned, want := range map[string]object{"UPDATED_OLD": test.old, "UPDATED_NEW": test.new} {
			e := newSample(t)
			_, answer := e(t, "UpdateItem", withSample(object{"TableName": "app", "Key": keyOf(sample), "UpdateExpression": test.update, "ReturnValues": returned}, test.update))
			got, _ := answer["Attributes"].(object)
			x := exchange{}
			if diff := x.diff(want, got); diff != "" {
				t.Errorf("%s, %s (-want +got):\n%s", test.update, returned, diff)
			}
		}
	}
}
