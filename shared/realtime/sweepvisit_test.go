package realtime

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"example.org/realtime/shared/contract"
	"example.org/realtime/shared/wire"
)

// A beginning that is done after its end brings a socket into the presence that nobody takes out. The first run that finds it does;
// the row waits for whatever is still under way.
func TestSweepOfAnEndThatCameFirst(t *testing.T) {
	unreachable := errors.New("unreachable")
	for _, tt := range []struct {
		name   string
		user   string
		remove error
		takes  int
		asked  []Job
		failed float64
	}{
		{"in the presence", "alice", nil, 1, []Job{{Presence: &PresenceJob{User: "alice", Version: 7, Rooms: []string{"conversation:c1"}, AtMS: start.UnixMilli()}}}, 0},
		{"not there", "alice", ErrNotFound, 1, nil, 0},
		{"presence unreachable", "alice", unreachable, 1, nil, 1},
		{"never in the namespace", "", nil, 0, nil, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := row("a=", time.Minute)
			c.UserID, c.Gone, c.Rooms = tt.user, start.Add(-time.Second), []string{"conversation:c1", "group:g1"}
			s, poster, asker, metrics := newSweeper(t, &sweptTable{rows: map[int][]Connection{Shard(c.ID): {c}}})
			takes := 0
			s.Presences.(*fakePresences).remove = func(user, id string, at, connectedBefore time.Time) (Presence, error) {
				if takes++; id != "a=" || !at.Equal(c.Gone) || !connectedBefore.IsZero() {
					t.Errorf("removed %s of %s as of %v, %v", id, user, at, connectedBefore)
				}
				return Presence{UserID: user, Version: 7}, tt.remove
			}
			s.Connections.(*fakeConnections).delete = func(Connection) error {
				t.Error("the row is deleted")
				return nil
			}
			if err := s.Sweep(t.Context()); err != nil {
				t.Fatal(err)
			}
			if takes != tt.takes || len(poster.closed) != 0 || metrics.sum["SweepFailures"] != tt.failed {
				t.Errorf("taken out %d times, closed %v, metrics %v", takes, poster.closed, metrics.sum)
			}
			if diff := cmp.Diff(tt.asked, asker.jobs); diff != "" {
				t.Errorf("asked: -want +got\n%s", diff)
			}
		})
	}
}

func TestSweepOfOneConnection(t *testing.T) {
	gone := errors.New("gone")
	with := func(c Connection, change func(*Connection)) Connection { change(&c); return c }
	socketIO := func(age, pong time.Duration) Connection { // whose last pong is that long ago
		c := row("a=", age)
		c.Protocol, c.Pong = wire.SocketIO, start.Add(-pong)
		return c
	}
	outside := func(age, idle time.Duration) Connection { // out of the namespace for that long; 0: never in it
		c := row("a=", age)
		c.Protocol, c.UserID = wire.SocketIO, ""
		if idle != 0 {
			c.Idle = start.Add(-idle)
		}
		return c
	}
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
		{name: "ended a moment ago", c: with(row("a=", 10*time.Minute), func(c *Connection) { c.Gone = start.Add(-endedFor) }), removed: true},
		{name: "expired", c: with(row("a=", time.Minute), func(c *Connection) { c.TokenExpiry = start }), posted: "token_expired", closed: true},
		{name: "about to expire", c: with(row("a=", time.Minute), func(c *Connection) { c.TokenExpiry = start.Add(time.Millisecond) }), count: 1},
		{name: "expired, ignored", c: with(row("a=", time.Minute), func(c *Connection) { c.TokenExpiry = start }), ignore: true, count: 1},
		{name: "idle", c: row("a=", 8*time.Minute), idle: time.Minute, walked: time.Minute, fresh: true, posted: "presence:update", count: 1},
		{name: "idle, but busy lately", c: row("a=", 8*time.Minute), idle: time.Minute - time.Millisecond, walked: time.Minute, fresh: true, count: 1},
		{name: "idle, before its time", c: row("a=", 8*time.Minute-time.Millisecond), idle: 8 * time.Minute, walked: time.Minute, fresh: true, count: 1},
		{name: "idle, told already", c: row("a=", 9*time.Minute), idle: time.Minute, walked: time.Minute, fresh: true, count: 1},
		{name: "idle, first walk ever", c: row("a=", 17*time.Minute), idle: time.Minute, fresh: true, posted: "presence:update", count: 1},
		{name: "ping", c: socketIO(5*time.Minute, time.Minute), walked: time.Minute, fresh: true, posted: "2", count: 1},
		{name: "ping, before its time", c: socketIO(5*time.Minute-time.Millisecond, time.Minute), walked: time.Minute, fresh: true, count: 1},
		{name: "pong just in time", c: socketIO(9*time.Minute, 7*time.Minute), walked: time.Minute, fresh: true, count: 1},
		{name: "no pong", c: socketIO(9*time.Minute, 7*time.Minute+time.Millisecond), walked: time.Minute, fresh: true, removed: true, closed: true},
		{name: "no pong ever", c: socketIO(7*time.Minute+time.Millisecond, time.Hour), walked: time.Minute, fresh: true, removed: true, closed: true},
		{name: "outside, with time left", c: outside(lobbyFor-time.Millisecond, 0)},
		{name: "outside for too long", c: outside(lobbyFor, 0), closed: true},
		{name: "out again, with time left", c: outside(time.Hour, lobbyFor-time.Millisecond)},
		{name: "out again for too long", c: outside(time.Hour, lobbyFor), closed: true},
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
			s.CloseExpired, s.PingInterval, s.PingTimeout = !tt.ignore, contract.PingInterval, contract.PingTimeout
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
			// What API Gateway said to be gone is closed, should it live after all.
			if closed := len(poster.closed) == 1; closed != (tt.closed || tt.removed && tt.active != nil) {
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
	synctest.Test(t, func(t *testing.T) {
		shard := Shard("a=")
		table := &sweptTable{rows: map[int][]Connection{shard: {row("a=", time.Minute)}}}
		s, poster, _, metrics := newSweeper(t, table)
		asked := 0
		poster.active = func(string) (time.Time, error) {
			asked++
			return time.Time{}, ErrThrottled
		}
		began := time.Now()
		if err := s.Sweep(t.Context()); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(began); asked < 5 || took > sweepRetries.refused {
			t.Errorf("asked %d times within %v", asked, took)
		}
		if !table.timer.Shards[shard].Verified.IsZero() || metrics.sum["SweepFailures"] != 1 || len(table.removed) != 0 {
			t.Errorf("verified %v, metrics %v, removed %v", table.timer.Shards[shard].Verified, metrics.sum, table.removed)
		}
		if other := (shard + 1) % Shards; !table.timer.Shards[other].Verified.Equal(start) {
			t.Errorf("shard %d verified %v", other, table.timer.Shards[other].Verified)
		}
	})
}
