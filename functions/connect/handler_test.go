package main

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"example.org/realtime/shared/gateway"
	"example.org/realtime/shared/realtime"
)

type connects func(realtime.Connected) error

func (f connects) Connect(_ context.Context, e realtime.Connected) error { return f(e) }

type puts func(map[string]float64)

func (f puts) Put(values map[string]float64) { f(values) }

func sample(t *testing.T, name string) gateway.Event {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join("..", "..", "events", name))
	if err != nil {
		t.Fatal(err)
	}
	var e gateway.Event
	if err := json.Unmarshal(raw, &e); err != nil {
		t.Fatal(err)
	}
	return e
}

func TestHandle(t *testing.T) {
	bearer := map[string]string{"Sec-WebSocket-Protocol": "bearer"}
	withoutIdentity := sample(t, "connect.json")
	withoutIdentity.RequestContext.Authorizer = nil
	refused := sample(t, "connect-subprotocol.json")
	refused.RequestContext.Authorizer = map[string]any{"protocol": "json", "code": "socket_error:unauthorized"}
	polling := sample(t, "connect.json")
	polling.QueryStringParameters = map[string]string{"EIO": "4", "transport": "polling"}
	polling.MultiValueQueryStringParameters = nil
	tests := []struct {
		name  string
		event gateway.Event
		rule  error
		calls int
		want  gateway.Response
		puts  int
	}{
		{"opened", sample(t, "connect.json"), nil, 1, gateway.Response{StatusCode: 200}, 0},
		{"opened with a subprotocol", sample(t, "connect-subprotocol.json"), nil, 1, gateway.Response{StatusCode: 200, Headers: bearer}, 0},
		{"opened to be refused", refused, nil, 1, gateway.Response{StatusCode: 200, Headers: bearer}, 0},
		{"failed", sample(t, "connect-subprotocol.json"), errors.New("throttled"), 1, gateway.Response{StatusCode: 500}, 1},
		{"no authorizer", withoutIdentity, nil, 0, gateway.Response{StatusCode: 500}, 1},
		{"long-polling", polling, nil, 0, gateway.Response{StatusCode: 400}, 0},
		{"a message named $connect", sample(t, "default.json"), nil, 0, gateway.Response{StatusCode: 400}, 0},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			calls, put := 0, 0
			c := &connect{
				rule: connects(func(e realtime.Connected) error {
					calls++
					if e.ConnectionID != test.event.RequestContext.ConnectionID {
						t.Errorf("connection %q", e.ConnectionID)
					}
					return test.rule
				}),
				metrics: puts(func(values map[string]float64) {
					put++
					if values["InternalErrors"] != 1 {
						t.Errorf("metrics %v", values)
					}
				}),
				log: slog.New(slog.DiscardHandler),
			}
			got, err := c.handle(t.Context(), test.event)
			if diff := cmp.Diff(test.want, got); diff != "" || err != nil {
				t.Errorf("%v, -want +got:\n%s", err, diff)
			}
			if calls != test.calls || put != test.puts {
				t.Errorf("%d calls, %d metrics; want %d, %d", calls, put, test.calls, test.puts)
			}
		})
	}
}
