package realtime

import (
	"context"
	"errors"
	"fmt"
	"time"

	"example.org/realtime/shared/contract"
	"example.org/realtime/shared/wire"
)

const (
	// endedFor is how long an end that came before its beginning waits for whatever is still under way.
	endedFor = time.Minute
	// keepAliveStep is how often an idle connection is sent something: API Gateway closes it after 10 minutes.
	keepAliveStep = 8 * time.Minute
	// lobbyFor is how long a Socket.IO client may stay without being in the namespace, as in the reference server.
	lobbyFor = 45 * time.Second
	// activeFor is how long ago a message may be for a connection not to count as idle.
	activeFor = time.Minute
)

// sweepRetries is for every call of sweep: all of them may repeat.
var sweepRetries = retries{refused: 5 * time.Second, unknown: 2 * time.Second}

// sighting is what a run knows of a connection.
type sighting int

const (
	absent  sighting = iota // it has ended, or is about to
	perhaps                 // its row is there
	seen                    // API Gateway has it
)

// visit does what is due for a connection. now and walked are the beginnings of this walk and of the one before.
func (r *sweepRun) visit(ctx context.Context, c Connection, now, walked time.Time) (sighting, error) {
	switch {
	case !c.Gone.IsZero():
		if r.Now().Sub(c.Gone) > endedFor {
			return absent, r.remove(ctx, c, c.Gone, time.Time{})
		}
		return absent, r.takeOut(ctx, c)
	case c.UserID == "":
		return absent, r.lobby(ctx, c)
	case r.CloseExpired && !c.TokenExpiry.IsZero() && !r.Now().Before(c.TokenExpiry):
		return r.expire(ctx, c)
	case c.Protocol == wire.SocketIO && r.silent(c):
		return absent, errors.Join(r.remove(ctx, c, r.Now(), time.Time{}), ignoreGone(r.close(ctx, c)))
	case c.Protocol == wire.SocketIO && due(r.PingInterval, c.ConnectedAt, walked, now):
		r.pinged.Add(1)
		return r.post(ctx, c, []byte(wire.PacketPing))
	case c.Protocol == wire.JSON && due(keepAliveStep, c.ConnectedAt, walked, now):
		return r.keepAlive(ctx, c)
	}
	return perhaps, nil
}

// lobby closes a Socket.IO client that has not come into the namespace in time.
func (r *sweepRun) lobby(ctx context.Context, c Connection) error {
	since := c.ConnectedAt
	if c.Idle.After(since) {
		since = c.Idle
	}
	if r.Now().Sub(since) < lobbyFor {
		return nil
	}
	err := r.close(ctx, c)
	if errors.Is(err, ErrGone) { // its end was missed
		return r.remove(ctx, c, r.Now(), time.Time{})
	}
	return err
}

// silent tells whether a Socket.IO client is dead: no pong for longer than the next ping and its answer may take.
func (r *sweepRun) silent(c Connection) bool {
	last := c.ConnectedAt
	if c.Pong.After(last) {
		last = c.Pong
	}
	return r.Now().Sub(last) > r.PingInterval+r.PingTimeout
}

// due tells whether another whole step since begin has passed between the last walk and this one.
func due(step time.Duration, begin, last, now time.Time) bool {
	return steps(step, begin, now) > steps(step, begin, last)
}

func steps(step time.Duration, begin, at time.Time) int64 {
	return int64(max(at.Sub(begin), 0) / step)
}

// keepAlive sends a connection, if it is idle, its own user's presence, a documented event that changes nothing.
func (r *sweepRun) keepAlive(ctx context.Context, c Connection) (sighting, error) {
	lastActive, err := r.lastActive(ctx, c)
	switch {
	case errors.Is(err, ErrGone):
		return r.found(ctx, c)
	case err != nil:
		return perhaps, err
	case r.Now().Sub(lastActive) < activeFor:
		return seen, nil
	}
	presence, err := r.Presences.Read(ctx, c.UserID)
	if err != nil {
		return seen, err
	}
	r.keptAlive.Add(1)
	return r.post(ctx, c, eventFrame(c.Protocol, contract.PresenceUpdate, encode(presence.snapshot(c.UserID, r.told))))
}

// expire ends a connection whose token has expired, as documented: error, then the close.
func (r *sweepRun) expire(ctx context.Context, c Connection) (sighting, error) {
	there, err := r.post(ctx, c, errorFrame(c.Protocol, contract.TokenExpired, refusal(contract.TokenExpired)))
	if err != nil || there == absent {
		return there, err
	}
	r.expired.Add(1)
	return absent, ignoreGone(r.close(ctx, c))
}

