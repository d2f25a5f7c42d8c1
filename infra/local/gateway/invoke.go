package gateway

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"example.org/realtime/infra/local/trace"
)

// Invoker invokes a function synchronously. ctx has the trace of the event, for Invoker to send along, and does not end with the
// route's timeout: a function that API Gateway no longer waits for keeps running. Invoker returns when ctx ends, because Close waits
// for it. The error means that the Invoke API could not be reached.
type Invoker func(ctx context.Context, function string, payload []byte) (Result, error)

// Result is the Invoke API's answer.
type Result struct {
	Payload       []byte
	FunctionError string // X-Amz-Function-Error: "" when the function returned, else Payload is its error
	Status        int    // HTTP status; 0 = 200
}

// maxResponse, in bytes, of a synchronous invocation (Lambda quotas).
const maxResponse = 6 << 20

// LambdaInvoke speaks the Invoke API at endpoint, unsigned. client should keep as many idle connections to that host as
// functions run at once; nil = http.DefaultClient.
func LambdaInvoke(endpoint string, client *http.Client) Invoker {
	if client == nil {
		client = http.DefaultClient
	}
	return func(ctx context.Context, function string, payload []byte) (Result, error) {
		target := strings.TrimSuffix(endpoint, "/") + "/2015-03-31/functions/" + url.PathEscape(function) + "/invocations"
		request, err := http.NewRequestWithContext(ctx, http.MethodPost, target, bytes.NewReader(payload))
		if err != nil {
			return Result{}, fmt.Errorf("invoke %s: %w", function, err)
		}
		request.Header.Set("Content-Type", "application/json")
		request.Header.Set("X-Amz-Invocation-Type", "RequestResponse")
		if header := trace.FromContext(ctx).String(); header != "" {
			request.Header.Set(trace.Name, header)
		}
		response, err := client.Do(request)
		if err != nil {
			return Result{}, fmt.Errorf("invoke %s: %w", function, err)
		}
		defer func() { _ = response.Body.Close() }()
		body, err := io.ReadAll(io.LimitReader(response.Body, maxResponse+1))
		if err != nil {
			return Result{}, fmt.Errorf("invoke %s: read the response: %w", function, err)
		}
		if len(body) > maxResponse {
			return Result{}, fmt.Errorf("invoke %s: the response is larger than %d bytes", function, maxResponse)
		}
		result := Result{Payload: body, FunctionError: response.Header.Get("X-Amz-Function-Error"), Status: response.StatusCode}
		if result.Status == http.StatusOK && result.FunctionError == "" && !json.Valid(body) {
			// Lambda's runtime interface emulator, and SAM CLI with it, answers 200 with plain text, or nothing, on a timeout.
			result.FunctionError = "Unhandled"
		}
		return result, nil
	}
}

// Why an invocation gave no result.
var (
	errTimedOut = errors.New("endpoint request timed out")
	errRefused  = errors.New("the Invoke API refused")
	errFunction = errors.New("function error")
)

// err is nil when the function returned.
func (r Result) err() error {
	switch {
	case r.Status >= 300:
		return fmt.Errorf("%w with status %d: %s", errRefused, r.Status, short(r.Payload))
	case r.FunctionError != "":
		return fmt.Errorf("%w (%s): %s", errFunction, r.FunctionError, short(r.Payload))
	}
	return nil
}

// short is the message of an error document, or the beginning of plain text. Other JSON is somebody's payload, and left out.
func short(payload []byte) string {
	var document struct{ ErrorType, ErrorMessage, Message string }
	switch err := json.Unmarshal(payload, &document); {
	case err == nil:
		return strings.TrimPrefix(document.ErrorType+": ", ": ") + document.ErrorMessage + document.Message
	case json.Valid(payload):
		return "no error document"
	}
	return string(payload[:min(len(payload), 200)])
}

// call invokes a function for an event and waits for timeout, not longer: the function keeps running. The error is errTimedOut,
// errRefused or errFunction, the latter with the function's error as the result.
func (g *Gateway) call(function string, timeout time.Duration, ctx requestContext, event any) (Result, error) {
	payload, err := marshal(event)
	if err != nil {
		return Result{}, fmt.Errorf("encode the event: %w", err)
	}
	type outcome struct {
		result Result
		err    error
	}
	done := make(chan outcome, 1)
	g.running.Go(func() {
		start := g.cfg.Now()
		result, err := g.cfg.Invoke(trace.NewContext(g.ctx, trace.Header{Root: ctx.trace}), function, payload)
		if err != nil {
			err = fmt.Errorf("%w: %w", errRefused, err)
		} else {
			err = result.err()
		}
		g.observe(Event{
			Kind: KindInvoke, ConnectionID: ctx.ConnectionID, RequestID: ctx.RequestID, TraceID: ctx.trace, RouteKey: ctx.RouteKey, Function: function,
			Duration: g.cfg.Now().Sub(start), Status: result.Status, Err: err,
		})
		done <- outcome{result, err}
	})
	timer := time.NewTimer(timeout)
	defer timer.Stop()
	select {
	case o := <-done:
		return o.result, o.err
	case <-timer.C:
		return Result{}, errTimedOut
	}
}

// proxyResponse is what an integration returns.
type proxyResponse struct {
	statusCode int
	headers    map[string]string
	body       string
}

// parseResponse refuses what API Gateway calls a malformed Lambda proxy response.
func parseResponse(payload []byte) (proxyResponse, error) {
	var members map[string]json.RawMessage // not a struct: names are matched exactly
	if err := json.Unmarshal(payload, &members); err != nil {
		return proxyResponse{}, fmt.Errorf("malformed Lambda proxy response: %w", err)
	}
	var response proxyResponse
	for name, field := range map[string]any{"statusCode": &response.statusCode, "headers": &response.headers, "body": &response.body} {
		if raw, ok := members[name]; ok {
			if err := json.Unmarshal(raw, field); err != nil {
				return proxyResponse{}, fmt.Errorf("malformed Lambda proxy response: %s: %w", name, err)
			}
		}
	}
	if response.statusCode < 200 || response.statusCode > 599 {
		return proxyResponse{}, fmt.Errorf("malformed Lambda proxy response: statusCode is %d", response.statusCode)
	}
	return response, nil
}

func (r proxyResponse) header(name string) string {
	for n, value := range r.headers {
		if strings.EqualFold(n, name) {
			return value
		}
	}
	return ""
}
