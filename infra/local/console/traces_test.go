package console

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"example.org/realtime/infra/bench/price"
	"example.org/realtime/infra/local/gateway"
	"example.org/realtime/infra/local/lambda"
	"example.org/realtime/infra/local/table"
)

const root = "1-6566f1d0-0123456789abcdef01234567"

func newTestTraces() (*traces, *clock) {
	c := &clock{at: time.Date(2026, 11, 23, 9, 0, 0, 0, time.UTC)}
	return newTraces(c.now, func(connection string) string { return strings.TrimSuffix(connection, "=") }), c
}

// One event is followed through function, table and post, whatever comes first.
func TestTrace(t *testing.T) {
	traces, c := newTestTraces()
	begun := c.now()
	traces.gateway(gateway.Event{Kind: gateway.KindMessage, Time: begun, ConnectionID: "alice=", TraceID: root, RouteKey: "$default", Function: "default", Bytes: 40})
	joined := lambda.Invocation{
		Function: "default", RequestID: "r1", Type: "RequestResponse", Attempt: 1, TraceID: root, Segment: "s1", MemoryMB: 256, Start: begun,
		Payload: []byte(`{"requestContext":{"connectionId":"alice=","routeKey":"$default"},"body":"42/ws/app,1[\"conversations:join\",{\"conversationId\":\"secret\"}]"}`),
	}
	traces.asked(joined)
	c.forward(10 * time.Millisecond)
	traces.operation(table.Op{Name: "GetItem", Keys: []table.Key{{Partition: "conversation:c1", Sort: "m#alice"}}, Units: table.Units{Read: 1}, TraceID: root, Segment: "s1", Duration: 2 * time.Millisecond})
	traces.operation(table.Op{Name: "UpdateItem", Units: table.Units{Write: 1}, TraceID: root, Segment: "s1", Err: errors.New("The conditional request failed")})
	c.forward(5 * time.Millisecond)
	traces.gateway(gateway.Event{Kind: gateway.PostToConnection, Time: c.now(), ConnectionID: "alice=", TraceID: root, Segment: "s1", Bytes: 33_000, Status: 200, Duration: time.Millisecond})
	traces.gateway(gateway.Event{Kind: gateway.PostToConnection, Time: c.now(), ConnectionID: "gone=", TraceID: root, Segment: "s1", Bytes: 9, Status: 410})
	line := `{"timestamp":"2026-11-23T09:00:00.016Z","level":"INFO","message":"invocation","function":"default","request_id":"r1","trace_id":"` + root + `","route":"$default","outcome":"refused"}`
	traces.output("default", line)
	joined.Duration, joined.Init, joined.Queued = 20*time.Millisecond, 100*time.Millisecond, 130*time.Millisecond
	traces.invocation(joined)

	page, ok := traces.page(root)
	if !ok {
		t.Fatal("not followed")
	}
	want := usage{price.Usage{Messages: 3, BytesOut: 33_000, Invocations: 1, GBSeconds: 0.005, Read: 1, Write: 1, LogBytes: float64(price.PlatformLogBytes + len(line))}}
	if diff := cmp.Diff(want, page.Usage); diff != "" {
		t.Errorf("usage: -want +got:\n%s", diff)
	}
	if got, want := page.Dollars, want.Total(); got < want*0.999999 || got > want*1.000001 {
		t.Errorf("dollars %g, want %g", got, want)
	}
	if page.Title != "conversations:join" || page.Kind != traceEvent || page.User != "alice" || page.Connection != "alice=" || page.Functions != 1 || page.Posts != 1 || page.Gone != 1 || page.Failed || page.Outcome != "refused" || page.MS != 20 {
		t.Errorf("%+v", page.Trace)
	}
	var steps []string
	for _, s := range page.Spans {
		steps = append(steps, fmt.Sprintf("%s %s|%s|%s|+%g %g|%s %v", s.Kind, s.Name, s.Detail, s.Parent, s.At, s.MS, s.Outcome, s.Failed))
	}
	wantSteps := []string{
		"gateway message|message for $default||+0 0| false",
		"function default|conversations:join, cold start 100 ms, waited 30 ms||+0 20| false",
		"table GetItem|conversation:c1 m#alice|s1|+8 2| false",
		"table UpdateItem||s1|+10 0|The conditional request failed false",
		"post PostToConnection|alice=|s1|+14 1| false",
		"post PostToConnection|gone=|s1|+15 0|410 Gone false",
	}
	if diff := cmp.Diff(wantSteps, steps); diff != "" {
		t.Errorf("steps: -want +got:\n%s", diff)
	}
	if diff := cmp.Diff([]Line{{16, "default", "info", "invocation", "outcome=refused route=$default"}}, page.Lines); diff != "" {
		t.Errorf("lines: -want +got:\n%s", diff)
	}
	if strings.Contains(fmt.Sprintf("%+v", page), "secret") {
		t.Error("the data of the event is in its trace")
	}
}

