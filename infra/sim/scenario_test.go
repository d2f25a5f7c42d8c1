package sim

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"example.org/realtime/shared/contract"
	"example.org/realtime/shared/realtime"
	"example.org/realtime/shared/wire"
)

// inWorld runs a scenario in a world in which only that goes wrong which the scenario does, and fails for every promise
// that is broken.
func inWorld(t *testing.T, l limits, scenario func(t *testing.T, w *world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1, faults{}, l, nil)
		scenario(t, w)
		w.running.Wait()
		for _, broken := range w.broken {
			t.Error(broken)
		}
	})
}

// mustConnect is a handshake that goes well and is welcomed.
func (w *world) mustConnect(user string) *conn {
	w.t.Helper()
	c := w.connect(user, time.Time{}, wire.JSON)
	if c == nil {
		w.t.Fatalf("%s could not connect", user)
	}
	w.running.Wait()
	return c
}

// truth settles the world, holds it to its promises, ends every connection and looks for leftovers.
func (w *world) truth(conversations ...string) {
	w.settle(4)
	h := &history{world: w, conversations: conversations}
	h.check()
	w.endAll()
	w.settle(5)
	w.checkLeftovers()
}

// events lists what a client received, without presence.
func (c *conn) events() (list []string) {
	for _, f := range c.frames {
		if f.Event != contract.PresenceUpdate {
			list = append(list, f.Event+" "+string(f.Data))
		}
	}
	return list
}

// dropped ends a connection whose $disconnect never comes.
func (w *world) dropped(c *conn) {
	w.mu.Lock()
	defer w.mu.Unlock()
	c.closed = time.Now()
}

// TestCrashOfConnect kills connect after each of its steps: the handshake fails, and sweep repairs what was written.
func TestCrashOfConnect(t *testing.T) {
	const steps = 4 // CONN, USER, the welcome, the return
	for n := range steps + 1 {
		t.Run(fmt.Sprintf("after %d steps", n), func(t *testing.T) {
			inWorld(t, calm, func(t *testing.T, w *world) {
				w.mustConnect("observer")
				c := w.dial("alice", time.Time{}, wire.JSON)
				w.killing["connect "+c.id] = n
				if err := w.handshake(c); (err != nil) != (n < steps) {
					t.Errorf("handshake: %v", err)
				}
				w.truth()
			})
		})
	}
}

// TestCrashOfDisconnect kills disconnect after each of its steps: sweep does the rest.
func TestCrashOfDisconnect(t *testing.T) {
	const steps = 7 // CONN read, USER, presence, 2 ROOMs, CONN, the return
	for n := range steps + 1 {
		t.Run(fmt.Sprintf("after %d steps", n), func(t *testing.T) {
			inWorld(t, calm, func(t *testing.T, w *world) {
				w.mustConnect("observer")
				c := w.mustConnect("alice")
				w.takesPart("alice", "c1", "c2")
				w.joins(c, "c1")
				w.joins(c, "c2")
				w.dropped(c)
				w.killing["disconnect "+c.id+" #0"] = n
				if err := w.disconnect(c, 0, time.Now()); (err != nil) != (n < steps) {
					t.Errorf("disconnect: %v", err)
				}
				w.truth()
			})
		})
	}
}

// TestDisconnectOvertakesConnect runs $disconnect before each step of its connect: whatever the order, nothing of the
// connection stays, and nobody believes in it.
func TestDisconnectOvertakesConnect(t *testing.T) {
	for n := 1; n <= 4; n++ {
		t.Run(fmt.Sprintf("before step %d", n), func(t *testing.T) {
			inWorld(t, calm, func(t *testing.T, w *world) {
				w.mustConnect("observer")
				c := w.dial("alice", time.Time{}, wire.JSON)
				w.between[fmt.Sprintf("connect %s %d", c.id, n)] = func() {
					if err := w.disconnect(c, 0, time.Now()); err != nil {
						t.Errorf("disconnect: %v", err)
					}
				}
				err := w.handshake(c)
				if n == 1 && !errors.Is(err, realtime.ErrGone) {
					t.Errorf("connect after its end: %v, want %v", err, realtime.ErrGone)
				}
				w.dropped(c) // the client had given up
				w.truth()
			})
		})
	}
}

// TestDoubledDisconnects ends many sockets of one user at once, each twice.
func TestDoubledDisconnects(t *testing.T) {
	inWorld(t, calm, func(t *testing.T, w *world) {
		observer := w.mustConnect("observer")
		var conns []*conn
		for range 8 {
			conns = append(conns, w.mustConnect("alice"))
		}
		before := len(observer.frames)
		for _, c := range conns {
			w.dropped(c)
			for n := range 2 {
				w.running.Go(func() {
					if err := w.disconnect(c, n, time.Now()); err != nil {
						t.Errorf("disconnect: %v", err)
					}
				})
			}
		}
		w.running.Wait()
		offline := 0
		for _, f := range observer.frames[before:] {
			if strings.Contains(string(f.Data), `"isOnline":false`) {
				offline++
			}
		}
		if offline == 0 {
			t.Error("nobody was told that alice is offline")
		}
		w.truth()
	})
}

// TestHeartbeatAfterDisconnect: the socket is not created again, and its connection is closed.
func TestHeartbeatAfterDisconnect(t *testing.T) {
	inWorld(t, calm, func(t *testing.T, w *world) {
		c := w.mustConnect("alice")
		if err := w.disconnect(c, 0, time.Now()); err != nil {
			t.Fatal(err)
		}
		w.say(c, contract.PresenceHeartbeat, "")
		w.running.Wait()
		if c.open() {
			t.Error("a client that the table does not know stays connected")
		}
		w.truth()
	})
}

