package realtime

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"example.org/realtime/shared/contract"
	"example.org/realtime/shared/wire"
)

// sweptTable is a table with connections in one shard, for a Sweeper.
type sweptTable struct {
	rows    map[int][]Connection
	timer   Timer
	removed []string
	mu      sync.Mutex
}

func newSweeper(t *testing.T, table *sweptTable) (*Sweeper, *fakePoster, *fakeAsker, *fakeMetrics) {
	t.Helper()
	poster, asker, metrics := &fakePoster{active: func(string) (time.Time, error) { return start, nil }}, &fakeAsker{}, &fakeMetrics{}
	rows := &fakeConnections{
		page:   func(shard int, _ string) ([]Connection, string, error) { return table.rows[shard], "", nil },
		delete: func(Connection) error { return nil },
	}
	return &Sweeper{
		Walker:      rows,
		Connections: rows,
		Presences: &fakePresences{
			remove: func(user, id string, _, _ time.Time) (Presence, error) {
				table.mu.Lock()
				defer table.mu.Unlock()
				table.removed = append(table.removed, id)
				return Presence{UserID: user}, nil
			},
			read: func(user string) (Presence, error) { return Presence{UserID: user}, nil },
		},
		Rooms: &fakeRooms{delete: func(string, string, time.Time) error { return nil }},
		Timers: &fakeTimers{
			begin: func(time.Time, time.Time) (Timer, error) { return table.timer, nil },
			save:  func(timer Timer) error { table.timer = timer; return nil },
			end:   func(timer Timer) error { table.timer = timer; return nil },
			read:  func() (Timer, error) { return table.timer, nil },
		},
		Poster: poster, Asker: asker, Metrics: metrics,
		Log: slog.New(slog.DiscardHandler), Now: func() time.Time { return start },
		PresenceTTL: contract.PresenceTTL, RPS: 1000, CloseExpired: true,
	}, poster, asker, metrics
}

func row(id string, age time.Duration) Connection {
	return Connection{ID: id, UserID: "alice", Protocol: wire.JSON, ConnectedAt: start.Add(-age)}
}

func TestSweepOfOneConnection(t *testing.T) {
	gone := errors.New("gone")
	with := func(c Connection, change func(*Connection)) Connection { change(&c); return c }
	for _, tt := range []struct {
		name    string
		c       Connection
		active  error
		idle    time.Duration
		walked  time.Duration // since the shard's last walk; 0: never
		fresh   bool          // verified a moment ago
		ignore  bool          // TOKEN_EXPIRY=ignore
		removed bool
		posted  string
		closed  bool
		count   int
	}{
		{name: "alive", c: row("a=", time.Minute), count: 1},
		{name: "dead", c: row("a=", time.Minute), active: gone, removed: true},
		{name: "dead, not looked at yet", c: row("a=", time.Minute), active: gone, fresh: true, count: 1},
		{name: "in its handshake", c: row("a=", handshakeGuard-time.Millisecond), active: gone, count: 1},
		{name: "just out of it", c: row("a=", handshakeGuard), active: gone, removed: true},
		{name: "ended early", c: with(row("a=", 10*time.Minute), func(c *Connection) { c.Gone = start.Add(-endedFor - time.Millisecond) }), removed: true},
		{name: "ended a moment ago", c: with(row("a=", 10*time.Minute), func(c *Connection) { c.Gone = start.Add(-endedFor) })},
		{name: "expired", c: with(row("a=", time.Minute), func(c *Connection) { c.TokenExpiry = start }), posted: "token_expired", closed: true},
		{name: "about to expire", c: with(row("a=", time.Minute), func(c *Connection) { c.TokenExpiry = start.Add(time.Millisecond) }), count: 1},
		{name: "expired, ignored", c: with(row("a=", time.Minute), func(c *Connection) { c.TokenExpiry = start }), ignore: true, count: 1},
		{name: "idle", c: row("a=", 8*time.Minute), idle: time.Minute, walked: time.Minute, fresh: true, posted: "presence:update", count: 1},
		{name: "idle, but busy lately", c: row("a=", 8*time.Minute), idle: time.Minute - time.Millisecond, walked: time.Minute, fresh: true, count: 1},
		{name: "idle, before its time", c: row("a=", 8*time.Minute-time.Millisecond), idle: 8 * time.Minute, walked: time.Minute, fresh: true, count: 1},
		{name: "idle, told already", c: row("a=", 9*time.Minute), idle: time.Minute, walked: time.Minute, fresh: true, count: 1},
		{name: "idle, first walk ever", c: row("a=", 17*time.Minute), idle: time.Minute, fresh: true, posted: "presence:update", count: 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			shard := Shard(tt.c.ID)
			table := &sweptTable{rows: map[int][]Connection{shard: {tt.c}}}
			if tt.walked != 0 {
				table.timer.Shards[shard].Walked = start.Add(-tt.walked)
			}
			if tt.fresh {
				table.timer.Shards[shard].Verified = start.Add(-time.Second)
			}
			s, poster, asker, _ := newSweeper(t, table)
			s.CloseExpired = !tt.ignore
			poster.active = func(string) (time.Time, error) {
				if tt.active != nil {
					return time.Time{}, ErrGone
				}
				return start.Add(-tt.idle), nil
			}
			if err := s.Sweep(t.Context()); err != nil {
				t.Fatal(err)
			}
			if removed := len(table.removed) == 1; removed != tt.removed || removed != (len(asker.jobs) == 1) {
				t.Errorf("removed %v, asked %v, want %v", table.removed, asker.jobs, tt.removed)
			}
			if posted := strings.Join(poster.posted["a="], "\n"); (posted != "") != (tt.posted != "") || !strings.Contains(posted, tt.posted) {
				t.Errorf("posted %q, want %s", posted, tt.posted)
			}
			if closed := len(poster.closed) == 1; closed != tt.closed {
				t.Errorf("closed %v", poster.closed)
			}
			if table.timer.Active != tt.count || table.timer.Peak != tt.count {
				t.Errorf("counted %d, peak %d, want %d", table.timer.Active, table.timer.Peak, tt.count)
			}
		})
	}
}

