package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	sdk "github.com/aws/aws-sdk-go-v2/service/lambda"
)

// published is the answer to a publish.
type published struct {
	ID        string `json:"id"`
	Event     string `json:"event"`
	Matched   int    `json:"matched"`
	Delivered int    `json:"delivered"`
	Gone      int    `json:"gone"`
	Failed    int    `json:"failed"`
	Queued    int    `json:"queued"`
	Duplicate bool   `json:"duplicate"`
}

// functionError is what a backend sees of an invocation that failed.
type functionError struct {
	Header  string // X-Amz-Function-Error
	Type    string `json:"errorType"`
	Message string `json:"errorMessage"`
}

func (e *functionError) Error() string { return e.Type + ": " + e.Message }

// invoke invokes a function and waits. The error is a *functionError where the function failed.
func (s *system) invoke(function, request string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	out, err := s.functions.Invoke(ctx, &sdk.InvokeInput{FunctionName: &function, Payload: []byte(request)})
	if err != nil {
		return nil, err
	}
	if out.FunctionError == nil {
		return out.Payload, nil
	}
	e := &functionError{Header: *out.FunctionError}
	if err := json.Unmarshal(out.Payload, e); err != nil {
		return nil, fmt.Errorf("%s failed with %s: %w", function, out.Payload, err)
	}
	return nil, e
}

// send publishes a request, as it is.
func (s *system) send(request string) (published, error) {
	answer, err := s.invoke(s.publisher, request)
	if err != nil {
		return published{}, err
	}
	var p published
	decoder := json.NewDecoder(bytes.NewReader(answer))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&p); err != nil {
		return p, fmt.Errorf("%s: %w", answer, err)
	}
	if p.Matched != p.Delivered+p.Gone+p.Failed+p.Queued {
		return p, fmt.Errorf("the counts do not add up: %s", answer)
	}
	return p, nil
}

// publish sends an event, with more members of the request such as `"to":{"all":true}`, "" for none.
func (s *system) publish(t *testing.T, event, data, more string) published {
	t.Helper()
	p, err := s.send(request(event, data, more))
	if err != nil {
		t.Fatalf("publish %s: %v", event, err)
	}
	if p.Event != event {
		t.Errorf("the answer is about %q, not %q", p.Event, event)
	}
	return p
}

// delivers is publish for what so many sockets have to get, and nobody else is in the audience.
func (s *system) delivers(t *testing.T, sockets int, event, data, more string) {
	t.Helper()
	p := s.publish(t, event, data, more)
	p.ID = ""
	if want := (published{Event: event, Matched: sockets, Delivered: sockets}); p != want {
		t.Errorf("publish %s %s: %+v, want %+v", event, more, p, want)
	}
}

func request(event, data, more string) string {
	if more != "" {
		more = "," + more
	}
	return `{"event":"` + event + `","data":` + data + more + `}`
}

// to is the audience of users.
func to(users ...string) string { return `"to":{"users":` + list(users) + `}` }

func list(ids []string) string {
	if len(ids) == 0 {
		return "[]"
	}
	return `["` + strings.Join(ids, `","`) + `"]`
}

// message is the data of a messages event with an opaque message.
func message(conversation, sender string, recipients []string, dto string) string {
	return `{"conversationId":"` + conversation + `","message":` + dto + `,"senderId":"` + sender + `","recipients":` + list(recipients) + `}`
}

// notice is the data of notifications:new about nothing much.
func notice(key string) string { return `{"eventKey":"` + key + `","notification":{"id":"n1"}}` }

// participants changes who takes part in a conversation: op is set, add or remove.
func (s *system) participants(t *testing.T, op, conversation string, users ...string) (added, removed int) {
	t.Helper()
	answer, err := s.invoke(s.controller, `{"op":"participants.`+op+`","conversationId":"`+conversation+`","users":`+list(users)+`}`)
	if err != nil {
		t.Fatalf("participants.%s: %v", op, err)
	}
	var changed struct{ Added, Removed int }
	decode(t, answer, &changed)
	return changed.Added, changed.Removed
}

// sweep has the server's timer run once on this machine. Deployed, the schedule does it every minute.
func (s *system) sweep(t *testing.T) {
	t.Helper()
	if s.local == nil {
		return
	}
	if _, err := s.invoke("SweepFunction", `{}`); err != nil {
		t.Fatalf("sweep: %v", err)
	}
}

// sweepUntil sweeps until something holds. Deployed, that may take the schedule a few minutes.
func (s *system) sweepUntil(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(3 * patience); !holds(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("swept in vain: %s", what)
		}
		s.sweep(t)
	}
}
