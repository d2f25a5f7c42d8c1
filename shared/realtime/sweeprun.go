package realtime

import (
	"context"
	"errors"
	"slices"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/time/rate"
)

const (
	// sweepAtOnce bounds the connections that are looked at at once, sweepChunk those looked at between two looks at the clock:
	// fewer where RPS is less, so that a chunk takes about a second.
	sweepAtOnce = 32
	sweepChunk  = 256
)

// sweepRun is one run of sweep through the shards of its lease.
type sweepRun struct {
	*Sweeper
	swept

	lease   Lease
	timer   Timer
	told    Timer                // as it was when the run began: what presences are told by
	pending map[int][]Connection // by shard, those to verify, in order of id: of shards that were walked through as a whole
	limit   *rate.Limiter        // of the connection management API
	atOnce  int                  // connections of a chunk
	stop    time.Time
	over    atomic.Bool // there was no time left for a call
}

// do walks through all shards, does what is due, then verifies as much as there is time for.
func (r *sweepRun) do(ctx context.Context) error {
	late, err := r.work(ctx)
	if len(r.lease.Shards) == Shards {
		r.timer.count()
	}
	if err := errors.Join(err, r.Timers.End(ctx, r.lease, r.timer)); err != nil {
		return err
	}
	r.report(ctx, late)
	return nil
}

// work ends in time for what is kept of it.
func (r *sweepRun) work(ctx context.Context) (late bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, r.stop.Sub(r.Now())+sweepReserve/2)
	defer cancel()
	late, err = r.walkAll(ctx)
	if err == nil && !late {
		r.verifyAll(ctx)
	}
	return late, err
}

func (r *sweepRun) report(ctx context.Context, late bool) {
	lateness := 0.0
	if late {
		lateness = 1
		r.Log.WarnContext(ctx, "sweep did not come to every connection, pings, keep-alives and closes are late: raise SWEEP_RPS", "shards", r.lease.Shards, "rps", float64(r.limit.Limit()))
	}
	r.Metrics.Put(map[string]float64{"Removed": float64(r.removed.Load()), "SweepFailures": float64(r.failed.Load()), "SweepLate": lateness})
	r.Log.InfoContext(ctx, "swept", "shards", r.lease.Shards, "visited", r.visited.Load(), "verified", r.verified.Load(), "removed", r.removed.Load(),
		"expired", r.expired.Load(), "pinged", r.pinged.Load(), "kept_alive", r.keptAlive.Load(), "failed", r.failed.Load(), "late", late)
}

// walkAll walks through the shards, first through those that have waited longest; late tells that time ran out.
func (r *sweepRun) walkAll(ctx context.Context) (late bool, err error) {
	for _, shard := range r.byAge(func(t ShardTimer) time.Time { return t.Walked }) {
		done, err := r.walk(ctx, shard)
		if err != nil || !done {
			return true, err
		}
		if err := r.Timers.Save(ctx, r.lease, shard, r.timer.Shards[shard]); err != nil {
			return true, err
		}
	}
	return false, nil
}

// byAge are the shards of the run, the oldest first.
func (r *sweepRun) byAge(at func(ShardTimer) time.Time) []int {
	shards := slices.Clone(r.lease.Shards)
	slices.SortStableFunc(shards, func(a, b int) int { return at(r.timer.Shards[a]).Compare(at(r.timer.Shards[b])) })
	return shards
}

