package realtime

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/time/rate"

	"example.org/realtime/shared/contract"
	"example.org/realtime/shared/wire"
)

const (
	// sweepStep is how often sweep runs: EventBridge's smallest step.
	sweepStep = time.Minute
	// sweepReserve is what sweep keeps of its time to store where it is.
	sweepReserve = 5 * time.Second
	// sweepAtOnce bounds the connections that are looked at at once, sweepChunk those looked at between two looks at the clock.
	sweepAtOnce = 32
	sweepChunk  = 256
	// endedFor is how long an end that came before its beginning waits for whatever is still under way.
	endedFor = time.Minute
	// keepAliveStep is how often an idle connection is sent something: API Gateway closes it after 10 minutes.
	keepAliveStep = 8 * time.Minute
	// lobbyFor is how long a Socket.IO client may stay without being in the namespace, as in the reference server.
	lobbyFor = 45 * time.Second
	// activeFor is how long ago a message may be for a connection not to count as idle.
	activeFor = time.Minute
)

// Sweeper is the server's own timer: it keeps connections alive, verifies them, removes the dead and counts the rest. It
// walks the connections shard by shard, and goes on where it stopped.
type Sweeper struct {
	Walker      Walker
	Connections Connections
	Presences   Presences
	Rooms       Rooms
	Timers      Timers
	Poster      Poster
	Asker       Asker
	Metrics     Metrics
	Log         *slog.Logger
	Now         func() time.Time

	PresenceTTL  time.Duration // a socket is verified when its last verification is older
	RPS          int           // calls of the connection management API a second, at most
	CloseExpired bool          // a connection whose token expires is closed
	Snapshot     bool          // the metrics snapshot is logged
	PingInterval time.Duration // a Socket.IO client is pinged that often, whatever the traffic
	PingTimeout  time.Duration // and is dead when no pong came for so much longer
}

// swept counts what one run did.
type swept struct {
	seen, verified, removed, expired, pinged, keptAlive, failed atomic.Int64
}

// Sweep does one run: at most one walk through all shards, and no more than its time allows.
func (s *Sweeper) Sweep(ctx context.Context) error {
	now := s.Now()
	deadline, ok := ctx.Deadline()
	if !ok {
		deadline = now.Add(maxInvocation)
	}
	owner := rand.Text()
	timer, err := s.Timers.Begin(ctx, owner, now, deadline.Add(leaseReserve))
	if errors.Is(err, ErrBusy) {
		s.Log.InfoContext(ctx, "another sweep is at work")
		return nil
	}
	if err != nil {
		return err
	}
	run := &sweepRun{Sweeper: s, limit: rate.NewLimiter(rate.Limit(s.RPS), s.RPS), stop: deadline.Add(-sweepReserve)}
	for range Shards {
		done, err := run.walk(ctx, &timer)
		if err != nil {
			return err
		}
		if !done {
			break
		}
		if err := s.Timers.Save(ctx, owner, timer); err != nil {
			return err
		}
	}
	if err := s.Timers.End(ctx, owner, timer); err != nil {
		return err
	}
	s.report(ctx, timer, &run.swept)
	return nil
}

func (s *Sweeper) report(ctx context.Context, t Timer, did *swept) {
	s.Metrics.Put(map[string]float64{
		"ActiveConnections": float64(t.Active),
		"PeakConnections":   float64(t.Peak),
		"Removed":           float64(did.removed.Load()),
		"SweepFailures":     float64(did.failed.Load()),
	})
	if s.Snapshot {
		s.Log.InfoContext(ctx, "metrics snapshot", "active_connections", t.Active, "peak_connections", t.Peak)
	}
	s.Log.InfoContext(ctx, "swept", "seen", did.seen.Load(), "verified", did.verified.Load(), "removed", did.removed.Load(),
		"expired", did.expired.Load(), "pinged", did.pinged.Load(), "kept_alive", did.keptAlive.Load(), "failed", did.failed.Load(), "next_shard", t.Walk.Shard)
}

// sweepRun is one run of sweep.
type sweepRun struct {
	*Sweeper
	swept

	limit *rate.Limiter // of the connection management API
	stop  time.Time
}

