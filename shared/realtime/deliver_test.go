package realtime

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/time/rate"

	"example.org/realtime/shared/contract"
	"example.org/realtime/shared/wire"
)

// gateway is a Poster that answers after a while, and keeps every call with when it began.
type gateway struct {
	answer func(op, id string, try int) (after time.Duration, err error)

	mu           sync.Mutex
	calls        map[string][]call
	atOnce, most int // calls under way, and the most there ever were
}

type call struct {
	op string
	at time.Time
}

func (g *gateway) call(ctx context.Context, op, id string) error {
	g.mu.Lock()
	if g.calls == nil {
		g.calls = map[string][]call{}
	}
	try := len(g.calls[id])
	g.calls[id] = append(g.calls[id], call{op, time.Now()})
	g.atOnce++
	g.most = max(g.most, g.atOnce)
	g.mu.Unlock()
	defer func() {
		g.mu.Lock()
		defer g.mu.Unlock()
		g.atOnce--
	}()
	after, err := g.answer(op, id, try)
	if after == 0 {
		return err // no timer: those that are over at once, in a bubble, crash the race detector (golang/go issue 78156)
	}
	select {
	case <-time.After(after):
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (g *gateway) Post(ctx context.Context, id string, message []byte) error {
	op := "post"
	if strings.HasPrefix(string(message), "41") {
		op = "41"
	}
	return g.call(ctx, op, id)
}

func (g *gateway) Close(ctx context.Context, id string) error { return g.call(ctx, "close", id) }

func (g *gateway) LastActive(context.Context, string) (time.Time, error) { return time.Time{}, nil }

// sockets is n sockets long past their handshake, s0= and so on.
func sockets(n int) targets {
	to := targets{}
	for i := range n {
		to.add([]Socket{{ID: fmt.Sprintf("s%d=", i), UserID: "u", Protocol: wire.SocketIO}}, "")
	}
	return to
}

func newDeliverer(t *testing.T, g *gateway) *Publisher {
	p, _, _, _ := newPublisher(t, house{})
	p.Poster, p.Now = g, time.Now
	return p
}

func idFrame(to Socket) []byte { return []byte(to.ID) }

func TestRetries(t *testing.T) {
	unknown := errors.New("status 500")
	for _, tt := range []struct {
		name   string
		with   retries
		errs   []error // of the tries; the last stays
		want   error
		tries  int           // 0: as many as the time allows
		within time.Duration // from the first try to the last
	}{
		{"message", messageRetries, []error{nil}, nil, 1, 0},
		{"message throttled for a while", messageRetries, []error{ErrThrottled, ErrThrottled, nil}, nil, 3, 60 * time.Millisecond},
		{"message throttled for ever", messageRetries, []error{ErrThrottled}, ErrThrottled, 0, 10 * time.Second},
		{"message not sent", messageRetries, []error{ErrNotSent, nil}, nil, 2, firstPause},
		{"message that may have been posted", messageRetries, []error{unknown, nil}, unknown, 1, 0},
		{"message that may have been posted at the second try", messageRetries, []error{ErrThrottled, unknown, nil}, unknown, 2, firstPause},
		{"message timed out", messageRetries, []error{context.DeadlineExceeded, nil}, context.DeadlineExceeded, 1, 0},
		{"message to a gone socket", messageRetries, []error{ErrGone, nil}, ErrGone, 1, 0},
		{"presence throttled for ever", presenceRetries, []error{ErrThrottled}, ErrThrottled, 0, time.Second},
		{"presence that may have been posted", presenceRetries, []error{unknown, unknown, nil}, nil, 3, 60 * time.Millisecond},
		{"presence rejected", presenceRetries, []error{fmt.Errorf("%w: status 403", ErrRejected), nil}, ErrRejected, 1, 0},
		{"close rejected", closeRetries, []error{ErrRejected, nil}, ErrRejected, 1, 0},
		{"presence failing for ever", presenceRetries, []error{unknown}, unknown, 0, time.Second},
		{"ready in its handshake", helloRetries, []error{ErrGone, ErrGone, ErrThrottled, unknown, nil}, nil, 5, 300 * time.Millisecond},
		{"ready to a gone socket", helloRetries, []error{ErrGone}, ErrGone, 0, 5 * time.Second},
		{"open packet in its handshake", openRetries, []error{ErrGone, ErrThrottled, ErrNotSent, nil}, nil, 4, 140 * time.Millisecond},
		{"open packet that may have been posted", openRetries, []error{unknown, nil}, unknown, 1, 0},
		{"close that may have been done", closeRetries, []error{unknown, nil}, nil, 2, firstPause},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				began, last, tries := time.Now(), time.Now(), 0
				err := tt.with.again(t.Context(), "a=", func(try int) error {
					if try != tries {
						t.Errorf("try %d is called %d", tries, try)
					}
					tries++
					last = time.Now()
					return tt.errs[min(try, len(tt.errs)-1)]
				})
				if !errors.Is(err, tt.want) {
					t.Errorf("got %v, want %v", err, tt.want)
				}
				if tt.tries > 0 && tries != tt.tries {
					t.Errorf("%d tries, want %d", tries, tt.tries)
				}
				if took := last.Sub(began); took > tt.within || tt.tries == 0 && took < tt.within-lastPause {
					t.Errorf("tried for %v, want %v", took, tt.within)
				}
			})
		})
	}
}

