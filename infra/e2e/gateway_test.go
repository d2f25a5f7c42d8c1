package e2e

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coder/websocket"

	"example.org/realtime/infra/local/gateway"
	"example.org/realtime/infra/local/stack"
)

// API Gateway may run the messages of a connection in any order, and every event may be a message of $default's: the last join or
// leave counts all the same.
func TestAnyOrder(t *testing.T) {
	s := own(t, func(o *stack.Options) {
		o.Settings["RouteKeys"] = "default"
		o.Gateway.Shuffle = gateway.Shuffle{Seed: 1, Jitter: 50 * time.Millisecond}
	})
	alice, conversation := unique("alice-"), unique("c-")
	s.participants(t, "set", conversation, alice)
	c := s.connect(t, alice)
	data := message(conversation, "nobody", nil, `1`)
	shuffled := false
	for round := range 6 {
		const events = 9
		for i := range events {
			event := []string{"conversations:join", "conversations:leave"}[(round+i)%2]
			s.local.sendAlone(t, c, fmt.Sprintf(`{"event":"%s","data":{"conversationId":"%s"},"id":%d}`, event, conversation, i))
		}
		var order []string
		for range events {
			f := c.await("an ack", is("ack"))
			if !strings.Contains(f.raw, `"success":true`) {
				t.Errorf("got %v", f)
			}
			shuffled = shuffled || f.id != fmt.Sprint(len(order))
			order = append(order, f.id)
		}
		last := (round + events - 1) % 2 // 0 is a join
		if p := s.publish(t, "messages:new", data, ""); p.Delivered != 1-last {
			t.Errorf("round %d ended with %s, run in the order %v: %+v", round, []string{"a join", "a leave"}[last], order, p)
		}
	}
	if !shuffled {
		t.Error("every message ran in its order: this test shows nothing")
	}
}

// sendAlone sends a message that API Gateway gets in a millisecond of its own: that is what orders joins and leaves.
func (l *local) sendAlone(t *testing.T, c *client, message string) {
	t.Helper()
	before := l.meter.received()
	c.send(message)
	eventually(t, "the message arrives", func() bool { return l.meter.received() > before })
	for now := time.Now().UnixMilli(); time.Now().UnixMilli() <= now; {
		time.Sleep(100 * time.Microsecond)
	}
}

// The stage refuses what comes above ThrottleRate, of each route by itself: a handshake with its status, a message with a frame of
// API Gateway's own, after which the connection stays.
func TestThrottledRoutes(t *testing.T) {
	t.Parallel()
	const atOnce = 20
	s := own(t, settings(map[string]string{"ThrottleRate": "1", "ThrottleBurst": "1"}))
	c := s.connect(t, unique("alice-"))
	c.note(func() { c.refusals = atOnce })
	for n := range atOnce {
		c.send(fmt.Sprintf(`{"event":"presence:heartbeat","id":%d}`, n))
	}
	throttled := func(f frame) bool {
		return strings.HasPrefix(f.raw, `{"message": "Too Many Requests", "connectionId":"`)
	}
	acks := 0
	for range atOnce {
		f := c.await("an ack or a refusal", func(f frame) bool { return f.event == "ack" || throttled(f) })
		if f.event == "ack" {
			acks++
		}
	}
	if acks == 0 || acks == atOnce {
		t.Errorf("of %d messages at once %d were answered", atOnce, acks)
	}
	c.leave(unique("c-")) // another route

	var handshakes sync.WaitGroup
	var refused atomic.Int64
	for range atOnce {
		handshakes.Go(func() {
			var e *refusedHandshake
			_, err := s.dial(t, s.token(unique("bob-")))
			switch {
			case err == nil:
			case errors.As(err, &e) && e.status == http.StatusTooManyRequests:
				refused.Add(1)
			default:
				t.Error(err)
			}
		})
	}
	handshakes.Wait()
	if refused.Load() == 0 {
		t.Errorf("none of %d handshakes at once was refused", atOnce)
	}
	eventually(t, "the bucket has one again", func() bool {
		c, err := s.dial(t, s.token(unique("bob-")))
		if err == nil {
			c.await("notifications:ready", is("notifications:ready"))
		}
		return err == nil
	})
}

// Lambda may run an asynchronous event twice: posts repeat, and nothing else does.
func TestEventsRunTwice(t *testing.T) {
	s := own(t, func(o *stack.Options) { o.Faults.Duplicate = 1 })
	alice, bob := unique("alice-"), unique("bob-")
	b := s.connect(t, bob)
	a := s.connect(t, alice)
	a.await("notifications:ready again", is("notifications:ready"))
	for range 2 {
		b.presence("connect", alice, online(1))
	}
	s.delivers(t, 2, "notifications:new", notice("k"), to(alice, bob))
	a.exactly("notifications:new", notice("k"))
	a.close()
	for range 2 {
		b.presence("disconnect", alice, offline)
	}
	s.delivers(t, 1, "notifications:new", notice("k"), to(alice, bob))
}

