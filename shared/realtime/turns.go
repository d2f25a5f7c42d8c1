package realtime

import (
	"context"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

const (
	// postsAtOnce bounds the posts that one delivery has under way, besides the slow ones.
	postsAtOnce = 64
	// slowPost is how long a post may be without an answer before it gives its place to another.
	slowPost = 100 * time.Millisecond
	// slowAtOnce bounds the slow posts: the one after that keeps its place until it ends.
	slowAtOnce = 512
)

// turns are what a delivery's calls to API Gateway wait for: so many a second, and so many at once, of which those that take
// long do not count.
type turns struct {
	rate *rate.Limiter // nil: as many a second as come
	busy chan struct{} // has one for each call under way
	slow chan struct{} // has one for each call that gave its place in busy away
}

func newTurns(limit *rate.Limiter) *turns {
	return &turns{rate: limit, busy: make(chan struct{}, postsAtOnce), slow: make(chan struct{}, slowAtOnce)}
}

// take waits for a turn, which use takes up. An error means that there is none before ctx ends.
func (t *turns) take(ctx context.Context) error {
	if t.rate != nil {
		if err := t.rate.Wait(ctx); err != nil {
			return err
		}
	}
	select {
	case t.busy <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// use makes a call in a turn that was taken, and gives it back.
func (t *turns) use(call func() error) error {
	var mu sync.Mutex
	place := t.busy
	overdue := time.AfterFunc(slowPost, func() {
		mu.Lock()
		defer mu.Unlock()
		if place == nil {
			return // answered just now
		}
		select {
		case t.slow <- struct{}{}:
			<-place
			place = t.slow
		default:
		}
	})
	err := call()
	overdue.Stop()
	mu.Lock()
	defer mu.Unlock()
	<-place
	place = nil
	return err
}
