package lambda

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/lambda/types"
)

func TestFunctionErrors(t *testing.T) {
	tests := []struct{ do, kind, message string }{
		{"fail", "ValidationError", "data.recipients[2]: is not a string"},
		{"panic", "string", "on purpose"},
		{"exit", "Runtime.ExitError", " Error: Runtime exited with error: exit status 7"},
		{"silent exit", "Runtime.ExitError", " Error: Runtime exited without providing a reason"},
	}
	s := start(t, Config{Processes: 1})
	for _, tt := range tests {
		t.Run(tt.do, func(t *testing.T) {
			out := s.call(t, order{Do: tt.do})
			var e struct{ ErrorType, ErrorMessage string }
			if err := json.Unmarshal(out.Payload, &e); err != nil {
				t.Fatal(err)
			}
			if out.StatusCode != 200 || out.FunctionError == nil || *out.FunctionError != "Unhandled" ||
				e.ErrorType != tt.kind || !strings.HasSuffix(e.ErrorMessage, tt.message) {
				t.Errorf("%d %v %s", out.StatusCode, out.FunctionError, out.Payload)
			}
			reported(t, s.call(t, order{})) // a new process, if need be
			seen := s.observed(t, 1)
			if got := seen[len(seen)-2].Error; !strings.HasPrefix(got, tt.kind+": ") {
				t.Errorf("observed %q", got)
			}
		})
	}
}

func TestTimeout(t *testing.T) {
	s := start(t, Config{Processes: 1}, func(f *Function) { f.Timeout = 150 * time.Millisecond })
	out := s.call(t, order{Do: "hang"})
	var e struct{ ErrorType, ErrorMessage string }
	if err := json.Unmarshal(out.Payload, &e); err != nil {
		t.Fatal(err)
	}
	if out.FunctionError == nil || e.ErrorType != "Sandbox.Timedout" || !strings.HasSuffix(e.ErrorMessage, " Error: Task timed out after 0.15 seconds") {
		t.Errorf("%s", out.Payload)
	}
	if i := s.observed(t, 1)[0]; i.Duration < 150*time.Millisecond {
		t.Errorf("timed out after %v", i.Duration)
	}
	reported(t, s.call(t, order{}))
}

func TestInitFails(t *testing.T) {
	tests := map[string]string{
		"exit":  "Runtime.ExitError: RequestId: ",
		"error": "Config: TABLE_NAME: is required",
	}
	for how, want := range tests {
		t.Run(how, func(t *testing.T) {
			s := start(t, Config{}, func(f *Function) { f.Environment = map[string]string{"START": how} })
			for range 2 { // every event gets the error, none waits for ever
				if out := s.call(t, order{}); out.FunctionError == nil {
					t.Errorf("%s", out.Payload)
				}
			}
			for _, i := range s.observed(t, 2) {
				if !strings.HasPrefix(i.Error, want) {
					t.Errorf("observed %q, want %q", i.Error, want)
				}
			}
		})
	}
}

func TestResponseTooLarge(t *testing.T) {
	s := start(t, Config{})
	if out := s.call(t, order{Do: "bytes", Bytes: maxResponse - 2}); out.FunctionError != nil || len(out.Payload) != maxResponse {
		t.Errorf("%d bytes, %v", len(out.Payload), out.FunctionError)
	}
	out := s.call(t, order{Do: "bytes", Bytes: maxResponse - 1})
	if out.FunctionError == nil || !strings.Contains(string(out.Payload), "Function.ResponseSizeTooLarge") {
		t.Errorf("%v %.100s", out.FunctionError, out.Payload)
	}
}

// A process has one event at a time, a function a bounded number of processes, and the queue is first in, first out.
func TestBoundedProcesses(t *testing.T) {
	s := start(t, Config{Processes: 2})
	g := newGate(t)
	const events = 6
	for i := range events {
		s.callInput(t, order{Do: "get", URL: g.url + "/?" + strconv.Itoa(i)}, &lambda.InvokeInput{InvocationType: types.InvocationTypeEvent})
	}
	first := []string{receive(t, g.arrived, "an event"), receive(t, g.arrived, "an event")}
	slices.Sort(first)
	if !slices.Equal(first, []string{"0", "1"}) {
		t.Errorf("first %v", first)
	}
	f := s.functions["echo"]
	f.mu.Lock()
	processes, waiting := len(f.processes), len(f.waiting)
	f.mu.Unlock()
	if processes != 2 || waiting != events-2 {
		t.Errorf("%d processes, %d events waiting", processes, waiting)
	}
	close(g.open)
	s.observed(t, events)
	f.mu.Lock()
	launched := f.launched
	f.mu.Unlock()
	if launched != 2 {
		t.Errorf("%d processes started for %d events", launched, events)
	}
}

