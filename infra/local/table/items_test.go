package table

import (
	"net/http"
	"strings"
	"testing"
)

// units is the CapacityUnits of an answer that was asked for them.
func units(t *testing.T, answer object) float64 {
	t.Helper()
	consumed, _ := answer["ConsumedCapacity"].(object)
	u, ok := consumed["CapacityUnits"].(float64)
	if !ok {
		t.Fatalf("no ConsumedCapacity in %v", answer)
	}
	return u
}

func TestReturnValues(t *testing.T) {
	old := object{"pk": textOf("p"), "sk": textOf("s"), "a": numberOf("1")}
	for _, test := range []struct {
		operation, returned string
		exists              bool
		want                any
	}{
		{"PutItem", "", true, nil},
		{"PutItem", "NONE", true, nil},
		{"PutItem", "ALL_OLD", true, old},
		{"PutItem", "ALL_OLD", false, nil},
		{"DeleteItem", "", true, nil},
		{"DeleteItem", "NONE", true, nil},
		{"DeleteItem", "ALL_OLD", true, old},
		{"DeleteItem", "ALL_OLD", false, nil},
		{"UpdateItem", "", true, nil},
		{"UpdateItem", "NONE", true, nil},
		{"UpdateItem", "ALL_OLD", true, old},
		{"UpdateItem", "ALL_OLD", false, nil},
		{"UpdateItem", "ALL_NEW", true, object{"pk": textOf("p"), "sk": textOf("s"), "a": numberOf("2")}},
		{"UpdateItem", "UPDATED_OLD", true, object{"a": numberOf("1")}},
		{"UpdateItem", "UPDATED_OLD", false, nil},
		{"UpdateItem", "UPDATED_NEW", true, object{"a": numberOf("2")}},
	} {
		e := embedded(New(Options{}))
		createTable(t, e, "app")
		if test.exists {
			put(t, e, old)
		}
		r := object{"TableName": "app", "Key": keyOf(old)}
		switch test.operation {
		case "PutItem":
			r = object{"TableName": "app", "Item": keyOf(old)}
		case "UpdateItem":
			r["UpdateExpression"], r["ExpressionAttributeValues"] = "SET a = :two", object{":two": numberOf("2")}
		}
		if test.returned != "" {
			r["ReturnValues"] = test.returned
		}
		status, answer := e(t, test.operation, r)
		x := exchange{}
		if diff := x.diff(test.want, answer["Attributes"]); status != http.StatusOK || diff != "" {
			t.Errorf("%s %s, exists %t: status %d (-want +got):\n%s", test.operation, test.returned, test.exists, status, diff)
		}
	}
}

func TestFailedConditionReturnsItem(t *testing.T) {
	e := newSample(t)
	for _, test := range []struct {
		key  object
		asks any
		want any
	}{
		{keyOf(sample), nil, nil},
		{keyOf(sample), "NONE", nil},
		{keyOf(sample), "ALL_OLD", sample},
		{object{"pk": textOf("nobody"), "sk": textOf("s")}, "ALL_OLD", nil},
	} {
		for operation, r := range map[string]object{"PutItem": {"Item": test.key}, "DeleteItem": {"Key": test.key}, "UpdateItem": {"Key": test.key, "UpdateExpression": "REMOVE n"}} {
			r["TableName"], r["ConditionExpression"], r["ReturnValuesOnConditionCheckFailure"] = "app", "attribute_exists(zz)", test.asks
			status, answer := e(t, operation, r)
			x := exchange{}
			if diff := x.diff(test.want, answer["Item"]); status != http.StatusBadRequest || answer["__type"] != typeConditionalFailed || answer["message"] != "The conditional request failed" || diff != "" {
				t.Errorf("%s, %v: status %d, %v (-want +got):\n%s", operation, test.asks, status, answer, diff)
			}
		}
	}
}

