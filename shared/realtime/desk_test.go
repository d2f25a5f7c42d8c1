package realtime

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"example.org/realtime/shared/contract"
)

// desk is a Ledger and Parts in memory, whose calls may fail.
type desk struct {
	fail func(op string) error

	mu       sync.Mutex
	records  map[string]Record
	parts    map[PartKey]*deskPart
	finished map[string]int
	calls    map[string]int
}

type deskPart struct {
	Part
	owner string
	depth int
}

func newDesk() *desk {
	return &desk{records: map[string]Record{}, parts: map[PartKey]*deskPart{}, finished: map[string]int{}, calls: map[string]int{}}
}

func (d *desk) call(op string) error {
	d.calls[op]++
	if d.fail == nil {
		return nil
	}
	return d.fail(op)
}

// ledger and parts are the desk as the two ports.
type (
	deskLedger struct{ *desk }
	deskParts  struct{ *desk }
)

func (d deskLedger) Begin(_ context.Context, c Claim) (Record, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.records[c.ID], d.call("begin")
}

func (d deskLedger) Split(_ context.Context, id, _ string, r Record) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.call("split"); err != nil {
		return err
	}
	d.records[id] = r
	return nil
}

func (d deskLedger) End(_ context.Context, id, _ string, answer []byte) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	r := d.records[id]
	r.Answer, r.Done = answer, true
	d.records[id] = r
	return d.call("end")
}

func (d deskLedger) Release(context.Context, string, string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.call("release")
}

func (d deskLedger) Finish(_ context.Context, id string, _ time.Time) (s contract.PublishStatus, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.call("finish"); err != nil {
		return s, err
	}
	s = d.sum(id)
	if s.State != contract.PublishDone {
		return contract.PublishStatus{}, ErrBusy
	}
	if d.finished[id]++; d.finished[id] > 1 {
		return contract.PublishStatus{}, ErrExists
	}
	return s, nil
}

// sum is what all parts have done.
func (d *desk) sum(id string) contract.PublishStatus {
	s := contract.PublishStatus{ID: id, State: contract.PublishDone}
	for part := range d.records[id].Parts {
		p := d.parts[PartKey{id, part}]
		if p == nil || !p.Done {
			s.State = contract.PublishInFlight
			continue
		}
		s.Delivered += p.Delivered
		s.Gone += p.Gone
		s.Failed += p.Failed
	}
	s.Matched = s.Delivered + s.Gone + s.Failed
	return s
}

func (d deskParts) Begin(_ context.Context, key PartKey, owner string, depth int, _, _ time.Time) (Part, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.call("part"); err != nil {
		return Part{}, err
	}
	if d.parts[key] == nil {
		d.parts[key] = &deskPart{}
	}
	p := d.parts[key]
	p.owner, p.depth = owner, depth
	return p.Part, nil
}

func (d deskParts) Save(ctx context.Context, key PartKey, owner string, p Part) error {
	return d.store(ctx, "save", key, owner, p)
}

func (d deskParts) End(ctx context.Context, key PartKey, owner string, p Part) error {
	return d.store(ctx, "end part", key, owner, p)
}

func (d deskParts) store(ctx context.Context, op string, key PartKey, owner string, p Part) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := cmp.Or(d.call(op), ctx.Err()); err != nil {
		return err
	}
	if d.parts[key].owner != owner {
		return ErrBusy
	}
	d.parts[key].Part = p
	return nil
}

// hall is a house with n sockets of n users in group:g1.
func hall(n int) house {
	h := house{users: map[string][]Socket{}, rooms: map[string][]Socket{}}
	for i := range n {
		s := old(fmt.Sprintf("s%05d=", i), fmt.Sprintf("u%d", i))
		s.ConnectedAt = time.UnixMilli(1) // before the time of a bubble, which begins in 2000
		h.users[s.UserID] = []Socket{s}
		h.rooms["group:g1"] = append(h.rooms["group:g1"], s)
	}
	return h
}

func inShard(list []Socket, shard int) (in []Socket) {
	for _, s := range list {
		if Shard(s.ID) == shard {
			in = append(in, s)
		}
	}
	return in
}

// newSplitter is a Publisher of that house with a desk, in a synctest bubble.
func newSplitter(t *testing.T, h house, rps int) (*Publisher, *desk, *fakePoster, *fakeAsker, *bytes.Buffer) {
	t.Helper()
	p, poster, asker, _ := newPublisher(t, h)
	d, log := newDesk(), &bytes.Buffer{}
	p.Ledger, p.Parts, p.FanoutRPS, p.Now = deskLedger{d}, deskParts{d}, rps, time.Now
	p.Log = slog.New(slog.NewTextHandler(log, nil))
	p.Rooms.(*fakeRooms).in = func(room string, shard int) ([]Socket, error) { return inShard(h.rooms[room], shard), nil }
	p.Everyone.(*fakeConnections).allIn = func(shard int) ([]Socket, error) { return inShard(h.everybody(), shard), nil }
	return p, d, poster, asker, log
}

// work does the fan-out jobs that were asked for, and those that they ask for, each in an invocation of 50 s.
func work(t *testing.T, p *Publisher, asker *fakeAsker) (invocations int) {
	t.Helper()
	for {
		asker.mu.Lock()
		jobs := asker.jobs
		asker.jobs = nil
		asker.mu.Unlock()
		if len(jobs) == 0 {
			return invocations
		}
		for _, job := range jobs {
			if job.Fanout != nil {
				invocations++
				do(t, p, job)
			}
		}
	}
}

func do(t *testing.T, p *Publisher, job Job) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Second)
	defer cancel()
	if err := p.Do(ctx, job); err != nil {
		t.Error(err)
	}
}

const toGroup = `{"event":"notifications:new","data":{"eventKey":"k","notification":` + dto + `},"to":{"groups":["g1"]}}`

func publishTo(t *testing.T, p *Publisher, raw string) (contract.Published, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Second)
	defer cancel()
	return p.Publish(ctx, request(t, raw), json.RawMessage(raw))
}

// checkHeard wants each of n sockets to have heard the event so often.
func checkHeard(t *testing.T, poster *fakePoster, n, least, most int) {
	t.Helper()
	if len(poster.posted) != n {
		t.Errorf("posted to %d sockets, want %d", len(poster.posted), n)
	}
	for id, posted := range poster.posted {
		if len(posted) < least || len(posted) > most || !strings.Contains(posted[0], dto) {
			t.Fatalf("%s heard %q, want it %d to %d times, byte for byte", id, posted, least, most)
		}
	}
}
