package e2e

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"example.org/realtime/infra/local/gateway"
	"example.org/realtime/infra/local/table"
)

// A post that API Gateway does not take is counted and never ends the others; none is repeated.
func TestFailedPosts(t *testing.T) {
	t.Parallel()
	s := apart(t) // a socket that does not answer holds up every presence
	l := s.onThisMachine(t)
	one, three := unique("one-"), unique("three-")
	before := s.connect(t, one)
	after := s.connect(t, three)
	tests := []struct {
		name  string
		fault gateway.Fault
		gets  bool // the event all the same
	}{
		{"403", gateway.Fault{Status: http.StatusForbidden}, false},
		{"413", gateway.Fault{Status: http.StatusRequestEntityTooLarge}, false},
		{"429", gateway.Fault{Status: http.StatusTooManyRequests}, false},
		{"500", gateway.Fault{Status: http.StatusInternalServerError}, false},
		{"500 after the fact", gateway.Fault{Status: http.StatusInternalServerError, After: true}, true},
		{"no answer", gateway.Fault{Delay: time.Hour}, false},
		{"no answer after the fact", gateway.Fault{Delay: time.Hour, After: true}, true},
	}
	failing := make([]*client, len(tests))
	for i := range tests {
		failing[i] = s.connect(t, unique("two-"))
	}
	var all sync.WaitGroup // side by side, to wait the 5 s for no answer once
	for i, tt := range tests {
		l.failPosts(t, failing[i].id, tt.fault)
		all.Go(func() {
			p, err := s.send(request("notifications:new", notice(tt.name), to(one, failing[i].user, three)))
			if want := (published{Event: "notifications:new", Matched: 3, Delivered: 2, Failed: 1}); err != nil || p != want {
				t.Errorf("%s: %+v, %v, want %+v", tt.name, p, err, want)
			}
		})
	}
	all.Wait()
	for i, tt := range tests {
		l.failPosts(t, failing[i].id, gateway.Fault{})
		this := func(f frame) bool { return f.raw == envelope("notifications:new", notice(tt.name)) }
		want := map[*client]int{before: 1, after: 1, failing[i]: 0}
		if tt.gets {
			want[failing[i]] = 1
		}
		for c, times := range want {
			if got := c.takeAll(this); len(got) != times {
				t.Errorf("%s: %s got it %d times, want %d", tt.name, c.user, len(got), times)
			}
		}
		s.delivers(t, 1, "notifications:new", notice("again"), to(failing[i].user))
	}
}

// A socket that is told to disconnect and cannot be closed counts as failed, although it has been told.
func TestFailedClose(t *testing.T) {
	t.Parallel() // it is tried for some seconds
	s := apart(t)
	l := s.onThisMachine(t)
	alice := unique("alice-")
	c := s.connect(t, alice)
	l.failManagement(t, c.id, func(op string) gateway.Fault {
		if op == gateway.DeleteConnection {
			return gateway.Fault{Status: http.StatusInternalServerError}
		}
		return gateway.Fault{}
	})
	want := published{Event: "system:disconnect", Matched: 1, Failed: 1}
	if p := s.publish(t, "system:disconnect", `{"reason":"kick"}`, to(alice)); p != want {
		t.Errorf("%+v, want %+v", p, want)
	}
	c.exactly("system:disconnect", `{"reason":"kick"}`)
	c.succeed("presence:heartbeat", "")
}

// A socket whose end nobody was told of is found gone by the next publish, which removes it.
func TestPublishFindsSocketGone(t *testing.T) {
	s := apart(t) // where nothing else finds it first
	l := s.onThisMachine(t)
	conversation, alice, bob := unique("c-"), unique("alice-"), unique("bob-")
	s.participants(t, "set", conversation, alice, bob)
	b := s.connect(t, bob)
	b.join(conversation)
	a := s.connect(t, alice)
	b.presence("alice is here", alice, online(1))
	a.join(conversation)
	l.loseDisconnect(a.id)
	a.close()
	eventually(t, "the connection is gone", func() bool { _, open := l.Gateway.Connection(a.id); return !open })
	data := message(conversation, bob, []string{alice}, `1`)
	want := published{Event: "messages:new", Matched: 2, Delivered: 1, Gone: 1}

	// It is so young that it might be in its handshake still: it is not removed for that.
	if p := s.publish(t, "messages:new", data, ""); p != want {
		t.Errorf("%+v, want %+v", p, want)
	}
	if l.row(t, connectionKey(a.id)) == nil {
		t.Error("a connection was removed that may be in its handshake")
	}
	l.age(t, a, time.Minute, "conversation:"+conversation)
	if p := s.publish(t, "messages:new", data, ""); p != want {
		t.Errorf("%+v, want %+v", p, want)
	}
	b.presence("alice is gone", alice, offline)
	eventually(t, "the connection's row is deleted", func() bool { return l.row(t, connectionKey(a.id)) == nil })
	if l.row(t, key("conversation:"+conversation, "c#"+shard(a.id)+"#"+a.id)) != nil {
		t.Error("its row in the room is there")
	}
	s.delivers(t, 1, "messages:new", data, "")
}