func TestFirstInFirstOut(t *testing.T) {
	s := start(t, Config{Processes: 1})
	g := newGate(t)
	close(g.open)
	for i := range 10 {
		s.callInput(t, order{Do: "get", URL: g.url + "/?" + strconv.Itoa(i)}, &lambda.InvokeInput{InvocationType: types.InvocationTypeEvent})
	}
	for i := range 10 {
		if got := receive(t, g.arrived, "an event"); got != strconv.Itoa(i) {
			t.Fatalf("event %s came at place %d", got, i)
		}
	}
}

func TestMostRecentlyUsedFirst(t *testing.T) {
	s := start(t, Config{Processes: 3})
	g := newGate(t)
	var calls sync.WaitGroup
	for range 3 {
		calls.Go(func() { s.call(t, order{Do: "get", URL: g.url}) })
	}
	for range 3 {
		receive(t, g.arrived, "an event")
	}
	close(g.open)
	calls.Wait()
	f := s.functions["echo"]
	last := func() (pid int) {
		eventually(t, "three idle processes", func() bool {
			f.mu.Lock()
			defer f.mu.Unlock()
			if len(f.idle) == 3 {
				pid = f.idle[2].pid
			}
			return pid != 0 // a process can be idle before whoever started it has noted its id
		})
		return pid
	}
	want := last()
	for range 3 {
		if got := reported(t, s.call(t, order{})).PID; got != want || last() != want {
			t.Errorf("process %d took the event, %d was used last", got, want)
		}
	}
}

// A function that invokes itself and waits must get a process for it, however few it may have: Lambda would start one.
func TestNestedInvocationsDoNotWaitForOneAnother(t *testing.T) {
	s := start(t, Config{Processes: 1})
	r := reported(t, s.call(t, order{Do: "nest", URL: s.url, Depth: 3}))
	seen := map[int]bool{}
	root, depth := parseChain(r.Trace).root, 1
	for {
		seen[r.PID] = true
		got := parseChain(r.Trace)
		if got.root != root || got.rounds(s.arn("echo")) != depth {
			t.Errorf("depth %d: trace %s", depth, r.Trace)
		}
		if r.Nested == nil {
			break
		}
		var next report
		if err := json.Unmarshal(r.Nested, &next); err != nil {
			t.Fatal(err)
		}
		r = next
		depth++
	}
	if depth != 4 || len(seen) != 4 {
		t.Errorf("depth %d in %d processes", depth, len(seen))
	}
	f := s.functions["echo"]
	eventually(t, "one process left", func() bool {
		f.mu.Lock()
		defer f.mu.Unlock()
		return len(f.processes) == 1 && f.blocked == 0
	})
}

// What a function started itself ends with its process.
func TestProcessGroupEnds(t *testing.T) {
	s := start(t, Config{Processes: 1})
	g := newGate(t)
	reported(t, s.call(t, order{Do: "start", URL: g.url + "/?left"}))
	receive(t, g.arrived, "the function's own process")
	s.call(t, order{Do: "exit"})
	receive(t, g.left, "the end of the function's own process")
}

