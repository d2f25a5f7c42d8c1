package realtime

import (
	"context"
	"log/slog"
	"sync"
	"testing"
	"time"

	"example.org/realtime/shared/contract"
)

// start is when the tests happen.
var start = time.UnixMilli(1_701_245_041_798).UTC()

// The fakes call the function of their field; a call without one fails the test by its nil function.

type fakeConnections struct {
	put    func(Connection) error
	get    func(string) (Connection, error)
	end    func(Connection) error
	delete func(Connection) error
	add    func(id, room string) error
	drop   func(id string, rooms []string) error
	all    func(limit int) ([]Socket, error)
	allIn  func(shard int) ([]Socket, error)
	page   func(shard int, after string) ([]Connection, string, error)
}

func (f *fakeConnections) Put(_ context.Context, c Connection) error { return f.put(c) }
func (f *fakeConnections) Get(_ context.Context, id string) (Connection, error) {
	return f.get(id)
}
func (f *fakeConnections) End(_ context.Context, c Connection) error    { return f.end(c) }
func (f *fakeConnections) Delete(_ context.Context, c Connection) error { return f.delete(c) }
func (f *fakeConnections) AddRoom(_ context.Context, id string, _ time.Time, room string, _ int) error {
	return f.add(id, room)
}

func (f *fakeConnections) DropRooms(_ context.Context, id string, rooms []string) error {
	return f.drop(id, rooms)
}

func (f *fakeConnections) All(_ context.Context, limit int) ([]Socket, error) { return f.all(limit) }

func (f *fakeConnections) AllIn(_ context.Context, shard int) ([]Socket, error) {
	return f.allIn(shard)
}

func (f *fakeConnections) Page(_ context.Context, shard int, after string) ([]Connection, string, error) {
	return f.page(shard, after)
}

type fakePresences struct {
	add    func(user string, s PresenceSocket) (Presence, error)
	remove func(user, id string, at, before time.Time) (Presence, error)
	touch  func(user, id string, at time.Time) (Presence, error)
	read   func(user string) (Presence, error)
}

func (f *fakePresences) Add(_ context.Context, user string, s PresenceSocket, _ int) (Presence, error) {
	return f.add(user, s)
}

func (f *fakePresences) Remove(_ context.Context, user, id string, at, before time.Time) (Presence, error) {
	return f.remove(user, id, at, before)
}

func (f *fakePresences) Touch(_ context.Context, user, id string, at time.Time, _ time.Duration) (Presence, error) {
	return f.touch(user, id, at)
}

func (f *fakePresences) Read(_ context.Context, user string) (Presence, error) { return f.read(user) }

type fakeRooms struct {
	join    func(room string, s Socket, at time.Time) error
	leave   func(room string, s Socket, why Left, at time.Time) error
	delete  func(room, id string, at time.Time) error
	sockets func(room string, limit int) ([]Socket, error)
	in      func(room string, shard int) ([]Socket, error)
	without func(id string, rooms []string) ([]string, error)
}

func (f *fakeRooms) Join(_ context.Context, room string, s Socket, at time.Time) error {
	return f.join(room, s, at)
}

func (f *fakeRooms) Leave(_ context.Context, room string, s Socket, why Left, at time.Time) error {
	return f.leave(room, s, why, at)
}

func (f *fakeRooms) Delete(_ context.Context, room, id string, at time.Time) error {
	return f.delete(room, id, at)
}

func (f *fakeRooms) Sockets(_ context.Context, room string, limit int) ([]Socket, error) {
	return f.sockets(room, limit)
}

func (f *fakeRooms) SocketsIn(_ context.Context, room string, shard int) ([]Socket, error) {
	return f.in(room, shard)
}

func (f *fakeRooms) Without(_ context.Context, id string, rooms []string) ([]string, error) {
	return f.without(id, rooms)
}

type fakeMembers func(user, conversation string) error

func (f fakeMembers) Allowed(_ context.Context, user, conversation string) error {
	return f(user, conversation)
}

type fakeTimers struct {
	begin func(l Lease) (Timer, error)
	save  func(shard int, t ShardTimer) error
	end   func(l Lease, t Timer) error
	read  func() (Timer, error)
}

func (f *fakeTimers) Begin(_ context.Context, l Lease, _ time.Time) (Timer, error) {
	return f.begin(l)
}

func (f *fakeTimers) Save(_ context.Context, _ Lease, shard int, t ShardTimer) error {
	return f.save(shard, t)
}
func (f *fakeTimers) End(_ context.Context, l Lease, t Timer) error { return f.end(l, t) }
func (f *fakeTimers) Read(context.Context) (Timer, error)           { return f.read() }

// fakeWorkers keeps the workers, unless fail has another answer.
type fakeWorkers struct {
	fail    func(w Worker) error
	started []Worker
}

func (f *fakeWorkers) Start(_ context.Context, w Worker) error {
	if f.fail != nil {
		if err := f.fail(w); err != nil {
			return err
		}
	}
	f.started = append(f.started, w)
	return nil
}

// fakePoster keeps what is posted, unless fail has another answer.
type fakePoster struct {
	fail   func(op, id string) error
	active func(id string) (time.Time, error)

	mu     sync.Mutex
	posted map[string][]string
	closed []string
}

func (f *fakePoster) Post(_ context.Context, id string, message []byte) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.fail != nil {
		if err := f.fail("post", id); err != nil {
			return err
		}
	}
	if f.posted == nil {
		f.posted = map[string][]string{}
	}
	f.posted[id] = append(f.posted[id], string(message))
	return nil
}

func (f *fakePoster) Close(_ context.Context, id string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.fail != nil {
		if err := f.fail("close", id); err != nil {
			return err
		}
	}
	f.closed = append(f.closed, id)
	return nil
}

func (f *fakePoster) LastActive(_ context.Context, id string) (time.Time, error) { return f.active(id) }

// fakeAsker keeps the jobs, unless fail has another answer.
type fakeAsker struct {
	fail error

	mu   sync.Mutex
	jobs []Job
}

func (f *fakeAsker) Ask(_ context.Context, job Job) error {
	if f.fail != nil {
		return f.fail
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.jobs = append(f.jobs, job)
	return nil
}

// fakeMetrics sums up what was put.
type fakeMetrics struct {
	mu  sync.Mutex
	sum map[string]float64
}

func (f *fakeMetrics) Put(values map[string]float64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.sum == nil {
		f.sum = map[string]float64{}
	}
	for name, value := range values {
		f.sum[name] += value
	}
}

// newReceiver is a Receiver whose table calls are yet to be set.
func newReceiver(t *testing.T) (*Receiver, *fakePoster, *fakeAsker, *fakeMetrics) {
	t.Helper()
	poster, asker, metrics := &fakePoster{}, &fakeAsker{}, &fakeMetrics{}
	return &Receiver{
		Poster: poster, Asker: asker, Metrics: metrics,
		Log: slog.New(slog.DiscardHandler), Now: func() time.Time { return start },
		Events:     []string{contract.PresenceHeartbeat, contract.ConversationsJoin, contract.ConversationsLeave},
		MaxPayload: contract.MaxPayloadBytes, HeartbeatMin: contract.HeartbeatMin,
		SocketsPerUser: contract.SocketsPerUserMax, RoomsPerSocket: contract.RoomsPerConnectionMax,
	}, poster, asker, metrics
}
