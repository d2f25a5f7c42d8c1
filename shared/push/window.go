package push

import (
	"context"
	"fmt"
	"net/http/httptrace"
	"os"
	"sync"
	"time"
)

// windowLength is how long after one another calls that share a deadline may begin.
const windowLength = callTimeout / 20

// errLate is of a call that took too long.
var errLate = fmt.Errorf("no answer in time: %w", os.ErrDeadlineExceeded)

// attempt is a call under way.
type attempt struct {
	ctx       context.Context
	connected bool   // there was a connection to write to; set by the goroutine of the call, which the hook runs in
	end       func() // for when it is over
}

// newAttempt has ctx tell when there is a connection.
func newAttempt(ctx context.Context, end func()) *attempt {
	a := &attempt{end: end}
	a.ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{GotConn: func(httptrace.GotConnInfo) { a.connected = true }})
	return a
}

// window is a deadline for all calls that begin within windowLength and end with the same context: a timer for each would take a
// twentieth of a post's time, which is more than its signature takes. Attempts that are over are used again.
type window struct {
	ended    <-chan struct{} // Done of that context
	until    time.Time
	cancel   context.CancelFunc // where one call has it alone; the deadline, or that context, ends it anyway
	attempts sync.Pool          // of *attempt
}

// begin begins a call. Its context ends with ctx, or after callTimeout and up to windowLength more; its values may be those of
// another call's context, and nobody looks at them.
func (c *Client) begin(ctx context.Context) *attempt {
	last := c.window.Load()
	if last != nil && time.Until(last.until) >= callTimeout {
		if last.ended == ctx.Done() {
			return last.attempts.Get().(*attempt)
		}
		return newAttempt(context.WithTimeoutCause(ctx, callTimeout, errLate)) // or there would be a window for each, in turn
	}
	w := &window{ended: ctx.Done(), until: time.Now().Add(callTimeout + windowLength)}
	var limited context.Context
	limited, w.cancel = context.WithDeadlineCause(ctx, w.until, errLate)
	w.attempts.New = func() any {
		a := newAttempt(limited, nil)
		a.end = func() {
			a.connected = false
			w.attempts.Put(a)
		}
		return a
	}
	if !c.window.CompareAndSwap(last, w) {
		return newAttempt(limited, w.cancel)
	}
	return w.attempts.Get().(*attempt)
}
