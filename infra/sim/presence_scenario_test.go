package sim

import (
	"context"
	"testing"
	"time"

	"example.org/realtime/shared/realtime"
)

// throttled is an API Gateway that takes no post to one connection for a while.
type throttled struct {
	realtime.Poster
	id    string
	until time.Time
}

func (p *throttled) Post(ctx context.Context, id string, message []byte) error {
	if id == p.id && time.Now().Before(p.until) {
		return realtime.ErrThrottled
	}
	return p.Poster.Post(ctx, id, message)
}

// TestThrottledObserver: who could not be told that a user has gone does not take that user for online for ever.
func TestThrottledObserver(t *testing.T) {
	for _, d := range []time.Duration{100 * time.Millisecond, 2 * time.Second, 10 * time.Second, 90 * time.Second, 170 * time.Second} {
		t.Run(d.String(), func(t *testing.T) {
			inWorld(t, calm, func(t *testing.T, w *world) {
				bob, alice := w.mustConnect("bob"), w.mustConnect("alice")
				w.publisher.Poster = &throttled{Poster: w, id: bob.id, until: time.Now().Add(d)}
				w.end(alice.id)
				w.running.Wait()
				w.truth()
			})
		})
	}
}
