package console

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"example.org/realtime/infra/local/gateway"
	"example.org/realtime/infra/local/lambda"
	"example.org/realtime/infra/local/table"
)

// Kinds of a Span.
const (
	kindGateway  = "gateway"
	kindFunction = "function"
	kindTable    = "table"
	kindPost     = "post" // a request to @connections
)

// Kinds of a Trace that a client begins; the others are functions.
const (
	traceConnect    = "connect"
	traceEvent      = "event"
	traceDisconnect = "disconnect"
)

// gateway takes what the gateway did.
func (t *traces) gateway(e gateway.Event) {
	s := Span{Kind: kindGateway, Name: e.Kind, Bytes: e.Bytes, Status: e.Status, Parent: e.Segment}
	switch e.Kind {
	case gateway.KindHandshake:
		t.begin(e.TraceID, traceConnect, "$connect", e.ConnectionID, e.Time)
		s.Detail = "a client asks for a connection"
	case gateway.KindConnect:
		s.Detail = "the connection is open"
	case gateway.KindReject:
		s.Detail, s.Failed, s.Outcome = "the handshake was refused", true, fmt.Sprintf("%d: %v", e.Status, e.Err)
	case gateway.KindMessage:
		t.begin(e.TraceID, traceEvent, e.RouteKey, e.ConnectionID, e.Time)
		s.Detail = "message for " + e.RouteKey
		if e.RouteKey == "" {
			s.Detail, s.Failed, s.Outcome = "message that selects no route", true, "Forbidden"
		}
	case gateway.KindReply:
		s.Detail, s.Failed, s.Outcome = "the gateway's own answer to the client", true, "the function did not answer"
	case gateway.KindClose:
		t.begin(e.TraceID, traceDisconnect, "$disconnect", e.ConnectionID, e.Time)
		s.Detail = strings.TrimSpace(fmt.Sprintf("ended by %s: %d %s", e.Cause, e.Code, e.Reason))
	case gateway.KindLostDisconnect:
		s.Detail, s.Failed, s.Outcome = "$disconnect was lost, as a fault", true, "lost"
	case gateway.KindInvoke:
		s.Name, s.Detail = "integration", e.Function
		if e.Err == nil {
			return // what the function did is told
		}
		s.Failed, s.Outcome = true, oneLine(e.Err.Error())
	default:
		s.Kind, s.Detail = kindPost, e.ConnectionID
		s.Failed = e.Status >= 300 && e.Status != http.StatusGone
		if e.Status >= 300 {
			s.Outcome = fmt.Sprintf("%d %s", e.Status, http.StatusText(e.Status))
		}
	}
	t.span(e.TraceID, s, e.Time.Add(-e.Duration), e.Duration, gatewayUsage(e))
}

// asked takes what a function is about to do: it begins a trace, or says what one is about.
func (t *traces) asked(i lambda.Invocation) {
	connection, subject := Subject(i.Payload)
	if i.Begins {
		t.begin(i.TraceID, i.Function, subject, connection, i.Start)
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if trace := t.byID[i.TraceID]; trace != nil && trace.Title == "$default" && subject != "" {
		trace.Title = subject
	}
}

// invocation takes what a function did.
func (t *traces) invocation(i lambda.Invocation) {
	_, subject := Subject(i.Payload)
	s := Span{
		Kind: kindFunction, Name: i.Function, Detail: subject, ID: i.Segment, Parent: i.Parent, request: i.RequestID,
		Failed: i.Error != "", Outcome: oneLine(i.Error),
	}
	var notes []string
	if i.Init > 0 {
		notes = append(notes, fmt.Sprintf("cold start %d ms", i.Init.Milliseconds()))
	}
	if waited := (i.Queued - i.Init).Milliseconds(); waited > 5 {
		notes = append(notes, fmt.Sprintf("waited %d ms", waited))
	}
	if i.Attempt > 1 {
		notes = append(notes, fmt.Sprintf("attempt %d", i.Attempt))
	}
	s.Detail = strings.Join(append(slices.DeleteFunc([]string{subject}, empty), notes...), ", ")
	if strings.HasPrefix(i.Error, "ValidationError: ") || strings.HasPrefix(i.Error, "PublishInProgress: ") {
		s.Failed = false // refused, as it should be
	}
	t.span(i.TraceID, s, i.Start, i.Duration, invocationUsage(i))
}

func empty(s string) bool { return s == "" }

// operation takes what the table did.
func (t *traces) operation(op table.Op) {
	s := Span{Kind: kindTable, Name: op.Name, Detail: keys(op), Parent: op.Segment}
	if op.Err != nil {
		s.Outcome = oneLine(op.Err.Error())
		s.Failed = !strings.Contains(s.Outcome, "conditional request failed") // which is an answer
	}
	now := t.now()
	t.span(op.TraceID, s, now.Add(-op.Duration), op.Duration, operationUsage(op))
}

// keys names what an operation is about.
func keys(op table.Op) string {
	if len(op.Keys) == 0 {
		return ""
	}
	text := strings.TrimSpace(op.Keys[0].Partition + " " + op.Keys[0].Sort)
	if more := len(op.Keys) - 1; more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return text
}

// output takes a line that a function wrote, if it is of its log and belongs to a trace that is followed. The line about the whole
// invocation says how its trace ended.
func (t *traces) output(function, text string) {
	const key = `"trace_id":"`
	_, rest, ok := strings.Cut(text, key)
	if !ok {
		return
	}
	id, _, _ := strings.Cut(rest, `"`)
	t.mu.Lock()
	trace := t.byID[id]
	full := trace == nil || len(trace.lines) >= keptLines
	t.mu.Unlock()
	if full {
		return
	}
	var record map[string]any
	if json.Unmarshal([]byte(text), &record) != nil {
		return
	}
	take := func(name string) string {
		value, _ := record[name].(string)
		delete(record, name)
		return value
	}
	line := Line{Function: function, Level: strings.ToLower(take("level")), Message: take("message")}
	at, err := time.Parse(time.RFC3339Nano, take("timestamp"))
	if err != nil {
		at = t.now()
	}
	for _, known := range []string{"trace_id", "request_id", "function", "connection_id", "event_type"} {
		delete(record, known)
	}
	var details []string
	for _, name := range slices.Sorted(maps.Keys(record)) {
		details = append(details, fmt.Sprintf("%s=%v", name, record[name]))
	}
	line.Details = oneLine(strings.Join(details, " "))
	outcome := ""
	if _, published := record["delivered"]; published {
		outcome = fmt.Sprintf("delivered %v of %v", record["delivered"], record["matched"])
	} else if said, _ := record["outcome"].(string); said != "" && said != "ok" {
		outcome = said
		if field, _ := record["field"].(string); field != "" {
			outcome += ": " + field
		}
	}

	t.mu.Lock()
	defer t.mu.Unlock()
	u := outputUsage(text)
	trace.Usage.add(u)
	trace.Dollars += u.Total()
	line.At = inMS(at.Sub(trace.begun))
	trace.lines = append(trace.lines, line)
	if line.Message == "invocation" && outcome != "" && !trace.Failed {
		trace.Outcome = outcome
	}
	t.touch(trace, trace.last)
}

func oneLine(s string) string {
	const most = 1000
	s = strings.ReplaceAll(s, "\n", " ")
	if len(s) > most {
		s = strings.ToValidUTF8(s[:most], "") + "…"
	}
	return s
}
