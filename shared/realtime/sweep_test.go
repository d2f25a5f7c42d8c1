package realtime

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
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
			begin: func(Lease) (Timer, error) { return table.timer, nil },
			save:  func(shard int, timer ShardTimer) error { table.timer.Shards[shard] = timer; return nil },
			end: func(l Lease, timer Timer) error {
				for _, shard := range l.Shards {
					table.timer.Shards[shard] = timer.Shards[shard]
				}
				if len(l.Shards) == Shards {
					table.timer.Active, table.timer.Peak = timer.Active, timer.Peak
				}
				return nil
			},
		},
		Workers: &fakeWorkers{},
		Poster:  poster, Asker: asker, Metrics: metrics,
		Log: slog.New(slog.DiscardHandler), Now: func() time.Time { return start },
		PresenceTTL: contract.PresenceTTL, RPS: 1000, CloseExpired: true,
	}, poster, asker, metrics
}

func row(id string, age time.Duration) Connection {
	return Connection{ID: id, UserID: "alice", Protocol: wire.JSON, ConnectedAt: start.Add(-age)}
}

// A ping that is throttled is tried again: without it the client closes.
func TestSweepTriesAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := row("a=", 5*time.Minute)
		c.Protocol, c.Pong = wire.SocketIO, start.Add(-time.Minute)
		table := &sweptTable{rows: map[int][]Connection{Shard("a="): {c}}}
		s, poster, _, metrics := newSweeper(t, table)
		s.PingInterval, s.PingTimeout = contract.PingInterval, contract.PingTimeout
		for _, refusal := range []error{ErrThrottled, errors.New("500")} {
			tries := 0
			poster.fail = func(string, string) error {
				if tries++; tries < 4 {
					return refusal
				}
				return nil
			}
			table.timer, poster.posted = Timer{}, nil
			if err := s.Sweep(t.Context()); err != nil {
				t.Fatal(err)
			}
			if posted := poster.posted["a="]; len(posted) != 1 || posted[0] != "2" || metrics.sum["SweepFailures"] != 0 {
				t.Errorf("%v: posted %q, metrics %v", refusal, posted, metrics.sum)
			}
		}
	})
}

// rows are so many connections of one shard, in order of id.
func rows(n, shard int) (list []Connection) {
	for i := 0; len(list) < n; i++ {
		if id := fmt.Sprintf("%06d=", i); Shard(id) == shard {
			list = append(list, row(id, time.Minute))
		}
	}
	return list
}

// ticking is a clock that time.Sleep moves, and begins at start.
func ticking() func() time.Time {
	began := time.Now()
	return func() time.Time { return start.Add(time.Since(began)) }
}

// Verification goes on where the last run came to, and its time is that of its beginning, whoever came meanwhile.
func TestVerificationTakesSeveralRuns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const shard, n, rps, runs = 3, 250, 2, 3 // a run has time for about 112
		table := &sweptTable{rows: map[int][]Connection{shard: rows(n, shard)}}
		s, poster, _, _ := newSweeper(t, table)
		s.Now, s.RPS = ticking(), rps
		asked := map[string]int{}
		var mu sync.Mutex
		poster.active = func(id string) (time.Time, error) {
			mu.Lock()
			defer mu.Unlock()
			asked[id]++
			return s.Now(), nil
		}
		for run := range runs {
			began := s.Now()
			if err := s.Sweep(t.Context()); err != nil {
				t.Fatal(err)
			}
			got := table.timer.Shards[shard]
			if took := s.Now().Sub(began); took > 56*time.Second {
				t.Errorf("a run of %v", took)
			}
			if !got.Walked.Equal(began) || got.Count != len(table.rows[shard]) {
				t.Errorf("run %d walked %v, counted %d", run, got.Walked, got.Count)
			}
			if done := run == runs-1; done != got.Verified.Equal(start) || done != got.Verification.Began.IsZero() {
				t.Errorf("run %d: %+v", run, got)
			}
			time.Sleep(time.Minute - s.Now().Sub(began))
			if run == 0 { // one that the verification has passed, and one that it has not come to
				table.rows[shard] = slices.Insert(table.rows[shard], 1, row("000000==", 0))
				table.rows[shard] = append(table.rows[shard], row("x=", 0))
			}
		}
		for _, c := range rows(n, shard) {
			if asked[c.ID] != 1 {
				t.Errorf("asked %d times for %s", asked[c.ID], c.ID)
			}
		}
		if asked["x="] != 1 || asked["000000=="] != 0 {
			t.Errorf("asked for those who came meanwhile: %v, %v", asked["x="], asked["000000=="])
		}
	})
}

// A shard of which a connection did not answer counts as not verified, however many runs it took; the others were asked for.
func TestVerificationThatMissesOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const shard, n, rps = 3, 150, 2
		table := &sweptTable{rows: map[int][]Connection{shard: rows(n, shard)}}
		s, poster, _, _ := newSweeper(t, table)
		s.Now, s.RPS = ticking(), rps
		var asked atomic.Int64
		poster.active = func(id string) (time.Time, error) {
			asked.Add(1)
			if id == table.rows[shard][1].ID {
				return time.Time{}, ErrThrottled
			}
			return s.Now(), nil
		}
		for range 2 {
			if err := s.Sweep(t.Context()); err != nil {
				t.Fatal(err)
			}
			time.Sleep(8 * time.Second)
		}
		got := table.timer.Shards[shard]
		if !got.Verified.IsZero() || got.Verification != (Verification{}) || asked.Load() < n {
			t.Errorf("asked for %d, %+v", asked.Load(), got)
		}
	})
}

