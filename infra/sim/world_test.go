// Package sim runs the rules over the embedded table with a simulated clock: users, sockets, conversations and a backend,
// with calls interleaved, delayed, doubled, dropped and killed between any two steps, all from a seed.
package sim

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"log/slog"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"example.org/realtime/shared/contract"
	"example.org/realtime/shared/realtime"
)

// errKilled is what every step of a killed invocation gets: nothing of it has any effect any more.
var errKilled = errors.New("killed")

// errLost is an answer that did not come.
var errLost = errors.New("no answer")

// world is API Gateway and Lambda around the rules and the table.
type world struct {
	t      *testing.T
	seed   uint64
	faults faults
	ports  ports
	limits limits

	receiver  *realtime.Receiver
	publisher *realtime.Publisher
	roster    *realtime.Roster
	control   *realtime.Control
	sweeper   *realtime.Sweeper

	running sync.WaitGroup

	mu       sync.Mutex
	conns    map[string]*conn
	counts   map[string]int
	parts    []part
	told     map[int64]int // posts of presence, by second
	metrics  map[string]float64
	cutShort map[string]bool // users of whom a groups.join died half-way
	trace    []string
	broken   []string
	settling bool              // nothing goes wrong from here on
	deaths   int               // invocations that were killed
	killing  map[string]int    // invocations by name that die after so many steps
	between  map[string]func() // what happens before a step: "connect u-0= 2"
}

// limits are the settings that a test may change.
type limits struct {
	presenceGlobalMax int
	socketsPerUser    int
	roomsPerSocket    int
	presenceRPS       int // 0: no budget
	fanoutRPS         int // 0: the default
	sweepRPS          int
	sweepPerWorker    int // 0: a sweep is never split
}

func newWorld(t *testing.T, seed uint64, f faults, l limits, wrap func(*ports)) *world {
	w := &world{t: t, seed: seed, faults: f, limits: l, conns: map[string]*conn{}, counts: map[string]int{}, told: map[int64]int{}, metrics: map[string]float64{}, cutShort: map[string]bool{}, killing: map[string]int{}, between: map[string]func(){}}
	w.ports = newPorts(t, w.step)
	if wrap != nil {
		wrap(&w.ports)
	}
	log := slog.New(slog.DiscardHandler)
	p := w.ports
	w.receiver = &realtime.Receiver{
		Connections: p.connections, Sessions: p.connections, Tokens: tokens{}, Recorded: p.connections, Presences: p.presences, Rooms: p.rooms, Members: p.members,
		Timers: p.timers, Poster: w, Asker: w, Metrics: w, Log: log, Now: time.Now,
		Events:     []string{contract.PresenceHeartbeat, contract.ConversationsJoin, contract.ConversationsLeave},
		MaxPayload: contract.MaxPayloadBytes, HeartbeatMin: contract.HeartbeatMin,
		SocketsPerUser: l.socketsPerUser, RoomsPerSocket: l.roomsPerSocket, PresenceGlobalMax: l.presenceGlobalMax,
	}
	w.publisher = &realtime.Publisher{
		Connections: p.connections, Sessions: p.connections, Everyone: p.connections, Presences: p.presences, Rooms: p.rooms, Ledger: p.ledger, Parts: p.parts,
		Timers: p.timers, Budget: p.budget, Poster: w, Asker: w, Metrics: w, Log: log, Now: time.Now,
		FanoutRPS: cmp.Or(l.fanoutRPS, contract.FanoutRPS), PresenceGlobalMax: l.presenceGlobalMax, PresenceRPS: l.presenceRPS, PingInterval: pingInterval, PingTimeout: pingTimeout, MaxPayload: contract.MaxPayloadBytes,
	}
	w.roster = &realtime.Roster{Participants: p.roster, Members: p.members, Presences: p.presences, Rooms: p.rooms, Now: time.Now}
	w.control = &realtime.Control{
		Roster: w.roster, Users: p.users, Connections: p.connections, Recorded: p.connections, Rooms: p.rooms, Timers: p.timers,
		Publishing: publishing{w}, Now: time.Now, RoomsPerSocket: l.roomsPerSocket,
	}
	w.sweeper = &realtime.Sweeper{
		Walker: p.connections, Connections: p.connections, Presences: p.presences, Rooms: p.rooms, Timers: p.timers,
		Workers: w, Poster: w, Asker: w, Metrics: w, Log: log, Now: time.Now,
		PresenceTTL: contract.PresenceTTL, RPS: l.sweepRPS, PerWorker: l.sweepPerWorker, CloseExpired: true, PingInterval: pingInterval, PingTimeout: pingTimeout,
	}
	return w
}

// Put sums up the metrics.
func (w *world) Put(values map[string]float64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for name, value := range values {
		w.metrics[name] += value
	}
}

// rand draws from the seed and from what it is for, so that the order in which goroutines run does not matter.
func (w *world) rand(what ...string) *rand.Rand {
	key := strings.Join(what, "/")
	w.mu.Lock()
	n := w.counts[key]
	w.counts[key]++
	w.mu.Unlock()
	h := fnv.New64a()
	fmt.Fprintf(h, "%s/%d", key, n)
	return rand.New(rand.NewPCG(w.seed, h.Sum64()))
}

// chance is false for ever once the world settles.
func (w *world) chance(r *rand.Rand, p float64) bool {
	hit := r.Float64() < p
	w.mu.Lock()
	defer w.mu.Unlock()
	return hit && !w.settling
}

