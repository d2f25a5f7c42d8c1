package table

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// sortKeys are the sort keys of the items of an answer, and of its LastEvaluatedKey.
func sortKeys(answer object) (items []string, last string) {
	sk := func(item any) string {
		key, _ := item.(object)["sk"].(object)
		for _, v := range key {
			return v.(string)
		}
		return ""
	}
	all, _ := answer["Items"].([]any)
	for _, item := range all {
		items = append(items, sk(item))
	}
	if key, found := answer["LastEvaluatedKey"]; found {
		last = sk(key)
	}
	return items, last
}

func TestQueryRanges(t *testing.T) {
	onEngines(t, func(t *testing.T, e engine) {
		for i, sk := range []string{"a", "b", "c#1", "c#2", "d", "é"} {
			put(t, e, object{"pk": textOf("q"), "sk": textOf(sk), "i": numberOf(fmt.Sprint(i))})
		}
		put(t, e, object{"pk": textOf("r"), "sk": textOf("c#1")})
		values := object{":q": textOf("q"), ":none": textOf("none"), ":a": textOf("a"), ":b": textOf("b"), ":bb": textOf("bb"), ":c": textOf("c#"), ":d": textOf("d"), ":z": textOf("z"), ":i": numberOf("2")}
		for _, test := range []struct{ condition, filter, want string }{
			{"pk = :q", "", "a b c#1 c#2 d é"},
			{":q = pk", "", "a b c#1 c#2 d é"},
			{"pk = :none", "", ""},
			{"pk = :q AND sk = :b", "", "b"},
			{"pk = :q AND sk = :bb", "", ""},
			{"sk = :b AND pk = :q", "", "b"},
			{"pk = :q AND sk < :b", "", "a"},
			{"pk = :q AND sk <= :b", "", "a b"},
			{"pk = :q AND sk > :d", "", "é"},
			{"pk = :q AND sk >= :d", "", "d é"},
			{"pk = :q AND sk > :bb", "", "c#1 c#2 d é"},
			{"pk = :q AND :d > sk", "", "a b c#1 c#2"},
			{"pk = :q AND :d <= sk", "", "d é"},
			{"pk = :q AND sk BETWEEN :b AND :d", "", "b c#1 c#2 d"},
			{"pk = :q AND sk BETWEEN :bb AND :z", "", "c#1 c#2 d"},
			{"pk = :q AND begins_with(sk, :c)", "", "c#1 c#2"},
			{"pk = :q AND begins_with(sk, :z)", "", ""},
			{"(pk = :q) AND (begins_with(sk, :c))", "", "c#1 c#2"},
			{"(pk = :q AND (sk) = (:b))", "", "b"},
			{"pk = :q", "i >= :i", "c#1 c#2 d é"},
			{"pk = :q AND sk < :d", "i >= :i", "c#1 c#2"},
			{"pk = :q", "attribute_not_exists(i)", ""},
		} {
			used := object{}
			for _, ref := range valuePattern.FindAllString(test.condition+" "+test.filter, -1) {
				used[ref] = values[ref]
			}
			r := object{"TableName": "app", "KeyConditionExpression": test.condition, "ExpressionAttributeValues": used}
			if test.filter != "" {
				r["FilterExpression"] = test.filter
			}
			for _, forward := range []bool{true, false} {
				r["ScanIndexForward"] = forward
				status, answer := e(t, "Query", r)
				got, last := sortKeys(answer)
				if !forward {
					slices.Reverse(got)
				}
				if strings.Join(got, " ") != test.want || last != "" || answer["Count"] != float64(len(got)) {
					t.Errorf("%s, filter %q, forward %t: status %d, %v, want %s", test.condition, test.filter, forward, status, answer, test.want)
				}
			}
		}
	})
}

