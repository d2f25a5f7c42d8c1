package realtime

import (
	"context"
	"errors"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"example.org/realtime/shared/contract"
)

// handshakeGuard is how old a socket must be before a 410 ends it: API Gateway answers 410 until the handshake is done,
// and the functions of a handshake run for less than that.
const handshakeGuard = 15 * time.Second

// rowsAtOnce bounds the table calls that one invocation has under way for a list of rows.
const rowsAtOnce = 16

// Remover ends sockets in the table: out of the presence, out of the rooms, then the connection itself, so that a crash
// anywhere leaves the connection for sweep.
type Remover struct {
	Connections Connections
	Presences   Presences
	Rooms       Rooms
	Now         func() time.Time
}

// presence takes the socket out of its user's presence, and with it entries older than a connection can be.
func (r *Remover) presence(ctx context.Context, user, id string, at, connectedBefore time.Time) (Presence, error) {
	p, err := r.Presences.Remove(ctx, user, id, at, connectedBefore)
	if err != nil {
		return Presence{}, err
	}
	for _, old := range p.stale(r.Now()) {
		switch pruned, err := r.Presences.Remove(ctx, user, old, at, time.Time{}); {
		case err == nil:
			p = pruned
		case !errors.Is(err, ErrNotFound):
			return Presence{}, err
		}
	}
	return p, nil
}

// found is presence for a socket that API Gateway said is gone, at the time then. ErrTooYoung: at that time, not now, it may have
// been in its handshake.
func (r *Remover) found(ctx context.Context, user, id string, then time.Time) (Presence, error) {
	return r.presence(ctx, user, id, r.Now(), then.Add(-handshakeGuard))
}

// erase deletes the rows of an ended connection: its rooms, then itself.
func (r *Remover) erase(ctx context.Context, c Connection) error {
	return r.clear(ctx, c, r.Connections.Delete)
}

// clear deletes the rows of a connection's rooms, then does last to its own. A room that a join records meanwhile is found by
// the condition of that last write. It ends early when the user has changed, which is another's work.
func (r *Remover) clear(ctx context.Context, c Connection, last func(context.Context, Connection) error) error {
	for user := c.UserID; c.UserID == user; {
		g, gctx := errgroup.WithContext(ctx)
		g.SetLimit(rowsAtOnce)
		for _, room := range c.Rooms {
			g.Go(func() error { return r.Rooms.Delete(gctx, room, c.ID, time.Time{}) })
		}
		if err := g.Wait(); err != nil {
			return err
		}
		err := last(ctx, c)
		if !errors.Is(err, ErrChanged) {
			return err
		}
		switch c, err = r.Connections.Get(ctx, c.ID); {
		case errors.Is(err, ErrNotFound):
			return nil
		case err != nil:
			return err
		}
	}
	return nil
}

// conversations are those rooms that hear of a presence above PRESENCE_GLOBAL_MAX.
func conversations(rooms []string) (list []string) {
	for _, room := range rooms {
		if strings.HasPrefix(room, contract.ConversationRoom("")) {
			list = append(list, room)
		}
	}
	return list
}
