package table

import (
	"net/http"
	"os"
	"regexp"
	"strings"
	"testing"
)

// sample is the item that the tests of expressions look at.
var sample = object{
	"pk": textOf("p"), "sk": textOf("s"),
	"n": numberOf("5"), "s": textOf("hello"), "e": textOf("é😀"), "b": binaryOf("abc"), "t": object{"BOOL": true}, "z": object{"NULL": true},
	"l": object{"L": []any{numberOf("1"), textOf("two"), object{"M": object{"a": numberOf("3")}}}}, "m": object{"M": object{"a": numberOf("1"), "b": object{"M": object{"c": textOf("d")}}}},
	"ss": object{"SS": []any{"a", "b"}}, "ns": object{"NS": []any{"1", "2.5"}}, "bs": object{"BS": []any{"AQ=="}}, "user": textOf("alice"), "list2": object{"L": []any{numberOf("1")}},
}

// sampleValues are the values that the tests of expressions may name.
var sampleValues = object{
	":n": numberOf("5"), ":n1": numberOf("1.0"), ":n9": numberOf("9"), ":s": textOf("hello"), ":he": textOf("he"), ":ell": textOf("ell"), ":empty": textOf(""), ":b": binaryOf("abc"), ":bc": binaryOf("bc"),
	":t": object{"BOOL": true}, ":f": object{"BOOL": false}, ":z": object{"NULL": true}, ":l": object{"L": []any{numberOf("1")}}, ":m": object{"M": object{"a": numberOf("1.0"), "b": object{"M": object{"c": textOf("d")}}}},
	":ss": object{"SS": []any{"b", "a"}}, ":ns": object{"NS": []any{"2.50", "1"}}, ":bs": object{"BS": []any{"AQ=="}}, ":a": textOf("a"), ":S": textOf("S"), ":N": textOf("N"), ":M": textOf("M"), ":SS": textOf("SS"), ":BOOL": textOf("BOOL"),
	":x": textOf("x"), ":one": numberOf("1"), ":two": numberOf("2"), ":three": numberOf("3"), ":i": numberOf("-3"), ":big": numberOf("99999999999999999999999999999999999999"), ":l9": object{"L": []any{numberOf("9")}},
	":new": object{"SS": []any{"b", "c"}}, ":new2": object{"NS": []any{"2.5", "7"}},
}

// withSample completes a request with the names and values that its expressions name; #u is user, #undef is not defined.
func withSample(r object, expressions ...string) object {
	names, values := object{}, object{}
	for _, expression := range expressions {
		for _, alias := range aliasPattern.FindAllString(expression, -1) {
			if alias != "#undef" {
				names[alias] = map[string]string{"#u": "user", "#a": "a", "#n": "n", "#pk": "pk", "#dot": "a.b"}[alias]
			}
		}
		for _, ref := range valuePattern.FindAllString(expression, -1) {
			if ref != ":undef" {
				values[ref] = sampleValues[ref]
			}
		}
	}
	if len(names) > 0 {
		r["ExpressionAttributeNames"] = names
	}
	if len(values) > 0 {
		r["ExpressionAttributeValues"] = values
	}
	return r
}

// newSample is an engine whose table app holds the sample.
func newSample(t *testing.T) engine {
	t.Helper()
	e := embedded(New(Options{}))
	createTable(t, e, "app")
	put(t, e, sample)
	return e
}

// onEngines runs a test on this package's engine and, when there is one, on DynamoDB Local, so that what it expects is known to be so.
func onEngines(t *testing.T, test func(t *testing.T, e engine)) {
	t.Helper()
	t.Run("embedded", func(t *testing.T) { test(t, newSample(t)) })
	if endpoint := os.Getenv("DYNAMODB_ENDPOINT"); endpoint != "" {
		t.Run("DynamoDB Local", func(t *testing.T) {
			e := dynamoDBLocal(endpoint)
			e(t, "DeleteTable", object{"TableName": "app"})
			createTable(t, e, "app")
			put(t, e, sample)
			test(t, e)
		})
	}
}

// messageOf is the message of an error, which DynamoDB Local writes with a capital letter.
func messageOf(answer object) string {
	for _, name := range []string{"message", "Message"} {
		if message, found := answer[name].(string); found {
			return message
		}
	}
	return ""
}

