package realtime

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

// Above so many connections a run is split, evenly, whoever is still at work.
func TestSweepIsSplit(t *testing.T) {
	failed := errors.New("throttled")
	for _, tt := range []struct {
		name    string
		active  int
		begin   error
		start   error // of the second worker
		workers int   // 0: it walks by itself
		rps     float64
	}{
		{"as many as one takes", 100, nil, nil, 0, 0},
		{"one more", 101, nil, nil, 2, 500},
		{"as many as two take", 200, nil, nil, 2, 500},
		{"for three, which do not divide", 201, nil, nil, 4, 250},
		{"for all", 1600, nil, nil, 16, 62.5},
		{"for more than there are shards", 1_000_000, nil, nil, 16, 62.5},
		{"a worker of before is at work", 101, ErrBusy, nil, 2, 500},
		{"no table", 101, failed, nil, 0, 0},
		{"a worker that does not start", 101, nil, failed, 1, 500},
	} {
		t.Run(tt.name, func(t *testing.T) {
			table := &sweptTable{timer: Timer{Active: 5, Peak: 7}}
			table.timer.Shards[3].Count = tt.active
			s, _, _, metrics := newSweeper(t, table)
			s.PerWorker = 100
			walked := false
			s.Walker.(*fakeConnections).page = func(int, string) ([]Connection, string, error) {
				walked = true
				return nil, "", nil
			}
			s.Timers.(*fakeTimers).begin = func(Lease) (Timer, error) { return table.timer, tt.begin }
			workers := s.Workers.(*fakeWorkers)
			calls := 0
			workers.fail = func(Worker) error {
				if calls++; calls == 2 {
					return tt.start
				}
				return nil
			}
			want := tt.start
			if want == nil && !errors.Is(tt.begin, ErrBusy) {
				want = tt.begin
			}
			if err := s.Sweep(t.Context()); !errors.Is(err, want) {
				t.Errorf("got %v, want %v", err, want)
			}
			if len(workers.started) != tt.workers || walked != (tt.workers == 0 && want == nil) {
				t.Fatalf("%d workers, walked %v", len(workers.started), walked)
			}
			var shards []int
			for _, w := range workers.started {
				if w.RPS != tt.rps || w.validate() != nil {
					t.Errorf("%+v", w)
				}
				shards = append(shards, w.Shards...)
			}
			if tt.workers > 1 {
				if diff := cmp.Diff(partShards(0, 1), shards); diff != "" {
					t.Errorf("each shard once, -want +got\n%s", diff)
				}
				if tt.begin == nil && (metrics.sum["ActiveConnections"] != float64(tt.active) || table.timer.Active != tt.active || table.timer.Peak != tt.active) {
					t.Errorf("counted %v, %d, peak %d", metrics.sum, table.timer.Active, table.timer.Peak)
				}
			}
		})
	}
}

// A worker sees its own shards only, and keeps to its share.
func TestWorker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		table := &sweptTable{rows: map[int][]Connection{}, timer: Timer{Active: 5, Peak: 6}}
		for shard := range Shards {
			table.rows[shard] = rows(40, shard)
		}
		s, poster, _, metrics := newSweeper(t, table)
		s.Now = ticking()
		poster.active = func(id string) (time.Time, error) {
			if shard := Shard(id); shard != 4 && shard != 5 {
				t.Errorf("asked for one of shard %d", shard)
			}
			return s.Now(), nil
		}
		if err := s.Work(t.Context(), Worker{Shards: []int{4, 5}, RPS: 2.5}); err != nil {
			t.Fatal(err)
		}
		if took := s.Now().Sub(start); took < 31*time.Second || took > 33*time.Second { // 80, but for the first 2
			t.Errorf("80 connections at 2.5 a second took %v", took)
		}
		for shard, got := range table.timer.Shards {
			if own := shard == 4 || shard == 5; own != (got.Count == 40) || own == got.Verified.IsZero() {
				t.Errorf("shard %d: %+v", shard, got)
			}
		}
		if _, counted := metrics.sum["ActiveConnections"]; counted || table.timer.Active != 5 || table.timer.Peak != 6 {
			t.Errorf("a worker knows only of its shards: %v, %+v", metrics.sum, table.timer)
		}
	})
}

func TestWorkersOfAnotherShape(t *testing.T) {
	s, _, _, _ := newSweeper(t, &sweptTable{})
	s.Timers = nil // would panic
	for want, w := range map[string]Worker{
		"worker: must have shards and rps":                                    {RPS: 1},
		"worker: must have shards and rps ":                                   {Shards: []int{1}},
		"worker.shards[0]: 16 must be from 0 to 15, and above the one before": {Shards: []int{16}, RPS: 1},
		"worker.shards[0]: -1 must be from 0 to 15, and above the one before": {Shards: []int{-1}, RPS: 1},
		"worker.shards[1]: 3 must be from 0 to 15, and above the one before":  {Shards: []int{3, 3}, RPS: 1},
	} {
		if err := s.Work(t.Context(), w); err == nil || err.Error() != strings.TrimSpace(want) {
			t.Errorf("%+v: %v, want %s", w, err, want)
		}
	}
}