// walk goes through the rest of a shard, and collects whom to verify; done is false when time ran out in between.
func (r *sweepRun) walk(ctx context.Context, shard int) (done bool, err error) {
	t := &r.timer.Shards[shard]
	whole := t.Walk.Started.IsZero()
	if whole {
		t.Walk.Started = r.Now()
	}
	// Half a step early: the schedule's minute is not exact, and every second run would come a moment too soon.
	verify := whole && (!t.Verification.Began.IsZero() || t.Walk.Started.Sub(t.Verified) >= r.PresenceTTL-sweepStep/2)
	var pending []Connection
	for more := true; more; {
		page, next, err := r.Walker.Page(ctx, shard, t.Walk.After)
		if err != nil {
			return false, err
		}
		for chunk := range slices.Chunk(page, r.atOnce) {
			if !r.Now().Before(r.stop) {
				return false, nil
			}
			there, unseen := r.visitAll(ctx, chunk, t)
			if r.over.Load() {
				return false, nil
			}
			for _, c := range unseen {
				if verify && c.ID > t.Verification.After {
					pending = append(pending, c)
				}
			}
			t.Walk.After = chunk[len(chunk)-1].ID
			t.Walk.Count += there
		}
		more = next != ""
		if more {
			t.Walk.After = next
		}
	}
	if verify {
		r.pending[shard] = pending
	}
	t.Walked, t.Count, t.Walk = t.Walk.Started, t.Walk.Count, Walk{}
	return true, nil
}

// visitAll does what is due for a chunk, and returns how many are there, and those, in their order, that may be.
func (r *sweepRun) visitAll(ctx context.Context, chunk []Connection, t *ShardTimer) (there int, unseen []Connection) {
	found := sideBySide(chunk, func(c Connection) (sighting, error) { return r.visit(ctx, c, t.Walk.Started, t.Walked) })
	for i, f := range found {
		if f.err != nil {
			r.fail(ctx, chunk[i], f.err)
		}
		if f.there != absent {
			there++
		}
		if f.there == perhaps {
			unseen = append(unseen, chunk[i])
		}
	}
	r.visited.Add(int64(len(chunk)))
	return there, unseen
}

// verifyAll asks API Gateway for the connections of whom the walk learned nothing, and begins with the shard whose last
// verification is oldest.
func (r *sweepRun) verifyAll(ctx context.Context) {
	for _, shard := range r.byAge(func(t ShardTimer) time.Time { return t.Verified }) {
		pending, due := r.pending[shard]
		if due && !r.verifyShard(ctx, pending, &r.timer.Shards[shard]) {
			return
		}
	}
}

// verifyShard goes through the rest of a shard; done is false when time ran out in between. A failure leaves the shard unverified
// as a whole, and its connection to the next verification.
func (r *sweepRun) verifyShard(ctx context.Context, pending []Connection, t *ShardTimer) (done bool) {
	v := &t.Verification
	for chunk := range slices.Chunk(pending, r.atOnce) {
		if !r.Now().Before(r.stop) {
			return false
		}
		if v.Began.IsZero() {
			v.Began = t.Walked
		}
		answers := sideBySide(chunk, func(c Connection) (sighting, error) { return r.verify(ctx, c) })
		if r.over.Load() {
			return false
		}
		for i, f := range answers {
			if f.err != nil {
				v.Missed = true
				r.fail(ctx, chunk[i], f.err)
			}
			if f.there == absent {
				t.Count--
			}
		}
		v.After = chunk[len(chunk)-1].ID
	}
	if v.Began.IsZero() {
		v.Began = t.Walked
	}
	if !v.Missed {
		t.Verified = v.Began
	}
	*v = Verification{}
	return true
}

func (r *sweepRun) fail(ctx context.Context, c Connection, err error) {
	r.failed.Add(1)
	r.Log.WarnContext(ctx, "connection not swept", "connection_id", c.ID, "error", err)
}

// found is what became of one connection.
type found struct {
	there sighting
	err   error
}

// sideBySide does the same for all of a chunk, a bounded number at once.
func sideBySide(chunk []Connection, do func(Connection) (sighting, error)) []found {
	all := make([]found, len(chunk))
	var g errgroup.Group
	g.SetLimit(sweepAtOnce)
	for i, c := range chunk {
		g.Go(func() error {
			all[i].there, all[i].err = do(c)
			return nil
		})
	}
	_ = g.Wait() // no function returns an error
	return all
}