func TestWriteCapacity(t *testing.T) {
	table := New(Options{})
	e := embedded(table)
	createTable(t, e, "app")
	key := object{"pk": textOf("p"), "sk": textOf("s")} // 6 bytes
	item := func(bytes int) object {
		return object{"pk": textOf("p"), "sk": textOf("s"), "d": textOf(strings.Repeat("x", bytes-7))}
	}
	steps := []struct {
		operation string
		r         object
		want      float64
	}{
		{"PutItem", object{"Item": item(1024)}, 1},
		{"PutItem", object{"Item": item(1025)}, 2},
		{"PutItem", object{"Item": item(100)}, 2}, // the larger of old and new
		{"PutItem", object{"Item": item(100)}, 1},
		{"PutItem", object{"Item": item(4000)}, 4},
		{"UpdateItem", object{"Key": key, "UpdateExpression": "SET a = :a", "ExpressionAttributeValues": object{":a": textOf("a")}}, 4}, // all of the item
		{"UpdateItem", object{"Key": key, "UpdateExpression": "REMOVE d"}, 4},
		{"UpdateItem", object{"Key": key, "UpdateExpression": "REMOVE d"}, 1},
		{"UpdateItem", object{"Key": key, "UpdateExpression": "SET d = :d", "ExpressionAttributeValues": object{":d": textOf(strings.Repeat("x", 3000))}}, 3},
		{"DeleteItem", object{"Key": key}, 3},
		{"DeleteItem", object{"Key": key}, 1}, // nothing
	}
	sum := map[string]Units{}
	for i, s := range steps {
		s.r["TableName"], s.r["ReturnConsumedCapacity"] = "app", "INDEXES"
		_, answer := e(t, s.operation, s.r)
		if got := units(t, answer); got != s.want {
			t.Errorf("step %d, %s: %v units, want %v", i, s.operation, got, s.want)
		}
		sum[s.operation] = sum[s.operation].plus(Units{Write: s.want})
	}
	put(t, e, item(2500))
	sum["PutItem"] = sum["PutItem"].plus(Units{Write: 3})
	e(t, "DeleteItem", object{"TableName": "app", "Key": key, "ConditionExpression": "attribute_exists(zz)"})
	sum["DeleteItem"] = sum["DeleteItem"].plus(Units{Write: 3}) // a failed condition costs what its item does
	e(t, "DeleteItem", object{"TableName": "app", "Key": object{"pk": textOf("nobody"), "sk": textOf("s")}, "ConditionExpression": "attribute_exists(pk)"})
	sum["DeleteItem"] = sum["DeleteItem"].plus(Units{Write: 1}) // or 1
	got := table.Consumed()
	for operation, want := range sum {
		if got[operation] != want {
			t.Errorf("Consumed of %s = %v, want %v", operation, got[operation], want)
		}
	}
	table.ResetConsumed()
	if got := table.Consumed(); len(got) != 0 {
		t.Errorf("after ResetConsumed, Consumed = %v", got)
	}
}

func TestReadCapacity(t *testing.T) {
	e := embedded(New(Options{}))
	createTable(t, e, "app")
	item := object{"pk": textOf("p"), "sk": textOf("s"), "d": textOf(strings.Repeat("x", 4096-7))}
	put(t, e, item)
	larger := object{"pk": textOf("p"), "sk": textOf("t"), "d": textOf(strings.Repeat("x", 4096-6))}
	put(t, e, larger)
	nobody := object{"pk": textOf("nobody"), "sk": textOf("s")}
	for _, test := range []struct {
		operation  string
		r          object
		consistent bool
		want       float64
	}{
		{"GetItem", object{"Key": keyOf(item)}, true, 1},
		{"GetItem", object{"Key": keyOf(item)}, false, 0.5},
		{"GetItem", object{"Key": keyOf(larger)}, true, 2},
		{"GetItem", object{"Key": keyOf(larger)}, false, 1},
		{"GetItem", object{"Key": keyOf(larger), "ProjectionExpression": "pk"}, true, 2},
		{"GetItem", object{"Key": nobody}, true, 1},
		{"GetItem", object{"Key": nobody}, false, 0.5},
		{"Query", object{"KeyConditionExpression": "pk = :p"}, true, 3},
		{"Query", object{"KeyConditionExpression": "pk = :p"}, false, 1.5}, // the sum, rounded up once
		{"Query", object{"KeyConditionExpression": "pk = :p", "FilterExpression": "attribute_exists(zz)"}, true, 3},
		{"Query", object{"KeyConditionExpression": "pk = :p", "Select": "COUNT"}, true, 3},
		{"Query", object{"KeyConditionExpression": "pk = :p", "Limit": 1}, true, 1},
		{"Query", object{"KeyConditionExpression": "sk = :p AND pk = :p"}, true, 1},
		{"Query", object{"KeyConditionExpression": "sk = :p AND pk = :p"}, false, 0.5}, // empty
		{"Scan", object{}, true, 3},
		{"Scan", object{"Limit": 1}, false, 0.5},
	} {
		test.r["TableName"], test.r["ReturnConsumedCapacity"], test.r["ConsistentRead"] = "app", "TOTAL", test.consistent
		if test.operation == "Query" {
			test.r["ExpressionAttributeValues"] = object{":p": textOf("p")}
		}
		_, answer := e(t, test.operation, test.r)
		if got := units(t, answer); got != test.want {
			t.Errorf("%s %v: %v units, want %v", test.operation, test.r, got, test.want)
		}
	}
	if _, answer := e(t, "GetItem", object{"TableName": "app", "Key": nobody}); len(answer) != 0 {
		t.Errorf("unasked, a miss answers %v", answer)
	}
}