func (w *world) note(format string, args ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.trace = append(w.trace, time.Now().Format("04:05.000000 ")+fmt.Sprintf(format, args...))
}

// fail notes a broken promise.
func (w *world) fail(format string, args ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.broken = append(w.broken, fmt.Sprintf(format, args...))
}

// invocation is one run of a function.
type invocation struct {
	name   string
	killAt time.Time // zero: never
	steps  int
	dies   bool // after lives steps
	lives  int
	killed bool
}

type invocationKey struct{}

// invoke runs a function to its end, to its timeout, or until it is killed.
func (w *world) invoke(name string, timeout time.Duration, mayKill bool, do func(context.Context) error) error {
	r := w.rand("invoke", name)
	time.Sleep(between(r, 2*time.Millisecond, 40*time.Millisecond))
	inv := &invocation{name: name}
	if w.chance(r, w.faults.kill) && mayKill {
		inv.killAt = time.Now().Add(between(r, 0, 150*time.Millisecond))
	}
	w.mu.Lock()
	inv.lives, inv.dies = w.killing[name]
	delete(w.killing, name)
	w.mu.Unlock()
	ctx, cancel := context.WithTimeout(context.WithValue(w.t.Context(), invocationKey{}, inv), timeout)
	defer cancel()
	err := do(ctx)
	if serr := w.step(ctx, "return", ""); serr != nil {
		err = serr
	}
	w.note("%s: %v", name, err)
	return err
}

// step is the moment before an effect: it takes a while, and does not come for an invocation that is dead by then.
func (w *world) step(ctx context.Context, what, key string) error {
	inv, ok := ctx.Value(invocationKey{}).(*invocation)
	if !ok {
		return nil
	}
	r := w.rand("step", inv.name, what, key)
	longest := 12 * time.Millisecond
	if w.chance(r, w.faults.slow) {
		longest = slowStep
	}
	time.Sleep(between(r, time.Millisecond, longest))
	w.mu.Lock()
	inv.steps++
	dead := inv.dies && inv.steps > inv.lives
	do := w.between[fmt.Sprintf("%s %d", inv.name, inv.steps)]
	w.mu.Unlock()
	if do != nil {
		do()
	}
	if dead || !inv.killAt.IsZero() && !time.Now().Before(inv.killAt) {
		w.mu.Lock()
		defer w.mu.Unlock()
		if !inv.killed {
			inv.killed = true
			w.deaths++
		}
		return errKilled
	}
	return ctx.Err()
}

// between draws down to the nanosecond, so that no two steps fall together.
func between(r *rand.Rand, low, high time.Duration) time.Duration {
	return low + time.Duration(r.Int64N(int64(high-low)+1))
}

// Ask is an asynchronous invocation: at least once, with Lambda's two retries.
func (w *world) Ask(ctx context.Context, job realtime.Job) error {
	raw, err := json.Marshal(job)
	if err != nil {
		return err
	}
	if err := w.step(ctx, "ask", string(raw)); err != nil {
		return err
	}
	r := w.rand("async", string(raw))
	copies := 1
	if w.chance(r, w.faults.double) {
		copies = 2
	}
	for i := range copies {
		name := fmt.Sprintf("publish %s #%d", raw, i)
		if f := job.Fanout; f != nil {
			name = fmt.Sprintf("fanout %s part %d depth %d #%d", f.ID, f.Part, f.Depth, i)
		}
		w.running.Go(func() { w.async(name, raw) })
	}
	if w.chance(r, w.faults.mute) {
		return errLost
	}
	return nil
}

func (w *world) async(name string, raw []byte) {
	r := w.rand("retry", name)
	time.Sleep(between(r, 2*time.Millisecond, 300*time.Millisecond))
	for attempt, pause := range []time.Duration{time.Minute, 2 * time.Minute, 0} {
		err := w.invoke(name, 50*time.Second, attempt < 2, func(ctx context.Context) error {
			var job realtime.Job
			if err := json.Unmarshal(raw, &job); err != nil {
				return err
			}
			return w.publisher.Do(ctx, job)
		})
		if err == nil {
			return
		}
		if pause == 0 {
			w.fail("%s went to the failure queue: %v", name, err)
		}
		time.Sleep(pause)
	}
}

// sweep is one tick of the schedule.
func (w *world) sweep() error {
	return w.invoke("sweep", 55*time.Second, true, w.sweeper.Sweep)
}

// Start is an asynchronous invocation of a worker of sweep, which Lambda does not try again.
func (w *world) Start(ctx context.Context, part realtime.Worker) error {
	what := fmt.Sprint("worker ", part.Shards)
	w.Put(map[string]float64{"Workers": 1})
	if err := w.step(ctx, "ask", what); err != nil {
		return err
	}
	r := w.rand("async", what)
	copies := 1
	if w.chance(r, w.faults.double) {
		copies = 2
	}
	for i := range copies {
		pause := between(r, 2*time.Millisecond, 300*time.Millisecond)
		w.running.Go(func() {
			time.Sleep(pause)
			_ = w.invoke(fmt.Sprintf("%s #%d", what, i), 55*time.Second, true, func(ctx context.Context) error { return w.sweeper.Work(ctx, part) })
		})
	}
	return nil
}

// settle ends all faults and lets everything come to rest, sweeping every minute.
func (w *world) settle(minutes int) {
	w.mu.Lock()
	w.settling = true
	w.mu.Unlock()
	for range minutes {
		time.Sleep(time.Minute)
		if err := w.sweep(); err != nil {
			w.fail("sweep: %v", err)
		}
	}
	w.running.Wait()
}
