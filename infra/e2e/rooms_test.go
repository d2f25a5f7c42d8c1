package e2e

import (
	"slices"
	"testing"
)

// The ack of an event echoes its id as it came, and nothing but the ack is sent.
func TestAcks(t *testing.T) {
	s := suite(t)
	alice, mine, theirs := unique("alice-"), unique("c-"), unique("c-")
	s.participants(t, "set", mine, alice)
	c := s.connect(t, alice)
	room := func(conversation string) string { return `"data":{"conversationId":"` + conversation + `"}` }
	const success = `{"success":true}`
	const forbidden = `{"success":false,"code":"socket_error:forbidden","message":"you do not take part in this conversation"}`
	tests := []struct{ id, message, ack string }{
		{`"7"`, `{"event":"conversations:join",` + room(mine) + `,"id":"7"}`, success},
		{`7`, `{"event":"conversations:join",` + room(mine) + `,"id":7}`, success}, // joined already
		{`-1.50e2`, `{"event":"conversations:leave",` + room(mine) + `,"id": -1.50e2 }`, success},
		{`"\u0041\/"`, `{"event":"conversations:leave","id":"\u0041\/",` + room(mine) + `}`, success}, // left already
		{`""`, `{"event":"conversations:leave",` + room(theirs) + `,"id":""}`, success},               // never joined
		{`0`, `{"event":"presence:heartbeat","id":0}`, success},
		{`"forbidden"`, `{"event":"conversations:join",` + room(theirs) + `,"id":"forbidden"}`, forbidden},
	}
	for _, tt := range tests {
		c.send(tt.message)
		if f, want := c.await("an ack", is("ack")), `{"event":"ack","id":`+tt.id+`,"data":`+tt.ack+`}`; f.raw != want {
			t.Errorf("%s\n got %s\nwant %s", tt.message, f, want)
		}
	}
	c.none("an error besides the ack", is("error"))
}

// Without an id, success is silent and a failure is one error event.
func TestWithoutID(t *testing.T) {
	s := suite(t)
	alice, mine, theirs := unique("alice-"), unique("c-"), unique("c-")
	s.participants(t, "set", mine, alice)
	c := s.connect(t, alice)
	data := message(mine, "nobody", nil, `1`)
	c.send(`{"event":"conversations:join","data":{"conversationId":"` + mine + `"}}`)
	eventually(t, "the join counts", func() bool { return s.publish(t, "messages:new", data, "").Delivered == 1 })
	c.send(`{"event":"conversations:leave","data":{"conversationId":"` + mine + `"},"id":null}`)
	eventually(t, "the leave counts", func() bool { return s.publish(t, "messages:new", data, "").Matched == 0 })
	c.send(`{"event":"conversations:join","data":{"conversationId":"` + theirs + `"}}`)
	f := c.await("an error", is("error"))
	if want := envelope("error", `{"code":"socket_error:forbidden","message":"you do not take part in this conversation"}`); f.raw != want {
		t.Errorf("\n got %s\nwant %s", f, want)
	}
	c.none("an ack or a second error", func(f frame) bool { return f.event == "ack" || f.event == "error" })
}

func TestParticipants(t *testing.T) {
	s := suite(t)
	conversation, alice, bob, carol := unique("c-"), unique("alice-"), unique("bob-"), unique("carol-")
	listed := func(want ...string) {
		t.Helper()
		answer, err := s.invoke(s.controller, `{"op":"participants.list","conversationId":"`+conversation+`"}`)
		if err != nil {
			t.Fatal(err)
		}
		slices.Sort(want)
		if got := string(answer); got != `{"users":`+list(want)+`}` {
			t.Errorf("participants.list: %s, want %v", got, want)
		}
	}
	changes := func(op string, users []string, added, removed int) {
		t.Helper()
		if a, r := s.participants(t, op, conversation, users...); a != added || r != removed {
			t.Errorf("participants.%s %v: added %d and removed %d, want %d and %d", op, users, a, r, added, removed)
		}
	}
	listed()
	changes("set", []string{alice, bob}, 2, 0)
	changes("set", []string{alice, bob}, 0, 0)
	changes("add", []string{bob, carol}, 1, 0)
	listed(alice, bob, carol)
	changes("remove", []string{bob, "stranger"}, 0, 1)
	listed(alice, carol)
	changes("set", []string{bob}, 1, 2)
	listed(bob)
	changes("set", nil, 0, 1)
	listed()
}

// Whoever is no participant is refused until control says otherwise, and hears nothing more of the room once it is removed.
func TestMembership(t *testing.T) {
	s := suite(t)
	conversation, alice, bob := unique("c-"), unique("alice-"), unique("bob-")
	s.participants(t, "set", conversation, alice)
	a := s.connect(t, alice)
	a.join(conversation)
	b := s.connect(t, bob)
	tab := s.connect(t, bob)
	join := `{"conversationId":"` + conversation + `"}`
	refused := func(c *client) {
		t.Helper()
		if got := c.ask("conversations:join", join); got.Success || got.Code != "socket_error:forbidden" {
			t.Errorf("%s joins: %+v", c.user, got)
		}
	}
	data := message(conversation, "nobody", nil, `1`)
	refused(b)
	s.delivers(t, 1, "messages:new", data, "")
	s.participants(t, "add", conversation, bob)
	b.join(conversation)
	tab.join(conversation)
	s.delivers(t, 3, "messages:new", data, "")

	s.participants(t, "remove", conversation, bob)
	s.delivers(t, 1, "messages:new", data, "")
	b.exactly("messages:new", data) // the one before the removal
	tab.exactly("messages:new", data)
	refused(b)

	s.participants(t, "add", conversation, bob)
	s.delivers(t, 1, "messages:new", data, "") // a participant again, and not in the room
	b.join(conversation)
	s.delivers(t, 2, "messages:new", data, "")
	b.leave(conversation) // although the removal's mark is ahead of the clock
	s.delivers(t, 1, "messages:new", data, "")
	b.join(conversation)
	s.participants(t, "set", conversation, alice)
	s.delivers(t, 1, "messages:new", data, "")
	a.takeAll(is("messages:new"))
	b.takeAll(is("messages:new"))
}

// A team's own membership function that cannot be asked is no permission.
func TestMembershipFunctionFails(t *testing.T) {
	const arn = "arn:aws:lambda:us-east-1:000000000000:function:"
	for name, function := range map[string]string{"unknown": "membership", "answers with an error": "control"} {
		t.Run(name, func(t *testing.T) {
			s := own(t, settings(map[string]string{"MEMBERSHIP": arn + function}))
			conversation, alice := unique("c-"), unique("alice-")
			s.participants(t, "set", conversation, alice) // which is not asked
			c := s.connect(t, alice)
			if got := c.ask("conversations:join", `{"conversationId":"`+conversation+`"}`); got.Success || got.Code != "socket_error:internal" {
				t.Errorf("join: %+v", got)
			}
			s.delivers(t, 0, "messages:new", message(conversation, "nobody", nil, `1`), "")
		})
	}
}