// walk goes through the rest of a shard and moves t past it; done is false when time ran out in between.
func (s *sweepRun) walk(ctx context.Context, t *Timer) (done bool, err error) {
	w, shard := &t.Walk, &t.Shards[t.Walk.Shard]
	if w.Started.IsZero() {
		w.Started = s.Now()
		// Half a step early: the schedule's minute is not exact, and every second run would come a moment too soon.
		w.Verify = w.Started.Sub(shard.Verified) >= s.PresenceTTL-sweepStep/2
	}
	verify := w.Verify
	for more := true; more; {
		page, next, err := s.Walker.Page(ctx, w.Shard, w.After)
		if err != nil {
			return false, err
		}
		for len(page) > 0 {
			if !s.Now().Before(s.stop) {
				return false, nil
			}
			chunk := page[:min(len(page), sweepChunk)]
			page = page[len(chunk):]
			s.visitAll(ctx, chunk, w, verify, shard.Walked)
			w.After = chunk[len(chunk)-1].ID
		}
		more = next != ""
		if more {
			w.After = next
		}
	}
	shard.Walked, shard.Count = w.Started, w.Count
	if w.Verify {
		shard.Verified = w.Started
	}
	*w = Walk{Shard: (w.Shard + 1) % Shards}
	if w.Shard == 0 {
		t.Active = 0
		for _, shard := range t.Shards {
			t.Active += shard.Count
		}
		t.Peak = max(t.Peak, t.Active)
	}
	return true, nil
}

// visitAll looks at connections side by side. A failure leaves its connection to the next run, and the shard unverified.
func (s *sweepRun) visitAll(ctx context.Context, chunk []Connection, w *Walk, verify bool, walked time.Time) {
	var (
		g            errgroup.Group
		here, failed atomic.Int64
	)
	g.SetLimit(sweepAtOnce)
	for _, c := range chunk {
		g.Go(func() error {
			s.seen.Add(1)
			there, err := s.visit(ctx, c, verify, w.Started, walked)
			if there {
				here.Add(1)
			}
			if err != nil {
				failed.Add(1)
				s.Log.WarnContext(ctx, "connection not swept", "connection_id", c.ID, "error", err)
			}
			return nil
		})
	}
	_ = g.Wait() // no function returns an error
	w.Count += int(here.Load())
	if failed.Load() > 0 {
		s.failed.Add(failed.Load())
		w.Verify = false
	}
}

// visit does what is due for one connection, and tells whether it is still there.
func (s *sweepRun) visit(ctx context.Context, c Connection, verify bool, now, walked time.Time) (there bool, err error) {
	switch {
	case !c.Gone.IsZero():
		if s.Now().Sub(c.Gone) > endedFor {
			return false, s.remove(ctx, c, c.Gone, time.Time{})
		}
		return false, nil
	case c.UserID == "":
		return false, s.lobby(ctx, c)
	case s.CloseExpired && !c.TokenExpiry.IsZero() && !s.Now().Before(c.TokenExpiry):
		return s.expire(ctx, c)
	case c.Protocol == wire.SocketIO && s.silent(c):
		return false, errors.Join(s.remove(ctx, c, s.Now(), time.Time{}), s.close(ctx, c))
	case c.Protocol == wire.SocketIO && due(s.PingInterval, c.ConnectedAt, walked, now):
		s.pinged.Add(1)
		return s.post(ctx, c, []byte(wire.PacketPing))
	}
	keepAlive := c.Protocol == wire.JSON && due(keepAliveStep, c.ConnectedAt, walked, now)
	if !verify && !keepAlive {
		return true, nil
	}
	if err := s.limit.Wait(ctx); err != nil {
		return true, err
	}
	lastActive, err := s.Poster.LastActive(ctx, c.ID)
	switch {
	case errors.Is(err, ErrGone):
		return s.found(ctx, c)
	case err != nil:
		return true, err
	}
	s.verified.Add(1)
	if keepAlive && s.Now().Sub(lastActive) >= activeFor {
		return s.keepAlive(ctx, c)
	}
	return true, nil
}

