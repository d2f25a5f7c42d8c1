package sim

import (
	"context"
	"errors"
	"flag"
	"strings"
	"sync"
	"testing"
	"time"

	"example.org/realtime/shared/contract"
	"example.org/realtime/shared/realtime"
)

var brokenSeeds = flag.Int("broken-seeds", 20, "how many seeds a broken rule may take to be found")

// TestBrokenRulesAreFound breaks one rule at a time on purpose: a simulation that does not notice proves nothing.
func TestBrokenRulesAreFound(t *testing.T) {
	for name, rule := range map[string]struct {
		seed uint64 // one that finds it; later ones are tried where the rules have changed since
		wrap func(*ports)
	}{
		"a removal leaves no mark in the room":        {1, func(p *ports) { p.rooms = noMark{p.rooms} }},
		"a later join loses to an earlier leave":      {7, func(p *ports) { p.rooms = lastWriter{p.rooms} }},
		"a user who is kept out may connect":          {1, func(p *ports) { p.users = lenient{p.users} }},
		"a connection does not know its groups":       {1, func(p *ports) { p.connections = groupless{p.connections} }},
		"a publish forgets its id":                    {1, func(p *ports) { p.ledger = forgetful{p.ledger} }},
		"presence is not read again after it is told": {45, func(p *ports) { p.presences = &readOnce{Presences: p.presences, seen: map[reading]realtime.Presence{}} }},
		"sweep sees no ended connection":              {1, func(p *ports) { p.connections = blind{p.connections} }},
		"a connection ends before its rooms are read": {1, func(p *ports) { p.connections = roomless{p.connections} }},
	} {
		t.Run(name, func(t *testing.T) {
			for seed := rule.seed; seed < rule.seed+uint64(*brokenSeeds); seed++ {
				if broken, _ := playSeed(t, seed, rough, rule.wrap); len(broken) > 0 {
					t.Logf("found by seed %d: %s", seed, broken[0])
					return
				}
			}
			t.Errorf("not found in %d seeds from %d", *brokenSeeds, rule.seed)
		})
	}
}

type lenient struct{ realtime.Users }

func (lenient) Deny(context.Context, string, time.Time) error { return nil }

type groupless struct{ connections }

func (g groupless) AddRoom(ctx context.Context, id string, entered time.Time, room string, limit int) error {
	if strings.HasPrefix(room, contract.GroupRoom("")) {
		return nil
	}
	return g.connections.AddRoom(ctx, id, entered, room, limit)
}

type noMark struct{ realtime.Rooms }

func (r noMark) Leave(ctx context.Context, room string, s realtime.Socket, why realtime.Left, at time.Time) error {
	if why == realtime.TakenOut {
		return nil
	}
	return r.Rooms.Leave(ctx, room, s, why, at)
}

type lastWriter struct{ realtime.Rooms }

func (r lastWriter) Join(ctx context.Context, room string, s realtime.Socket, at time.Time) error {
	err := r.Rooms.Join(ctx, room, s, at)
	if conflict, ok := errors.AsType[*realtime.RoomConflict](err); ok {
		return r.Rooms.Join(ctx, room, s, conflict.At.Add(time.Millisecond))
	}
	return err
}

type forgetful struct{ ledger }

func (f forgetful) Begin(context.Context, realtime.Claim) (realtime.Record, error) {
	return realtime.Record{}, nil
}

type readOnce struct {
	realtime.Presences
	mu   sync.Mutex
	seen map[reading]realtime.Presence
}

type reading struct {
	by   *invocation
	user string
}

func (r *readOnce) Read(ctx context.Context, user string) (realtime.Presence, error) {
	inv, _ := ctx.Value(invocationKey{}).(*invocation)
	key := reading{inv, user}
	r.mu.Lock()
	p, ok := r.seen[key]
	r.mu.Unlock()
	if ok {
		return p, nil
	}
	p, err := r.Presences.Read(ctx, user)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.seen[key] = p
	return p, err
}

type blind struct{ connections }

func (b blind) Page(ctx context.Context, shard int, after string) (page []realtime.Connection, next string, err error) {
	all, next, err := b.connections.Page(ctx, shard, after)
	for _, c := range all {
		if c.Gone.IsZero() {
			page = append(page, c)
		}
	}
	return page, next, err
}

type roomless struct{ connections }

func (r roomless) Get(ctx context.Context, id string) (realtime.Connection, error) {
	c, err := r.connections.Get(ctx, id)
	c.Rooms = nil
	return c, err
}

func (r roomless) Delete(ctx context.Context, c realtime.Connection) error {
	whole, err := r.connections.Get(ctx, c.ID)
	if errors.Is(err, realtime.ErrNotFound) {
		return nil
	}
	return errors.Join(err, r.connections.Delete(ctx, whole))
}