// TestItemErrors: requests that DynamoDB refuses, and what it says.
func TestItemErrors(t *testing.T) {
	e := newSample(t)
	with := func(name string, v any) object {
		item := keyOf(sample)
		item[name] = v
		return item
	}
	long := func(n int) string { return strings.Repeat("x", n) }
	for _, test := range []struct {
		operation string
		r         object
		want      string // message; empty succeeds
	}{
		{"PutItem", object{"Item": with("a", object{"S": ""})}, ""},
		{"PutItem", object{"Item": with("a", object{"B": ""})}, ""},
		{"PutItem", object{"Item": with("a", object{"L": []any{}})}, ""},
		{"PutItem", object{"Item": with("a", object{"SS": []any{"", "b"}})}, ""},
		{"PutItem", object{"Item": with("a", deep(31))}, ""},
		{"PutItem", object{"Item": with("a", deep(32))}, "Nesting Levels have exceeded supported limits: Attributes in the item have nested levels beyond supported limit"},
		{"PutItem", object{"Item": with("a", object{"SS": []any{}})}, "One or more parameter values were invalid: An string set  may not be empty"},
		{"PutItem", object{"Item": with("a", object{"NS": []any{}})}, "One or more parameter values were invalid: An number set  may not be empty"},
		{"PutItem", object{"Item": with("a", object{"L": []any{object{"BS": []any{}}}})}, "One or more parameter values were invalid: Binary sets should not be empty"},
		{"PutItem", object{"Item": with("a", object{"SS": []any{"a", "a"}})}, "One or more parameter values were invalid: Input collection [a, a] contains duplicates."},
		{"PutItem", object{"Item": with("a", object{"NS": []any{"1", "1.0"}})}, "Input collection contains duplicates"},
		{"PutItem", object{"Item": with("a", object{"BS": []any{"AQ==", "AQ=="}})}, "One or more parameter values were invalid: Input collection of type BS contains duplicates."},
		{"PutItem", object{"Item": with("a", object{"NULL": false})}, "One or more parameter values were invalid: Null attribute value types must have the value of true"},
		{"PutItem", object{"Item": with("a", object{})}, "Supplied AttributeValue is empty, must contain exactly one of the supported datatypes"},
		{"PutItem", object{"Item": with("a", object{"S": "a", "N": "1"})}, "Supplied AttributeValue has more than one datatypes set, must contain exactly one of the supported datatypes"},
		{"PutItem", object{"Item": with("a", object{"N": "x"})}, "The parameter cannot be converted to a numeric value: x"},
		{"PutItem", object{"Item": with("", textOf("x"))}, "Empty attribute name"},
		{"PutItem", object{"Item": with(long(65535), textOf("x"))}, ""},
		{"PutItem", object{"Item": with(long(65536), textOf("x"))}, "Attribute name is too large, must be less than 65536 bytes"},
		{"PutItem", object{"Item": with("a", object{"S": 5})}, "NUMBER_VALUE cannot be converted to String"},
		{"PutItem", object{"Item": with("a", object{"BOOL": "true"})}, "STRING_VALUE cannot be converted to Boolean"},
		{"PutItem", object{"Item": with("a", object{"L": object{}})}, "START_OBJECT cannot be converted to List"},
		{"PutItem", object{"Item": with("a", object{"B": "!"})}, "a binary value is not base64: illegal base64 data at input byte 0"},
		{"PutItem", object{"Item": with("a", textOf(long(400<<10-7)))}, ""},
		{"PutItem", object{"Item": with("a", textOf(long(400<<10-6)))}, "Item size has exceeded the maximum allowed size"},
		{"UpdateItem", object{"Key": keyOf(sample), "UpdateExpression": "SET d = :d", "ExpressionAttributeValues": object{":d": textOf(long(400 << 10))}}, "Item size to update has exceeded the maximum allowed size"},
		{"UpdateItem", object{"Key": object{"pk": textOf("p"), "sk": textOf("deep")}, "UpdateExpression": "SET d = :d", "ExpressionAttributeValues": object{":d": deep(32)}}, "Nesting Levels have exceeded supported limits: Attributes in the item have nested levels beyond supported limit"},
		{"PutItem", object{"Item": object{"pk": textOf("p")}}, "One or more parameter values were invalid: Missing the key sk in the item"},
		{"PutItem", object{"Item": with("pk", numberOf("1"))}, "One or more parameter values were invalid: Type mismatch for key pk expected: S actual: N"},
		{"PutItem", object{"Item": with("sk", textOf(""))}, "One or more parameter values are not valid. The AttributeValue for a key attribute cannot contain an empty string value. Key: sk"},
		{"PutItem", object{"Item": object{"pk": textOf(long(2048)), "sk": textOf(long(1024))}}, ""},
		{"PutItem", object{"Item": with("pk", textOf(long(2049)))}, "One or more parameter values were invalid: Size of hashkey has exceeded the maximum size limit of 2048 bytes"},
		{"PutItem", object{"Item": with("sk", textOf(long(1025)))}, "One or more parameter values were invalid: Aggregated size of all range keys has exceeded the size limit of 1024 bytes"},
		{"PutItem", object{}, "1 validation error detected: Value null at 'item' failed to satisfy constraint: Member must not be null"},
		{"GetItem", object{}, "1 validation error detected: Value null at 'key' failed to satisfy constraint: Member must not be null"},
		{"GetItem", object{"Key": object{"pk": textOf("p")}}, "The provided key element does not match the schema"},
		{"GetItem", object{"Key": object{"pk": textOf("p"), "x": textOf("s")}}, "The provided key element does not match the schema"},
		{"GetItem", object{"Key": object{"pk": textOf("p"), "sk": textOf("s"), "x": textOf("x")}}, "The provided key element does not match the schema"},
		{"GetItem", object{"Key": object{"pk": textOf("p"), "sk": numberOf("1")}}, "The provided key element does not match the schema"},
		{"DeleteItem", object{"Key": object{"pk": textOf(""), "sk": textOf("s")}}, "One or more parameter values are not valid. The AttributeValue for a key attribute cannot contain an empty string value. Key: pk"},
		{"PutItem", object{"Item": sample, "ReturnValues": "ALL_NEW"}, "Return values set to invalid value"},
		{"DeleteItem", object{"Key": keyOf(sample), "ReturnValues": "UPDATED_OLD"}, "Return values set to invalid value"},
		{"UpdateItem", object{"Key": keyOf(sample), "ReturnValues": "none"}, "1 validation error detected: Value 'none' at 'returnValues' failed to satisfy constraint: Member must satisfy enum value set: [ALL_NEW, ALL_OLD, NONE, UPDATED_NEW, UPDATED_OLD]"},
		{"PutItem", object{"Item": sample, "ReturnConsumedCapacity": "ALL"}, "1 validation error detected: Value 'ALL' at 'returnConsumedCapacity' failed to satisfy constraint: Member must satisfy enum value set: [INDEXES, NONE, TOTAL]"},
		{"PutItem", object{"Item": sample, "TableName": "nothere"}, "Requested resource not found: Table: nothere not found"},
		{"PutItem", object{"Item": sample, "TableName": nil}, "1 validation error detected: Value null at 'tableName' failed to satisfy constraint: Member must not be null"},
		{"PutItem", object{"Item": sample, "TableName": "ab"}, "1 validation error detected: Value 'ab' at 'tableName' failed to satisfy constraint: Member must have length greater than or equal to 3"},
		{"PutItem", object{"Item": sample, "TableName": "a b!"}, "1 validation error detected: Value 'a b!' at 'tableName' failed to satisfy constraint: Member must satisfy regular expression pattern: [a-zA-Z0-9_.-]+"},
		// What this package leaves out, it says so.
		{"PutItem", object{"Item": sample, "Expected": object{}}, "Expected of PutItem" + wayOut},
		{"UpdateItem", object{"Key": keyOf(sample), "AttributeUpdates": object{}}, "AttributeUpdates of UpdateItem" + wayOut},
		{"GetItem", object{"Key": keyOf(sample), "AttributesToGet": []any{"a"}}, "AttributesToGet of GetItem" + wayOut},
		{"Query", object{"IndexName": "x"}, "IndexName of Query" + wayOut},
		{"Scan", object{"TotalSegments": 2, "Segment": 0}, " of Scan" + wayOut},
		{"CreateTable", object{"GlobalSecondaryIndexes": []any{}}, "GlobalSecondaryIndexes of CreateTable" + wayOut},
		{"TransactWriteItems", object{}, "TransactWriteItems" + wayOut},
		{"ExecuteStatement", object{}, "ExecuteStatement" + wayOut},
	} {
		if _, named := test.r["TableName"]; !named {
			test.r["TableName"] = "app"
		}
		status, answer := e(t, test.operation, test.r)
		message := messageOf(answer)
		said := message == test.want || strings.HasPrefix(test.want, " of ") && strings.HasSuffix(message, test.want)
		if (test.want == "") != (status == http.StatusOK) || !said {
			t.Errorf("%s %.120v: status %d, %q, want %q", test.operation, test.r, status, message, test.want)
		}
	}
	for operation, want := range map[string]string{"TransactGetItems": typeUnknownOperation, "DescribeTable": typeResourceNotFound, "Scan": typeResourceNotFound, "Query": typeValidation} {
		r := object{"TableName": "nothere"}
		if operation == "Query" {
			r["IndexName"] = "x"
		}
		if status, answer := e(t, operation, r); status != http.StatusBadRequest || answer["__type"] != want {
			t.Errorf("%s: status %d, %v, want %s", operation, status, answer, want)
		}
	}
}

