package realtime

import (
	"context"
	"errors"
	"hash/fnv"
	"time"

	"example.org/realtime/shared/contract"
)

const (
	// youngWait is for how long a socket that answers 410 is tried while it is too young to be taken for gone: its handshake may
	// still be under way, or just be done. Nobody closes such a socket, so nothing else would make up for what it misses.
	youngWait = time.Second
	// firstPause is the wait between the first two tries; it doubles up to lastPause, for a handshake up to handshakePause.
	firstPause     = 20 * time.Millisecond
	lastPause      = 2 * time.Second
	handshakePause = 250 * time.Millisecond
)

// retries is how long after its first try a call to API Gateway is tried again, by what it was answered; 0: not at all.
type retries struct {
	gone    time.Duration // 410: the handshake may not be done yet
	refused time.Duration // ErrThrottled, ErrNotSent: certainly not posted, so that it is safe for every event
	unknown time.Duration // any other error, timeouts included: it may have been posted, so that it is for what may repeat
}

var (
	messageRetries  = retries{refused: 10 * time.Second}
	presenceRetries = retries{refused: time.Second, unknown: time.Second}
	// openRetries is for the open packet: it must not repeat. What else a connection hears first may.
	openRetries  = retries{gone: 5 * time.Second, refused: 5 * time.Second}
	helloRetries = retries{gone: 5 * time.Second, refused: 5 * time.Second, unknown: 5 * time.Second}
	// closeRetries is for closing a connection, which may repeat.
	closeRetries = retries{refused: 10 * time.Second, unknown: 10 * time.Second}
	// hangUpRetries is closeRetries within replyReserve, for a function that has a client's message.
	hangUpRetries = retries{refused: time.Second, unknown: time.Second}
)

// eventRetries are those of an event that is published. Where posts are throttled presence gives up first, messages last.
func eventRetries(event string) retries {
	switch event {
	case contract.PresenceUpdate:
		return presenceRetries
	case contract.NotificationsReady, contract.ErrorEvent:
		return retries{refused: helloRetries.refused, unknown: helloRetries.unknown}
	}
	return messageRetries
}

// after is how long a call that was answered so is tried again, and the longest pause between two tries.
func (r retries) after(err error) (budget, longest time.Duration) {
	switch {
	case err == nil, errors.Is(err, ErrRejected):
		return 0, 0
	case errors.Is(err, ErrGone):
		return r.gone, handshakePause
	case errors.Is(err, ErrThrottled), errors.Is(err, ErrNotSent):
		return r.refused, lastPause
	}
	return r.unknown, lastPause
}

// again makes a call until it goes well, its time is over or ctx ends. id is the connection's.
func (r retries) again(ctx context.Context, id string, call func(try int) error) error {
	began := time.Now() // a stopwatch: no clock of the rules
	pause := firstPause
	for try := 0; ; try++ {
		err := call(try)
		if try == 0 && errors.Is(err, ErrGone) {
			began = time.Now() // an answer that takes long makes nobody older
		}
		budget, longest := r.after(err)
		pause = min(pause, longest)
		wait := spread(id, try, pause)
		if budget == 0 || time.Since(began)+wait > budget {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(wait):
		}
		pause *= 2
	}
}

// spread is the second half of a pause cut short: sockets that were refused together do not come back together. It depends on
// nothing else, so that a run of the simulation repeats.
func spread(id string, try int, pause time.Duration) time.Duration {
	h := fnv.New32a()
	_, _ = h.Write([]byte{byte(try)}) //nolint:gosec // G115: any byte will do
	_, _ = h.Write([]byte(id))        // neither fails
	return pause/2 + time.Duration(h.Sum32()%1024)*pause/2048
}