// What a trace is called, and whether it failed, by what came of it.
func TestOutcomes(t *testing.T) {
	invocation := func(payload, err string) func(*traces, time.Time) {
		return func(traces *traces, at time.Time) {
			i := lambda.Invocation{Function: "publish", TraceID: root, Segment: "s", Start: at, Begins: true, Payload: []byte(payload), Error: err, Attempt: 2}
			traces.asked(i)
			traces.invocation(i)
		}
	}
	event := func(e gateway.Event) func(*traces, time.Time) {
		return func(traces *traces, at time.Time) {
			e.Time, e.TraceID = at, root
			traces.gateway(e)
		}
	}
	const published = `{"event":"messages:new"}`
	tests := map[string]struct {
		happens              func(*traces, time.Time)
		kind, title, outcome string
		failed               bool
	}{
		"a publish":             {invocation(published, ""), "publish", "messages:new", "", false},
		"refused, as it should": {invocation(published, "ValidationError: data: required"), "publish", "messages:new", "", false},
		"in progress":           {invocation(published, "PublishInProgress: id: try again"), "publish", "messages:new", "", false},
		"crashed":               {invocation(published, "Runtime.ExitError: exit status 2\nmore"), "publish", "messages:new", "publish: Runtime.ExitError: exit status 2 more", true},
		"a job":                 {invocation(`{"job":{"presence":{"user":"bob"}}}`, ""), "publish", "presence of bob", "", false},
		"a handshake":           {event(gateway.Event{Kind: gateway.KindHandshake}), "connect", "$connect", "", false},
		"no route":              {event(gateway.Event{Kind: gateway.KindMessage}), "event", "", "message: Forbidden", true},
		"an end":                {event(gateway.Event{Kind: gateway.KindClose, Code: 1000, Cause: gateway.CauseClient}), "disconnect", "$disconnect", "", false},
		"a refused handshake": {func(traces *traces, at time.Time) {
			event(gateway.Event{Kind: gateway.KindHandshake})(traces, at)
			event(gateway.Event{Kind: gateway.KindReject, Status: 401, Err: errors.New("no token")})(traces, at)
		}, "connect", "$connect", "reject: 401: no token", true},
		"a lost end": {func(traces *traces, at time.Time) {
			event(gateway.Event{Kind: gateway.KindClose})(traces, at)
			event(gateway.Event{Kind: gateway.KindLostDisconnect})(traces, at)
		}, "disconnect", "$disconnect", "lost: lost", true},
		"a function that failed": {func(traces *traces, at time.Time) {
			event(gateway.Event{Kind: gateway.KindMessage, RouteKey: "x"})(traces, at)
			event(gateway.Event{Kind: gateway.KindInvoke, Function: "x", Err: errors.New("function error")})(traces, at)
			event(gateway.Event{Kind: gateway.KindReply, Bytes: 9})(traces, at)
		}, "event", "x", "integration: function error", true},
		"throttled": {func(traces *traces, at time.Time) {
			invocation(published, "")(traces, at)
			event(gateway.Event{Kind: gateway.PostToConnection, Status: 429})(traces, at)
		}, "publish", "messages:new", "PostToConnection: 429 Too Many Requests", true},
		"the table failed": {func(traces *traces, at time.Time) {
			invocation(published, "")(traces, at)
			traces.operation(table.Op{Name: "Query", TraceID: root, Err: errors.New("throttled")})
		}, "publish", "messages:new", "Query: throttled", true},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			traces, c := newTestTraces()
			test.happens(traces, c.now())
			page, ok := traces.page(root)
			if !ok {
				t.Fatal("not followed")
			}
			if page.Kind != test.kind || page.Title != test.title || page.Outcome != test.outcome || page.Failed != test.failed {
				t.Errorf("%s %q: %q, failed %v", page.Kind, page.Title, page.Outcome, page.Failed)
			}
		})
	}
}