func TestProjections(t *testing.T) {
	onEngines(t, func(t *testing.T, e engine) {
		l := sample["l"].(object)["L"].([]any)
		for projection, want := range map[string]object{
			"pk, n":         {"pk": textOf("p"), "n": numberOf("5")},
			"#u":            {"user": textOf("alice")},
			"zz":            {},
			"m.a":           {"m": object{"M": object{"a": numberOf("1")}}},
			"m.a, m.b.c":    {"m": sample["m"]},
			"m.zz":          {},
			"s.a":           {},
			"l[1]":          {"l": object{"L": []any{l[1]}}},
			"l[2].a, l[0]":  {"l": object{"L": []any{l[0], l[2]}}},
			"l[9]":          {},
			"l[2].zz":       {},
			"l.a":           {},
			"l [ 2 ] . a,n": {"l": object{"L": []any{l[2]}}, "n": numberOf("5")},
			"n , ss":        {"n": numberOf("5"), "ss": sample["ss"]},
		} {
			status, answer := e(t, "GetItem", withSample(object{"TableName": "app", "Key": keyOf(sample), "ProjectionExpression": projection}, projection))
			x := exchange{}
			if diff := x.diff(want, answer["Item"]); status != http.StatusOK || diff != "" {
				t.Errorf("%s: status %d (-want +got):\n%s", projection, status, diff)
			}
		}
		for projection, want := range map[string]string{
			"":          "The expression can not be empty;",
			"a,":        `Syntax error; token: "<EOF>", near: ","`,
			"a b":       `Syntax error; token: "b", near: "a b"`,
			":a":        `Syntax error; token: ":a", near: ":a"`,
			"size(a)":   `Syntax error; token: "(", near: "size(a"`,
			"(a)":       `Syntax error; token: "(", near: "(a"`,
			"user":      "Attribute name is a reserved keyword; reserved keyword: user",
			"#undef":    "An expression attribute name used in the document path is not defined; attribute name: #undef",
			"m, m.b":    "Two document paths overlap with each other; must remove or rewrite one of these paths; path one: [m], path two: [m, b]",
			"n, n":      "Two document paths overlap with each other; must remove or rewrite one of these paths; path one: [n], path two: [n]",
			"m.a, m[0]": "Two document paths conflict with each other; must remove or rewrite one of these paths; path one: [m, a], path two: [m, [0]]",
		} {
			status, answer := e(t, "GetItem", withSample(object{"TableName": "app", "Key": keyOf(sample), "ProjectionExpression": projection}))
			if message := messageOf(answer); status != http.StatusBadRequest || message != "Invalid ProjectionExpression: "+want {
				t.Errorf("%q: status %d, %s", projection, status, message)
			}
		}
	})
}
