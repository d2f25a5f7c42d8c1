package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"example.org/realtime/infra/local/console"
	"example.org/realtime/infra/local/gateway"
	"example.org/realtime/infra/local/lambda"
)

// log writes what happens for people: one line per event, with time, connection (or dashes), and function or what the gateway did.
//
//	15:04:05.123  L0SM9cOFvHcCIhw=  connect      12 ms
//
// Payloads and tokens are not in it.
type log struct {
	now       func() time.Time
	elsewhere bool // the functions do not run here: only the gateway can tell of them

	mu        sync.Mutex
	to        io.Writer
	summaries map[string]string // what a function's logger said about an invocation, by request id
}

func newLog(to io.Writer, now func() time.Time, elsewhere bool) *log {
	return &log{now: now, elsewhere: elsewhere, to: to, summaries: map[string]string{}}
}

// maxSummaries bounds those kept of invocations whose end is not told: above it, all are forgotten.
const maxSummaries = 1 << 12

const noConnection = "----------------"

func (l *log) line(connection, what, format string, args ...any) {
	if connection == "" {
		connection = noConnection
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	text := fmt.Sprintf("%s  %s  %-11s  ", l.now().Format("15:04:05.000"), connection, what) + fmt.Sprintf(format, args...)
	_, _ = fmt.Fprintln(l.to, strings.TrimRight(text, " ")) // nobody to tell
}

// gateway tells what the gateway did itself; what functions did is told by invocation, unless they run elsewhere.
func (l *log) gateway(e gateway.Event) {
	var about string
	switch e.Kind {
	case gateway.KindHandshake: // what becomes of it is told
		return
	case gateway.KindConnect:
		l.line(e.ConnectionID, "open", "")
		return
	case gateway.KindReject:
		about = fmt.Sprintf("handshake refused with %d", e.Status)
	case gateway.KindMessage:
		about = fmt.Sprintf("message of %d bytes for %s", e.Bytes, orNone(e.RouteKey))
	case gateway.KindReply:
		about = fmt.Sprintf("the gateway's own answer, %d bytes", e.Bytes)
	case gateway.KindClose:
		l.line(e.ConnectionID, "closed", "%s %s", closing(e), errorText(e.Err))
		return
	case gateway.KindLostDisconnect:
		about = "$disconnect lost, as FAULTS says"
	case gateway.PostToConnection:
		about = fmt.Sprintf("post of %d bytes: %d", e.Bytes, e.Status)
		if e.Status == http.StatusOK {
			about = fmt.Sprintf("%d bytes sent", e.Bytes)
		}
	case gateway.GetConnection:
		about = fmt.Sprintf("looked up: %d", e.Status)
	case gateway.DeleteConnection:
		about = fmt.Sprintf("told to close: %d", e.Status)
	case gateway.KindInvoke:
		if l.elsewhere {
			l.line(e.ConnectionID, e.Function, "%d ms %s", e.Duration.Milliseconds(), errorText(e.Err))
		}
		return
	}
	l.line(e.ConnectionID, "gateway", "%s %s", about, errorText(e.Err))
}

func closing(e gateway.Event) string {
	return strings.TrimSpace(fmt.Sprintf("%d %s", e.Code, e.Reason)) + ", by " + e.Cause
}

func orNone(s string) string {
	if s == "" {
		return "no route"
	}
	return s
}

// errorText is an error on the same line.
func errorText(err error) string {
	if err == nil {
		return ""
	}
	return "(" + strings.ReplaceAll(err.Error(), "\n", " ") + ")"
}

// invocation tells one run of a function.
func (l *log) invocation(i lambda.Invocation) {
	connection, subject := console.Subject(i.Payload)
	details := []string{fmt.Sprintf("%d ms", i.Duration.Milliseconds())}
	if subject != "" {
		details = append([]string{subject}, details...)
	}
	if i.Init > 0 {
		details = append(details, fmt.Sprintf("cold start %d ms", i.Init.Milliseconds()))
	}
	if waited := (i.Queued - i.Init).Milliseconds(); waited > 100 {
		details = append(details, fmt.Sprintf("waited %d ms", waited))
	}
	if i.Attempt > 1 {
		details = append(details, fmt.Sprintf("attempt %d", i.Attempt))
	}
	l.mu.Lock()
	if summary := l.summaries[i.RequestID]; summary != "" {
		details = append(details, summary)
	}
	delete(l.summaries, i.RequestID)
	l.mu.Unlock()
	if i.Error != "" {
		details = append(details, "failed: "+strings.ReplaceAll(i.Error, "\n", " "))
	}
	l.line(connection, i.Function, "%s", strings.Join(details, ", "))
}

// runtimeError is how aws-lambda-go writes the error that a function returns, which invocation tells.
var runtimeError = regexp.MustCompile(`^\d{4}/\d\d/\d\d \d\d:\d\d:\d\d \{"errorMessage":`)

// output tells a line that a function wrote. The records of its logger are shortened; the one about the whole invocation is kept until
// invocation tells it. Metrics in CloudWatch's embedded format are left out.
func (l *log) output(function, text string) {
	var record map[string]any
	if json.Unmarshal([]byte(text), &record) != nil {
		if !runtimeError.MatchString(text) {
			l.line("", function, "| %s", text)
		}
		return
	}
	if _, metrics := record["_aws"]; metrics {
		return
	}
	take := func(key string) string {
		value, _ := record[key].(string)
		delete(record, key)
		return value
	}
	id, level, message, connection := take("request_id"), take("level"), take("message"), take("connection_id")
	for _, known := range []string{"timestamp", "function", "duration_ms", "event_type", "route", "trace_id"} {
		delete(record, known)
	}
	if message == "invocation" {
		for _, known := range []string{"event", "op", "job"} { // console.Subject has them
			delete(record, known)
		}
		if record["outcome"] == "ok" {
			delete(record, "outcome")
		}
		l.mu.Lock()
		if len(l.summaries) >= maxSummaries {
			clear(l.summaries)
		}
		l.summaries[id] = attributes(record)
		l.mu.Unlock()
		return
	}
	l.line(connection, function, "| %s: %s %s", strings.ToLower(level), message, attributes(record))
}

func attributes(record map[string]any) string {
	var words []string
	for _, key := range slices.Sorted(maps.Keys(record)) {
		words = append(words, fmt.Sprintf("%s=%v", key, record[key]))
	}
	return strings.Join(words, " ")
}

// logger is for what the stack's parts tell besides.
func (l *log) logger() *slog.Logger { return slog.New(handler{log: l}) }

// handler writes slog records as lines of the log.
type handler struct {
	*log
	attributes []slog.Attr
}

func (h handler) Enabled(_ context.Context, level slog.Level) bool { return level >= slog.LevelInfo }

func (h handler) Handle(_ context.Context, r slog.Record) error {
	attributes := slices.Clone(h.attributes)
	r.Attrs(func(a slog.Attr) bool {
		attributes = append(attributes, a)
		return true
	})
	var connection string
	words := []string{r.Message}
	for _, a := range attributes {
		if a.Key == "connection" {
			connection = a.Value.String()
			continue
		}
		words = append(words, a.String())
	}
	h.line(connection, strings.ToLower(r.Level.String()), "%s", strings.Join(words, " "))
	return nil
}

func (h handler) WithAttrs(attributes []slog.Attr) slog.Handler {
	return handler{h.log, append(slices.Clone(h.attributes), attributes...)}
}

func (h handler) WithGroup(string) slog.Handler { return h }