// The system's own timer, by its schedule, ends a connection whose end nobody was told of, and tells.
func TestLostDisconnect(t *testing.T) {
	s := own(t, func(o *stack.Options) {
		o.ScheduleEvery, o.Lambda.Scale = 100*time.Millisecond, 1
	})
	l := s.local
	conversation, alice, bob := unique("c-"), unique("alice-"), unique("bob-")
	s.participants(t, "set", conversation, alice)
	b := s.connect(t, bob)
	a := s.connect(t, alice)
	a.join(conversation)
	l.loseDisconnect(a.id)
	_ = a.conn.CloseNow()
	l.age(t, a, time.Minute)
	b.presence("swept", alice, offline)
	eventually(t, "its row is deleted", func() bool { return l.row(t, connectionKey(a.id)) == nil })
	if l.row(t, key("conversation:"+conversation, "c#"+shard(a.id)+"#"+a.id)) != nil {
		t.Error("its row in the room is there")
	}
	s.delivers(t, 0, "messages:new", message(conversation, alice, []string{alice}, `1`), "")
	b.none("a presence of its own: it lives, and nothing changed", isPresenceOf(bob))
}

// API Gateway ends a connection that is silent for its idle timeout, and every connection at the end of its life; to the service both
// are a disconnect like any other.
func TestIdleAndLife(t *testing.T) {
	t.Parallel()
	s := own(t, func(o *stack.Options) {
		o.Gateway.Timers = gateway.Timers{Idle: 8 * time.Second, Life: 20 * time.Second}
	})
	alice, bob := unique("alice-"), unique("bob-")
	b := s.connect(t, bob)
	a := s.connect(t, alice)
	speakWhile := func(open func() bool) {
		for open() {
			_ = b.conn.Write(t.Context(), websocket.MessageText, []byte(`{"event":"presence:heartbeat"}`)) // it may be closed meanwhile
			time.Sleep(20 * time.Millisecond)
		}
	}
	goingAway := websocket.CloseError{Code: websocket.StatusGoingAway, Reason: "Going away"}
	speakWhile(func() bool { return !a.hasEnded() })
	if got := a.awaitClose(); got != goingAway {
		t.Errorf("idle: closed with %v", got)
	}
	b.presence("idle", alice, offline)
	speakWhile(func() bool { return !b.hasEnded() })
	if got := b.awaitClose(); got != goingAway {
		t.Errorf("at the end of its life: closed with %v", got)
	}
	eventually(t, "nobody is there any more", func() bool { return s.publish(t, "notifications:new", notice("k"), to(alice, bob)).Matched == 0 })
}

// A connection that is silent for 8 minutes is sent its user's own presence, which changes nothing, so that API Gateway keeps it.
func TestKeepAlive(t *testing.T) {
	var clock atomic.Int64 // how far API Gateway's is behind
	s := own(t, func(o *stack.Options) {
		o.Gateway.Now = func() time.Time { return time.Now().Add(-time.Duration(clock.Load())) }
	})
	alice, bob := unique("alice-"), unique("bob-")
	clock.Store(int64(9 * time.Minute))
	silent := s.connect(t, alice)
	speaking := s.connect(t, bob)
	silent.presence("bob is here", bob, online(1))
	clock.Store(0)
	speaking.ask("e2e:marker", "") // any message counts
	s.sweep(t)
	p := silent.presence("kept alive", alice, online(1))
	if p.socketOf(silent) == nil {
		t.Errorf("%+v is not its own", p)
	}
	s.sweep(t)
	silent.none("another one in the same 8 minutes", is("presence:update"))
	speaking.none("one although it has spoken", is("presence:update"))
}

// Sweep tells nobody of those that live. The next presence shows when it saw them last.
func TestSweepVerifies(t *testing.T) {
	s := suite(t)
	s.onThisMachine(t)
	alice := unique("alice-")
	one := s.connect(t, alice)
	s.sweep(t)
	swept := time.Now().UnixMilli()
	one.none("a presence of what has not changed", isPresenceOf(alice))
	for time.Now().UnixMilli() <= swept {
		time.Sleep(time.Millisecond)
	}
	s.sweep(t)
	two := s.connect(t, alice)
	p := one.presence("two tabs", alice, online(2))
	if seen := *p.socketOf(one).LastSeen; seen <= swept {
		t.Errorf("last seen at %d, verified after %d", seen, swept)
	}
	two.close()
}

// Outside production sweep logs the metrics snapshot.
func TestMetricsSnapshot(t *testing.T) {
	s := own(t, nil)
	s.connect(t, "alice")
	s.connect(t, "bob")
	s.sweep(t)
	if said := s.local.since(0); !strings.Contains(said, `"message":"metrics snapshot","function":"sweep","active_connections":2,"peak_connections":2`) {
		t.Errorf("no metrics snapshot in\n%s", said)
	}
}
