package realtime

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"
)

const (
	// sweepStep is how often sweep runs: EventBridge's smallest step.
	sweepStep = time.Minute
	// sweepReserve is what sweep keeps of its time to store where it is.
	sweepReserve = 5 * time.Second
	// sweepLease is how long after its deadline a sweep certainly does nothing more. With its timeout of 55 s that is before the
	// next minute's: a run that dies costs no other.
	sweepLease = 3 * time.Second
)

// SweepPerWorker is the number of connections above which a run is split, and at most so many a worker looks after until there
// are 16 of them. Walking through 20 000 and verifying them takes less than a second of a processor and 14 MB (BenchmarkWalk in
// infra/bench/sweep), a few seconds of the third of one that 512 MB of memory have on Lambda; at the default SWEEP_RPS they are
// verified in 20 s. 62 500, a sixteenth of a million, hold 43 MB.
const SweepPerWorker = 20_000

// Sweeper is the server's own timer: it keeps connections alive, removes the dead, verifies the rest and counts them. Every run
// looks at every connection. What is due then (pings, keep-alives, closes) comes first; verification has what that leaves of
// RPS and of the run's time, and goes on in the next run where it came to.
type Sweeper struct {
	Walker      Walker
	Connections Connections
	Presences   Presences
	Rooms       Rooms
	Timers      Timers
	Workers     Workers
	Poster      Poster
	Asker       Asker
	Metrics     Metrics
	Log         *slog.Logger
	Now         func() time.Time

	PresenceTTL  time.Duration // a socket is verified when its last verification is older
	RPS          int           // calls of the connection management API a second, at most, of all workers together
	PerWorker    int           // SweepPerWorker; 0: a run is never split
	CloseExpired bool          // a connection whose token expires is closed
	Snapshot     bool          // the metrics snapshot is logged
	PingInterval time.Duration // a Socket.IO client is pinged that often, whatever the traffic
	PingTimeout  time.Duration // and is dead when no pong came for so much longer
}

// Worker is a part of a run that is split.
type Worker struct {
	Shards []int   `json:"shards"` // ascending
	RPS    float64 `json:"rps"`    // its share
}

func (w Worker) validate() error {
	for i, shard := range w.Shards {
		if shard < 0 || shard >= Shards || i > 0 && shard <= w.Shards[i-1] {
			return fmt.Errorf("worker.shards[%d]: %d must be from 0 to %d, and above the one before", i, shard, Shards-1)
		}
	}
	if len(w.Shards) == 0 || w.RPS <= 0 {
		return errors.New("worker: must have shards and rps")
	}
	return nil
}

// swept counts what one run did.
type swept struct {
	visited, verified, removed, expired, pinged, keptAlive, failed atomic.Int64
}

// Sweep is what the schedule asks for: a run through all shards, or as many workers as that takes.
func (s *Sweeper) Sweep(ctx context.Context) error {
	lease := s.lease(ctx, partShards(0, 1))
	timer, err := s.Timers.Begin(ctx, lease, s.Now())
	timer.count()
	split := s.PerWorker > 0 && timer.Active > s.PerWorker
	switch {
	case err == nil && split:
		if err := s.Timers.End(ctx, lease, timer); err != nil { // the workers' turn
			return err
		}
		return s.split(ctx, timer)
	case errors.Is(err, ErrBusy) && split: // a worker is at work still, or has died: the others are not
		return s.split(ctx, timer)
	case errors.Is(err, ErrBusy):
		s.Log.InfoContext(ctx, "another sweep is at work")
		return nil
	case err != nil:
		return err
	}
	run := s.run(ctx, lease, timer, float64(s.RPS))
	if err := run.do(ctx); err != nil {
		return err
	}
	s.reportConnections(ctx, run.timer)
	return nil
}

// Work is what Sweep asks of a worker. Whatever it does not come to, the next minute's does.
func (s *Sweeper) Work(ctx context.Context, w Worker) error {
	if err := w.validate(); err != nil {
		return err
	}
	lease := s.lease(ctx, w.Shards)
	timer, err := s.Timers.Begin(ctx, lease, s.Now())
	switch {
	case errors.Is(err, ErrBusy):
		s.Log.InfoContext(ctx, "another sweep is at work", "shards", w.Shards)
		return nil
	case err != nil:
		return err
	}
	return s.run(ctx, lease, timer, w.RPS).do(ctx)
}

func (s *Sweeper) lease(ctx context.Context, shards []int) Lease {
	return Lease{Owner: rand.Text(), Shards: shards, Until: invocationEnd(ctx, s.Now).Add(sweepLease)}
}

func (s *Sweeper) run(ctx context.Context, l Lease, t Timer, rps float64) *sweepRun {
	return &sweepRun{
		Sweeper: s, lease: l, timer: t, told: t, pending: map[int][]Connection{},
		limit: rate.NewLimiter(rate.Limit(rps), max(1, int(rps/10))), atOnce: min(max(1, int(rps)), sweepChunk),
		stop: invocationEnd(ctx, s.Now).Add(-sweepReserve),
	}
}

// split starts the workers. The shards of one that does not start are left to the next minute.
func (s *Sweeper) split(ctx context.Context, t Timer) error {
	n := workers(t.Active, s.PerWorker)
	var errs []error
	for i := range n {
		if err := s.Workers.Start(ctx, Worker{Shards: partShards(i, n), RPS: float64(s.RPS) / float64(n)}); err != nil {
			errs = append(errs, fmt.Errorf("start worker %d of %d: %w", i+1, n, err))
		}
	}
	s.reportConnections(ctx, t)
	s.Log.InfoContext(ctx, "sweep split", "workers", n)
	return errors.Join(errs...)
}

// workers is how many a run is split over: a power of two, for the shards to divide evenly.
func workers(connections, perWorker int) int {
	n := 1
	for n < Shards && n*perWorker < connections {
		n *= 2
	}
	return n
}

// count sums up the shards.
func (t *Timer) count() {
	t.Active = 0
	for _, shard := range t.Shards {
		t.Active += shard.Count
	}
	t.Peak = max(t.Peak, t.Active)
}

// reportConnections puts the number of connections into metrics and log, and how long ago the longest silent of them was
// certainly there.
func (s *Sweeper) reportConnections(ctx context.Context, t Timer) {
	oldest := s.Now()
	for _, shard := range t.Shards {
		if !shard.Verified.IsZero() && shard.Verified.Before(oldest) {
			oldest = shard.Verified
		}
	}
	s.Metrics.Put(map[string]float64{
		"ActiveConnections": float64(t.Active),
		"PeakConnections":   float64(t.Peak),
		"VerificationAge":   s.Now().Sub(oldest).Seconds(),
	})
	if s.Snapshot {
		s.Log.InfoContext(ctx, "metrics snapshot", "active_connections", t.Active, "peak_connections", t.Peak)
	}
}