// Under load a part of the traces is followed, all are counted, and the next quiet second follows all again.
func TestSampling(t *testing.T) {
	traces, c := newTestTraces()
	second := func(events int) {
		for i := range events {
			id := fmt.Sprintf("1-%d-%d", c.now().Unix(), i)
			traces.gateway(gateway.Event{Kind: gateway.KindMessage, Time: c.now(), TraceID: id, RouteKey: "x", Bytes: 1})
			traces.operation(table.Op{Name: "GetItem", TraceID: id})
		}
		c.forward(time.Second)
	}
	kept := func() (kept int, rate load, seen int64) {
		changed, _, rate, seen := traces.summaries(0, 1<<20)
		return len(changed), rate, seen
	}
	second(10_000)
	if n, _, seen := kept(); n != newPerSecond || seen != 10_000 {
		t.Errorf("%d of %d followed", n, seen)
	}
	second(1)
	if n, rate, _ := kept(); n != newPerSecond+1 || rate != (load{10_000, newPerSecond}) {
		t.Errorf("%d followed, the second before %+v", n, rate)
	}
	second(1)
	if _, rate, _ := kept(); rate != (load{1, 1}) {
		t.Errorf("the second before %+v", rate)
	}
	c.forward(time.Minute)
	if _, rate, seen := kept(); rate != (load{}) || seen != 10_002 {
		t.Errorf("long after: %+v, %d seen", rate, seen)
	}
}

// Several at once tell of what happened around the end of a second in any order: that it was full is not forgotten, nor begun anew.
func TestSamplingAtTheEndOfASecond(t *testing.T) {
	traces, c := newTestTraces()
	begin := func(id string, late time.Duration) {
		traces.gateway(gateway.Event{Kind: gateway.KindMessage, Time: c.now().Add(-late), TraceID: id, RouteKey: "x"})
	}
	for i := range 300 {
		begin(fmt.Sprint("a", i), 0)
	}
	c.forward(time.Second)
	for i := range 300 {
		begin(fmt.Sprint("b", i), time.Duration(i%2)*time.Millisecond)
	}
	changed, _, rate, _ := traces.summaries(0, 1<<20)
	if want := (load{300, newPerSecond}); rate != want || len(changed) != 2*newPerSecond {
		t.Errorf("%d followed, the second before %+v, want %+v", len(changed), rate, want)
	}
	traces.follow(root, "publish", "messages:new", c.now())
	if _, ok := traces.page(root); !ok {
		t.Error("what the page itself asked for is not followed in a second that is full")
	}
}

// However much happens, what is remembered stays within its bounds, and what it costs is counted whole.
func TestBounds(t *testing.T) {
	traces, c := newTestTraces()
	for i := range keptTraces + 50 {
		traces.gateway(gateway.Event{Kind: gateway.KindMessage, Time: c.now(), TraceID: fmt.Sprint(i), RouteKey: "x"})
		c.forward(50 * time.Millisecond)
	}
	if len(traces.order) != keptTraces || len(traces.byID) != keptTraces {
		t.Errorf("%d and %d traces", len(traces.order), len(traces.byID))
	}
	if _, ok := traces.page("49"); ok {
		t.Error("the oldest are kept")
	}
	last := fmt.Sprint(keptTraces + 49)
	for range keptSpans + 100 {
		traces.operation(table.Op{Name: "PutItem", TraceID: last, Units: table.Units{Write: 1}})
		traces.output("x", `{"trace_id":"`+last+`"}`)
	}
	page, _ := traces.page(last)
	if len(page.Spans) != keptSpans || page.Dropped != 101 || page.Usage.Write != keptSpans+100 || len(page.Lines) != keptLines {
		t.Errorf("%d spans, %d dropped, %g units, %d lines", len(page.Spans), page.Dropped, page.Usage.Write, len(page.Lines))
	}
	traces.operation(table.Op{Name: "PutItem", TraceID: "nobody's"})
	traces.operation(table.Op{Name: "PutItem"})
	traces.output("x", `{"trace_id":"nobody's"}`)
	traces.output("x", `not JSON "trace_id":"`+last+`"`)
}

