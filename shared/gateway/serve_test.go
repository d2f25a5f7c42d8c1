package gateway

import (
	"context"
	"errors"
	"log/slog"
	"testing"

	"github.com/google/go-cmp/cmp"

	"example.org/realtime/shared/realtime"
)

func TestServe(t *testing.T) {
	broken := errors.New("the table does not answer")
	tests := []struct {
		name, event, outcome string
		rule                 error
		calls                int
		want                 Response
		err                  string
	}{
		{"done", messageEvent, "ok", nil, 1, Response{StatusCode: 200}, ""},
		{"failed", messageEvent, "failed", broken, 1, Response{}, "the table does not answer"},
		{"another type of event", connectEvent, "refused", nil, 0, Response{StatusCode: 400}, ""},
		{"not API Gateway's", `{"requestContext":{"eventType":"MESSAGE"}}`, "failed", nil, 0, Response{}, "MESSAGE event: no requestContext.connectionId"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			calls := 0
			handle := Serve(Message, func(_ context.Context, m realtime.Message) error {
				calls++
				if m.ConnectionID != "PJqB0fHsqRcCHlw=" {
					t.Errorf("connection %q", m.ConnectionID)
				}
				return test.rule
			})
			e := event(t, test.event)
			got, err := handle(t.Context(), e)
			if diff := cmp.Diff(test.want, got); diff != "" || calls != test.calls {
				t.Errorf("%d calls, -want +got:\n%s", calls, diff)
			}
			if (err != nil || test.err != "") && (err == nil || err.Error() != test.err) {
				t.Errorf("got %v, want %q", err, test.err)
			}
			if outcome, _ := Describe(e, got, err); outcome != test.outcome {
				t.Errorf("outcome %s, want %s", outcome, test.outcome)
			}
		})
	}
}

func TestDescribe(t *testing.T) {
	_, attrs := Describe(event(t, messageEvent), Response{StatusCode: 200}, nil)
	want := []slog.Attr{slog.String("connection_id", "PJqB0fHsqRcCHlw="), slog.String("event_type", "MESSAGE"), slog.String("route", "conversations:join")}
	if diff := cmp.Diff(want, attrs); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if outcome, _ := Describe(Event{}, Response{StatusCode: 500}, nil); outcome != "failed" {
		t.Errorf("500 is %s", outcome)
	}
}