// verify asks API Gateway for a connection, and removes it when it is gone.
func (r *sweepRun) verify(ctx context.Context, c Connection) (sighting, error) {
	_, err := r.lastActive(ctx, c)
	return r.sighted(ctx, c, err)
}

func (r *sweepRun) lastActive(ctx context.Context, c Connection) (at time.Time, err error) {
	err = r.call(ctx, c, func() (err error) {
		at, err = r.Poster.LastActive(ctx, c.ID)
		return err
	})
	if err == nil {
		r.verified.Add(1)
	}
	return at, err
}

func (r *sweepRun) close(ctx context.Context, c Connection) error {
	return r.call(ctx, c, func() error { return r.Poster.Close(ctx, c.ID) })
}

// post posts a message to a connection, and removes it when it is gone.
func (r *sweepRun) post(ctx context.Context, c Connection, message []byte) (sighting, error) {
	return r.sighted(ctx, c, r.call(ctx, c, func() error { return r.Poster.Post(ctx, c.ID, message) }))
}

// sighted is what a call of the connection management API tells of a connection, which is removed when it is gone.
func (r *sweepRun) sighted(ctx context.Context, c Connection, err error) (sighting, error) {
	switch {
	case errors.Is(err, ErrGone):
		return r.found(ctx, c)
	case err != nil:
		return perhaps, err
	}
	return seen, nil
}

// call makes a call of the connection management API, each try of it within RPS.
func (r *sweepRun) call(ctx context.Context, c Connection, call func() error) error {
	err := sweepRetries.again(ctx, c.ID, func(int) error {
		if err := r.limit.Wait(ctx); err != nil { // it takes longer than ctx has
			r.over.Store(true)
			return err
		}
		return call()
	})
	if ctx.Err() != nil {
		r.over.Store(true)
	}
	return err
}

// found removes a connection that API Gateway says is gone, once it cannot be in its handshake any more. It is closed first:
// should it live after all, its client comes back, where it would be deaf otherwise.
func (r *sweepRun) found(ctx context.Context, c Connection) (sighting, error) {
	then := r.Now()
	if then.Sub(c.ConnectedAt) < handshakeGuard {
		return seen, nil
	}
	if err := ignoreGone(r.close(ctx, c)); err != nil {
		return absent, err
	}
	return absent, r.remove(ctx, c, r.Now(), then.Add(-handshakeGuard))
}

// takeOut takes an ended connection out of its user's presence, which its beginning may have brought it into after its end: it
// would be seen with this run's verification otherwise. Its row stays for as long as that can happen.
func (r *sweepRun) takeOut(ctx context.Context, c Connection) error {
	if c.UserID == "" {
		return nil
	}
	p, err := r.remover().presence(ctx, c.UserID, c.ID, c.Gone, time.Time{})
	switch {
	case errors.Is(err, ErrNotFound):
		return nil
	case err == nil:
		err = r.Asker.Ask(ctx, Job{Presence: &PresenceJob{
			User: c.UserID, Version: p.Version, Rooms: conversations(c.Rooms), AtMS: r.Now().UnixMilli(),
		}})
	}
	if err != nil {
		return fmt.Errorf("take out %s: %w", c.ID, err)
	}
	return nil
}

// remove ends a connection. Presence is asked for even if the socket was out of it already: whoever took it out may have
// stopped before telling anybody.
func (r *sweepRun) remove(ctx context.Context, c Connection, at, connectedBefore time.Time) error {
	remover := r.remover()
	if c.UserID != "" {
		_, err := remover.presence(ctx, c.UserID, c.ID, at, connectedBefore)
		if errors.Is(err, ErrTooYoung) {
			return nil
		}
		if err == nil || errors.Is(err, ErrNotFound) {
			err = r.Asker.Ask(ctx, Job{Presence: &PresenceJob{User: c.UserID, Rooms: conversations(c.Rooms), AtMS: r.Now().UnixMilli()}})
		}
		if err != nil {
			return fmt.Errorf("remove %s: %w", c.ID, err)
		}
	}
	r.removed.Add(1)
	return remover.erase(ctx, c)
}

func (r *sweepRun) remover() *Remover {
	return &Remover{Connections: r.Connections, Presences: r.Presences, Rooms: r.Rooms, Now: r.Now}
}
