package main

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"example.org/realtime/shared/contract"
)

type does func(req contract.ControlRequest) (any, error)

func (f does) Do(_ context.Context, req contract.ControlRequest) (any, error) { return f(req) }

func samples(t *testing.T, dir string) map[string]json.RawMessage {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join("..", "..", "events", dir, "*.json"))
	if err != nil || len(paths) == 0 {
		t.Fatalf("%d samples, %v", len(paths), err)
	}
	files := map[string]json.RawMessage{}
	for _, path := range paths {
		if files[path], err = os.ReadFile(path); err != nil {
			t.Fatal(err)
		}
	}
	return files
}

func TestHandle(t *testing.T) {
	failed := errors.New("the table does not answer")
	for path, raw := range samples(t, "control") {
		var op string
		c := &control{does(func(req contract.ControlRequest) (any, error) {
			op = req.Operation()
			return &contract.ParticipantsChanged{Added: 1}, nil
		})}
		got, err := c.handle(t.Context(), raw)
		if err != nil {
			t.Errorf("%s: %v", path, err)
		}
		if body, err := json.Marshal(got); err != nil || string(body) != `{"added":1,"removed":0}` {
			t.Errorf("%s: answered %s, %v", path, body, err)
		}
		if outcome, attrs := describe(raw, got, nil); outcome != "ok" || len(attrs) != 1 || attrs[0].Value.String() != op || op == "" {
			t.Errorf("%s: described as %s %v", path, outcome, attrs)
		}
		c = &control{does(func(contract.ControlRequest) (any, error) { return nil, failed })}
		got, err = c.handle(t.Context(), raw)
		if outcome, _ := describe(raw, got, err); !errors.Is(err, failed) || outcome != "failed" {
			t.Errorf("%s: %s, %v", path, outcome, err)
		}
	}
}

func TestRefused(t *testing.T) {
	files := samples(t, "control/errors")
	files["a list"] = json.RawMessage(`[]`)
	for path, raw := range files {
		got, err := (&control{}).handle(t.Context(), raw)
		if _, ok := err.(*contract.ValidationError); !ok { //nolint:errorlint // Lambda does not unwrap either
			t.Errorf("%s: %v", path, err)
		}
		if diff := cmp.Diff(answer{}, got, cmp.AllowUnexported(answer{})); diff != "" {
			t.Errorf("%s: answered %s", path, diff)
		}
		if outcome, attrs := describe(raw, got, err); outcome != "refused" || len(attrs) != 1 {
			t.Errorf("%s: described as %s %v", path, outcome, attrs)
		}
	}
}

// The contract's null is an answer, and the log says what became of a disconnection.
func TestAnswers(t *testing.T) {
	var nobody *contract.ConnectionRooms
	if body, err := json.Marshal(answer{body: nobody}); err != nil || string(body) != "null" {
		t.Errorf("%s, %v", body, err)
	}
	disconnected := &contract.SocketsDisconnected{Published: contract.Published{Matched: 3, Delivered: 2, Failed: 1}, Denied: []string{"alice"}}
	_, attrs := describe(nil, answer{body: disconnected, op: contract.SocketsDisconnect}, nil)
	got := map[string]any{}
	for _, attr := range attrs {
		got[attr.Key] = attr.Value.Any()
	}
	want := map[string]any{"op": "sockets.disconnect", "matched": int64(3), "failed": int64(1), "denied": int64(1)}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("described: -want +got\n%s", diff)
	}
}
