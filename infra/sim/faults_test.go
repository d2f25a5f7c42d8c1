package sim

import (
	"context"
	"errors"
	"time"

	"example.org/realtime/shared/realtime"
)

// faults says how rough the world is. The zero faults is a world in which nothing goes wrong.
type faults struct {
	kill   float64 // of invocations that are killed between two steps
	double float64 // of asynchronous invocations and $disconnects that run twice
	drop   float64 // of $disconnects that never come
	mute   float64 // of asynchronous invocations whose acceptance is not heard of
	slow   float64 // of steps that take up to slowStep instead of some milliseconds

	// Of calls of the connection management API.
	throttled float64 // 429
	failed    float64 // 500, and nothing was done
	lost      float64 // 500, and it was done
	falseGone float64 // 410, of a connection that is just open: its handshake seems to go on; a tenth as often of one that is older
}

// rough is what every seed meets; stormy has an API Gateway that is in trouble, too.
var (
	rough  = faults{kill: 0.04, double: 0.05, drop: 0.2, slow: 0.02}
	stormy = faults{kill: 0.04, double: 0.05, drop: 0.2, slow: 0.02, throttled: 0.1, failed: 0.03, lost: 0.03, falseGone: 0.1}
)

const (
	slowStep = 6 * time.Second
	// justOpen is for how long a connection may be taken for one that is in its handshake still.
	justOpen = time.Second
)

var errServer = errors.New("500")

// api is a call of the connection management API.
func (w *world) api(ctx context.Context, op, id string, carryOut func(*conn) error) error {
	if err := w.step(ctx, op, id); err != nil {
		return err
	}
	r := w.rand("api", op, id)
	throttled, failed, lost := w.chance(r, w.faults.throttled), w.chance(r, w.faults.failed), w.chance(r, w.faults.lost)
	opening, wrong := w.chance(r, w.faults.falseGone), w.chance(r, w.faults.falseGone/10)
	w.mu.Lock()
	defer w.mu.Unlock()
	c := w.conns[id]
	switch {
	case throttled:
		return realtime.ErrThrottled
	case failed:
		return errServer
	case c == nil || !c.open():
		return realtime.ErrGone
	case opening && time.Since(c.opened) < justOpen, wrong && op != "close":
		return realtime.ErrGone
	}
	if err := carryOut(c); err != nil {
		return err
	}
	if lost {
		return errServer
	}
	return nil
}