// TestQueryPages walks a partition in pages of every size, both ways, with a filter and without.
func TestQueryPages(t *testing.T) {
	e := embedded(New(Options{}))
	createTable(t, e, "app")
	var all []string
	for i := range 10 {
		sk := fmt.Sprintf("s%02d", i)
		all = append(all, sk)
		put(t, e, object{"pk": textOf("p"), "sk": textOf(sk), "even": object{"BOOL": i%2 == 0}})
	}
	put(t, e, object{"pk": textOf("other"), "sk": textOf("s00")})
	for limit := 1; limit <= 11; limit++ {
		for _, forward := range []bool{true, false} {
			for _, filter := range []bool{false, true} {
				r := object{
					"TableName": "app", "KeyConditionExpression": "pk = :p AND sk BETWEEN :from AND :to", "Limit": limit, "ScanIndexForward": forward,
					"ExpressionAttributeValues": object{":p": textOf("p"), ":from": textOf("s01"), ":to": textOf("s08")},
				}
				want := slices.Clone(all[1:9])
				if filter {
					r["FilterExpression"] = "even = :true"
					r["ExpressionAttributeValues"].(object)[":true"] = object{"BOOL": true}
					want = []string{"s02", "s04", "s06", "s08"}
				}
				if !forward {
					slices.Reverse(want)
				}
				var got []string
				scanned, pages := 0, 0
				for {
					status, answer := e(t, "Query", r)
					if status != http.StatusOK {
						t.Fatal(answer)
					}
					items, _ := sortKeys(answer)
					got = append(got, items...)
					n := int(answer["ScannedCount"].(float64))
					scanned += n
					pages++
					next, more := answer["LastEvaluatedKey"]
					if more != (n == limit) {
						t.Errorf("limit %d: a page of %d has LastEvaluatedKey: %t", limit, n, more)
					}
					if !more {
						break
					}
					r["ExclusiveStartKey"] = next
				}
				if !cmp.Equal(got, want) || scanned != 8 || pages != 8/limit+1 {
					t.Errorf("limit %d, forward %t, filter %t: %v in %d pages, %d scanned", limit, forward, filter, got, pages, scanned)
				}
			}
		}
	}
}

// TestPageOfOneMegabyte: a page ends with the item that fills the megabyte.
func TestPageOfOneMegabyte(t *testing.T) {
	e := embedded(New(Options{}))
	createTable(t, e, "app")
	const part = 1 << 20 / 16
	for _, test := range []struct{ size, want int }{{part, 16}, {part - 1, 17}, {part + 1, 16}} {
		for i := range 20 {
			put(t, e, object{"pk": textOf("p"), "sk": textOf(fmt.Sprintf("s%03d", i)), "d": textOf(strings.Repeat("x", test.size-10))})
		}
		for operation, r := range map[string]object{"Query": {"KeyConditionExpression": "pk = :p", "ExpressionAttributeValues": object{":p": textOf("p")}}, "Scan": {}} {
			r["TableName"], r["ReturnConsumedCapacity"], r["ConsistentRead"] = "app", "TOTAL", true
			_, answer := e(t, operation, r)
			items, last := sortKeys(answer)
			if len(items) != test.want || last != items[len(items)-1] || units(t, answer) != float64((test.want*test.size+4095)/4096) {
				t.Errorf("%s of items of %d bytes: %d, last %s, %v units", operation, test.size, len(items), last, units(t, answer))
			}
		}
	}
}

func TestScanVisitsEveryItemOnce(t *testing.T) {
	e := embedded(New(Options{}))
	createTable(t, e, "app")
	want := map[string]bool{}
	for p := range 7 {
		for s := range p {
			want[fmt.Sprintf("p%d s%d", p, s)] = true
			put(t, e, object{"pk": textOf(fmt.Sprintf("p%d", p)), "sk": textOf(fmt.Sprintf("s%d", s))})
		}
	}
	for limit := 1; limit <= 22; limit++ {
		got := map[string]bool{}
		r := object{"TableName": "app", "Limit": limit}
		for {
			_, answer := e(t, "Scan", r)
			for _, item := range answer["Items"].([]any) {
				o := item.(object)
				name := fmt.Sprintf("%s %s", o["pk"].(object)["S"], o["sk"].(object)["S"])
				if got[name] {
					t.Errorf("limit %d: %s twice", limit, name)
				}
				got[name] = true
			}
			next, more := answer["LastEvaluatedKey"]
			if !more {
				break
			}
			r["ExclusiveStartKey"] = next
		}
		if !cmp.Equal(got, want) {
			t.Errorf("limit %d: %v", limit, got)
		}
	}
}

