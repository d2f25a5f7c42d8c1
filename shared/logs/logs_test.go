package logs

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"strings"
	"testing"

	"github.com/aws/aws-lambda-go/lambdacontext"
	"github.com/google/go-cmp/cmp"
)

// lines decodes what was logged, without what differs from run to run.
func lines(t *testing.T, out *bytes.Buffer) (list []map[string]any) {
	t.Helper()
	for line := range strings.Lines(out.String()) {
		var m map[string]any
		if err := json.Unmarshal([]byte(line), &m); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		if m["timestamp"] == nil {
			t.Errorf("no timestamp in %s", line)
		}
		delete(m, "timestamp")
		if _, ok := m["duration_ms"].(float64); ok {
			delete(m, "duration_ms")
		}
		list = append(list, m)
	}
	return list
}

func invocation(t *testing.T) context.Context {
	t.Helper()
	return lambdacontext.NewContext(t.Context(), &lambdacontext.LambdaContext{AwsRequestID: "r-1"})
}

func TestNew(t *testing.T) {
	var out bytes.Buffer
	log := New(&out, "join", slog.LevelInfo)
	log.Debug("too fine")
	log.InfoContext(invocation(t), "inside", "event", "x")
	log.WithGroup("g").WarnContext(t.Context(), "outside", "a", 1)
	for _, header := range []string{"Root=1-6566f1d0-0123456789abcdef01234567;Parent=00f067aa0ba902b7;Sampled=0;Lineage=1:2:3", "Sampled=0", ""} {
		log.InfoContext(context.WithValue(t.Context(), "x-amzn-trace-id", header), "traced") //nolint:revive,staticcheck // the runtime's own key
	}
	want := []map[string]any{
		{"level": "INFO", "message": "inside", "function": "join", "event": "x", "request_id": "r-1"},
		{"level": "WARN", "message": "outside", "function": "join", "g": map[string]any{"a": 1.0}},
		{"level": "INFO", "message": "traced", "function": "join", "trace_id": "1-6566f1d0-0123456789abcdef01234567"},
		{"level": "INFO", "message": "traced", "function": "join"},
		{"level": "INFO", "message": "traced", "function": "join"},
	}
	if diff := cmp.Diff(want, lines(t, &out)); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestInvocation(t *testing.T) {
	broken := errors.New("the table does not answer")
	tests := []struct {
		name, outcome string
		err           error
		want          map[string]any
	}{
		{"ok", OK, nil, map[string]any{"level": "INFO", "outcome": "ok"}},
		{"the caller's mistake", Refused, errors.New("to: required"), map[string]any{"level": "INFO", "outcome": "refused"}},
		{"our mistake", Failed, broken, map[string]any{"level": "ERROR", "outcome": "failed", "error": "the table does not answer"}},
		{"our mistake, answered", Failed, nil, map[string]any{"level": "ERROR", "outcome": "failed"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			var out bytes.Buffer
			handle := Invocation(New(&out, "join", slog.LevelInfo),
				func(_ context.Context, in int) (int, error) { return in + 1, test.err },
				func(in, out int, err error) (string, []slog.Attr) {
					if in != 1 || out != 2 || err != test.err { //nolint:errorlint // the very value
						t.Errorf("described %d, %d, %v", in, out, err)
					}
					return test.outcome, []slog.Attr{slog.Int("in", in)}
				})
			got, err := handle(invocation(t), 1)
			if got != 2 || err != test.err { //nolint:errorlint // the very value
				t.Errorf("got %d, %v", got, err)
			}
			for key, value := range map[string]any{"message": "invocation", "function": "join", "request_id": "r-1", "in": 1.0} {
				test.want[key] = value
			}
			if diff := cmp.Diff([]map[string]any{test.want}, lines(t, &out)); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

func TestProblems(t *testing.T) {
	line := func(problem string) map[string]any {
		return map[string]any{"level": "ERROR", "message": "cannot start", "function": "join", "problem": problem}
	}
	tests := []struct {
		err  error
		want []map[string]any
	}{
		{errors.Join(errors.New("A: missing"), errors.New("B: missing")), []map[string]any{line("A: missing"), line("B: missing")}},
		{errors.New("C: missing"), []map[string]any{line("C: missing")}},
	}
	for _, test := range tests {
		var out bytes.Buffer
		problems(&out, "join", test.err)
		if diff := cmp.Diff(test.want, lines(t, &out)); diff != "" {
			t.Errorf("-want +got:\n%s", diff)
		}
	}
}
