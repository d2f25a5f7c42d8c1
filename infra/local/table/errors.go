package table

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
)

// The error types of the wire protocol, as DynamoDB prefixes them.
const (
	typeValidation        = "com.amazon.coral.validate#ValidationException"
	typeSerialization     = "com.amazon.coral.service#SerializationException"
	typeUnknownOperation  = "com.amazonaws.dynamodb.v20120810#UnknownOperationException"
	typeConditionalFailed = "com.amazonaws.dynamodb.v20120810#ConditionalCheckFailedException"
	typeResourceNotFound  = "com.amazonaws.dynamodb.v20120810#ResourceNotFoundException"
	typeResourceInUse     = "com.amazonaws.dynamodb.v20120810#ResourceInUseException"
	typeInternal          = "com.amazonaws.dynamodb.v20120810#InternalServerError"
	typePrefix            = "com.amazonaws.dynamodb.v20120810#"
)

// apiError is an answer of the API that is not 200.
type apiError struct {
	status  int
	kind    string // the wire's __type
	message string
	item    document // of a failed condition, when the caller asked for it
}

func (e *apiError) Error() string { return e.message }

func (e *apiError) body() []byte {
	fields := answer{{"__type", e.kind}, {"message", e.message}}
	if e.item != nil {
		fields = fields.with("Item", e.item)
	}
	return appendJSON(nil, fields)
}

// invalid is a ValidationException, DynamoDB's word for nearly every mistake in a request.
func invalid(format string, args ...any) error {
	return &apiError{status: http.StatusBadRequest, kind: typeValidation, message: fmt.Sprintf(format, args...)}
}

// constraint is a ValidationException in the words of the API model's own checks.
func constraint(value, at, rule string) error {
	return invalid("1 validation error detected: Value %s at '%s' failed to satisfy constraint: Member must %s", value, at, rule)
}

// outside refuses what this package leaves to DynamoDB Local, and says so.
func outside(format string, args ...any) error {
	return invalid("%s"+wayOut, fmt.Sprintf(format, args...))
}

const wayOut = " is outside the part of the API that the embedded table has; use DynamoDB Local (DYNAMODB=local), or AWS"

func unknownOperation(name string) error {
	return &apiError{status: http.StatusBadRequest, kind: typeUnknownOperation, message: name + wayOut}
}

func notFound(message string) error {
	return &apiError{status: http.StatusBadRequest, kind: typeResourceNotFound, message: message}
}

func inUse(message string) error {
	return &apiError{status: http.StatusBadRequest, kind: typeResourceInUse, message: message}
}

// conditionFailed carries the item that failed, or nil.
func conditionFailed(item document) error {
	return &apiError{status: http.StatusBadRequest, kind: typeConditionalFailed, message: "The conditional request failed", item: item}
}

// wrongType is a SerializationException: raw is not the JSON type that the API model says.
func wrongType(raw any, want string) error {
	found := "NULL"
	switch raw.(type) {
	case string:
		found = "STRING_VALUE"
	case json.Number:
		found = "NUMBER_VALUE"
	case bool:
		found = "TRUE_VALUE or FALSE_VALUE"
	case map[string]any:
		found = "START_OBJECT"
	case []any:
		found = "START_ARRAY"
	}
	return malformed(found + " cannot be converted to " + want)
}

func malformed(message string) error {
	return &apiError{status: http.StatusBadRequest, kind: typeSerialization, message: message}
}

// validation rewords a ValidationException and leaves every other error alone.
func validation(err error, reword func(message string) string) error {
	var e *apiError
	if errors.As(err, &e) && e.kind == typeValidation {
		return invalid("%s", reword(e.message))
	}
	return err
}