// The time for which a young socket that answers 410 is tried begins with that answer: one that takes long is not believed sooner.
func TestSlow410OfAYoungSocket(t *testing.T) {
	for _, tt := range []struct {
		age  time.Duration // at the first try
		want outcome
	}{
		{handshakeGuard - time.Millisecond, outcome{delivered: 1}},
		{handshakeGuard, outcome{gone: []target{{}}}},
	} {
		synctest.Test(t, func(t *testing.T) {
			g := &gateway{answer: func(_, _ string, try int) (time.Duration, error) {
				if try == 0 {
					return 2 * youngWait, ErrGone
				}
				return 0, nil
			}}
			to := targets{}
			to.add([]Socket{{ID: "a=", UserID: "u", Protocol: wire.JSON, ConnectedAt: time.Now().Add(-tt.age)}}, "")
			o := newDeliverer(t, g).deliver(t.Context(), maps.Values(to), delivery{frame: idFrame, retries: messageRetries})
			if o.delivered != tt.want.delivered || len(o.gone) != len(tt.want.gone) || o.failed != 0 {
				t.Errorf("%v old: %+v", tt.age, o)
			}
		})
	}
}

// Sockets that are throttled together do not come back together, and wait longer each time.
func TestPausesGrowAndAreSpread(t *testing.T) {
	seen := map[time.Duration]bool{}
	for i := range 100 {
		wait := spread(fmt.Sprintf("s%d=", i), 0, time.Second)
		if wait < time.Second/2 || wait >= time.Second {
			t.Errorf("waits %v", wait)
		}
		seen[wait] = true
	}
	if len(seen) < 80 {
		t.Errorf("100 sockets wait for %d times", len(seen))
	}
	synctest.Test(t, func(t *testing.T) {
		g := &gateway{answer: func(string, string, int) (time.Duration, error) { return 0, ErrThrottled }}
		if err := newDeliverer(t, g).post(t.Context(), "a=", nil, messageRetries); !errors.Is(err, ErrThrottled) {
			t.Error(err)
		}
		calls := g.calls["a="]
		if len(calls) < 8 || len(calls) > 20 {
			t.Errorf("%d tries in 10 s", len(calls))
		}
		for i := 2; i < len(calls) && calls[i].at.Sub(calls[i-1].at) < lastPause/2; i++ {
			if calls[i].at.Sub(calls[i-1].at) < calls[i-1].at.Sub(calls[i-2].at)/2 {
				t.Errorf("try %d comes sooner than the one before", i)
			}
		}
	})
}

// A try that would come after the end of ctx is none, and the socket has failed.
func TestRetriesEndWithTheDeadline(t *testing.T) {
	for _, d := range []delivery{
		{retries: messageRetries},
		{retries: messageRetries, rate: rate.NewLimiter(1, 1)},
	} {
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
			defer cancel()
			began := time.Now()
			g := &gateway{answer: func(string, string, int) (time.Duration, error) { return 0, ErrThrottled }}
			d.frame = idFrame
			o := newDeliverer(t, g).deliver(ctx, maps.Values(sockets(100)), d)
			if o.failed != 100 || o.firstError == nil || time.Since(began) > 3*time.Second {
				t.Errorf("%d failed with %v after %v", o.failed, o.firstError, time.Since(began))
			}
		})
	}
}

// Slow sockets do not hold up others, however many they are; and what waits to be tried again holds up nobody.
func TestSlowSockets(t *testing.T) {
	const fast = 1000
	for _, tt := range []struct {
		name         string
		slow         int
		answer       error
		takes        time.Duration
		gone, failed int
		fastWithin   time.Duration // the last of the fast is posted
		atOnce, most int
	}{
		{"none", 0, nil, 0, 0, 0, 2 * time.Second, 1, postsAtOnce},
		{"slow", 60, nil, 5 * time.Second, 0, 0, 2 * time.Second, 60, postsAtOnce + 60},
		{"as slow as a timeout", 300, context.DeadlineExceeded, 5 * time.Second, 0, 300, 2 * time.Second, 300, postsAtOnce + 300},
		{"more than may be", 700, nil, 5 * time.Second, 0, 0, 13 * time.Second, postsAtOnce + slowAtOnce, postsAtOnce + slowAtOnce},
		{"slowly gone", 60, ErrGone, 5 * time.Second, 60, 0, 2 * time.Second, 60, postsAtOnce + 60},
		{"throttled", 500, ErrThrottled, 0, 0, 500, 2 * time.Second, 1, postsAtOnce},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				to := sockets(fast)
				for i := range tt.slow {
					to.add([]Socket{{ID: fmt.Sprintf("slow%d=", i)}}, "")
				}
				g := &gateway{answer: func(_, id string, _ int) (time.Duration, error) {
					if strings.HasPrefix(id, "slow") {
						return tt.takes, tt.answer
					}
					return 20 * time.Millisecond, nil
				}}
				began := time.Now()
				o := newDeliverer(t, g).deliver(t.Context(), maps.Values(to), delivery{frame: idFrame, retries: messageRetries})
				if o.delivered != len(to)-tt.gone-tt.failed || len(o.gone) != tt.gone || o.failed != tt.failed {
					t.Errorf("delivered %d, gone %d, failed %d of %d", o.delivered, len(o.gone), o.failed, len(to))
				}
				for id, calls := range g.calls {
					if took := calls[0].at.Sub(began); id[:2] != "sl" && took > tt.fastWithin {
						t.Fatalf("%s is posted to after %v", id, took)
					}
				}
				if g.most < tt.atOnce || g.most > tt.most {
					t.Errorf("%d posts at once, want %d to %d", g.most, tt.atOnce, tt.most)
				}
			})
		})
	}
}