// lobby closes a Socket.IO client that has not come into the namespace in time.
func (s *sweepRun) lobby(ctx context.Context, c Connection) error {
	since := c.ConnectedAt
	if c.Idle.After(since) {
		since = c.Idle
	}
	if s.Now().Sub(since) < lobbyFor {
		return nil
	}
	if err := s.limit.Wait(ctx); err != nil {
		return err
	}
	err := s.Poster.Close(ctx, c.ID)
	if errors.Is(err, ErrGone) { // its end was missed
		return s.remove(ctx, c, s.Now(), time.Time{})
	}
	return err
}

// silent tells whether a Socket.IO client is dead: no pong for longer than the next ping and its answer may take.
func (s *sweepRun) silent(c Connection) bool {
	last := c.ConnectedAt
	if c.Pong.After(last) {
		last = c.Pong
	}
	return s.Now().Sub(last) > s.PingInterval+s.PingTimeout
}

// due tells whether another whole step since begin has passed between the last walk and this one.
func due(step time.Duration, begin, last, now time.Time) bool {
	return steps(step, begin, now) > steps(step, begin, last)
}

func steps(step time.Duration, begin, at time.Time) int64 {
	return int64(max(at.Sub(begin), 0) / step)
}

// keepAlive sends an idle connection its own user's presence, a documented event that changes nothing.
func (s *sweepRun) keepAlive(ctx context.Context, c Connection) (there bool, err error) {
	presence, err := s.Presences.Read(ctx, c.UserID)
	if err != nil {
		return true, err
	}
	timer, err := s.Timers.Read(ctx)
	if err != nil {
		return true, err
	}
	s.keptAlive.Add(1)
	return s.post(ctx, c, eventFrame(c.Protocol, contract.PresenceUpdate, encode(presence.snapshot(c.UserID, timer))))
}

// expire ends a connection whose token has expired, as documented: error, then the close.
func (s *sweepRun) expire(ctx context.Context, c Connection) (there bool, err error) {
	if there, err := s.post(ctx, c, errorFrame(c.Protocol, contract.TokenExpired, refusal(contract.TokenExpired))); err != nil || !there {
		return there, err
	}
	s.expired.Add(1)
	return false, s.close(ctx, c)
}

func (s *sweepRun) close(ctx context.Context, c Connection) error {
	if err := s.limit.Wait(ctx); err != nil {
		return err
	}
	return ignoreGone(s.Poster.Close(ctx, c.ID))
}

// post posts a message to a connection, and removes it when it is gone.
func (s *sweepRun) post(ctx context.Context, c Connection, message []byte) (there bool, err error) {
	if err := s.limit.Wait(ctx); err != nil {
		return true, err
	}
	err = s.Poster.Post(ctx, c.ID, message)
	if errors.Is(err, ErrGone) {
		return s.found(ctx, c)
	}
	return true, err
}

// found removes a connection that API Gateway says is gone, once it cannot be in its handshake any more.
func (s *sweepRun) found(ctx context.Context, c Connection) (there bool, err error) {
	now := s.Now()
	if now.Sub(c.ConnectedAt) < handshakeGuard {
		return true, nil
	}
	return false, s.remove(ctx, c, now, now.Add(-handshakeGuard))
}

// remove ends a connection. Presence is asked for even if the socket was out of it already: whoever took it out may have
// stopped before telling anybody.
func (s *sweepRun) remove(ctx context.Context, c Connection, at, connectedBefore time.Time) error {
	remover := &Remover{Connections: s.Connections, Presences: s.Presences, Rooms: s.Rooms, Now: s.Now}
	if c.UserID != "" {
		_, err := remover.presence(ctx, c.UserID, c.ID, at, connectedBefore)
		if errors.Is(err, ErrTooYoung) {
			return nil
		}
		if err == nil || errors.Is(err, ErrNotFound) {
			err = s.Asker.Ask(ctx, Job{Presence: &PresenceJob{User: c.UserID, Rooms: conversations(c.Rooms), AtMS: s.Now().UnixMilli()}})
		}
		if err != nil {
			return fmt.Errorf("remove %s: %w", c.ID, err)
		}
	}
	s.removed.Add(1)
	return remover.erase(ctx, c)
}
