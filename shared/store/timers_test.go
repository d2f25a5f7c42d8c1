package store_test

import (
	"testing"
	"time"

	"example.org/realtime/shared/realtime"
)

func TestTimers(t *testing.T) {
	lease := start.Add(time.Minute)
	full := realtime.Timer{
		Walk:   realtime.Walk{Shard: 15, After: "L0SM9cOFvHcCIhw=", Started: at(1), Verify: true, Count: 17},
		Active: 1234,
		Peak:   2345,
	}
	for i := range full.Shards {
		full.Shards[i] = realtime.ShardTimer{Walked: at(100 + i), Verified: at(200 + i), Count: 300 + i}
	}
	half := full // what was set becomes zero again
	half.Walk = realtime.Walk{Shard: 0}
	half.Shards[7] = realtime.ShardTimer{}

	onEngines(t, func(t *testing.T, s *suite) {
		read := func(want realtime.Timer) {
			t.Helper()
			got, err := s.Timers.Read(t.Context())
			ok(t, err)
			equal(t, got, want)
		}
		begin := func(owner string, now, lease time.Time, want realtime.Timer) {
			t.Helper()
			got, err := s.Timers.Begin(t.Context(), owner, now, lease)
			ok(t, err)
			equal(t, got, want)
		}
		read(realtime.Timer{})
		fails(t, s.Timers.Save(t.Context(), "a", full), realtime.ErrBusy)
		begin("a", start, lease, realtime.Timer{})
		begin("a", start, lease, realtime.Timer{}) // its own request, sent twice
		_, err := s.Timers.Begin(t.Context(), "b", start, lease)
		fails(t, err, realtime.ErrBusy)
		ok(t, s.Timers.Save(t.Context(), "a", full))
		read(full)
		fails(t, s.Timers.Save(t.Context(), "b", realtime.Timer{}), realtime.ErrBusy)
		fails(t, s.Timers.End(t.Context(), "b", realtime.Timer{}), realtime.ErrBusy)
		for range 2 {
			ok(t, s.Timers.End(t.Context(), "a", half))
		}
		read(half)

		begin("b", start, lease, half)
		ok(t, s.Timers.Save(t.Context(), "b", full))
		_, err = s.Timers.Begin(t.Context(), "c", lease.Truncate(time.Second), lease.Add(time.Minute))
		fails(t, err, realtime.ErrBusy)
		begin("c", lease.Truncate(time.Second).Add(time.Second), lease.Add(time.Minute), full) // b has crashed
		fails(t, s.Timers.Save(t.Context(), "b", half), realtime.ErrBusy)
		fails(t, s.Timers.End(t.Context(), "b", half), realtime.ErrBusy)
		read(full)
	})
}

func TestTimersAreStoredAsDocumented(t *testing.T) {
	onEngines(t, func(t *testing.T, s *suite) {
		_, err := s.Timers.Begin(t.Context(), "me", start, start.Add(time.Minute))
		ok(t, err)
		want := map[string]any{"pk": "sweep#/ws/app", "sk": "#", "owner": "me", "lease": 1767323105.0}
		equal(t, s.item(t, "sweep#/ws/app", "#"), want)

		timer := realtime.Timer{Walk: realtime.Walk{Shard: 3, After: "x", Started: at(0), Verify: true, Count: 5}, Active: 6, Peak: 7}
		timer.Shards[10] = realtime.ShardTimer{Walked: at(1), Verified: at(2), Count: 3}
		ok(t, s.Timers.End(t.Context(), "me", timer))
		delete(want, "lease")
		for _, h := range "0123456789abcdef" {
			want["walked"+string(h)], want["verified"+string(h)], want["count"+string(h)] = 0.0, 0.0, 0.0
		}
		want["walkeda"], want["verifieda"], want["counta"] = 1767323045679.0, 1767323045680.0, 3.0
		want["next"], want["after"], want["started"], want["verify"], want["counted"] = 3.0, "x", 1767323045678.0, 1.0, 5.0
		want["active"], want["peak"] = 6.0, 7.0
		equal(t, s.item(t, "sweep#/ws/app", "#"), want)
	})
}
