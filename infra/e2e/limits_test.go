package e2e

import (
	"testing"
	"time"

	"example.org/realtime/infra/local/stack"
)

// A user has so many sockets; one more is refused, and has the others verified, so that the next try finds the dead ones gone.
func TestTooManySockets(t *testing.T) {
	s := own(t, settings(map[string]string{"SOCKETS_PER_USER_MAX": "2"}))
	alice := unique("alice-")
	one := s.connect(t, alice)
	two := s.connect(t, alice)
	refuse := func() {
		t.Helper()
		c, err := s.dial(t, s.token(alice))
		if err != nil {
			t.Fatal(err)
		}
		c.user = alice
		c.awaitRefusal("socket_error:too_many_connections")
	}
	s.delivers(t, 2, "notifications:new", notice("both"), to(alice))
	s.local.loseDisconnect(two.id)
	two.close()
	s.local.age(t, two, time.Minute)
	refuse()
	one.presence("one was dead", alice, online(1))
	three := s.connect(t, alice)
	refuse()
	s.delivers(t, 2, "notifications:new", notice("three"), to(alice))
	three.exactly("notifications:new", notice("three"))
}

func TestTooManyRooms(t *testing.T) {
	s := own(t, settings(map[string]string{"ROOMS_PER_CONNECTION_MAX": "2"}))
	alice := unique("alice-")
	rooms := []string{unique("c-"), unique("c-"), unique("c-")}
	for _, room := range rooms {
		s.participants(t, "set", room, alice)
	}
	c := s.connect(t, alice)
	c.join(rooms[0])
	c.join(rooms[1])
	c.join(rooms[1])
	third := `{"conversationId":"` + rooms[2] + `"}`
	if got := c.ask("conversations:join", third); got.Success || got.Code != "socket_error:too_many_rooms" {
		t.Errorf("a third room: %+v", got)
	}
	s.delivers(t, 0, "messages:new", message(rooms[2], "nobody", nil, `1`), "")
	c.leave(rooms[0])
	c.join(rooms[2])
	s.delivers(t, 1, "messages:new", message(rooms[2], "nobody", nil, `1`), "")
	s.delivers(t, 0, "messages:new", message(rooms[0], "nobody", nil, `1`), "")
}

func TestSettings(t *testing.T) {
	s := own(t, settings(map[string]string{
		"PRESENCE_CLIENT_INFO": "all", "PRESENCE_HEARTBEAT_MIN_SECONDS": "0", "SOCKET_MAX_PAYLOAD_BYTES": "100", "TOKEN_EXPIRY": "ignore",
	}))
	alice, bob := unique("alice-"), unique("bob-")
	b := s.connect(t, bob)
	a := s.connect(t, alice)
	sees := func(what string) {
		t.Helper()
		if p := b.presence(what, alice, online(1)); p.socketOf(a) == nil || p.Sockets[0].IP == nil {
			t.Errorf("%s: %+v without user agent and ip", what, p)
		}
	}
	sees("connect")
	for range 2 { // the second at once
		a.succeed("presence:heartbeat", "")
		sees("heartbeat")
	}
	a.send(`{"event":"presence:heartbeat","data":"` + string(make([]byte, 100)) + `"}`)
	a.awaitRefusal("socket_error:payload_too_large")
}

// Above PRESENCE_GLOBAL_MAX connections a presence goes to the user's own room and to those who share a conversation, which a join
// tells as well; a heartbeat goes to the own room alone.
func TestPresenceAboveLimit(t *testing.T) {
	s := own(t, func(o *stack.Options) { o.Settings["PRESENCE_GLOBAL_MAX"] = "2" })
	conversation, alice, friend, stranger := unique("c-"), unique("alice-"), unique("friend-"), unique("stranger-")
	s.participants(t, "set", conversation, alice, friend)
	far := s.connect(t, stranger)
	near := s.connect(t, friend)
	tab := s.connect(t, alice)
	s.sweep(t) // counts the three
	near.join(conversation)
	clients := []*client{far, near, tab}
	for _, c := range clients {
		c.takeAll(is("presence:update"))
	}
	about := isPresenceOf(alice)

	one := s.connect(t, alice) // itself and the other tab
	tab.presence("connect", alice, online(2))
	near.none("a connect, without a conversation in common", about)
	one.join(conversation)
	near.presence("join", alice, online(2))
	one.presence("join", alice, online(2))
	tab.presence("join", alice, online(2))
	one.succeed("presence:heartbeat", "")
	one.presence("heartbeat", alice, online(2))
	tab.presence("heartbeat", alice, online(2))
	near.none("a heartbeat", about)
	one.close()
	near.presence("disconnect", alice, online(1))
	tab.presence("disconnect", alice, online(1))
	far.none("anything, sharing nothing", about)
}