func TestCloseKillsWhatRuns(t *testing.T) {
	s := start(t, Config{Processes: 1})
	g := newGate(t)
	running := make(chan *lambda.InvokeOutput, 1)
	go func() { running <- s.call(t, order{Do: "get", URL: g.url}) }()
	receive(t, g.arrived, "the event")
	s.callInput(t, order{}, &lambda.InvokeInput{InvocationType: types.InvocationTypeEvent})
	waiting := make(chan error, 1)
	go func() {
		_, err := s.Invoke(context.Background(), &lambda.InvokeInput{FunctionName: aws.String("echo")})
		waiting <- err
	}()
	f := s.functions["echo"]
	eventually(t, "two events waiting", func() bool {
		f.mu.Lock()
		defer f.mu.Unlock()
		return len(f.waiting) == 2
	})

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.Close(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("Close: %v", err)
	}
	receive(t, g.left, "the end of the process")
	if out := receive(t, running, "the running event's answer"); !strings.Contains(string(out.Payload), "signal: killed") {
		t.Errorf("%s", out.Payload)
	}
	var stopping *types.ServiceException
	if err := receive(t, waiting, "the waiting event's answer"); !errors.As(err, &stopping) {
		t.Errorf("%v", err)
	}
	for _, kind := range []types.InvocationType{types.InvocationTypeEvent, types.InvocationTypeRequestResponse} {
		_, err := s.Invoke(t.Context(), &lambda.InvokeInput{FunctionName: aws.String("echo"), InvocationType: kind})
		if !errors.As(err, &stopping) {
			t.Errorf("%s after Close: %v", kind, err)
		}
	}
}

func TestCloseWaitsForWhatRuns(t *testing.T) {
	s := start(t, Config{Processes: 1})
	g := newGate(t)
	running := make(chan *lambda.InvokeOutput, 1)
	go func() { running <- s.call(t, order{Do: "get", URL: g.url}) }()
	receive(t, g.arrived, "the event")
	closed := make(chan error, 1)
	go func() { closed <- s.Close(context.Background()) }()
	close(g.open)
	reported(t, receive(t, running, "the answer"))
	if err := receive(t, closed, "Close"); err != nil {
		t.Errorf("Close: %v", err)
	}
}

// The states of a process as the Runtime API sees them.
func TestRuntimeAPI(t *testing.T) {
	s := start(t, Config{})
	f := s.functions["echo"]
	f.limit = 0 // no process of its own comes in between
	p := newProcess(f, 0)
	f.starting = 1
	api := p.runtimeAPI()
	do := func(method, path, body string) *httptest.ResponseRecorder {
		w := httptest.NewRecorder()
		api.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), method, "/2018-06-01/runtime"+path, strings.NewReader(body)))
		return w
	}
	answers := make(chan result, 1)
	inv := &invocation{id: "id-1", kind: asyncEvent, payload: []byte(`{"a":1}`), chain: chain{}.into(f.arn), done: func(r result) { answers <- r }}
	if accepted, _ := f.accept(inv); !accepted {
		t.Fatal("not accepted")
	}
	next := do("GET", "/invocation/next", "")
	if next.Code != 200 || next.Body.String() != `{"a":1}` || next.Header().Get("Lambda-Runtime-Aws-Request-Id") != "id-1" {
		t.Errorf("next: %d %s %v", next.Code, next.Body, next.Header())
	}
	deadline, err := strconv.ParseInt(next.Header().Get("Lambda-Runtime-Deadline-Ms"), 10, 64)
	if left := time.Until(time.UnixMilli(deadline)); err != nil || left <= 0 || left > f.Timeout {
		t.Errorf("deadline %v, %v", left, err)
	}
	steps := []struct {
		path, body string
		want       int
	}{
		{"/invocation/id-2/response", `"x"`, http.StatusBadRequest}, // not its event
		{"/invocation/id-1/error", `{"errorType":"E","errorMessage":"m"}`, http.StatusAccepted},
		{"/invocation/id-1/response", `"x"`, http.StatusBadRequest}, // answered already
	}
	if got := do("GET", "/invocation/next", ""); got.Code != http.StatusForbidden {
		t.Errorf("next before the answer: %d", got.Code)
	}
	for _, step := range steps {
		if got := do("POST", step.path, step.body); got.Code != step.want {
			t.Errorf("%s: %d %s", step.path, got.Code, got.Body)
		}
	}
	if r := <-answers; !r.failed || r.functionError() != "E: m" {
		t.Errorf("%+v", r)
	}
}

func TestLines(t *testing.T) {
	var got []string
	o := &output{line: func(line string) { got = append(got, line) }}
	long := strings.Repeat("x", maxLine)
	for _, written := range []string{"a", "b\n", "\nc\nd", "e\n", long, "y\n"} {
		o.split([]byte(written))
	}
	if want := []string{"ab", "", "c", "de", long, "y"}; !slices.Equal(got, want) {
		t.Errorf("%.20q", got)
	}
}