// A page is told of all that has changed since, of too many at once with one tick after the other.
func TestSummaries(t *testing.T) {
	traces, c := newTestTraces()
	for i := range 5 {
		traces.begin(fmt.Sprint(i), "publish", "x", "", c.now())
	}
	changed, at, _, _ := traces.summaries(0, 3)
	if ids(changed) != "0 1 2" {
		t.Errorf("told of %s", ids(changed))
	}
	traces.operation(table.Op{Name: "GetItem", TraceID: "1"})
	if changed, at, _, _ = traces.summaries(at, 3); ids(changed) != "3 4 1" {
		t.Errorf("told of %s", ids(changed))
	}
	if changed, at, _, _ = traces.summaries(at, 3); len(changed) != 0 {
		t.Errorf("told again of %s", ids(changed))
	}
	traces.operation(table.Op{Name: "GetItem", TraceID: "1"})
	if changed, _, _, _ := traces.summaries(at, 3); ids(changed) != "1" {
		t.Errorf("told of %s", ids(changed))
	}
}

func ids(all []Trace) string {
	var texts []string
	for _, trace := range all {
		texts = append(texts, trace.ID)
	}
	return strings.Join(texts, " ")
}

func TestSubject(t *testing.T) {
	for payload, want := range map[string]string{
		`{"requestContext":{"connectionId":"c=","routeKey":"conversations:join"},"body":"{\"event\":\"x\"}"}`:  "c= ",
		`{"requestContext":{"connectionId":"c=","routeKey":"$default"},"body":"{\"event\":\"x\",\"data\":1}"}`: "c= x",
		`{"requestContext":{"connectionId":"c=","routeKey":"$default"},"body":"{\"event\":"}`:                  "c= ",
		`{"requestContext":{"connectionId":"c=","routeKey":"$default"},"body":"42/ws/app,[\"a\",1]"}`:          "c= a",
		`{"requestContext":{"connectionId":"c=","routeKey":"$default"},"body":"40/ws/app,{\"token\":\"t\"}"}`:  "c= CONNECT",
		`{"requestContext":{"connectionId":"c=","routeKey":"$default"},"body":"3"}`:                            "c= pong",
		`{"requestContext":{"connectionId":"c=","routeKey":"$default"},"body":"hello"}`:                        "c= ",
		`{"event":"messages:new","data":{}}`:      " messages:new",
		`{"op":"participants.set"}`:               " participants.set",
		`{"job":{"welcome":{"connection":"c="}}}`: "c= welcome",
		`{"job":{"presence":{"user":"alice"}}}`:   " presence of alice",
		`not JSON`:                                " ",
		`{"requestContext":{"connectionId":"c=","routeKey":"$default"},"body":"{\"event\":\"` + strings.Repeat("é", 100) + `\"}"}`:                               "c= " + strings.Repeat("é", 80) + "…",
		`{"op":"Bearer eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhbGljZSJ9.c2ln"}`:                                                                                         " Bearer eyJhbGci…",
		`{"requestContext":{"connectionId":"c=","routeKey":"$default"},"body":"{\"event\":\"` + strings.Repeat("x", 150) + `.eyJhbGciOiJIUzI1NiJ9.e30.c2ln\"}"}`: "c= " + strings.Repeat("x", 150) + ".eyJhbGci…",
		`{"op":"` + strings.Repeat("x", 1<<20) + `"}`:                                                                                                            " " + strings.Repeat("x", 160) + "…",
	} {
		connection, subject := Subject([]byte(payload))
		if got := connection + " " + subject; got != want {
			t.Errorf("%s: %q, want %q", payload, got, want)
		}
	}
}
