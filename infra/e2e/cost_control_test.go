package e2e

import (
	"testing"

	"example.org/realtime/shared/contract"
)

// What a backend asks of control, beside TestCost.
func TestCostOfControl(t *testing.T) {
	b := newBill(t, nil)
	ctx, backend := t.Context(), b.backend()
	group := must[contract.GroupChanged](t)
	disconnect := func(user string, deny *int) func() {
		return func() {
			must[contract.SocketsDisconnected](t)(backend.DisconnectSockets(ctx, contract.DisconnectSockets{Users: []string{user}, Reason: "r", DenySeconds: deny}))
		}
	}
	alice, _ := b.connect(t, "alice"), b.connect(t, "alice")
	bob, carol := b.connect(t, "bob"), b.connect(t, "carol")
	b.costs("groups.join of a user with 2 sockets", reading{Write: 2 * 2, Read: 1, Invocations: 1}, func() { group(backend.JoinGroup(ctx, "g1", "alice")) })
	b.costs("presence.read of 3 users", reading{Read: 0.5 + 3, Invocations: 1}, func() {
		must[[]contract.PresenceSnapshot](t)(backend.ReadPresence(ctx, "alice", "bob", "nobody"))
	})
	b.costs("connections.list of 2, each in a room", reading{Read: 0.5 + 1 + 2*2, Invocations: 1}, func() { must[contract.UserConnections](t)(backend.ListConnections(ctx, "alice")) })
	b.costs("rooms.list of a connection in a room", reading{Read: 2, Invocations: 1}, func() { must[*contract.ConnectionRooms](t)(backend.ListRooms(ctx, alice.id)) })
	b.costs("groups.leave of a user with 2 sockets", reading{Write: 2, Read: 1, Invocations: 1}, func() { group(backend.LeaveGroup(ctx, "g1", "alice")) })
	b.delivers(t, 2, "notifications:new", notice("k"), to("alice")+`,"id":"p1"`)
	b.costs("publishes.read", reading{Read: 1, Invocations: 1}, func() { must[*contract.PublishStatus](t)(backend.ReadPublish(ctx, "p1")) })

	// Of the user that is read, of CONN, and of the presence, which is told to the others.
	const ended = 1 + 1 + presenceRead
	b.costs("sockets.disconnect of a user with a socket, 3 others", reading{Write: 2, Read: ended, Invocations: 4, Posts: 1 + 3, Closes: 1}, disconnect("bob", nil))
	b.costs("sockets.disconnect with denySeconds, 2 others", reading{Write: 1 + 2, Read: ended, Invocations: 4, Posts: 1 + 2, Closes: 1}, disconnect("carol", new(3600)))
	for _, c := range []*client{bob, carol} {
		if closed := c.awaitClose(); closed != closedByServer {
			t.Errorf("%s was closed with %v", c.user, closed)
		}
	}
	b.costs("connect of a user who is kept out, until it is closed", reading{Write: 5, Read: 1, Invocations: 4, Posts: 1, Closes: 1}, func() {
		c, err := b.dial(t, b.token("carol"))
		if err != nil {
			t.Fatal(err)
		}
		c.awaitRefusal("socket_error:forbidden")
	})
	b.costs("sockets.disconnect with denySeconds 0, nobody there", reading{Write: 1, Read: 1, Invocations: 2}, disconnect("carol", new(0)))
}
