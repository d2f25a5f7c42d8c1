package store_test

import (
	"testing"
	"time"

	"example.org/realtime/shared/realtime"
)

// leaseOf is a lease of so many shards, from that one on.
func leaseOf(owner string, first, n int, until time.Time) realtime.Lease {
	l := realtime.Lease{Owner: owner, Until: until}
	for shard := first; shard < first+n; shard++ {
		l.Shards = append(l.Shards, shard)
	}
	return l
}

// fullTimer has something in every field.
func fullTimer() realtime.Timer {
	full := realtime.Timer{Active: 1234, Peak: 2345}
	for i := range full.Shards {
		full.Shards[i] = realtime.ShardTimer{
			Walked: at(100 + i), Verified: at(200 + i), Count: 300 + i,
			Walk:         realtime.Walk{Started: at(400 + i), After: "L0SM9cOFvHcCIhw=", Count: 500 + i},
			Verification: realtime.Verification{Began: at(600 + i), After: "M0SM9cOFvHcCIhw=", Missed: i%2 == 0},
		}
	}
	return full
}

func TestTimers(t *testing.T) {
	lease := start.Add(time.Minute)
	full := fullTimer()
	half := full // what was set becomes zero again
	half.Shards[7] = realtime.ShardTimer{}
	half.Shards[8].Walk = realtime.Walk{}
	half.Shards[9].Verification = realtime.Verification{}

	onEngines(t, func(t *testing.T, s *suite) {
		ctx := t.Context()
		read := func(want realtime.Timer) {
			t.Helper()
			got, err := s.Timers.Read(ctx)
			ok(t, err)
			equal(t, got, want)
		}
		begin := func(l realtime.Lease, now time.Time, want realtime.Timer) {
			t.Helper()
			got, err := s.Timers.Begin(ctx, l, now)
			ok(t, err)
			equal(t, got, want)
		}
		busy := func(l realtime.Lease, now time.Time, want realtime.Timer) {
			t.Helper()
			got, err := s.Timers.Begin(ctx, l, now)
			fails(t, err, realtime.ErrBusy)
			equal(t, got, want)
		}
		a, b, c := leaseOf("a", 0, 16, lease), leaseOf("b", 0, 16, lease), leaseOf("c", 0, 16, lease.Add(time.Minute))
		read(realtime.Timer{})
		fails(t, s.Timers.Save(ctx, a, 3, full.Shards[3]), realtime.ErrBusy)
		begin(a, start, realtime.Timer{})
		begin(a, start, realtime.Timer{}) // its own request, sent twice
		busy(b, start, realtime.Timer{})
		ok(t, s.Timers.Save(ctx, a, 3, full.Shards[3]))
		third := realtime.Timer{}
		third.Shards[3] = full.Shards[3]
		read(third)
		fails(t, s.Timers.Save(ctx, b, 3, realtime.ShardTimer{}), realtime.ErrBusy)
		fails(t, s.Timers.End(ctx, b, realtime.Timer{}), realtime.ErrBusy)
		ok(t, s.Timers.Save(ctx, a, 3, realtime.ShardTimer{}))
		read(realtime.Timer{})
		ok(t, s.Timers.End(ctx, a, full))
		read(full)
		for range 2 {
			ok(t, s.Timers.End(ctx, a, half))
		}
		read(half)

		begin(b, start, half)
		ok(t, s.Timers.Save(ctx, b, 7, full.Shards[7]))
		half.Shards[7] = full.Shards[7]
		busy(c, lease.Truncate(time.Second), half)
		begin(c, lease.Truncate(time.Second).Add(time.Second), half) // b has crashed
		fails(t, s.Timers.Save(ctx, b, 7, realtime.ShardTimer{}), realtime.ErrBusy)
		fails(t, s.Timers.End(ctx, b, realtime.Timer{}), realtime.ErrBusy)
		read(half)
	})
}