// TestNumberAndBinaryKeys: sort keys in the order of their type.
func TestNumberAndBinaryKeys(t *testing.T) {
	for _, test := range []struct {
		kind   string
		sorted []string
		value  func(string) object
		from   string // and what lies from it on
		rest   int
	}{
		{"N", []string{"-1000000000000000000000000000000000000000000", "-12", "-1.5", "-1", "0", "0.001", "1", "1.5", "2", "10", "100"}, numberOf, "1.00", 5},
		{"B", []string{"AA==", "AAA=", "AQ==", "fw==", "gA==", "/w=="}, func(s string) object { return object{"B": s} }, "fw==", 3},
	} {
		e := embedded(New(Options{}))
		createTableOf(t, e, "app", test.kind, test.kind)
		pk := test.value(test.sorted[3])
		for i := range test.sorted {
			put(t, e, object{"pk": pk, "sk": test.value(test.sorted[(i*7+3)%len(test.sorted)])})
		}
		_, answer := e(t, "Query", object{"TableName": "app", "KeyConditionExpression": "pk = :p", "ExpressionAttributeValues": object{":p": pk}})
		if got, _ := sortKeys(answer); !cmp.Equal(got, test.sorted) {
			t.Errorf("%s: %v, want %v", test.kind, got, test.sorted)
		}
		_, answer = e(t, "Query", object{"TableName": "app", "KeyConditionExpression": "pk = :p AND sk >= :from", "ExpressionAttributeValues": object{":p": pk, ":from": test.value(test.from)}})
		if got, _ := sortKeys(answer); !cmp.Equal(got, test.sorted[len(test.sorted)-test.rest:]) {
			t.Errorf("%s from %s: %v", test.kind, test.from, got)
		}
		if status, answer := e(t, "GetItem", object{"TableName": "app", "Key": object{"pk": pk, "sk": test.value(test.from)}}); status != http.StatusOK || answer["Item"] == nil {
			t.Errorf("%s: GetItem %s: %v", test.kind, test.from, answer)
		}
	}
}

