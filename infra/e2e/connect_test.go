package e2e

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"testing"

	"golang.org/x/sync/errgroup"
)

// The first word to a client is notifications:ready, but for presences of others, which may be on their way to everybody.
func TestReadyComesFirst(t *testing.T) {
	s := suite(t)
	user := unique("alice-")
	c, err := s.dial(t, s.token(user))
	if err != nil {
		t.Fatal(err)
	}
	first := c.await("anything", func(f frame) bool { return !is("presence:update")(f) || isPresenceOf(user)(f) })
	var ready struct{ Message, UserID string }
	decode(t, first.data, &ready)
	if first.event != "notifications:ready" || ready.UserID != user || ready.Message == "" {
		t.Errorf("first came %v", first)
	}
	c.presence("I am here", user, online(1))
	c.none("a second notifications:ready", is("notifications:ready"))
}

// Whoever sees notifications:ready is reached by the next publish, and whoever sees the ack of a join by the next one to the
// conversation, no matter who else comes and goes.
func TestReadyIsAPromise(t *testing.T) {
	s := apart(t)
	const clients, rounds = 6, 10
	var g errgroup.Group
	for range clients {
		g.Go(func() error {
			for round := range rounds {
				if err := s.keepsPromise(t, unique("user-"), unique("c-")); err != nil {
					return fmt.Errorf("round %d: %w", round, err)
				}
			}
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		t.Error(err)
	}
}

func (s *system) keepsPromise(t *testing.T, user, conversation string) error {
	c, err := s.dial(t, s.token(user))
	if err != nil {
		return err
	}

	c.user = user
	if _, err := c.take(is("notifications:ready")); err != nil {
		return err
	}
	data := notice(user)
	p, err := s.send(request("notifications:new", data, to(user)))
	if want := (published{Event: "notifications:new", Matched: 1, Delivered: 1}); err != nil || p != want {
		return fmt.Errorf("publish after notifications:ready: %+v, %w", p, err)
	}
	if _, err := c.take(func(f frame) bool { return f.raw == envelope("notifications:new", data) }); err != nil {
		return err
	}
	s.participants(t, "set", conversation, user)
	c.send(`{"event":"conversations:join","data":{"conversationId":"` + conversation + `"},"id":1}`)
	if f, err := c.take(is("ack")); err != nil || f.raw != `{"event":"ack","id":1,"data":{"success":true}}` {
		return fmt.Errorf("join: %v, %w", f, err)
	}
	data = message(conversation, "nobody", nil, `"`+user+`"`)
	p, err = s.send(request("messages:updated", data, ""))
	if want := (published{Event: "messages:updated", Matched: 1, Delivered: 1}); err != nil || p != want {
		return fmt.Errorf("publish after the ack of a join: %+v, %w", p, err)
	}
	_, err = c.take(func(f frame) bool { return f.raw == envelope("messages:updated", data) })
	return err
}

// A token may come in three places.
func TestTokenPlaces(t *testing.T) {
	s := suite(t)
	tests := []struct {
		name     string
		connect  func(token string) (*client, error)
		protocol string // that the server chooses
	}{
		{"Authorization header", func(token string) (*client, error) { return s.dial(t, token) }, ""},
		{"query", func(token string) (*client, error) {
			return dial(t, s.url+"?token="+url.QueryEscape(token), http.Header{})
		}, ""},
		{"subprotocol", func(token string) (*client, error) {
			return dial(t, s.url, http.Header{}, "bearer", token)
		}, "bearer"},
		{"trailing slash", func(token string) (*client, error) {
			return dial(t, s.url+"/?token="+url.QueryEscape(token), http.Header{})
		}, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			user := unique("alice-")
			c, err := tt.connect(s.token(user))
			if err != nil {
				t.Fatal(err)
			}
			c.user = user
			c.await("notifications:ready", is("notifications:ready"))
			if got := c.conn.Subprotocol(); got != tt.protocol {
				t.Errorf("subprotocol %q, want %q", got, tt.protocol)
			}
			refused, err := tt.connect("garbage")
			if err != nil {
				t.Fatal(err)
			}
			if got := refused.conn.Subprotocol(); got != tt.protocol {
				t.Errorf("subprotocol of a refused token %q, want %q", got, tt.protocol)
			}
			refused.awaitRefusal("socket_error:unauthorized")
		})
	}
}

// Two tabs are two sockets of one user: both get what the user gets, and each has rooms of its own.
func TestTwoTabs(t *testing.T) {
	s := suite(t)
	alice, conversation := unique("alice-"), unique("c-")
	s.participants(t, "set", conversation, alice)
	one := s.connect(t, alice)
	two := s.connect(t, alice)
	sockets := []string{one.id, two.id}
	slices.Sort(sockets)
	p := one.presence("both are here", alice, online(2))
	if got := p.ids(); !slices.Equal(got, sockets) {
		t.Errorf("sockets %v, want %v", got, sockets)
	}
	s.delivers(t, 2, "notifications:new", notice("both"), to(alice))
	one.exactly("notifications:new", notice("both"))
	two.exactly("notifications:new", notice("both"))

	one.join(conversation)
	data := message(conversation, "nobody", nil, `1`)
	s.delivers(t, 1, "messages:new", data, "")
	one.exactly("messages:new", data)
	two.none("a message of a conversation that the other tab joined", is("messages:new"))

	one.close()
	two.presence("one tab is left", alice, online(1))
	s.delivers(t, 1, "notifications:new", notice("one"), to(alice))
	two.exactly("notifications:new", notice("one"))
}

// A client that comes back is a new socket, which has to join again.
func TestReconnect(t *testing.T) {
	s := suite(t)
	alice, bob, conversation := unique("alice-"), unique("bob-"), unique("c-")
	s.participants(t, "set", conversation, alice)
	observer := s.connect(t, bob)
	before := s.connect(t, alice)
	before.join(conversation)
	_ = before.conn.CloseNow() // the network breaks
	observer.presence("the network broke", alice, offline)
	after := s.connect(t, alice)
	if after.id == before.id {
		t.Errorf("socket %s again", after.id)
	}
	observer.presence("back again", alice, online(1))
	data := message(conversation, "nobody", nil, `{}`)
	s.delivers(t, 0, "messages:new", data, "")
	after.join(conversation)
	s.delivers(t, 1, "messages:new", data, "")
	after.exactly("messages:new", data)
}
