package e2e

import "testing"

// The way of a client through the system, and of a message to it. It is short, for a system that is slow.
func TestFlow(t *testing.T) {
	s := suite(t)
	conversation, alice, bob := unique("c-"), unique("alice-"), unique("bob-")
	s.participants(t, "set", conversation, alice, bob)
	a := s.connect(t, alice)
	b := s.connect(t, bob)
	a.presence("bob is here", bob, online(1))
	b.join(conversation)
	data := message(conversation, alice, []string{alice}, `{"id":"m1","body":"See you at 5? <3"}`)
	s.delivers(t, 2, "messages:new", data, "")
	a.exactly("messages:new", data)
	b.exactly("messages:new", data)
	b.leave(conversation)
	s.delivers(t, 1, "messages:new", data, "")
	b.none("a message of a conversation that it left", is("messages:new"))
	b.succeed("presence:heartbeat", "")
	a.presence("bob's heart beats", bob, online(1))
	b.close()
	a.presence("bob has left", bob, offline)
}