// A socket that is taken for gone, and lives, is closed, so that its client comes back.
func TestSocketTakenForGone(t *testing.T) {
	s := apart(t)
	l := s.onThisMachine(t)
	alice := unique("alice-")
	a := s.connect(t, alice)
	l.age(t, a, time.Minute)
	l.failPosts(t, a.id, gateway.Fault{Status: http.StatusGone})
	if p := s.publish(t, "notifications:new", notice("k"), to(alice)); p.Gone != 1 {
		t.Errorf("%+v", p)
	}
	if got := a.awaitClose(); got != closedByServer {
		t.Errorf("closed with %v", got)
	}
	back := s.connect(t, alice)
	s.delivers(t, 1, "notifications:new", notice("k"), to(alice))
	back.exactly("notifications:new", notice("k"))
}

// One that cannot be closed either is closed when it speaks: nobody stays connected and deaf.
func TestDeafSocketIsClosed(t *testing.T) {
	s := apart(t)
	l := s.onThisMachine(t)
	conversation := unique("c-")
	for event, data := range map[string]string{"presence:heartbeat": "null", "conversations:join": `{"conversationId":"` + conversation + `"}`} {
		t.Run(event, func(t *testing.T) {
			alice, bob := unique("alice-"), unique("bob-")
			s.participants(t, "add", conversation, alice)
			b := s.connect(t, bob)
			a := s.connect(t, alice)
			b.presence("alice is here", alice, online(1))
			l.age(t, a, time.Minute)
			var alive atomic.Bool
			l.failManagement(t, a.id, func(string) gateway.Fault {
				if alive.Load() {
					return gateway.Fault{}
				}
				return gateway.Fault{Status: http.StatusGone} // to the close as well, which would have it come back at once
			})
			if p := s.publish(t, "notifications:new", notice("k"), to(alice)); p.Gone != 1 {
				t.Errorf("%+v", p)
			}
			b.presence("alice is taken for gone", alice, offline)
			eventually(t, "its row is deleted", func() bool { return l.row(t, connectionKey(a.id)) == nil })
			alive.Store(true)
			a.send(`{"event":"` + event + `","data":` + data + `,"id":1}`)
			if got := a.awaitClose(); got != closedByServer {
				t.Errorf("closed with %v", got)
			}
			back := s.connect(t, alice)
			b.presence("back again", alice, online(1))
			s.delivers(t, 1, "notifications:new", notice("k"), to(alice))
			back.exactly("notifications:new", notice("k"))
		})
	}
}

// While a publish is under way, another one with its id is to be tried again.
func TestPublishInProgress(t *testing.T) {
	s := apart(t)
	l := s.embedded(t)
	alice := unique("alice-")
	c := s.connect(t, alice)
	going := make(chan struct{})
	l.failTable(t, "user:"+alice, func(ctx context.Context, _ table.Op) error { // the SDK tries again, where a post would be given up
		select {
		case <-going:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	})
	id := unique("id-")
	once := request("notifications:new", notice("once"), `"id":"`+id+`",`+to(alice))
	first := make(chan error)
	go func() {
		_, err := s.send(once)
		first <- err
	}()
	eventually(t, "it is under way", func() bool { return l.row(t, key("pub#"+id, "#")) != nil })
	_, err := s.send(once)
	if e, ok := errors.AsType[*functionError](err); !ok || e.Header != "Unhandled" || e.Type != "PublishInProgress" || e.Message == "" {
		t.Errorf("%v, want PublishInProgress", err)
	}
	close(going)
	if err := <-first; err != nil {
		t.Error(err)
	}
	if p, err := s.send(once); err != nil || !p.Duplicate || p.Delivered != 1 {
		t.Errorf("%+v, %v", p, err)
	}
	c.exactly("notifications:new", notice("once"))
}
