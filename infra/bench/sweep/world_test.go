package sweep

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"example.org/realtime/infra/local/table"
	"example.org/realtime/shared/contract"
	"example.org/realtime/shared/realtime"
	"example.org/realtime/shared/store"
	"example.org/realtime/shared/wire"
)

// world is a table with connections, and an API Gateway for which all of them live.
type world struct {
	realtime.Sweeper

	table *store.Table
	wait  func(time.Duration) // time.Sleep, or nothing
	began time.Time

	read, write atomic.Int64 // half units
	lookups     atomic.Int64
	runs        sync.WaitGroup
	onLookup    func()

	mu      sync.Mutex
	posts   map[string][]time.Time // by connection
	calls   map[int64]int          // by second
	longest time.Duration          // run
	metrics map[string]float64     // sums
	seen    map[int][]time.Time    // by shard, the values of its last verification
}

const (
	callTime = 20 * time.Millisecond // of a call of @connections
	pageTime = 10 * time.Millisecond // of a call of the table
)

func newWorld(t testing.TB, n int, protocol wire.Protocol, spread time.Duration, rps, perWorker int, wait func(time.Duration)) *world {
	t.Helper()
	w := &world{wait: wait, began: time.Now(), posts: map[string][]time.Time{}, calls: map[int64]int{}, metrics: map[string]float64{}, seen: map[int][]time.Time{}}
	name := "realtime"
	seeding := true
	client := table.New(table.Options{
		Hook: func(context.Context, table.Op) error {
			if !seeding {
				w.wait(pageTime)
			}
			return nil
		},
		After: func(_ context.Context, op table.Op) error {
			w.read.Add(int64(2 * op.Units.Read))
			w.write.Add(int64(2 * op.Units.Write))
			return nil
		},
	}).Client()
	if _, err := client.CreateTable(t.Context(), store.Schema(name)); err != nil {
		t.Fatal(err)
	}
	w.table = store.New(client, name, time.Now)
	w.seed(t, n, protocol, spread)
	seeding = false
	w.read.Store(0)
	w.write.Store(0)
	w.Sweeper = realtime.Sweeper{
		Walker: w.table.Connections, Connections: w.table.Connections, Presences: w.table.Presences, Rooms: w.table.Rooms, Timers: w.table.Timers,
		Workers: w, Poster: w, Asker: nil, Metrics: w, Log: slog.New(slog.DiscardHandler), Now: time.Now,
		PresenceTTL: contract.PresenceTTL, RPS: rps, PerWorker: perWorker, CloseExpired: true,
		PingInterval: contract.PingInterval, PingTimeout: contract.PingTimeout,
	}
	return w
}

// seed writes connections in five rooms each whose beginnings are spread evenly, and a timer that has counted them.
func (w *world) seed(t testing.TB, n int, protocol wire.Protocol, spread time.Duration) {
	t.Helper()
	var g errgroup.Group
	g.SetLimit(8)
	counts := [realtime.Shards]int{}
	for i := range n {
		sum := sha256.Sum256(fmt.Appendf(nil, "connection %d", i))
		c := realtime.Connection{
			ID: base64.RawURLEncoding.EncodeToString(sum[:11]) + "=", UserID: fmt.Sprintf("user-%06d", i), Protocol: protocol,
			ConnectedAt: w.began.Add(-spread * time.Duration(i) / time.Duration(n)), TokenExpiry: w.began.Add(2 * time.Hour).Truncate(time.Second),
		}
		for room := range 5 {
			c.Rooms = append(c.Rooms, fmt.Sprintf("conversation:%036d", i/5+room))
		}
		counts[realtime.Shard(c.ID)]++
		g.Go(func() error {
			if err := w.table.Connections.Put(t.Context(), c); err != nil || protocol == wire.JSON {
				return err
			}
			return w.table.Connections.Pong(t.Context(), c.ID, w.began) // or the oldest would be dead already
		})
	}
	if err := g.Wait(); err != nil {
		t.Fatal(err)
	}
	all := realtime.Lease{Owner: "seed", Until: w.began.Add(-time.Second)}
	var timer realtime.Timer
	for shard := range realtime.Shards {
		all.Shards = append(all.Shards, shard)
		timer.Shards[shard] = realtime.ShardTimer{Walked: w.began.Add(-time.Minute), Verified: w.began.Add(-time.Minute), Count: counts[shard]}
		timer.Active += counts[shard]
	}
	if _, err := w.table.Timers.Begin(t.Context(), all, w.began); err != nil {
		t.Fatal(err)
	}
	if err := w.table.Timers.End(t.Context(), all, timer); err != nil {
		t.Fatal(err)
	}
}

// Start runs a worker, as Lambda does.
func (w *world) Start(ctx context.Context, part realtime.Worker) error {
	w.runs.Go(func() {
		w.run(context.WithoutCancel(ctx), func(ctx context.Context) error { return w.Work(ctx, part) })
	})
	return nil
}

func (w *world) run(ctx context.Context, do func(context.Context) error) {
	ctx, cancel := context.WithTimeout(ctx, 55*time.Second)
	defer cancel()
	began := time.Now()
	if err := do(ctx); err != nil {
		panic(err)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.longest = max(w.longest, time.Since(began))
}

func (w *world) call() {
	now := time.Now()
	w.mu.Lock()
	w.calls[now.Unix()]++
	w.mu.Unlock()
	w.wait(callTime)
}

// Post is PostToConnection; a ping has its pong.
func (w *world) Post(ctx context.Context, id string, message []byte) error {
	w.call()
	now := time.Now()
	w.mu.Lock()
	w.posts[id] = append(w.posts[id], now)
	w.mu.Unlock()
	if string(message) == string(wire.PacketPing) {
		return w.table.Connections.Pong(ctx, id, now)
	}
	return nil
}

// Close is DeleteConnection.
func (w *world) Close(context.Context, string) error {
	w.call()
	return nil
}

// LastActive is GetConnection, of a client that says nothing by itself.
func (w *world) LastActive(context.Context, string) (time.Time, error) {
	w.call()
	w.lookups.Add(1)
	if w.onLookup != nil {
		w.onLookup()
	}
	return w.began.Add(-10 * time.Minute), nil
}

// Put sums up.
func (w *world) Put(values map[string]float64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for name, value := range values {
		w.metrics[name] += value
	}
}