// The rate is of all calls: posts, what is tried again, and closes; a second's worth may come at once.
func TestDeliveryRate(t *testing.T) {
	for _, tt := range []struct {
		name string
		d    delivery
		n    int
		errs int // of each socket's first tries
		want time.Duration
	}{
		{"a second's worth", delivery{}, 100, 0, 0},
		{"posts", delivery{}, 500, 0, 4 * time.Second},
		{"posts tried again", delivery{}, 250, 1, 4 * time.Second},
		{"closes", delivery{closing: true}, 250, 0, 4 * time.Second},
		{"final closes", delivery{closing: true, final: true}, 200, 0, 5 * time.Second},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				g := &gateway{answer: func(_, _ string, try int) (time.Duration, error) {
					if try < tt.errs {
						return 0, ErrThrottled
					}
					return 0, nil
				}}
				tt.d.frame, tt.d.retries, tt.d.rate = idFrame, messageRetries, rate.NewLimiter(100, 100)
				began := time.Now()
				o := newDeliverer(t, g).deliver(t.Context(), maps.Values(sockets(tt.n)), tt.d)
				if took := time.Since(began).Round(100 * time.Millisecond); o.delivered != tt.n || took != tt.want {
					t.Errorf("delivered %d after %v, want %v", o.delivered, took, tt.want)
				}
			})
		})
	}
}

// The event, the end of the namespace and the close come in that order, each only when the one before is done.
func TestOrderOfFramesToOneSocket(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := &gateway{answer: func(_, _ string, try int) (time.Duration, error) {
			return 300 * time.Millisecond, []error{ErrThrottled, nil, errors.New("status 500"), nil, ErrThrottled, nil}[try]
		}}
		o := newDeliverer(t, g).deliver(t.Context(), maps.Values(sockets(200)), delivery{frame: idFrame, retries: messageRetries, closing: true, final: true})
		if o.delivered != 200 {
			t.Errorf("delivered %d", o.delivered)
		}
		for id, calls := range g.calls {
			var ops []string
			for i, c := range calls {
				ops = append(ops, c.op)
				if i > 0 && c.at.Sub(calls[i-1].at) < 300*time.Millisecond {
					t.Errorf("%s: %s %d begins before the one before has ended", id, c.op, i)
				}
			}
			if diff := cmp.Diff([]string{"post", "post", "41", "41", "close", "close"}, ops); diff != "" {
				t.Fatalf("%s: %s", id, diff)
			}
		}
	})
}

// A published event is tried again for as long as its kind is worth, and repeated only if its kind may be.
func TestEventRetries(t *testing.T) {
	once := map[string]time.Duration{}
	repeated := map[string]time.Duration{}
	for _, event := range []string{
		contract.MessagesNew, contract.MessagesUpdated, contract.MessagesDeleted, contract.NotificationsNew, contract.NotificationsReady,
		contract.PresenceUpdate, contract.ErrorEvent, contract.SystemDisconnect,
	} {
		r := eventRetries(event)
		if r.gone != 0 {
			t.Errorf("%s: a final 410 is one", event)
		}
		once[event] = r.refused
		if r.unknown != 0 {
			repeated[event] = r.unknown
		}
	}
	const s = time.Second
	if diff := cmp.Diff(map[string]time.Duration{
		"messages:new": 10 * s, "messages:updated": 10 * s, "messages:deleted": 10 * s, "notifications:new": 10 * s, "system:disconnect": 10 * s,
		"presence:update": s, "notifications:ready": 5 * s, "error": 5 * s,
	}, once); diff != "" {
		t.Errorf("throttled: %s", diff)
	}
	if diff := cmp.Diff(map[string]time.Duration{"presence:update": s, "notifications:ready": 5 * s, "error": 5 * s}, repeated); diff != "" {
		t.Errorf("repeated: %s", diff)
	}
}