// What is due comes first, on time in every run, whatever is left for verification.
func TestPingsKeepTheirTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const shard, n, rps, runs = 3, 400, 2, 10 // 80 pings a minute, and time for 112 calls
		table := &sweptTable{rows: map[int][]Connection{shard: rows(n, shard)}}
		for i := range table.rows[shard] {
			c := &table.rows[shard][i]
			c.Protocol, c.ConnectedAt = wire.SocketIO, start.Add(-time.Duration(i)*time.Second*300/n)
		}
		s, poster, _, metrics := newSweeper(t, table)
		s.Now, s.RPS, s.PingInterval, s.PingTimeout = ticking(), rps, contract.PingInterval, time.Hour
		for shard := range table.timer.Shards {
			table.timer.Shards[shard].Walked = start.Add(-time.Minute)
		}
		for range runs {
			began := s.Now()
			if err := s.Sweep(t.Context()); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Minute - s.Now().Sub(began))
		}
		for _, c := range table.rows[shard] {
			want := int(steps(contract.PingInterval, c.ConnectedAt, start.Add((runs-1)*time.Minute)))
			if got := len(poster.posted[c.ID]); got != want {
				t.Errorf("%s was pinged %d times in %d minutes, want %d", c.ID, got, runs, want)
			}
		}
		if metrics.sum["SweepLate"] != 0 {
			t.Errorf("late in %v of %d runs", metrics.sum["SweepLate"], runs)
		}
		if got := table.timer.Shards[shard]; got.Verified.IsZero() {
			t.Errorf("never verified: %+v", got)
		}
	})
}

// More is due than SWEEP_RPS allows: the run says so, and the next goes on where it came to.
func TestSweepThatIsLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const shard, n, rps = 3, 150, 2
		table := &sweptTable{rows: map[int][]Connection{shard: rows(n, shard)}}
		for i := range table.rows[shard] {
			table.rows[shard][i].Protocol, table.rows[shard][i].ConnectedAt = wire.SocketIO, start.Add(-contract.PingInterval)
		}
		s, poster, _, metrics := newSweeper(t, table)
		s.Now, s.RPS, s.PingInterval, s.PingTimeout = ticking(), rps, contract.PingInterval, time.Hour
		s.Walker.(*fakeConnections).page = func(n int, after string) ([]Connection, string, error) {
			list := table.rows[n]
			i, _ := slices.BinarySearchFunc(list, after, func(c Connection, id string) int { return strings.Compare(c.ID, id) })
			if after != "" {
				i++
			}
			return list[min(i, len(list)):], "", nil
		}
		for i := range 2 {
			began := s.Now()
			if err := s.Sweep(t.Context()); err != nil {
				t.Fatal(err)
			}
			got := table.timer.Shards[shard]
			if late := i == 0; late != got.Walk.Started.Equal(start) || late != got.Walked.IsZero() || metrics.sum["SweepLate"] != 1 {
				t.Errorf("run %d: %+v, metrics %v", i, got, metrics.sum)
			}
			time.Sleep(time.Minute - s.Now().Sub(began))
		}
		if got := table.timer.Shards[shard]; got.Count != n || !got.Verified.IsZero() {
			t.Errorf("%+v: a walk that took two runs has seen only a part of whom to verify", got)
		}
		for id, posted := range poster.posted {
			if len(posted) != 1 {
				t.Errorf("%s was pinged %d times", id, len(posted))
			}
		}
		if len(poster.posted) != n {
			t.Errorf("pinged %d of %d", len(poster.posted), n)
		}
	})
}

func TestSweepStopsInTimeAndGoesOn(t *testing.T) {
	const shard, n = 3, 3 * sweepChunk
	all := rows(n, shard)
	table := &sweptTable{rows: map[int][]Connection{shard: all}}
	s, poster, _, _ := newSweeper(t, table)
	for i := range all {
		all[i].TokenExpiry = start // each is closed
	}
	deadline := time.Now().Add(time.Hour)
	ctx, cancel := context.WithDeadline(t.Context(), deadline)
	defer cancel()
	s.Now = func() time.Time {
		poster.mu.Lock()
		defer poster.mu.Unlock()
		if len(poster.closed) > sweepChunk { // in the second chunk, time is up
			return deadline
		}
		return start
	}
	if err := s.Sweep(ctx); err != nil {
		t.Fatal(err)
	}
	want := Walk{After: all[2*sweepChunk-1].ID, Started: start}
	if diff := cmp.Diff(want, table.timer.Shards[shard].Walk); diff != "" {
		t.Error(diff)
	}
	if table.timer.Shards[shard+1] != (ShardTimer{}) {
		t.Errorf("walked on: %+v", table.timer.Shards[shard+1])
	}
	s.Now = func() time.Time { return start.Add(time.Minute) }
	s.Walker.(*fakeConnections).page = func(at int, after string) ([]Connection, string, error) {
		if at == shard && after == want.After {
			return all[2*sweepChunk:], "", nil
		}
		return nil, "", nil
	}
	if err := s.Sweep(t.Context()); err != nil {
		t.Fatal(err)
	}
	if len(poster.closed) != n {
		t.Errorf("closed %d", len(poster.closed))
	}
	if got := table.timer.Shards[shard]; !got.Walked.Equal(start) || got.Walk != (Walk{}) {
		t.Errorf("%+v", got)
	}
}

func TestSweepIsAlone(t *testing.T) {
	s, _, _, _ := newSweeper(t, &sweptTable{})
	s.Timers.(*fakeTimers).begin = func(Lease) (Timer, error) { return Timer{}, ErrBusy }
	s.Walker = nil // would panic
	if err := s.Sweep(t.Context()); err != nil {
		t.Errorf("another sweep is no failure: %v", err)
	}
	if err := s.Work(t.Context(), Worker{Shards: []int{1}, RPS: 1}); err != nil {
		t.Errorf("another worker is no failure: %v", err)
	}
}