func put(t *testing.T, e engine, item object) {
	t.Helper()
	if status, answer := e(t, "PutItem", object{"TableName": "app", "Item": item}); status != http.StatusOK {
		t.Fatalf("PutItem %v: %v", item, answer)
	}
}

func keyOf(item object) object { return object{"pk": item["pk"], "sk": item["sk"]} }

func TestConditions(t *testing.T) { onEngines(t, testConditions) }

func testConditions(t *testing.T, e engine) {
	for condition, holds := range map[string]bool{
		"n = :n": true, "n = :n9": false, "n <> :n": false, "n <> :n9": true, "n < :n9": true, "n < :n": false, "n <= :n": true, "n > :n1": true, "n >= :n": true, "n >= :n9": false,
		"n = :s": false, "n <> :s": true, "n < :s": false, "n > :s": false, "s < :x": true, "s = :s": true, "b = :b": true, "b < :bc": true, "t = :t": true, "t = :f": false, "z = :z": true,
		":n = n": true, ":one = :n1": true, "l = :l": false, "list2 = :l": true, "m = :m": true, "ss = :ss": true, "ns = :ns": true, "bs = :bs": true, "ss = :ns": false,
		"zz = :n": false, "zz <> :n": true, "zz < :n": false, "zz = yy": false, "zz <> yy": true, "NOT zz = :n": true, "n = m": false,
		"n BETWEEN :one AND :n9": true, "n BETWEEN :n AND :n": true, "n BETWEEN :one AND :two": false, "s BETWEEN :he AND :x": true, "zz BETWEEN :one AND :two": false, ":n BETWEEN :one AND n": true, "n BETWEEN s AND e": false,
		"n IN (:n)": true, "n IN (:one, :n, :two)": true, "n IN (:s)": false, "zz IN (:s)": false, "zz IN (yy)": false, "m IN (:m)": true, "size(ss) IN (:two)": true,
		"attribute_exists(n)": true, "attribute_exists(zz)": false, "attribute_exists(m.b.c)": true, "attribute_exists(m.b.d)": false, "attribute_exists(l[2].a)": true, "attribute_exists(l[3])": false, "attribute_exists(l.a)": false, "attribute_exists(m[0])": false, "attribute_exists(s.a)": false,
		"attribute_not_exists(zz)": true, "attribute_not_exists(n)": false, "attribute_not_exists(s[0])": true,
		"attribute_type(n, :N)": true, "attribute_type(n, :S)": false, "attribute_type(m, :M)": true, "attribute_type(ss, :SS)": true, "attribute_type(t, :BOOL)": true, "attribute_type(zz, :S)": false, "attribute_type(:s, :S)": true,
		"begins_with(s, :he)": true, "begins_with(s, :ell)": false, "begins_with(s, :empty)": true, "begins_with(b, :b)": true, "begins_with(n, :he)": false, "begins_with(zz, :he)": false, "begins_with(s, :b)": false, "begins_with(s, e)": false,
		"contains(s, :ell)": true, "contains(s, :x)": false, "contains(b, :bc)": true, "contains(ss, :a)": true, "contains(ss, :x)": false, "contains(ns, :one)": true, "contains(ns, :a)": false, "contains(l, :n1)": true, "contains(l, :a)": false, "contains(zz, :a)": false, "contains(s, zz)": false, "contains(n, :n)": false, "contains(m, :a)": false, "contains(:l, l[0])": true,
		"size(s) = :n": true, "size(e) = :three": true, "size(b) > :two": true, "size(l) > :two": true, "size(m) = :two": true, "size(ss) = :two": true, "size(n) = :one": false, "size(zz) < :n9": false, "size(zz) <> :n9": true, "size(t) = :one": false,
		"n = :n AND s = :s": true, "n = :n AND s = :x": false, "n = :n9 OR s = :s": true, "NOT n = :n9": true, "NOT (n = :n OR s = :x)": false, "n = :n9 AND s = :x OR t = :t": true, "t = :t OR n = :n9 AND s = :x": true, "NOT n = :n9 AND s = :s": true, "(t = :t OR n = :n9) AND s = :x": false,
		"m.b.c <> m.a": true, "#u = :x": false, "l[2].a > :two": true, "l [ 0 ] = :one": true, "m . a = :n1": true, "\tn\r\n= :n ": true, "(n) = (:n)": true, "(size(s)) = :n": true, "(attribute_exists(n))": true, "nOt n = :n9 aNd s = :s": true,
	} {
		status, answer := e(t, "DeleteItem", withSample(object{"TableName": "app", "Key": keyOf(sample), "ConditionExpression": condition}, condition))
		switch {
		case status == http.StatusOK && !holds, answer["__type"] == typeConditionalFailed && holds:
			t.Errorf("%s: status %d, %v; want it to hold: %t", condition, status, answer, holds)
		case status != http.StatusOK && answer["__type"] != typeConditionalFailed:
			t.Errorf("%s: %v", condition, answer)
		}
		if status == http.StatusOK {
			put(t, e, sample)
		}
	}
}

