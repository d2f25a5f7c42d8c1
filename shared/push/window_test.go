package push

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"example.org/realtime/shared/realtime"
)

// piped is a client on the clock of a bubble. serve answers its connections, and may read on until they are closed.
func piped(t *testing.T, serve func(net.Conn)) *Client {
	t.Helper()
	c, err := New(config("http://api.invalid"), "http://api.invalid/live", time.Now)
	if err != nil {
		t.Fatal(err)
	}
	c.transport.DialContext = func(context.Context, string, string) (net.Conn, error) {
		ours, theirs := net.Pipe()
		go func() {
			serve(theirs)
			_, _ = io.Copy(io.Discard, theirs)
			_ = theirs.Close()
		}()
		return ours, nil
	}
	t.Cleanup(c.transport.CloseIdleConnections)
	return c
}

func TestCallsEndInTime(t *testing.T) {
	for method, call := range calls {
		synctest.Test(t, func(t *testing.T) {
			c := piped(t, func(net.Conn) {})
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			began := time.Now()
			err := call(ctx, c)
			if took := time.Since(began); !errors.Is(err, context.DeadlineExceeded) || errors.Is(err, realtime.ErrNotSent) || strings.Contains(err.Error(), "payload") || took != time.Second {
				t.Errorf("%s, the caller's deadline, after %v: %v", method, took, err)
			}
			began = time.Now()
			err = call(t.Context(), c)
			var late net.Error
			if took := time.Since(began); !errors.As(err, &late) || !late.Timeout() || errors.Is(err, realtime.ErrNotSent) || took < callTimeout || took > callTimeout+windowLength {
				t.Errorf("%s, the client's own, after %v: %v", method, took, err)
			}
			cancel()
			if err := call(ctx, c); !errors.Is(err, context.DeadlineExceeded) || !errors.Is(err, realtime.ErrNotSent) {
				t.Errorf("%s, ended before: %v", method, err)
			}
		})
	}
}

// A call that ran out of time while it was waiting for a connection was not sent.
func TestNotSentInTime(t *testing.T) {
	for method, call := range calls {
		synctest.Test(t, func(t *testing.T) {
			c := piped(t, nil)
			release := make(chan struct{})
			defer close(release)
			c.transport.DialContext = func(context.Context, string, string) (net.Conn, error) {
				<-release
				return nil, errors.New("late")
			}
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			if err := call(ctx, c); !errors.Is(err, context.DeadlineExceeded) || !errors.Is(err, realtime.ErrNotSent) {
				t.Errorf("%s, in the caller's time: %v", method, err)
			}
			if err := call(t.Context(), c); !errors.Is(err, realtime.ErrNotSent) {
				t.Errorf("%s, in its own: %v", method, err)
			}
		})
	}
}

// An answer whose body does not end says what its status says, and its connection is not used again.
func TestAnswersThatDoNotEnd(t *testing.T) {
	for status, want := range map[int]string{200: "", 410: realtime.ErrGone.Error(), 429: realtime.ErrThrottled.Error(), 500: "status 500"} {
		synctest.Test(t, func(t *testing.T) {
			connections := 0
			c := piped(t, func(conn net.Conn) {
				connections++
				read(conn)
				fmt.Fprintf(conn, "HTTP/1.1 %d Status\r\nContent-Length: 100\r\n\r\n{\"mess", status)
			})
			if want != "" {
				want = "POST connection " + connection + ": " + want
			}
			for n := range 2 {
				err := c.Post(t.Context(), connection, []byte("payload"))
				if err != nil && err.Error() != want || err == nil && want != "" {
					t.Errorf("%d: %v, want %q", status, err, want)
				}
				if connections != n+1 {
					t.Errorf("%d: %d posts over %d connections", status, n+1, connections)
				}
			}
		})
	}
}

// Calls that begin soon after one another and end with the same context share a deadline, which leaves each its time.
func TestWindow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &Client{}
		begin := func(ctx context.Context) context.Context {
			t.Helper()
			a := c.begin(ctx)
			t.Cleanup(a.end)
			deadline, ok := a.ctx.Deadline()
			if left := time.Until(deadline); !ok || left < callTimeout || left > callTimeout+windowLength {
				t.Errorf("a call has %v", left)
			}
			return a.ctx
		}
		invocation, endInvocation := context.WithTimeout(t.Context(), time.Hour)
		other, endOther := context.WithCancel(t.Context())
		defer endOther()

		first := begin(invocation)
		time.Sleep(windowLength)
		last := begin(invocation)
		private := begin(other)
		time.Sleep(time.Nanosecond)
		next := begin(invocation)
		if first.Done() != last.Done() || next.Done() == first.Done() {
			t.Error("the first two share a deadline, and no more")
		}
		if private.Done() == first.Done() {
			t.Error("another invocation's call ends with the first one's")
		}

		time.Sleep(callTimeout)
		synctest.Wait()
		if !errors.Is(context.Cause(first), errLate) || !errors.Is(context.Cause(private), errLate) || next.Err() != nil {
			t.Errorf("after %v: %v, %v and %v", callTimeout, context.Cause(first), context.Cause(private), next.Err())
		}
		running := begin(invocation)
		endInvocation()
		if !errors.Is(running.Err(), context.Canceled) {
			t.Errorf("a call goes on after its invocation: %v", running.Err())
		}
		if afterwards := begin(other); afterwards.Err() != nil {
			t.Errorf("a call is over with another one's invocation: %v", afterwards.Err())
		}
	})
}

// A context that is near its end has one window as well, and does not shorten other calls.
func TestWindowNearTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &Client{}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		first, again, other := c.begin(ctx), c.begin(ctx), c.begin(t.Context())
		defer other.end()
		if first.ctx.Done() != again.ctx.Done() {
			t.Error("a deadline for each")
		}
		for a, want := range map[*attempt]time.Duration{first: time.Second, other: callTimeout} {
			if deadline, _ := a.ctx.Deadline(); time.Until(deadline) != want {
				t.Errorf("a call has %v, not %v", time.Until(deadline), want)
			}
		}
	})
}

// What one call has found out is not taken for another's: those that have a connection and those that get none take turns, many
// at once, with contexts of their own and with a common one.
func TestAttemptsAreApart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := piped(t, func(conn net.Conn) {
			read(conn)
			fmt.Fprint(conn, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
		})
		c.transport.DisableKeepAlives = true
		var dials, refused, notSent, sent atomic.Int32
		dial := c.transport.DialContext
		c.transport.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
			if dials.Add(1)%2 == 0 {
				refused.Add(1)
				return nil, errors.New("refused")
			}
			return dial(ctx, network, address)
		}
		var wg sync.WaitGroup
		post := func(ctx context.Context) {
			switch err := c.Post(ctx, connection, []byte("payload")); {
			case err == nil:
				sent.Add(1)
			case errors.Is(err, realtime.ErrNotSent):
				notSent.Add(1)
			default:
				t.Error(err)
			}
		}
		for i := range 20 {
			wg.Go(func() {
				ctx := t.Context()
				if i%3 == 0 {
					var cancel context.CancelFunc
					ctx, cancel = context.WithCancel(ctx)
					defer cancel()
				}
				for range 10 {
					post(ctx)
				}
			})
		}
		wg.Wait()
		if notSent.Load() != refused.Load() || sent.Load() == 0 {
			t.Errorf("%d of %d were not sent, and %d refused", notSent.Load(), sent.Load()+notSent.Load(), refused.Load())
		}
	})
}
