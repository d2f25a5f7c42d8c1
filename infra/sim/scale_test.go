package sim

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"example.org/realtime/shared/realtime"
	"example.org/realtime/shared/wire"
)

// A scenario of scale plays in a world whose ports may be broken, and returns the promises that are.
type scaleScenario func(t *testing.T, wrap func(*ports)) (broken []string)

func scale(t *testing.T, f faults, l limits, wrap func(*ports), do func(w *world)) []string {
	t.Helper()
	var broken []string
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1, f, l, wrap)
		do(w)
		w.running.Wait()
		broken = w.broken
	})
	return broken
}

func holds(t *testing.T, broken []string) {
	t.Helper()
	if len(broken) > 0 {
		t.Error(strings.Join(broken, "\n"))
	}
}

// TestPresenceStorm: 50 users come back within a second. Presence keeps within its budget, and everybody knows the truth in the end.
func TestPresenceStorm(t *testing.T) { holds(t, presenceStorm(t, nil)) }

func presenceStorm(t *testing.T, wrap func(*ports)) []string {
	l := calm
	l.presenceRPS = 100
	return scale(t, faults{}, l, wrap, func(w *world) {
		const users = 50
		for i := range users {
			w.running.Go(func() {
				time.Sleep(time.Duration(i) * time.Second / users)
				w.connect(fmt.Sprintf("u%d", i), time.Time{}, wire.JSON)
			})
		}
		w.settle(6)
		(&history{world: w}).check()
		w.checkBudget(l.presenceRPS)
		if w.metrics["PresenceDeferred"] == 0 {
			w.fail("no storm: nothing was deferred")
		}
	})
}

// checkBudget: over any few seconds presence posts no more than its budget, a second's more for what began in the second before,
// and those that are too few to ask.
func (w *world) checkBudget(rps int) {
	const seconds, unasked = 5, 45 // 1 to 9 posts, of the first to come
	for second := range w.told {
		sum := 0
		for s := second; s < second+seconds; s++ {
			sum += w.told[s]
		}
		if sum > (seconds+1)*rps+unasked {
			w.fail("%d posts of presence in %d seconds, with a budget of %d a second", sum, seconds, rps)
			return
		}
	}
}

// TestVerificationStretches: with a budget for a fraction of the connections every run does what is due for all, and verification
// comes to each of them in the end, although a shard takes several runs and one of these is killed.
func TestVerificationStretches(t *testing.T) { holds(t, verificationStretches(t, nil)) }

func verificationStretches(t *testing.T, wrap func(*ports)) []string {
	l := calm
	l.presenceGlobalMax, l.sweepRPS = 1, 1 // 50 connections a run
	return scale(t, faults{}, l, wrap, func(w *world) {
		const users = 120
		var all []*conn
		for i := range users {
			all = append(all, w.connect(userOf(7, i), time.Time{}, wire.JSON))
		}
		w.minutes(1)
		for i, c := range all {
			if i%3 == 0 {
				w.dropped(c)
			}
		}
		w.killing["sweep"] = 40 // its walk is through
		w.minutes(5)
		w.checkGone()
		if _, alive := w.killing["sweep"]; alive {
			w.fail("no sweep was killed")
		}
		if w.metrics["SweepLate"] != 0 {
			w.fail("sweep was late")
		}
		for shard, s := range w.timer().Shards {
			if time.Since(s.Walked) > time.Minute+time.Second || time.Since(s.Verified) > 6*time.Minute {
				w.fail("shard %d: walked %v ago, verified %v ago", shard, time.Since(s.Walked), time.Since(s.Verified))
			}
		}
	})
}

// userOf is a user whose connection, the nth of all, is in that shard.
func userOf(shard, n int) string {
	for i := 0; ; i++ {
		if user := fmt.Sprintf("u%d.%d", n, i); realtime.Shard(fmt.Sprintf("%s-%d=", user, n)) == shard {
			return user
		}
	}
}

// minutes has the schedule run for so many.
func (w *world) minutes(n int) {
	for range n {
		w.running.Go(func() { _ = w.sweep() }) // one that dies is followed by another
		time.Sleep(time.Minute)
	}
	synctest.Wait()
}

// checkGone: no connection that has ended is in the table.
func (w *world) checkGone() {
	sockets, err := w.ports.connections.All(w.t.Context(), 0)
	if err != nil {
		w.fail("list: %v", err)
	}
	for _, s := range sockets {
		if c := w.conns[s.ID]; !c.open() {
			w.fail("%s ended %v ago and is still there", s.ID, time.Since(c.closed))
		}
	}
}

func (w *world) timer() realtime.Timer {
	timer, err := w.ports.timers.Read(w.t.Context())
	if err != nil {
		w.fail("read timer: %v", err)
	}
	return timer
}

// TestSplitSweep: workers, each of which Lambda runs twice, ping every client once an interval, whatever their number, and end
// expired tokens; one that dies is a minute late, and nobody else is.
func TestSplitSweep(t *testing.T) { holds(t, splitSweep(t, nil)) }

