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

type does func(req *contract.Participants) (any, error)

func (f does) Do(_ context.Context, req *contract.Participants) (any, error) { return f(req) }

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
		c := &control{does(func(req *contract.Participants) (any, error) {
			op = req.Op
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
		c = &control{does(func(*contract.Participants) (any, error) { return nil, failed })}
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
