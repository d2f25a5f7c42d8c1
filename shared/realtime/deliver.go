package realtime

import (
	"context"
	"errors"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"example.org/realtime/shared/contract"
	"example.org/realtime/shared/wire"
)

const (
	// postsAtOnce bounds the posts that one invocation has under way.
	postsAtOnce = 64
	// A socket younger than youngSocket may still be in its handshake, where it answers 410; it is tried for youngWait.
	youngSocket = 2 * time.Second
	youngWait   = time.Second
	// firstPause is the wait between the first two tries; it doubles up to lastPause.
	firstPause = 20 * time.Millisecond
	lastPause  = 250 * time.Millisecond
)

// delivery is one event on its way to its audience.
type delivery struct {
	frame   func(Socket) []byte
	closing bool // the connection is closed after the event
	final   bool // a Socket.IO client that is closed does not come back by itself
}

// outcome counts the sockets of a delivery: delivered + len(gone) + failed are all of them.
type outcome struct {
	delivered  int
	gone       []target // final 410s
	failed     int
	firstError error // of the failed
}

// deliver posts to all targets, each on its own: none holds up or ends another. Frames to one socket keep their order.
func (p *Publisher) deliver(ctx context.Context, to targets, d delivery) outcome {
	var (
		mu sync.Mutex
		o  outcome
		g  errgroup.Group
	)
	g.SetLimit(postsAtOnce)
	for _, t := range to {
		g.Go(func() error {
			err := p.deliverOne(ctx, t.Socket, d)
			mu.Lock()
			defer mu.Unlock()
			switch {
			case err == nil:
				o.delivered++
			case errors.Is(err, ErrGone):
				o.gone = append(o.gone, t)
			default:
				o.failed++
				if o.firstError == nil {
					o.firstError = err
				}
			}
			return nil
		})
	}
	_ = g.Wait() // no function returns an error
	return o
}

func (p *Publisher) deliverOne(ctx context.Context, s Socket, d delivery) error {
	wait := time.Duration(0)
	if p.Now().Sub(s.ConnectedAt) < youngSocket {
		wait = youngWait
	}
	if err := p.post(ctx, s.ID, d.frame(s), wait); err != nil {
		return err
	}
	if d.closing {
		if err := p.closeAfter(ctx, s, d.final); err != nil {
			p.Log.WarnContext(ctx, "told to disconnect, but not closed", "connection_id", s.ID, "error", err)
		}
	}
	return nil
}

func (p *Publisher) closeAfter(ctx context.Context, s Socket, final bool) (err error) {
	if final && s.Protocol == wire.SocketIO {
		err = ignoreGone(p.Poster.Post(ctx, s.ID, wire.EncodeDisconnect(contract.Namespace)))
	}
	return errors.Join(err, ignoreGone(p.Poster.Close(ctx, s.ID)))
}

// post posts a frame, and for that long tries again what may go better in a moment: a handshake that is not done yet, and
// posts that are throttled.
func (p *Publisher) post(ctx context.Context, id string, frame []byte, wait time.Duration) error {
	for waited, pause := time.Duration(0), firstPause; ; {
		err := p.Poster.Post(ctx, id, frame)
		if (!errors.Is(err, ErrGone) && !errors.Is(err, ErrThrottled)) || waited+pause > wait {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(pause):
		}
		waited += pause
		pause = min(2*pause, lastPause)
	}
}