// TestTooManySockets: a full user's next socket is told and closed; the verification that this starts makes room.
func TestTooManySockets(t *testing.T) {
	l := calm
	l.socketsPerUser = 3
	inWorld(t, l, func(t *testing.T, w *world) {
		for range 3 {
			w.dropped(w.mustConnect("alice"))
		}
		time.Sleep(20 * time.Second) // past the handshake guard
		refused := w.mustConnect("alice")
		if got := refused.events(); len(got) != 1 || !strings.HasPrefix(got[0], `error {"code":"socket_error:too_many_connections"`) || refused.open() {
			t.Errorf("received %q, open %v", got, refused.open())
		}
		if c := w.mustConnect("alice"); !c.open() || !strings.HasPrefix(c.events()[0], contract.NotificationsReady) {
			t.Errorf("after the verification: open %v, received %q", c.open(), c.events())
		}
		w.truth()
	})
}

// TestExpiredToken: error, then the close, within about a minute.
func TestExpiredToken(t *testing.T) {
	inWorld(t, calm, func(t *testing.T, w *world) {
		c := w.connect("alice", time.Now().Add(30*time.Second).Truncate(time.Second), wire.JSON)
		w.settle(2)
		if got := c.events(); len(got) != 2 || !strings.HasPrefix(got[1], `error {"code":"socket_error:token_expired"`) || c.open() {
			t.Errorf("received %q, open %v", got, c.open())
		}
		w.truth()
	})
}

// TestKeepAlive: an idle connection hears something at least every 10 minutes, and a busy one nothing more for it.
func TestKeepAlive(t *testing.T) {
	inWorld(t, calm, func(t *testing.T, w *world) {
		idle := w.mustConnect("idle")
		before := len(idle.frames)
		w.settle(60)
		last := idle.opened
		for _, f := range idle.frames[before:] {
			if f.Event != contract.PresenceUpdate || f.at.Sub(last) > 10*time.Minute {
				t.Errorf("%s after %v of silence", f.Event, f.at.Sub(last))
			}
			last = f.at
		}
		if got := len(idle.frames) - before; got != 7 {
			t.Errorf("%d keep-alives in an hour, want 7", got)
		}
		if !idle.open() {
			t.Error("closed")
		}
	})
}

// TestPresenceAboveTheLimit: above PRESENCE_GLOBAL_MAX a user's own sockets hear of it, and those in a room with it.
func TestPresenceAboveTheLimit(t *testing.T) {
	l := calm
	l.presenceGlobalMax = 2
	inWorld(t, l, func(t *testing.T, w *world) {
		near, far := w.mustConnect("near"), w.mustConnect("far")
		w.mustConnect("third")
		w.settle(1) // counted: above the limit
		w.takesPart("near", "c1")
		w.takesPart("alice", "c1")
		w.joins(near, "c1")
		heard := func(c *conn) bool {
			return slices.ContainsFunc(c.frames, func(f frame) bool {
				return strings.Contains(string(f.Data), `"userId":"alice"`) && f.Event == contract.PresenceUpdate
			})
		}
		c := w.mustConnect("alice")
		if !heard(c) || heard(near) || heard(far) {
			t.Errorf("after connect: own %v, near %v, far %v", heard(c), heard(near), heard(far))
		}
		w.joins(c, "c1")
		if !heard(near) || heard(far) {
			t.Errorf("after join: near %v, far %v", heard(near), heard(far))
		}
		near.frames = nil
		w.end(c.id)
		w.running.Wait()
		if !heard(near) || heard(far) {
			t.Errorf("after the end: near %v, far %v", heard(near), heard(far))
		}
	})
}

// TestPublishRetried: an id that is done answers the same and posts nothing; one under way is refused; a crash is resumed.
func TestPublishRetried(t *testing.T) {
	inWorld(t, calm, func(t *testing.T, w *world) {
		c := w.mustConnect("alice")
		req, err := contract.ParsePublish([]byte(`{"id":"p1","event":"notifications:new","to":{"users":["alice"]},"data":{"eventKey":"k","notification":{}}}`))
		if err != nil {
			t.Fatal(err)
		}
		publish := func(raw string) (answer contract.Published, err error) {
			err = w.invoke("publish", 50*time.Second, false, func(ctx context.Context) (err error) {
				answer, err = w.publisher.Publish(ctx, req, []byte(raw))
				return err
			})
			return answer, err
		}
		w.killing["publish"] = 2 // the claim, the audience
		if _, err := publish("h"); !errors.Is(err, errKilled) {
			t.Errorf("killed: %v", err)
		}
		if _, err := publish("h"); !isInProgress(err) {
			t.Errorf("under way: %v", err)
		}
		time.Sleep(time.Minute)
		want := contract.Published{ID: "p1", Event: contract.NotificationsNew, Matched: 1, Delivered: 1}
		if got, err := publish("h"); err != nil || got != want {
			t.Errorf("resumed: %+v, %v", got, err)
		}
		heard := len(c.events())
		want.Duplicate = true
		if got, err := publish("h"); err != nil || got != want {
			t.Errorf("again: %+v, %v", got, err)
		}
		if len(c.events()) != heard {
			t.Error("a duplicate was posted")
		}
		if _, err := publish("other"); err == nil || !strings.HasPrefix(err.Error(), "id: ") {
			t.Errorf("another body: %v", err)
		}
	})
}

func isInProgress(err error) bool {
	_, ok := errors.AsType[*contract.PublishInProgress](err)
	return ok
}
