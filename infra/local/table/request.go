package table

import (
	"bytes"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// request reads the parameters of one operation. The first parameter of the wrong JSON type is kept in err.
type request struct {
	operation string
	fields    map[string]any
	err       error
}

// parameters are those that each operation has here. What the API has beyond them is refused, not ignored.
var parameters = map[string][]string{
	"BatchGetItem":       {"RequestItems", "ReturnConsumedCapacity"},
	"BatchWriteItem":     {"RequestItems", "ReturnConsumedCapacity", "ReturnItemCollectionMetrics"},
	"CreateTable":        {"TableName", "AttributeDefinitions", "KeySchema", "BillingMode", "ProvisionedThroughput", "SSESpecification", "TableClass", "Tags"},
	"DeleteItem":         {"TableName", "Key", "ConditionExpression", "ExpressionAttributeNames", "ExpressionAttributeValues", "ReturnConsumedCapacity", "ReturnItemCollectionMetrics", "ReturnValues", "ReturnValuesOnConditionCheckFailure"},
	"DeleteTable":        {"TableName"},
	"DescribeTable":      {"TableName"},
	"DescribeTimeToLive": {"TableName"},
	"GetItem":            {"TableName", "Key", "ConsistentRead", "ExpressionAttributeNames", "ProjectionExpression", "ReturnConsumedCapacity"},
	"ListTables":         {"ExclusiveStartTableName", "Limit"},
	"PutItem":            {"TableName", "Item", "ConditionExpression", "ExpressionAttributeNames", "ExpressionAttributeValues", "ReturnConsumedCapacity", "ReturnItemCollectionMetrics", "ReturnValues", "ReturnValuesOnConditionCheckFailure"},
	"Query":              {"TableName", "ConsistentRead", "ExclusiveStartKey", "ExpressionAttributeNames", "ExpressionAttributeValues", "FilterExpression", "KeyConditionExpression", "Limit", "ProjectionExpression", "ReturnConsumedCapacity", "ScanIndexForward", "Select"},
	"Scan":               {"TableName", "ConsistentRead", "ExclusiveStartKey", "ExpressionAttributeNames", "ExpressionAttributeValues", "FilterExpression", "Limit", "ProjectionExpression", "ReturnConsumedCapacity", "Select"},
	"UpdateItem":         {"TableName", "Key", "ConditionExpression", "ExpressionAttributeNames", "ExpressionAttributeValues", "ReturnConsumedCapacity", "ReturnItemCollectionMetrics", "ReturnValues", "ReturnValuesOnConditionCheckFailure", "UpdateExpression"},
	"UpdateTimeToLive":   {"TableName", "TimeToLiveSpecification"},
}

func newRequest(operation string, body []byte) (*request, error) {
	r := &request{operation: operation}
	decoder := json.NewDecoder(bytes.NewReader(body))
	decoder.UseNumber()
	if err := decoder.Decode(&r.fields); err != nil || r.fields == nil {
		return nil, malformed("the body is not a JSON object")
	}
	return r, r.only(parameters[operation])
}

// only refuses parameters that are not in the list.
func (r *request) only(names []string) error {
	for name, field := range r.fields {
		if field != nil && !slices.Contains(names, name) {
			return outside("%s of %s", name, r.operation)
		}
	}
	return nil
}

func (r *request) has(name string) bool { return r.fields[name] != nil }

func (r *request) hasAny(names []string) bool { return slices.ContainsFunc(names, r.has) }

func (r *request) fail(raw any, want string) {
	if r.err == nil {
		r.err = wrongType(raw, want)
	}
}

func field[T any](r *request, name, want string) (T, bool) {
	var v T
	raw := r.fields[name]
	if raw == nil {
		return v, false
	}
	v, ok := raw.(T)
	if !ok {
		r.fail(raw, want)
	}
	return v, ok
}

func (r *request) text(name string) (string, bool) { return field[string](r, name, "String") }

func (r *request) object(name string) (map[string]any, bool) {
	return field[map[string]any](r, name, "Map")
}

func (r *request) list(name string) ([]any, bool) { return field[[]any](r, name, "List") }

// flag is false when the parameter is absent.
func (r *request) flag(name string) bool {
	b, _ := field[bool](r, name, "Boolean")
	return b
}

func (r *request) integer(name string) (int, bool) {
	n, ok := field[json.Number](r, name, "Integer")
	if !ok {
		return 0, false
	}
	i, err := strconv.Atoi(string(n))
	if err != nil {
		r.fail(n, "Integer")
	}
	return i, err == nil
}

// choice is a parameter with an enumeration of values, the first of which is the default; it may be empty.
func (r *request) choice(name string, values ...string) string {
	s, found := r.text(name)
	if !found {
		return values[0]
	}
	if !slices.Contains(values, s) && r.err == nil {
		sorted := slices.DeleteFunc(slices.Sorted(slices.Values(values)), func(v string) bool { return v == "" })
		r.err = constraint(quote(s), lowerFirst(name), fmt.Sprintf("satisfy enum value set: [%s]", strings.Join(sorted, ", ")))
	}
	return s
}

// sub is a request of the same operation for a part of it.
func (r *request) sub(fields map[string]any) *request {
	return &request{operation: r.operation, fields: fields}
}

var tableName = regexp.MustCompile(`^[a-zA-Z0-9_.-]+$`)

// table is the TableName, checked.
func (r *request) table() (string, error) {
	name, found := r.text("TableName")
	if !found {
		return "", firstError(r.err, constraint("null", "tableName", "not be null"))
	}
	return name, checkTableName(name)
}

func checkTableName(name string) error {
	switch {
	case len(name) < 3:
		return constraint(quote(name), "tableName", "have length greater than or equal to 3")
	case len(name) > 255:
		return constraint(quote(name), "tableName", "have length less than or equal to 255")
	case !tableName.MatchString(name):
		return constraint(quote(name), "tableName", "satisfy regular expression pattern: [a-zA-Z0-9_.-]+")
	}
	return nil
}

func quote(s string) string { return "'" + s + "'" }

func lowerFirst(s string) string { return strings.ToLower(s[:1]) + s[1:] }

func firstError(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}