func TestQueryErrors(t *testing.T) {
	values := object{":p": textOf("p"), ":s": textOf("s"), ":t": textOf("t"), ":e": textOf(""), ":n": numberOf("1")}
	onEngines(t, func(t *testing.T, e engine) {
		for _, test := range []struct {
			condition string
			more      object
			want      string
		}{
			{"", nil, "Invalid KeyConditionExpression: The expression can not be empty;"},
			{"pk = :p AND", nil, `Invalid KeyConditionExpression: Syntax error; token: "<EOF>", near: "AND"`},
			{"user = :p", nil, "Invalid KeyConditionExpression: Attribute name is a reserved keyword; reserved keyword: user"},
			{"((pk = :p))", nil, "Invalid KeyConditionExpression: The expression has redundant parentheses;"},
			{"pk = :p AND sk BETWEEN :t AND :s", nil, "Invalid KeyConditionExpression: The BETWEEN operator requires upper bound to be greater than or equal to lower bound; lower bound operand: AttributeValue: {S:t}, upper bound operand: AttributeValue: {S:s}"},
			{"pk = :p AND sk <> :s", nil, "Invalid operator used in KeyConditionExpression: <>"},
			{"pk = :p OR sk = :s", nil, "Invalid operator used in KeyConditionExpression: OR"},
			{"NOT pk = :p", nil, "Invalid operator used in KeyConditionExpression: NOT"},
			{"pk = :p AND sk IN (:s)", nil, "Invalid operator used in KeyConditionExpression: IN"},
			{"pk = :p AND contains(sk, :s)", nil, "Invalid operator used in KeyConditionExpression: contains"},
			{"pk > :p", nil, "Query key condition not supported"},
			{"begins_with(pk, :p)", nil, "Query key condition not supported"},
			{"sk = :s", nil, "Query condition missed key schema element: pk"},
			{"pk = :p AND n = :n", nil, "Query condition missed key schema element: sk"},
			{"pk = :p AND pk = :s", nil, "KeyConditionExpressions must only contain one condition per key"},
			{"pk = :p AND sk > :s AND sk < :t", nil, "KeyConditionExpressions must only contain one condition per key"},
			{"pk = :p AND size(sk) = :n", nil, "KeyConditionExpressions cannot contain nested operations"},
			{"pk = sk", nil, "Invalid condition in KeyConditionExpression: Multiple attribute names used in one condition"},
			{"pk = :p AND :s = :t", nil, "Invalid condition in KeyConditionExpression: No key attribute specified"},
			{"pk = :p AND begins_with(:s, sk)", nil, "Invalid condition in KeyConditionExpression: begins_with operator must have the key attribute as its first operand"},
			{"pk = :p AND :s BETWEEN sk AND sk", nil, "Invalid condition in KeyConditionExpression: BETWEEN operator must have the key attribute as its first operand"},
			{"pk.a = :p", nil, "Key attributes must be scalars; list random access '[]' and map lookup '.' are not allowed: Key: pk"},
			{"pk = :p AND m.a = :s", nil, "KeyConditionExpressions cannot have conditions on nested attributes"},
			{"pk = :n", nil, "One or more parameter values were invalid: Condition parameter type does not match schema type"},
			{"pk = :p AND sk < :n", nil, "One or more parameter values were invalid: Condition parameter type does not match schema type"},
			{"pk = :e", nil, "One or more parameter values are not valid. The AttributeValue for a key attribute cannot contain an empty string value. Key: pk"},
			{"pk = :p AND begins_with(sk, :e)", nil, "One or more parameter values are not valid. The AttributeValue for a key attribute cannot contain an empty string value. Key: sk"},
			{"pk = :p", object{"KeyConditionExpression": nil, "FilterExpression": "n = :p"}, "Either the KeyConditions or KeyConditionExpression parameter must be specified in the request."},
			{"pk = :p", object{"FilterExpression": "pk = :p"}, "Filter Expression can only contain non-primary key attributes: Primary key attribute: pk"},
			{"pk = :p", object{"FilterExpression": "attribute_exists(sk.a)"}, "Key attributes must be scalars; list random access '[]' and map lookup '.' are not allowed: Key: sk"},
			{"pk = :p", object{"FilterExpression": "n ="}, `Invalid FilterExpression: Syntax error; token: "<EOF>", near: "="`},
			{"pk = :p", object{"Limit": 0}, "1 validation error detected: Value '0' at 'limit' failed to satisfy constraint: Member must have value greater than or equal to 1"},
			{"pk = :p", object{"Select": "COUNT", "ProjectionExpression": "n"}, "Cannot specify the ProjectionExpression when choosing to get only the Count"},
			{"pk = :p", object{"Select": "ALL_ATTRIBUTES", "ProjectionExpression": "n"}, "Cannot specify the ProjectionExpression when choosing to get ALL_ATTRIBUTES"},
			{"pk = :p", object{"Select": "SPECIFIC_ATTRIBUTES"}, "Must specify the AttributesToGet or ProjectionExpression when choosing to get SPECIFIC_ATTRIBUTES"},
			{"pk = :p", object{"Select": "ALL_PROJECTED_ATTRIBUTES"}, "ALL_PROJECTED_ATTRIBUTES can be used only when Querying using an IndexName"},
			{"pk = :p", object{"ExclusiveStartKey": object{"pk": textOf("p")}}, "The provided starting key is invalid: The provided key element does not match the schema"},
			{"pk = :p", object{"ExclusiveStartKey": object{"pk": textOf("q"), "sk": textOf("s")}}, "The provided starting key is outside query boundaries based on provided conditions"},
			{"pk = :p AND sk > :s", object{"ExclusiveStartKey": object{"pk": textOf("p"), "sk": textOf("a")}}, "The provided starting key does not match the range key predicate"},
		} {
			used := object{}
			r := object{"TableName": "app", "KeyConditionExpression": test.condition, "ExpressionAttributeValues": used}
			filter, _ := test.more["FilterExpression"].(string)
			for _, ref := range valuePattern.FindAllString(test.condition+" "+filter, -1) {
				used[ref] = values[ref]
			}
			if len(used) == 0 {
				delete(r, "ExpressionAttributeValues")
			}
			for name, v := range test.more {
				r[name] = v
			}
			status, answer := e(t, "Query", r)
			if status != http.StatusBadRequest || answer["__type"] != typeValidation || !sameMessage(test.want, messageOf(answer)) {
				t.Errorf("%s %v: status %d, %v\nwant %s", test.condition, test.more, status, answer, test.want)
			}
		}
	})
}

func TestSelectCount(t *testing.T) {
	e := newSample(t)
	_, answer := e(t, "Query", object{"TableName": "app", "KeyConditionExpression": "pk = :p", "Select": "COUNT", "ExpressionAttributeValues": object{":p": textOf("p")}})
	if diff := cmp.Diff(object{"Count": 1.0, "ScannedCount": 1.0}, answer); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
