package main

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"testing"
)

type sweeps func() error

func (f sweeps) Sweep(context.Context) error { return f() }

func TestHandle(t *testing.T) {
	raw, err := os.ReadFile(filepath.Join("..", "..", "events", "sweep.json"))
	if err != nil {
		t.Fatal(err)
	}
	failed := errors.New("the table does not answer")
	for want, result := range map[string]error{"ok": nil, "failed": failed} {
		runs := 0
		s := &sweep{sweeps(func() error {
			runs++
			return result
		})}
		got, err := s.handle(t.Context(), raw)
		if !errors.Is(err, result) || runs != 1 {
			t.Errorf("%d runs, %v", runs, err)
		}
		if body, err := json.Marshal(got); err != nil || string(body) != "{}" {
			t.Errorf("answered %s, %v", body, err)
		}
		if outcome, _ := describe(raw, got, err); outcome != want {
			t.Errorf("outcome %s, want %s", outcome, want)
		}
	}
}
