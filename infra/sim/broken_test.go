package sim

import (
	"context"
	"errors"
	"flag"
	"testing"
	"time"

	"example.org/realtime/shared/realtime"
)

var brokenSeeds = flag.Int("broken-seeds", 20, "how many seeds a broken rule may take to be found")

// TestBrokenRulesAreFound breaks one rule at a time on purpose: a simulation that does not notice proves nothing.
func TestBrokenRulesAreFound(t *testing.T) {
	for name, breakRule := range map[string]func(*ports){
		"a removal leaves no mark in the room":        func(p *ports) { p.rooms = noMark{p.rooms} },
		"a later join loses to an earlier leave":      func(p *ports) { p.rooms = lastWriter{p.rooms} },
		"a removed socket is removed again":           func(p *ports) { p.presences = neverEmpty{p.presences} },
		"a publish forgets its id":                    func(p *ports) { p.ledger = forgetful{p.ledger} },
		"presence is read from a cache":               func(p *ports) { p.presences = &cached{Presences: p.presences, seen: map[string]realtime.Presence{}} },
		"sweep sees no ended connection":              func(p *ports) { p.connections = blind{p.connections} },
		"a connection ends before its rooms are read": func(p *ports) { p.connections = roomless{p.connections} },
	} {
		t.Run(name, func(t *testing.T) {
			for i := range *brokenSeeds {
				if broken, _ := playSeed(t, uint64(i+1), rough, breakRule); len(broken) > 0 {
					t.Logf("found by seed %d: %s", i+1, broken[0])
					return
				}
			}
			t.Errorf("not found in %d seeds", *brokenSeeds)
		})
	}
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

type neverEmpty struct{ realtime.Presences }

func (p neverEmpty) Remove(ctx context.Context, user, id string, at, before time.Time) (realtime.Presence, error) {
	_, err := p.Presences.Remove(ctx, user, id, at, time.Time{})
	if errors.Is(err, realtime.ErrNotFound) {
		return realtime.Presence{UserID: user}, nil
	}
	return realtime.Presence{UserID: user}, err
}

type forgetful struct{ realtime.Ledger }

func (f forgetful) Begin(context.Context, string, string, string, time.Time) ([]byte, error) {
	return nil, nil
}

type cached struct {
	realtime.Presences
	seen map[string]realtime.Presence
}

func (c *cached) Read(ctx context.Context, user string) (realtime.Presence, error) {
	if p, ok := c.seen[user]; ok && p.LastSeen.After(time.Now().Add(-time.Second)) {
		return p, nil
	}
	p, err := c.Presences.Read(ctx, user)
	c.seen[user] = p
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
	if err != nil {
		return nil
	}
	return r.connections.Delete(ctx, whole)
}