// TestConditionErrors: the words of AWS and DynamoDB Local, without "Invalid ConditionExpression: ".
func TestConditionErrors(t *testing.T) { onEngines(t, testConditionErrors) }

func testConditionErrors(t *testing.T, e engine) {
	for condition, want := range map[string]string{
		"":                          `The expression can not be empty;`,
		" ":                         `Syntax error; token: "<EOF>", near: " "`,
		"a":                         `Syntax error; token: "<EOF>", near: "a"`,
		"a =":                       `Syntax error; token: "<EOF>", near: "="`,
		" = :n":                     `Syntax error; token: "=", near: " = :n"`,
		"a = :n :n":                 `Syntax error; token: ":n", near: ":n :n"`,
		"(a = :n":                   `Syntax error; token: "<EOF>", near: ":n"`,
		"a = :n) ":                  `Syntax error; token: ")", near: ":n) "`,
		"a == :n":                   `Syntax error; token: "=", near: "== :n"`,
		"a != :n":                   `Syntax error; token: "!", near: "a !="`,
		"a = 5":                     `Syntax error; token: "5", near: "= 5"`,
		`a = "x"`:                   `Syntax error; token: """, near: "= "x"`,
		"a IN :n":                   `Syntax error; token: ":n", near: "IN :n"`,
		"a IN ()":                   `Syntax error; token: ")", near: "()"`,
		"a BETWEEN :n OR b":         `Syntax error; token: "OR", near: ":n OR b"`,
		"a[0 = :n":                  `Syntax error; token: "=", near: "0 = :n"`,
		"a[01] = :n":                `Syntax error; token: "1", near: "01]"`,
		"a.0 = :n":                  `Syntax error; token: "0", near: ".0 ="`,
		"_a = :n":                   `Syntax error; token: "_", near: "_a"`,
		"é = :n":                    `Syntax error; token: "é", near: "é ="`,
		"# = :n":                    `Syntax error; token: "#", near: "# ="`,
		"a AND s = :s":              `Syntax error; token: "AND", near: "a AND s"`,
		"(a) AND s = :s":            `Syntax error; token: "AND", near: ") AND s"`,
		"set = :n":                  `Syntax error; token: "set", near: "set ="`,
		"a = NOT s":                 `Syntax error; token: "NOT", near: "= NOT s"`,
		"a = (s = e)":               `Syntax error; token: "=", near: "s = e"`,
		"a + s = :n":                `Syntax error; token: "+", near: "a + s"`,
		"f()":                       `Syntax error; token: ")", near: "()"`,
		"((a = :n))":                `The expression has redundant parentheses;`,
		"((a)) = :n":                `The expression has redundant parentheses;`,
		"user = :n":                 `Attribute name is a reserved keyword; reserved keyword: user`,
		"a.User = :n":               `Attribute name is a reserved keyword; reserved keyword: User`,
		"#undef = :n":               `An expression attribute name used in the document path is not defined; attribute name: #undef`,
		"a = :undef":                `An expression attribute value used in expression is not defined; attribute value: :undef`,
		"a[99999999999]=:n":         `List index is not within the allowable range; index: [99999999999]`,
		"foo(user)":                 `Invalid function name; function: foo`,
		"Size(a) = :n":              `Invalid function name; function: Size`,
		"size(a)":                   `The function is not allowed to be used this way in an expression; function: size`,
		"a = attribute_exists(s)":   `The function is not allowed to be used this way in an expression; function: attribute_exists`,
		"if_not_exists(a, :n) = :n": `The function is not allowed in a condition expression; function: if_not_exists`,
		"attribute_exists(a, s)":    `Incorrect number of operands for operator or function; operator or function: attribute_exists, number of operands: 2`,
		"attribute_exists(:n)":      `Operator or function requires a document path; operator or function: attribute_exists`,
		"attribute_exists(size(a))": `Operator or function requires a document path; operator or function: attribute_exists`,
		"a < :t":                    `Incorrect operand type for operator or function; operator or function: <, operand type: BOOL`,
		":ss >= a":                  `Incorrect operand type for operator or function; operator or function: >=, operand type: SS`,
		"a BETWEEN :l AND s":        `Incorrect operand type for operator or function; operator or function: BETWEEN, operand type: L`,
		"begins_with(a, :n)":        `Incorrect operand type for operator or function; operator or function: begins_with, operand type: N`,
		"begins_with(size(a), :he)": `Incorrect operand type for operator or function; operator or function: begins_with, operand type: N`,
		"size(:n) = :n":             `Incorrect operand type for operator or function; operator or function: size, operand type: N`,
		"attribute_type(a, :n)":     `Incorrect operand type for operator or function; operator or function: attribute_type, operand type: N`,
		"attribute_type(a, :x)":     `Invalid attribute type name found; type: x, valid types: {B,NULL,SS,BOOL,L,BS,N,NS,S,M}`,
		"a BETWEEN :n AND :s":       `The BETWEEN operator requires same data type for lower and upper bounds; lower bound operand: AttributeValue: {N:5}, upper bound operand: AttributeValue: {S:hello}`,
		"a BETWEEN :n9 AND :n":      `The BETWEEN operator requires upper bound to be greater than or equal to lower bound; lower bound operand: AttributeValue: {N:9}, upper bound operand: AttributeValue: {N:5}`,
		"#a = a":                    `The first operand must be distinct from the remaining operands for this operator or function; operator: =, first operand: [a]`,
		"l[0].a IN (:n, l[0].a)":    `The first operand must be distinct from the remaining operands for this operator or function; operator: IN, first operand: [l, [0], a]`,
		"contains(a, a)":            `The first operand must be distinct from the remaining operands for this operator or function; operator: contains, first operand: [a]`,
		"a IN (" + strings.Repeat(":n,", 100) + ":n)": `The IN operator is provided with too many operands; number of operands: 101`,
		strings.Repeat("a.", 32) + "a = :n":           `The document path has too many nesting levels; nesting levels: 33`,
		strings.Repeat("a = :n AND ", 160) + "a = :n": `The expression contains too many operators; operator count: 301`,
		"a = :n" + strings.Repeat(" ", 4091):          `Expression size has exceeded the maximum allowed size; expression size: 4097`,
		// Of several mistakes the one that DynamoDB names.
		"user = :undef":                `Attribute name is a reserved keyword; reserved keyword: user`,
		"a = :undef AND user = :n":     `Attribute name is a reserved keyword; reserved keyword: user`,
		"foo(a) AND ((a = :n))":        `The expression has redundant parentheses;`,
		"attribute_exists(:undef)":     `An expression attribute value used in expression is not defined; attribute value: :undef`,
		"#undef = :undef":              `An expression attribute name used in the document path is not defined; attribute name: #undef`,
		"a = a OR a < :t":              `The first operand must be distinct from the remaining operands for this operator or function; operator: =, first operand: [a]`,
		"a < :t OR a = a":              `Incorrect operand type for operator or function; operator or function: <, operand type: BOOL`,
		"a BETWEEN a AND :t":           `Incorrect operand type for operator or function; operator or function: BETWEEN, operand type: BOOL`,
		"a = attribute_exists(:undef)": `The function is not allowed to be used this way in an expression; function: attribute_exists`,
	} {
		status, answer := e(t, "DeleteItem", withSample(object{"TableName": "app", "Key": keyOf(sample), "ConditionExpression": condition}, condition))
		if status != http.StatusBadRequest || answer["__type"] != typeValidation || !sameMessage("Invalid ConditionExpression: "+want, messageOf(answer)) {
			t.Errorf("%.60q: status %d, %v\nwant %s", condition, status, answer, want)
		}
	}
}