// However the shards are divided, no two sweeps have the same one.
func TestTimersOfWorkers(t *testing.T) {
	lease := start.Add(time.Minute)
	full := fullTimer()
	onEngines(t, func(t *testing.T, s *suite) {
		ctx := t.Context()
		begin := func(l realtime.Lease, now time.Time) {
			t.Helper()
			_, err := s.Timers.Begin(ctx, l, now)
			ok(t, err)
		}
		busy := func(l realtime.Lease, now time.Time) {
			t.Helper()
			_, err := s.Timers.Begin(ctx, l, now)
			fails(t, err, realtime.ErrBusy)
		}
		low, high, whole := leaseOf("low", 0, 8, lease), leaseOf("high", 8, 8, lease), leaseOf("whole", 0, 16, lease)
		begin(low, start)
		begin(low, start) // its own request, sent twice
		begin(high, start)
		for _, other := range []realtime.Lease{leaseOf("x", 0, 8, lease), leaseOf("x", 4, 4, lease), leaseOf("x", 7, 1, lease), whole} {
			busy(other, start)
		}
		ok(t, s.Timers.Save(ctx, low, 7, full.Shards[7]))
		fails(t, s.Timers.Save(ctx, low, 8, full.Shards[8]), realtime.ErrBusy) // not one of its own
		for range 2 {
			ok(t, s.Timers.End(ctx, low, full))
		}
		got, err := s.Timers.Read(ctx)
		ok(t, err)
		want := realtime.Timer{} // the numbers are those of all shards
		copy(want.Shards[:8], full.Shards[:8])
		equal(t, got, want)

		quarter := leaseOf("quarter", 4, 4, lease)
		begin(quarter, start) // of what low gave back
		busy(whole, start)    // high is at work
		ok(t, s.Timers.End(ctx, high, full))
		busy(whole, start) // quarter is
		ok(t, s.Timers.End(ctx, quarter, full))
		begin(whole, start)
		busy(low, start)
		ok(t, s.Timers.End(ctx, whole, full))

		begin(low, start)
		next := lease.Truncate(time.Second).Add(time.Second)
		begin(leaseOf("x", 0, 4, lease.Add(time.Minute)), next) // low has crashed
		fails(t, s.Timers.Save(ctx, low, 0, realtime.ShardTimer{}), realtime.ErrBusy)
		fails(t, s.Timers.End(ctx, low, realtime.Timer{}), realtime.ErrBusy)
		got, err = s.Timers.Read(ctx)
		ok(t, err)
		equal(t, got, full)
	})
}

func TestTimersAreStoredAsDocumented(t *testing.T) {
	onEngines(t, func(t *testing.T, s *suite) {
		ctx := t.Context()
		whole := leaseOf("me", 0, 16, start.Add(time.Minute))
		_, err := s.Timers.Begin(ctx, whole, start)
		ok(t, err)
		want := map[string]any{"pk": "sweep#/ws/app", "sk": "#", "owner": "me", "lease": 1767323105.0}
		equal(t, s.item(t, "sweep#/ws/app", "#"), want)

		timer := realtime.Timer{Active: 6, Peak: 7}
		timer.Shards[10] = realtime.ShardTimer{
			Walked: at(1), Verified: at(2), Count: 3,
			Walk:         realtime.Walk{Started: at(0), After: "x", Count: 5},
			Verification: realtime.Verification{Began: at(3), After: "y", Missed: true},
		}
		ok(t, s.Timers.End(ctx, whole, timer))
		delete(want, "lease")
		for _, h := range "0123456789abcdef" {
			want["walked"+string(h)], want["verified"+string(h)], want["count"+string(h)] = 0.0, 0.0, 0.0
		}
		want["walkeda"], want["verifieda"], want["counta"] = 1767323045679.0, 1767323045680.0, 3.0
		want["starteda"], want["aftera"], want["counteda"] = 1767323045678.0, "x", 5.0
		want["begana"], want["uptoa"], want["misseda"] = 1767323045681.0, "y", 1.0
		want["active"], want["peak"] = 6.0, 7.0
		equal(t, s.item(t, "sweep#/ws/app", "#"), want)

		worker := leaseOf("you", 10, 1, start.Add(time.Minute))
		_, err = s.Timers.Begin(ctx, worker, start)
		ok(t, err)
		want["ownera"], want["leasea"] = "you", 1767323105.0
		equal(t, s.item(t, "sweep#/ws/app", "#"), want)
		ok(t, s.Timers.End(ctx, worker, timer))
		delete(want, "leasea")
		equal(t, s.item(t, "sweep#/ws/app", "#"), want)
		_, err = s.Timers.Begin(ctx, whole, start)
		ok(t, err)
		delete(want, "ownera") // what workers left
		want["lease"] = 1767323105.0
		equal(t, s.item(t, "sweep#/ws/app", "#"), want)
	})
}