func splitSweep(t *testing.T, wrap func(*ports)) []string {
	l := calm
	l.presenceGlobalMax, l.sweepPerWorker, l.sweepRPS = 1, 3, 100
	return scale(t, faults{double: 1}, l, wrap, func(w *world) {
		var all []*conn
		enter := func(n int) {
			for range n {
				all = append(all, w.connect(fmt.Sprintf("u%d", len(all)), time.Time{}, wire.SocketIO))
			}
		}
		enter(4)
		w.minutes(4) // alone, then two workers
		enter(8)
		w.minutes(4) // four
		enter(12)
		w.minutes(4) // eight
		for _, c := range all[4:] {
			w.dropped(c)
		}
		w.minutes(4) // two again
		for _, c := range all {
			until := time.Now()
			if !c.closed.IsZero() {
				until = c.closed
			}
			pings := 0
			for _, post := range c.posts {
				if post == string(wire.PacketPing) {
					pings++
				}
			}
			minutes := int(until.Sub(c.opened) / time.Minute)
			if pings < minutes-1 || pings > minutes+1 {
				w.fail("%s: %d pings in %d minutes", c.id, pings, minutes)
			}
		}
		w.checkGone()
		if got := w.timer(); got.Active != 4 || got.Peak != 24 {
			w.fail("counted %d, peak %d, want 4 and 24", got.Active, got.Peak)
		}
		if w.metrics["Workers"] < 3*2+3*4+3*8+2*2 {
			w.fail("%v workers", w.metrics["Workers"])
		}
	})
}

// TestWorkerThatDies: the others are not late for it, and its own shards are walked in the minute after.
func TestWorkerThatDies(t *testing.T) {
	l := calm
	l.presenceGlobalMax, l.sweepPerWorker, l.sweepRPS = 1, 1, 100
	holds(t, scale(t, faults{}, l, nil, func(w *world) {
		for i := range 4 {
			w.mustConnect(fmt.Sprintf("u%d", i))
		}
		w.settle(3) // counted: four workers
		w.settling = false
		w.killing["worker [4 5 6 7] #0"] = 3 // the lease, a page, a shard
		w.settle(1)
		w.running.Wait()
		for shard, s := range w.timer().Shards {
			if late := time.Since(s.Walked) > 30*time.Second; late != (shard >= 5 && shard <= 7) {
				w.fail("shard %d was walked %v ago", shard, time.Since(s.Walked))
			}
		}
		w.settle(1)
		w.running.Wait()
		for shard, s := range w.timer().Shards {
			if time.Since(s.Walked) > 30*time.Second {
				w.fail("a minute later, shard %d was walked %v ago", shard, time.Since(s.Walked))
			}
		}
	}))
}

// TestBrokenScaleIsFound breaks one rule at a time.
func TestBrokenScaleIsFound(t *testing.T) {
	for name, rule := range map[string]struct {
		play scaleScenario
		wrap func(*ports)
	}{
		"the budget is ignored":                     {presenceStorm, func(p *ports) { p.budget = boundless{} }},
		"a second of the budget is asked for twice": {presenceStorm, func(p *ports) { p.budget = generous{p.budget} }},
		"a cursor skips connections":                {verificationStretches, func(p *ports) { p.timers = skipping{p.timers} }},
		"a cursor is not kept":                      {verificationStretches, func(p *ports) { p.timers = forgetting{p.timers} }},
		"a lease is ignored":                        {splitSweep, func(p *ports) { p.timers = &unleased{Timers: p.timers} }},
		"a worker loses half of its shards":         {splitSweep, func(p *ports) { p.connections = halfBlind{p.connections} }},
	} {
		t.Run(name, func(t *testing.T) {
			broken := rule.play(t, rule.wrap)
			if len(broken) == 0 {
				t.Fatal("not found")
			}
			t.Logf("found: %s", broken[0])
		})
	}
}

type boundless struct{}

func (boundless) Take(context.Context, time.Time, int, int) error { return nil }

type generous struct{ realtime.Budget }

func (g generous) Take(ctx context.Context, second time.Time, posts, limit int) error {
	return g.Budget.Take(ctx, second, posts, 3*limit)
}

// skipping believes that a verification has come further than it has.
type skipping struct{ realtime.Timers }

func (s skipping) Begin(ctx context.Context, l realtime.Lease, now time.Time) (realtime.Timer, error) {
	t, err := s.Timers.Begin(ctx, l, now)
	for i := range t.Shards {
		if v := &t.Shards[i].Verification; !v.Began.IsZero() {
			v.After = "~"
		}
	}
	return t, err
}

// forgetting keeps no verification that is under way.
type forgetting struct{ realtime.Timers }

func (f forgetting) Begin(ctx context.Context, l realtime.Lease, now time.Time) (realtime.Timer, error) {
	t, err := f.Timers.Begin(ctx, l, now)
	for i := range t.Shards {
		t.Shards[i].Verification = realtime.Verification{}
	}
	return t, err
}

// unleased lets any two sweeps have the same shards.
type unleased struct{ realtime.Timers }

func (u *unleased) Begin(ctx context.Context, _ realtime.Lease, _ time.Time) (realtime.Timer, error) {
	return u.Read(ctx)
}

func (u *unleased) Save(ctx context.Context, l realtime.Lease, shard int, t realtime.ShardTimer) error {
	return u.write(ctx, l, func() error { return u.Timers.Save(ctx, l, shard, t) })
}

func (u *unleased) End(ctx context.Context, l realtime.Lease, t realtime.Timer) error {
	return u.write(ctx, l, func() error { return u.Timers.End(ctx, l, t) })
}

func (u *unleased) write(ctx context.Context, l realtime.Lease, do func() error) error {
	if _, err := u.Timers.Begin(ctx, l, time.Now().Add(time.Hour)); err != nil {
		return err
	}
	return do()
}

// halfBlind sees nothing of half of the shards.
type halfBlind struct{ connections }

func (h halfBlind) Page(ctx context.Context, shard int, after string) ([]realtime.Connection, string, error) {
	if shard%8 >= 4 {
		return nil, "", nil
	}
	return h.connections.Page(ctx, shard, after)
}
