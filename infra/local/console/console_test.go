package console

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"example.org/realtime/infra/local/gateway"
	"example.org/realtime/infra/local/stack"
	"example.org/realtime/infra/local/stack/stacktest"
	"example.org/realtime/shared/store"
)

// clock is a time that tests set.
type clock struct {
	mu sync.Mutex
	at time.Time
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *clock) forward(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
}

// fixture is a console with an embedded table, a gateway without clients, and functions that are one handler.
type fixture struct {
	*Console
	clock *clock
	table *store.Table
	stack *stack.Stack
	url   string
}

func newFixture(t *testing.T, functions http.Handler) *fixture {
	t.Helper()
	f := &fixture{clock: &clock{at: time.Date(2026, 11, 23, 9, 0, 0, 0, time.UTC)}}
	f.Console = New(Config{
		Root: "../../..", Now: f.clock.now,
		Token: func(user string, life time.Duration) (string, error) {
			if user == "" {
				return "", errors.New(`user: "" cannot be a user id`)
			}
			return "token of " + user + " for " + life.String(), nil
		},
	})
	var o stack.Options
	f.Wire(&o)
	api := httptest.NewServer(functions)
	t.Cleanup(api.Close)
	o.Gateway.Invoke = gateway.LambdaInvoke(api.URL, nil)
	var err error
	if f.stack, f.table, err = stacktest.New(t.Context(), o, f.clock.now); err != nil {
		t.Fatal(err)
	}
	f.stack.LambdaEndpoint = api.URL
	server := httptest.NewServer(f.Console)
	f.url = server.URL
	t.Cleanup(func() {
		server.Close()
		if err := f.stack.Gateway.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return f
}

// attached is a fixture whose console shows its stack.
func attachedFixture(t *testing.T, functions http.Handler) *fixture {
	t.Helper()
	f := newFixture(t, functions)
	f.Attach(f.stack)
	return f
}

// get asks the console's API and decodes its answer, or returns what it refuses with.
func (f *fixture) get(t *testing.T, path string, into any) refusal {
	t.Helper()
	return f.do(t, http.MethodGet, path, "", into)
}

func (f *fixture) do(t *testing.T, method, path, body string, into any) (r refusal) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, f.url+Path+"/api"+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Origin", f.url)
	request.Header.Set("Content-Type", "application/json")
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close() //nolint:errcheck // a test's
	answer, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	target := into
	if response.StatusCode != http.StatusOK {
		target = &r
	}
	if err := json.Unmarshal(answer, target); err != nil {
		t.Fatalf("%s: %d %s: %v", path, response.StatusCode, answer, err)
	}
	if response.StatusCode != http.StatusOK && r.Message == "" {
		t.Errorf("%s: %d without a message", path, response.StatusCode)
	}
	return r
}

func TestNothingIsShownBeforeTheStackHasStarted(t *testing.T) {
	f := newFixture(t, http.NotFoundHandler())
	if r := f.get(t, "/connections", nil); r.Message != "the stack is starting" {
		t.Errorf("%+v", r)
	}
	f.Attach(f.stack)
	var all list[connection]
	if r := f.get(t, "/connections", &all); r.Message != "" {
		t.Errorf("%+v", r)
	}
}

// Wire keeps whom the stack told before.
func TestWire(t *testing.T) {
	var told []string
	o := stack.Options{}
	o.Gateway.Observe = func(gateway.Event) { told = append(told, "gateway") }
	o.Lambda.Output = func(_, line string) { told = append(told, line) }
	c := New(Config{})
	c.Wire(&o)
	o.Gateway.Observe(gateway.Event{Kind: gateway.KindMessage, TraceID: "1-0-0", Bytes: 1})
	o.Lambda.Output("join", "a line")
	if len(told) != 2 || told[1] != "a line" {
		t.Errorf("told %q", told)
	}
	if m := c.meter.after(-1); m.Total.Events != 1 || m.Total.Usage.LogBytes != 6 {
		t.Errorf("counted %+v", m.Total)
	}
	if o.Beside[Path] != http.Handler(c) {
		t.Error("it is not served")
	}
}

func TestRunTakesSamplesUntilItIsTold(t *testing.T) {
	f := attachedFixture(t, http.NotFoundHandler())
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		f.Run(ctx)
	}()
	for len(f.meter.after(-1).Samples) == 0 {
		time.Sleep(10 * time.Millisecond)
	}
	cancel()
	<-ended
}
