package realtime

import (
	"context"
	"errors"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
)

// teller tells everybody of a presence that has changed; rooms are those the removed sockets were recorded in.
type teller func(ctx context.Context, after Presence, rooms []string) error

// bury removes sockets that API Gateway says are gone: out of their users' presence, then tells of each user once, then
// their rows. A crash, or a failure that is returned, leaves the connection's row for sweep.
func (p *Publisher) bury(ctx context.Context, dead []target, tell teller) error {
	remover := p.remover()
	var (
		mu    sync.Mutex
		users = map[string]*buried{}
	)
	err := each(dead, func(t target) error {
		c, after, err := p.removeFound(ctx, remover, t)
		if err != nil || c.ID == "" {
			return err
		}
		mu.Lock()
		defer mu.Unlock()
		b := users[t.UserID]
		if b == nil {
			b = &buried{}
			users[t.UserID] = b
		}
		b.connections = append(b.connections, c)
		b.rooms = append(b.rooms, conversations(c.Rooms)...)
		if after.Version > b.after.Version {
			b.after = after
		}
		return nil
	})
	told := make([]*buried, 0, len(users))
	for _, b := range users {
		told = append(told, b)
	}
	return errors.Join(err, each(told, func(b *buried) error {
		if err := tell(ctx, b.after, unique(b.rooms)); err != nil {
			return err
		}
		var errs []error
		for _, c := range b.connections {
			errs = append(errs, remover.erase(ctx, c))
		}
		return errors.Join(errs...)
	}))
}

// buried is what a user lost.
type buried struct {
	after       Presence // the last removal's
	rooms       []string
	connections []Connection
}

// removeFound takes one dead socket out of its user's presence and returns its row to erase; a zero row where there is
// nothing more to do. What was said to be gone is closed first: should it live after all, its client comes back, where it would
// be deaf otherwise.
func (p *Publisher) removeFound(ctx context.Context, remover *Remover, t target) (Connection, Presence, error) {
	if t.tooYoung() {
		return Connection{}, Presence{}, nil
	}
	if err := p.close(ctx, t.ID); err != nil {
		return Connection{}, Presence{}, err
	}
	after, err := remover.found(ctx, t.UserID, t.ID, t.gone)
	switch {
	case errors.Is(err, ErrTooYoung): // it may still be in its handshake
		return Connection{}, after, nil
	case errors.Is(err, ErrNotFound): // another invocation removes it; only the rows that led here may be orphans
		for _, room := range t.rooms {
			if err := p.Rooms.Delete(ctx, room, t.ID, time.Time{}); err != nil {
				return Connection{}, after, err
			}
		}
		return Connection{}, after, nil
	case err != nil:
		return Connection{}, after, err
	}
	c, err := p.Connections.Get(ctx, t.ID)
	if errors.Is(err, ErrNotFound) {
		c, err = Connection{ID: t.ID, UserID: t.UserID, Protocol: t.Protocol, ConnectedAt: t.ConnectedAt, Rooms: t.rooms}, nil
	}
	return c, after, err
}

func (p *Publisher) remover() *Remover {
	return &Remover{Connections: p.Connections, Presences: p.Presences, Rooms: p.Rooms, Now: p.Now}
}

// ask is a teller that has another invocation do it.
func (p *Publisher) ask(ctx context.Context, after Presence, rooms []string) error {
	return p.Asker.Ask(ctx, Job{Presence: &PresenceJob{User: after.UserID, Version: after.Version, Rooms: rooms, AtMS: p.Now().UnixMilli()}})
}

// tellHere is a teller of those who are dead that does it in this invocation. Who else it finds gone is closed, and left to sweep:
// Lambda ends recursive invocations, so this must not go on for ever.
func (p *Publisher) tellHere(dead []target) teller {
	return func(ctx context.Context, after Presence, rooms []string) error {
		gone, err := p.tell(ctx, PresenceJob{User: after.UserID, Version: after.Version, Rooms: rooms, AtMS: p.Now().UnixMilli()}, dead)
		return errors.Join(err, each(gone, func(t target) error {
			if t.tooYoung() {
				return nil
			}
			return p.close(ctx, t.ID)
		}))
	}
}

// each runs do for every one of list, a bounded number at once, and returns all their errors.
func each[T any](list []T, do func(T) error) error {
	errs := make([]error, len(list))
	var g errgroup.Group
	g.SetLimit(rowsAtOnce)
	for i, item := range list {
		g.Go(func() error {
			errs[i] = do(item)
			return nil
		})
	}
	_ = g.Wait() // no function returns an error
	return errors.Join(errs...)
}