func TestReservedWords(t *testing.T) {
	words := strings.Fields(reservedList)
	if len(words) != 573 {
		t.Errorf("%d reserved words, AWS lists 573", len(words))
	}
	e := newSample(t)
	for _, word := range words {
		for _, written := range []string{word, strings.ToLower(word)} {
			_, answer := e(t, "GetItem", object{"TableName": "app", "Key": keyOf(sample), "ProjectionExpression": written})
			message, _ := answer["message"].(string)
			if !strings.Contains(message, "reserved keyword: "+written) && !strings.Contains(message, `Syntax error; token: "`+written) {
				t.Errorf("%s: %v", written, answer)
			}
		}
	}
}

func TestNamesAndValues(t *testing.T) {
	e := newSample(t)
	for _, test := range []struct {
		condition     string
		names, values object
		want          *regexp.Regexp // of the message; nil succeeds
	}{
		{"attribute_exists(pk)", nil, nil, nil},
		{"#a = :a", object{"#a": "user"}, object{":a": textOf("alice")}, nil},
		{"#1 = :_", object{"#1": "user"}, object{":_": textOf("alice")}, nil},
		{"", object{"#a": "b"}, nil, regexp.MustCompile(`^ExpressionAttributeNames can only be specified when using expressions$`)},
		{"", nil, object{":a": textOf("b")}, regexp.MustCompile(`^ExpressionAttributeValues can only be specified when using expressions: ConditionExpression is null$`)},
		{"attribute_exists(pk)", object{}, nil, regexp.MustCompile(`^ExpressionAttributeNames must not be empty$`)},
		{"attribute_exists(pk)", nil, object{}, regexp.MustCompile(`^ExpressionAttributeValues must not be empty$`)},
		{"attribute_exists(pk)", object{"#b": "x", "#a": "y"}, nil, regexp.MustCompile(`^Value provided in ExpressionAttributeNames unused in expressions: keys: \{#a, #b\}$`)},
		{"attribute_exists(pk)", nil, object{":a": textOf("")}, regexp.MustCompile(`^Value provided in ExpressionAttributeValues unused in expressions: keys: \{:a\}$`)},
		{"attribute_exists(pk)", object{"a": "b"}, nil, regexp.MustCompile(`^ExpressionAttributeNames contains invalid key: Syntax error; key: "a"$`)},
		{"attribute_exists(pk)", object{"#a-b": "b"}, nil, regexp.MustCompile(`^ExpressionAttributeNames contains invalid key: Syntax error; key: "#a-b"$`)},
		{"attribute_exists(pk)", object{"#": "b"}, nil, regexp.MustCompile(`^ExpressionAttributeNames contains invalid key: Syntax error; key: "#"$`)},
		{"attribute_exists(pk)", object{"": "b"}, nil, regexp.MustCompile(`^ExpressionAttributeNames contains invalid key: The expression attribute map contains an empty key;$`)},
		{"attribute_exists(pk)", object{"#" + strings.Repeat("a", 255): "b"}, nil, regexp.MustCompile(`too long; size of key: 256$`)},
		{"attribute_exists(pk)", object{"#a": ""}, nil, regexp.MustCompile(`^ExpressionAttributeNames contains invalid value: Empty attribute name for key #a$`)},
		{"attribute_exists(pk)", object{"#a": strings.Repeat("b", 65536)}, nil, regexp.MustCompile(`^ExpressionAttributeNames contains invalid value: Attribute name is too large`)},
		{"attribute_exists(pk)", object{"#a": 5}, nil, regexp.MustCompile(`^NUMBER_VALUE cannot be converted to String$`)},
		{"attribute_exists(pk)", nil, object{":a": object{"SS": []any{}}}, regexp.MustCompile(`^ExpressionAttributeValues contains invalid value: One or more parameter values were invalid: An string set  may not be empty for key :a$`)},
		{"attribute_exists(pk)", nil, object{":a": object{}}, regexp.MustCompile(`^ExpressionAttributeValues contains invalid value: Supplied AttributeValue is empty, must contain exactly one of the supported datatypes for key :a$`)},
	} {
		r := object{"TableName": "app", "Item": sample}
		if test.condition != "" {
			r["ConditionExpression"] = test.condition
		}
		if test.names != nil {
			r["ExpressionAttributeNames"] = test.names
		}
		if test.values != nil {
			r["ExpressionAttributeValues"] = test.values
		}
		status, answer := e(t, "PutItem", r)
		message, _ := answer["message"].(string)
		if (test.want == nil) != (status == http.StatusOK) || test.want != nil && !test.want.MatchString(message) {
			t.Errorf("%q %.80v %v: status %d, %.200v, want %v", test.condition, test.names, test.values, status, answer, test.want)
		}
	}
}
