// Package sim runs the rules over the embedded table with a simulated clock: users, sockets, conversations and a backend,
// with calls interleaved, delayed, doubled, dropped and killed between any two steps, all from a seed.
package sim

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"log/slog"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"example.org/realtime/shared/contract"
	"example.org/realtime/shared/realtime"
	"example.org/realtime/shared/wire"
)

// faults says how rough the world is. The zero faults is a world in which nothing goes wrong.
type faults struct {
	kill   float64 // of invocations that are killed between two steps
	double float64 // of asynchronous invocations and $disconnects that run twice
	drop   float64 // of $disconnects that never come
	slow   float64 // of steps that take up to slowStep instead of some milliseconds
}

var rough = faults{kill: 0.04, double: 0.05, drop: 0.2, slow: 0.02}

const slowStep = 6 * time.Second

// errKilled is what every step of a killed invocation gets: nothing of it has any effect any more.
var errKilled = errors.New("killed")

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
	sweeper   *realtime.Sweeper

	running sync.WaitGroup

	mu       sync.Mutex
	conns    map[string]*conn
	counts   map[string]int
	parts    []part
	trace    []string
	broken   []string
	settling bool              // nothing goes wrong from here on
	killing  map[string]int    // invocations by name that die after so many steps
	between  map[string]func() // what happens before a step: "connect u-0= 2"
}

// limits are the settings that a test may change.
type limits struct {
	presenceGlobalMax int
	socketsPerUser    int
	roomsPerSocket    int
}

// conn is a connection as API Gateway and its client know it.
type conn struct {
	id       string
	user     string
	identity realtime.Identity
	began    time.Time // of the handshake
	opened   time.Time // of the 101; zero before
	since    time.Time // when it came to hear events: the 101, or a Socket.IO client's CONNECT; zero while it does not
	closed   time.Time // zero while open
	active   time.Time
	posts    []string // taken by API Gateway
	frames   []frame  // heard by the client
	words    []*word
	spoken   int // words ever, for their ids

	socketIO
}

func (c *conn) open() bool { return !c.opened.IsZero() && c.closed.IsZero() }

// frame is a message that a client received.
type frame struct {
	at    time.Time
	Event string          `json:"event"`
	ID    string          `json:"id"`
	Data  json.RawMessage `json:"data"`
}

// word is what a client said about a room.
type word struct {
	id    string
	room  string
	join  bool
	sent  time.Time
	acked time.Time // zero: no answer
	ack   contract.Ack
}

func newWorld(t *testing.T, seed uint64, f faults, l limits, wrap func(*ports)) *world {
	w := &world{t: t, seed: seed, faults: f, limits: l, conns: map[string]*conn{}, counts: map[string]int{}, killing: map[string]int{}, between: map[string]func(){}}
	w.ports = newPorts(t, w.step)
	if wrap != nil {
		wrap(&w.ports)
	}
	log := slog.New(slog.DiscardHandler)
	p := w.ports
	w.receiver = &realtime.Receiver{
		Connections: p.connections, Sessions: p.connections, Tokens: tokens{}, Recorded: p.connections, Presences: p.presences, Rooms: p.rooms, Members: p.members,
		Timers: p.timers, Poster: w, Asker: w, Metrics: noMetrics{}, Log: log, Now: time.Now,
		Events:     []string{contract.PresenceHeartbeat, contract.ConversationsJoin, contract.ConversationsLeave},
		MaxPayload: contract.MaxPayloadBytes, HeartbeatMin: contract.HeartbeatMin,
		SocketsPerUser: l.socketsPerUser, RoomsPerSocket: l.roomsPerSocket, PresenceGlobalMax: l.presenceGlobalMax,
	}
	w.publisher = &realtime.Publisher{
		Connections: p.connections, Sessions: p.connections, Everyone: p.connections, Presences: p.presences, Rooms: p.rooms, Ledger: p.ledger,
		Timers: p.timers, Poster: w, Asker: w, Metrics: noMetrics{}, Log: log, Now: time.Now,
		PresenceGlobalMax: l.presenceGlobalMax, PingInterval: pingInterval, PingTimeout: pingTimeout, MaxPayload: contract.MaxPayloadBytes,
	}
	w.roster = &realtime.Roster{Participants: p.roster, Members: p.members, Presences: p.presences, Rooms: p.rooms, Now: time.Now}
	w.sweeper = &realtime.Sweeper{
		Walker: p.connections, Connections: p.connections, Presences: p.presences, Rooms: p.rooms, Timers: p.timers,
		Poster: w, Asker: w, Metrics: noMetrics{}, Log: log, Now: time.Now,
		PresenceTTL: contract.PresenceTTL, RPS: 1000, CloseExpired: true, PingInterval: pingInterval, PingTimeout: pingTimeout,
	}
	return w
}

