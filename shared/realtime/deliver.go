package realtime

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"sync"

	"golang.org/x/time/rate"

	"example.org/realtime/shared/contract"
	"example.org/realtime/shared/wire"
)

// delivery is one event on its way to its audience.
type delivery struct {
	frame   func(Socket) []byte
	retries retries       // of each post
	rate    *rate.Limiter // of the posts and closes of all sockets; nil: none
	closing bool          // the connection is closed after the event
	final   bool          // a Socket.IO client that is closed does not come back by itself
}

// outcome counts the sockets of a delivery: delivered + len(gone) + failed are all of them.
type outcome struct {
	delivered  int
	gone       []target // final 410s
	failed     int
	firstError error    // of the failed
	missed     []Socket // the failed, but for those that will be answered so again
}

// deliver posts to all targets, each on its own: none holds up or ends another, be it slow, throttled or gone. Frames to one
// socket keep their order. What ctx leaves no time for has failed.
func (p *Publisher) deliver(ctx context.Context, to iter.Seq[target], d delivery) outcome {
	return p.begin(ctx, newTurns(d.rate), to, d)()
}

// begin is deliver, but returns when the last post has begun. What it returns waits for all of them.
func (p *Publisher) begin(ctx context.Context, turns *turns, to iter.Seq[target], d delivery) func() outcome {
	var (
		mu sync.Mutex
		o  outcome
		wg sync.WaitGroup
	)
	count := func(t target, err error) {
		mu.Lock()
		defer mu.Unlock()
		switch {
		case err == nil:
			o.delivered++
		case errors.Is(err, ErrGone):
			t.gone = p.Now()
			o.gone = append(o.gone, t)
		default:
			o.failed++
			if !errors.Is(err, ErrRejected) {
				o.missed = append(o.missed, t.Socket)
			}
			if o.firstError == nil {
				o.firstError = err
			}
		}
	}
	for t := range to {
		// The first turn is taken here, so that there are no more goroutines than posts under way and pauses.
		if err := turns.take(ctx); err != nil {
			count(t, err)
			continue
		}
		wg.Go(func() { count(t, p.deliverOne(ctx, turns, t.Socket, d)) })
	}
	return func() outcome {
		wg.Wait()
		return o
	}
}

// deliverOne delivers to one socket; the first turn has been taken.
func (p *Publisher) deliverOne(ctx context.Context, turns *turns, s Socket, d delivery) error {
	if p.Now().Sub(s.ConnectedAt) < handshakeGuard {
		d.retries.gone = youngWait
	}
	err := d.retries.again(ctx, s.ID, func(try int) error {
		if try > 0 {
			if err := turns.take(ctx); err != nil {
				return err
			}
		}
		return turns.use(func() error { return p.Poster.Post(ctx, s.ID, d.frame(s)) })
	})
	if err != nil {
		return err
	}
	if d.closing {
		if err := p.closeAfter(ctx, turns, s, d); err != nil {
			return fmt.Errorf("told to disconnect, but not closed: %w", err)
		}
	}
	return nil
}

// closeAfter closes a connection that has been told why. A young one that answers 410 now, after it took the post, is tried again.
func (p *Publisher) closeAfter(ctx context.Context, turns *turns, s Socket, d delivery) (err error) {
	retries := closeRetries
	retries.gone = d.retries.gone
	call := func(call func() error) error {
		return ignoreGone(retries.again(ctx, s.ID, func(int) error {
			if err := turns.take(ctx); err != nil {
				return err
			}
			return turns.use(call)
		}))
	}
	if d.final && s.Protocol == wire.SocketIO {
		err = call(func() error { return p.Poster.Post(ctx, s.ID, wire.EncodeDisconnect(contract.Namespace)) })
	}
	return errors.Join(err, call(func() error { return p.Poster.Close(ctx, s.ID) }))
}

// post posts a frame to one connection.
func (p *Publisher) post(ctx context.Context, id string, frame []byte, with retries) error {
	return with.again(ctx, id, func(int) error { return p.Poster.Post(ctx, id, frame) })
}

// close closes one connection, and does not mind that it has ended.
func (p *Publisher) close(ctx context.Context, id string) error {
	return ignoreGone(closeRetries.again(ctx, id, func(int) error { return p.Poster.Close(ctx, id) }))
}
