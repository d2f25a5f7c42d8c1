package schedule

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// tick is one invocation.
type tick struct {
	function string
	event    []byte
}

// run starts Run and returns its invocations; each waits until the test has taken it. stop ends it and waits for that.
func run(t *testing.T, rules ...Rule) (ticks chan tick, stop func()) {
	t.Helper()
	ticks = make(chan tick)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		Run(ctx, rules, "000000000000", "us-east-1", func(ctx context.Context, function string, event []byte) error {
			select {
			case ticks <- tick{function, event}:
				return errors.New("logged, and the schedule goes on")
			case <-ctx.Done():
				return ctx.Err()
			}
		}, slog.New(slog.DiscardHandler))
	}()
	stop = func() {
		cancel()
		<-ended
	}
	t.Cleanup(stop)
	return ticks, stop
}

func TestRun(t *testing.T) {
	start := time.Now()
	ticks, stop := run(t,
		Rule{Function: "sweep", Every: 5 * time.Millisecond, Input: `{"n":1}`},
		Rule{Function: "other", Every: time.Hour})
	for range 3 {
		if got := <-ticks; got.function != "sweep" || string(got.event) != `{"n":1}` {
			t.Errorf("%+v", got)
		}
	}
	if took := time.Since(start); took < 15*time.Millisecond {
		t.Errorf("three ticks in %v", took)
	}
	stop()
}

// While nobody takes the first tick, those after it come all the same.
func TestTicksDoNotWaitForOneAnother(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	begun := make(chan struct{}, 10)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		Run(ctx, []Rule{{Function: "sweep", Every: time.Millisecond, Input: "{}"}}, "", "", func(ctx context.Context, _ string, _ []byte) error {
			select {
			case begun <- struct{}{}:
			default:
			}
			<-ctx.Done()
			return nil
		}, slog.New(slog.DiscardHandler))
	}()
	for range 3 {
		<-begun
	}
	cancel()
	<-ended
}

func TestEvents(t *testing.T) {
	now := time.Date(2023, 11, 29, 8, 5, 0, 500, time.FixedZone("", 3600))
	tests := []struct {
		rule   Rule
		detail any
	}{
		{Rule{Source: "aws.events", ARN: "arn:aws:events:us-east-1:000000000000:rule/a"}, map[string]any{}},
		{Rule{Source: "aws.scheduler", ARN: "arn:aws:scheduler:us-east-1:000000000000:schedule/default/a"}, "{}"},
	}
	for _, tt := range tests {
		raw, err := tt.rule.event(now, "000000000000", "us-east-1")
		if err != nil {
			t.Fatal(err)
		}
		var got map[string]any
		if err := json.Unmarshal(raw, &got); err != nil {
			t.Fatal(err)
		}
		if id, _ := got["id"].(string); len(id) != 36 {
			t.Errorf("id %q", id)
		}
		delete(got, "id")
		want := map[string]any{
			"version": "0", "detail-type": "Scheduled Event", "source": tt.rule.Source, "account": "000000000000",
			"time": "2023-11-29T07:05:00Z", "region": "us-east-1", "resources": []any{tt.rule.ARN}, "detail": tt.detail,
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s -want +got:\n%s", tt.rule.Source, diff)
		}
	}
}