type noMetrics struct{}

func (noMetrics) Put(map[string]float64) {}

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
		w.running.Go(func() { w.async(name, raw) })
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

// Post is PostToConnection: 410 until the handshake is done, and after the end.
func (w *world) Post(ctx context.Context, id string, message []byte) error {
	if err := w.step(ctx, "post", id); err != nil {
		return err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	c := w.conns[id]
	if c == nil || !c.open() {
		return realtime.ErrGone
	}
	f := frame{at: time.Now()}
	c.active = f.at
	c.posts = append(c.posts, string(message))
	if c.identity.Protocol == wire.SocketIO {
		if !w.receivePacket(c, message, &f) {
			return nil
		}
	} else if err := json.Unmarshal(message, &f); err != nil {
		w.broken = append(w.broken, fmt.Sprintf("posted to %s what is not JSON: %q", id, message))
	}
	c.frames = append(c.frames, f)
	for _, word := range c.words {
		if f.Event == "ack" && word.id == f.ID {
			word.acked = f.at
			_ = json.Unmarshal(f.Data, &word.ack)
		}
	}
	return nil
}

// Close is DeleteConnection.
func (w *world) Close(ctx context.Context, id string) error {
	if err := w.step(ctx, "close", id); err != nil {
		return err
	}
	if !w.end(id) {
		return realtime.ErrGone
	}
	return nil
}

// LastActive is GetConnection.
func (w *world) LastActive(ctx context.Context, id string) (time.Time, error) {
	if err := w.step(ctx, "get", id); err != nil {
		return time.Time{}, err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	c := w.conns[id]
	if c == nil || !c.open() {
		return time.Time{}, realtime.ErrGone
	}
	return c.active, nil
}

// connect is a client's handshake; nil when it failed.
func (w *world) connect(user string, expires time.Time, p wire.Protocol) *conn {
	c := w.dial(user, expires, p)
	if w.handshake(c) != nil {
		return nil
	}
	return c
}

// dial is the beginning of a handshake.
func (w *world) dial(user string, expires time.Time, p wire.Protocol) *conn {
	w.mu.Lock()
	defer w.mu.Unlock()
	c := &conn{
		id:       fmt.Sprintf("%s-%d=", user, len(w.conns)),
		user:     user,
		identity: realtime.Identity{UserID: user, Protocol: wire.JSON, ExpiresAt: expires},
		socketIO: socketIO{token: token(user, expires)},
		began:    time.Now(),
	}
	if p == wire.SocketIO {
		c.identity = realtime.Identity{Protocol: p} // the token comes with CONNECT
	}
	w.conns[c.id] = c
	return c
}

// handshake runs $connect, and opens the connection if that goes well.
func (w *world) handshake(c *conn) error {
	err := w.invoke("connect "+c.id, 5*time.Second, true, func(ctx context.Context) error {
		return w.receiver.Connect(ctx, realtime.Connected{
			ConnectionID: c.id, Identity: c.identity, ConnectedAt: ms(c.began), At: ms(c.began), UserAgent: "sim", IP: "192.0.2.1",
		})
	})
	w.mu.Lock()
	defer w.mu.Unlock()
	if err != nil {
		c.closed = time.Now()
		return err
	}
	c.opened = time.Now()
	c.active = c.opened
	if c.identity.Protocol == wire.SocketIO {
		w.running.Go(func() { w.awaitOpen(c) })
	} else {
		c.since = c.opened
	}
	return nil
}

func ms(t time.Time) time.Time { return t.Truncate(time.Millisecond) }

// end closes a connection, whoever asked for it, and has $disconnect come once, twice, late or never.
func (w *world) end(id string) bool {
	w.mu.Lock()
	c := w.conns[id]
	if c == nil || !c.open() {
		w.mu.Unlock()
		return false
	}
	c.closed = time.Now()
	w.mu.Unlock()
	w.note("closed %s", id)
	r := w.rand("end", id)
	if w.chance(r, w.faults.drop) {
		return true
	}
	copies := 1
	if w.chance(r, w.faults.double) {
		copies = 2
	}
	late := 50 * time.Millisecond
	if w.chance(r, 0.2) {
		late = 20 * time.Second
	}
	for i := range copies {
		pause := between(r, 0, late)
		w.running.Go(func() {
			time.Sleep(pause)
			_ = w.disconnect(c, i, ms(c.closed))
		})
	}
	return true
}

// disconnect is the nth $disconnect of a connection.
func (w *world) disconnect(c *conn, n int, at time.Time) error {
	return w.invoke(fmt.Sprintf("disconnect %s #%d", c.id, n), 10*time.Second, true, func(ctx context.Context) error {
		return w.receiver.Disconnect(ctx, realtime.Disconnected{
			ConnectionID: c.id, Identity: c.identity, ConnectedAt: ms(c.began), At: at,
		})
	})
}

// say has a client say an event; it is taken whenever Lambda comes to it.
func (w *world) say(c *conn, event, conversation string) {
	w.mu.Lock()
	c.spoken++
	id := strconv.Itoa(c.spoken)
	if event != contract.PresenceHeartbeat {
		c.words = append(c.words, &word{id: id, room: conversation, join: event == contract.ConversationsJoin, sent: time.Now()})
	}
	w.mu.Unlock()
	data := fmt.Sprintf(`{"conversationId":%q}`, conversation)
	body := fmt.Sprintf(`{"event":%q,"data":%s,"id":%q}`, event, data, id)
	if c.identity.Protocol == wire.SocketIO {
		body = fmt.Sprintf(`42/ws/app,%s[%q,%s]`, id, event, data)
	}
	w.send(c, fmt.Sprintf("%s %s %s %s", event, c.id, conversation, id), body)
}

// send sends a message of a client. Some overtake others.
func (w *world) send(c *conn, name, body string) {
	now := time.Now()
	r := w.rand("send", c.id)
	w.mu.Lock()
	c.active = now
	w.mu.Unlock()
	late := 20 * time.Millisecond
	if w.chance(r, 0.1) {
		late = 3 * time.Second
	}
	pause := between(r, 0, late)
	w.running.Go(func() {
		time.Sleep(pause)
		err := w.invoke(name, 15*time.Second, true, func(ctx context.Context) error {
			return w.receiver.Message(ctx, realtime.Message{
				ConnectionID: c.id, Identity: c.identity, ConnectedAt: ms(c.began), At: ms(now), Body: []byte(body),
				UserAgent: "sim", IP: "192.0.2.1",
			})
		})
		if err != nil && c.identity.Protocol == wire.SocketIO {
			w.end(c.id) // API Gateway answers "Internal server error", which such a client takes for a parse error
		}
	})
}

// sweep is one tick of the schedule.
func (w *world) sweep() error {
	return w.invoke("sweep "+time.Now().String(), 55*time.Second, true, w.sweeper.Sweep)
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
