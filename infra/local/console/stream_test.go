package console

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"example.org/realtime/infra/local/gateway"
)

// listen reads server-sent events: next returns the data of the next one of that name.
func (f *fixture) listen(t *testing.T) (next func(event string, into any)) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, f.url+Path+"/api/stream", nil)
	if err != nil {
		t.Fatal(err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cancel()
		_ = response.Body.Close()
	})
	if got := response.Header.Get("Content-Type"); got != "text/event-stream" {
		t.Fatalf("content type %s", got)
	}
	lines := bufio.NewScanner(response.Body)
	lines.Buffer(nil, 1<<20)
	return func(event string, into any) {
		t.Helper()
		for current := ""; lines.Scan(); {
			if name, ok := strings.CutPrefix(lines.Text(), "event: "); ok {
				current = name
			}
			if data, ok := strings.CutPrefix(lines.Text(), "data: "); ok && current == event {
				if err := json.Unmarshal([]byte(data), into); err != nil {
					t.Fatalf("%s: %v", data, err)
				}
				return
			}
		}
		t.Fatalf("no %s: %v", event, lines.Err())
	}
}

func TestStream(t *testing.T) {
	f := attachedFixture(t, http.NotFoundHandler())
	f.meter.sample(3, 3)
	next := f.listen(t)
	var h hello
	next("hello", &h)
	if h.Boot != f.boot || h.Stage != "/local" || h.LambdaEndpoint != f.stack.LambdaEndpoint || h.Traces != keptTraces || len(h.Hidden) != 1 {
		t.Errorf("%+v", h)
	}
	var first news
	next("news", &first)
	if first.Metrics == nil || len(first.Metrics.Samples) != 1 || first.Metrics.Samples[0].Active != 3 || len(first.Traces) != 0 {
		t.Errorf("%+v", first)
	}
	f.connect(t, "a1=", "alice")
	f.gateway(gateway.Event{Kind: gateway.KindMessage, Time: f.clock.now(), TraceID: root, RouteKey: "x", ConnectionID: "a1="})
	for seen := false; !seen; {
		var n news
		next("news", &n)
		if n.Metrics != nil {
			t.Errorf("the same sample again: %+v", n.Metrics)
		}
		if len(n.Traces) > 0 {
			seen = true
			if n.Traces[0].ID != root || n.Traces[0].User != "alice" || n.Counts.Online != 1 || n.Counts.Rows != 1 || n.Seen != 1 {
				t.Errorf("%+v", n)
			}
		}
	}
	var n news
	if next("news", &n); len(n.Traces) != 0 {
		t.Errorf("the same trace again: %+v", n.Traces)
	}
}

// A page is told of every trace that is kept, of many at once with one tick after the other.
func TestStreamTellsOfEveryTrace(t *testing.T) {
	f := attachedFixture(t, http.NotFoundHandler())
	for i := range newPerSecond {
		f.gateway(gateway.Event{Kind: gateway.KindMessage, Time: f.clock.now(), TraceID: fmt.Sprint(i), RouteKey: "x"})
	}
	next := f.listen(t)
	told := map[string]bool{}
	for len(told) < newPerSecond {
		var n news
		next("news", &n)
		if len(n.Traces) == 0 || len(n.Traces) > tracesPerTick {
			t.Fatalf("told of %d, after %d of %d", len(n.Traces), len(told), newPerSecond)
		}
		for _, trace := range n.Traces {
			told[trace.ID] = true
		}
	}
}

// What runs elsewhere cannot be seen, and the page is told so.
func TestHidden(t *testing.T) {
	f := newFixture(t, http.NotFoundHandler())
	f.stack.Table = nil
	hidden := f.hello(f.stack).Hidden
	if len(hidden) != 2 || !strings.Contains(hidden[0], "The table is elsewhere (http://127.0.0.1:8000)") || !strings.Contains(hidden[1], "The functions run elsewhere ("+f.stack.LambdaEndpoint+")") {
		t.Errorf("%q", hidden)
	}
}