func TestSweepTellsEvenOfWhoIsOutAlready(t *testing.T) {
	c := row("a=", time.Hour)
	c.Rooms = []string{"conversation:c1", "group:g1"}
	table := &sweptTable{rows: map[int][]Connection{Shard("a="): {c}}}
	s, poster, asker, _ := newSweeper(t, table)
	s.Presences.(*fakePresences).remove = func(string, string, time.Time, time.Time) (Presence, error) {
		return Presence{}, ErrNotFound
	}
	poster.active = func(string) (time.Time, error) { return time.Time{}, ErrGone }
	if err := s.Sweep(t.Context()); err != nil {
		t.Fatal(err)
	}
	want := []Job{{Presence: &PresenceJob{User: "alice", Rooms: []string{"conversation:c1"}, AtMS: start.UnixMilli()}}}
	if diff := cmp.Diff(want, asker.jobs); diff != "" {
		t.Error(diff)
	}
}

func TestSweepVerifiesOnlyWhatItAsked(t *testing.T) {
	shard := Shard("a=")
	table := &sweptTable{rows: map[int][]Connection{shard: {row("a=", time.Minute)}}}
	s, poster, _, metrics := newSweeper(t, table)
	poster.active = func(string) (time.Time, error) { return time.Time{}, ErrThrottled }
	if err := s.Sweep(t.Context()); err != nil {
		t.Fatal(err)
	}
	if !table.timer.Shards[shard].Verified.IsZero() || metrics.sum["SweepFailures"] != 1 || len(table.removed) != 0 {
		t.Errorf("verified %v, metrics %v, removed %v", table.timer.Shards[shard].Verified, metrics, table.removed)
	}
	if other := (shard + 1) % Shards; !table.timer.Shards[other].Verified.Equal(start) {
		t.Errorf("shard %d verified %v", other, table.timer.Shards[other].Verified)
	}
}

func TestSweepStopsInTimeAndGoesOn(t *testing.T) {
	const shard, rows = 3, 3 * sweepChunk
	table := &sweptTable{rows: map[int][]Connection{}, timer: Timer{Walk: Walk{Shard: shard}}}
	for i := range rows {
		table.rows[shard] = append(table.rows[shard], row(strings.Repeat("i", i+1), time.Minute))
	}
	all := table.rows[shard]
	s, poster, _, _ := newSweeper(t, table)
	var visited atomic.Int64
	poster.active = func(string) (time.Time, error) {
		visited.Add(1)
		return start, nil
	}
	deadline := time.Now().Add(time.Hour)
	ctx, cancel := context.WithDeadline(t.Context(), deadline)
	defer cancel()
	s.Now = func() time.Time {
		if visited.Load() > sweepChunk { // in the second chunk, time is up
			return deadline
		}
		return start
	}
	if err := s.Sweep(ctx); err != nil {
		t.Fatal(err)
	}
	want := Walk{Shard: shard, After: all[2*sweepChunk-1].ID, Started: start, Verify: true, Count: 2 * sweepChunk}
	if diff := cmp.Diff(want, table.timer.Walk); diff != "" {
		t.Error(diff)
	}
	s.Now = func() time.Time { return start.Add(time.Minute) }
	s.Walker.(*fakeConnections).page = func(n int, after string) ([]Connection, string, error) {
		if n == shard && after == want.After {
			return all[2*sweepChunk:], "", nil
		}
		return nil, "", nil
	}
	if err := s.Sweep(t.Context()); err != nil {
		t.Fatal(err)
	}
	got := table.timer.Shards[shard]
	if diff := cmp.Diff(ShardTimer{Walked: start, Verified: start, Count: rows}, got); diff != "" {
		t.Error(diff)
	}
}

func TestSweepIsAlone(t *testing.T) {
	s, _, _, _ := newSweeper(t, &sweptTable{})
	s.Timers.(*fakeTimers).begin = func(time.Time, time.Time) (Timer, error) { return Timer{}, ErrBusy }
	s.Walker = nil // would panic
	if err := s.Sweep(t.Context()); err != nil {
		t.Errorf("another sweep is no failure: %v", err)
	}
}
