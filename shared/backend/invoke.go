package backend

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/lambda/types"

	"example.org/realtime/shared/contract"
)

// FunctionError is a function that failed for a reason of its own: a crash, a timeout, a table that does not answer. What it
// did is not known; with a publish's ID, or for an operation of control, ask again.
type FunctionError struct {
	Type    string // Lambda's errorType; "" when the function could not say
	Message string
}

// Error implements error.
func (e *FunctionError) Error() string { return strings.TrimPrefix(e.Type+": "+e.Message, ": ") }

// Invoke invokes a function with a request as it is, for those that have one already, and returns its answer as it is.
// Errors are the Client's.
func Invoke(ctx context.Context, api API, function string, request []byte) (answer json.RawMessage, err error) {
	out, err := api.Invoke(ctx, &lambda.InvokeInput{FunctionName: &function, Payload: request})
	switch {
	case err != nil:
		return nil, failure(function, err)
	case out.FunctionError != nil:
		return nil, failure(function, refusal(out.Payload))
	}
	return out.Payload, nil
}

// InvokeAsync queues a request as it is; Lambda invokes the function soon, and again when it fails.
func InvokeAsync(ctx context.Context, api API, function string, request []byte) error {
	_, err := api.Invoke(ctx, &lambda.InvokeInput{FunctionName: &function, InvocationType: types.InvocationTypeEvent, Payload: request})
	if err != nil {
		return failure(function, err)
	}
	return nil
}

func failure(function string, err error) error { return fmt.Errorf("%s: %w", function, err) }

// refusal is the error that a failed function's payload tells of.
func refusal(payload []byte) error {
	var e struct {
		Type    string `json:"errorType"`
		Message string `json:"errorMessage"`
	}
	if json.Unmarshal(payload, &e) != nil {
		return &FunctionError{Message: string(payload)}
	}
	switch e.Type {
	case "ValidationError":
		field, message, _ := strings.Cut(e.Message, ": ")
		return &contract.ValidationError{Field: field, Message: message}
	case "PublishInProgress":
		return &contract.PublishInProgress{}
	}
	return &FunctionError{Type: e.Type, Message: e.Message}
}
