package e2e

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"

	"example.org/realtime/infra/local/gateway"
	"example.org/realtime/infra/local/lambda"
	"example.org/realtime/infra/local/stack"
	"example.org/realtime/infra/local/table"
)

// trail is what was done under which trace id.
type trail struct {
	mu    sync.Mutex
	steps []step
}

// step is an attempt of a function, a table operation, a post or a line of the log.
type step struct{ trace, what, about string }

func (r *trail) add(trace, what, about string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.steps = append(r.steps, step{trace, what, about})
}

// watch follows a system, besides what watches it already.
func (r *trail) watch(o *stack.Options) {
	observe, output, onTable := o.Gateway.Observe, o.Lambda.Output, o.Table.After
	invoked := o.Lambda.Observe
	o.Gateway.Observe = func(e gateway.Event) {
		observe(e)
		if e.Kind == gateway.PostToConnection && e.Status < 300 {
			r.add(e.TraceID, "post", string(e.Body))
		}
	}
	o.Lambda.Observe = func(i lambda.Invocation) {
		invoked(i)
		r.add(i.TraceID, fmt.Sprintf("%s, attempt %d", i.Function, i.Attempt), string(i.Payload))
	}
	o.Lambda.Output = func(function, line string) {
		output(function, line)
		if _, rest, ok := strings.Cut(line, `"trace_id":"`); ok {
			trace, _, _ := strings.Cut(rest, `"`)
			r.add(trace, "log of "+function, line)
		}
	}
	o.Table.After = func(ctx context.Context, op table.Op) error {
		r.add(op.TraceID, op.Name, fmt.Sprint(op.Keys))
		return onTable(ctx, op)
	}
}

// of is the trace of all that was about this; it fails the test when there are several, or none.
func (r *trail) of(t *testing.T, about string) string {
	t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	found := map[string][]string{}
	for _, s := range r.steps {
		if strings.Contains(s.about, about) {
			found[s.trace] = append(found[s.trace], s.what)
		}
	}
	if len(found) != 1 || found[""] != nil {
		t.Fatalf("%s is in the traces %v, want it in one", about, found)
	}
	for trace := range found {
		return trace
	}
	return ""
}

// counts says how often each thing was done in a trace.
func (r *trail) counts(trace string) map[string]int {
	r.mu.Lock()
	defer r.mu.Unlock()
	counts := map[string]int{}
	for _, s := range r.steps {
		if s.trace == trace {
			counts[s.what]++
		}
	}
	return counts
}
