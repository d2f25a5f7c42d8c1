package main

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"example.org/realtime/shared/realtime"
)

type run struct {
	err     error
	sweeps  int
	workers []realtime.Worker
}

func (r *run) Sweep(context.Context) error {
	r.sweeps++
	return r.err
}

func (r *run) Work(_ context.Context, w realtime.Worker) error {
	r.workers = append(r.workers, w)
	return r.err
}

func TestHandle(t *testing.T) {
	scheduled, err := os.ReadFile(filepath.Join("..", "..", "events", "sweep.json"))
	if err != nil {
		t.Fatal(err)
	}
	worker, err := os.ReadFile(filepath.Join("..", "..", "events", "sweep-worker.json"))
	if err != nil {
		t.Fatal(err)
	}
	failed := errors.New("the table does not answer")
	for _, tt := range []struct {
		name, event, outcome string
		err                  error
		sweeps               int
		workers              []realtime.Worker
	}{
		{"scheduled", string(scheduled), "ok", nil, 1, nil},
		{"scheduled, failed", string(scheduled), "failed", failed, 1, nil},
		{"by hand", `{}`, "ok", nil, 1, nil},
		{"by hand, of another shape", `[1]`, "ok", nil, 1, nil},
		{"worker", string(worker), "ok", nil, 0, []realtime.Worker{{Shards: []int{0, 1, 2, 3, 4, 5, 6, 7}, RPS: 500}}},
		{"worker, failed", `{"worker":{"shards":[15],"rps":62.5}}`, "failed", failed, 0, []realtime.Worker{{Shards: []int{15}, RPS: 62.5}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			rules := &run{err: tt.err}
			got, err := (&sweep{rules}).handle(t.Context(), json.RawMessage(tt.event))
			if !errors.Is(err, tt.err) || rules.sweeps != tt.sweeps {
				t.Errorf("%d runs, %v", rules.sweeps, err)
			}
			if diff := cmp.Diff(tt.workers, rules.workers); diff != "" {
				t.Errorf("workers: -want +got\n%s", diff)
			}
			if body, err := json.Marshal(got); err != nil || string(body) != "{}" {
				t.Errorf("answered %s, %v", body, err)
			}
			if outcome, _ := describe(nil, got, err); outcome != tt.outcome {
				t.Errorf("outcome %s, want %s", outcome, tt.outcome)
			}
		})
	}
}
