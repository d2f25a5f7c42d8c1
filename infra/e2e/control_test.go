package e2e

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"example.org/realtime/shared/backend"
	"example.org/realtime/shared/contract"
)

// backend is the client of a backend in Go.
func (s *system) backend() *backend.Client {
	return backend.New(s.functions, backend.Functions{Publish: s.publisher, Control: s.controller})
}

// must is the answer of a call that has to succeed.
func must[A any](t *testing.T) func(A, error) A {
	t.Helper()
	return func(answer A, err error) A {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return answer
	}
}

// Sockets that are there come into a group and hear what is published to it; clients cannot join it, and it ends with the connection.
func TestGroups(t *testing.T) {
	s := suite(t)
	b, group, alice, bob := s.backend(), unique("g-"), unique("alice-"), unique("bob-")
	hears := func(sockets int) {
		t.Helper()
		s.delivers(t, sockets, "notifications:new", notice(group), `"to":{"groups":["`+group+`"]}`)
	}
	changes := func(got contract.GroupChanged, err error) func(sockets int) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return func(sockets int) {
			t.Helper()
			if diff := cmp.Diff(contract.GroupChanged{Sockets: sockets}, got, cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("-want +got\n%s", diff)
			}
		}
	}
	a, tab := s.connect(t, alice), s.connect(t, alice)
	hears(0)
	changes(b.JoinGroup(t.Context(), group, alice, bob, alice))(2)
	hears(2)
	changes(b.JoinGroup(t.Context(), group, alice))(2) // once more
	hears(2)
	late := s.connect(t, bob) // who was not there
	hears(2)
	changes(b.JoinGroup(t.Context(), group, bob))(1)
	hears(3)
	late.exactly("notifications:new", notice(group))
	changes(b.LeaveGroup(t.Context(), group, alice))(2)
	changes(b.LeaveGroup(t.Context(), group, alice))(2)
	hears(1)
	for _, c := range []*client{a, tab} {
		if heard := c.takeAll(is("notifications:new")); len(heard) != 4 {
			t.Errorf("heard %d times what was published 4 times while it was in the group", len(heard))
		}
	}
	if got := a.ask("conversations:join", `{"conversationId":"group:`+group+`"}`); got.Success || got.Code != "socket_error:forbidden" {
		t.Errorf("a client joins a group: %+v", got)
	}
	if got := must[*contract.ConnectionRooms](t)(b.ListRooms(t.Context(), late.id)); !slices.Equal(got.Rooms, []string{"group:" + group}) {
		t.Errorf("rooms: %v", got.Rooms)
	}
	late.close()
	eventually(t, "the end of the connection takes it out of the group", func() bool {
		rooms, err := b.ListRooms(t.Context(), late.id)
		return err == nil && rooms == nil
	})
	hears(0)
}

// A connection with as many rooms as it may have is told of; leaving one makes room.
func TestGroupOfFullConnection(t *testing.T) {
	s := own(t, settings(map[string]string{"ROOMS_PER_CONNECTION_MAX": "2"}))
	b := s.backend()
	s.participants(t, "set", "c1", "alice")
	c := s.connect(t, "alice")
	c.join("c1")
	must[contract.GroupChanged](t)(b.JoinGroup(t.Context(), "g1", "alice"))
	got := must[contract.GroupChanged](t)(b.JoinGroup(t.Context(), "g2", "alice"))
	want := contract.GroupChanged{Refused: []contract.SocketRefused{{SocketID: c.id, UserID: "alice", Reason: contract.RefusedTooManyRooms}}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
	s.delivers(t, 0, "notifications:new", notice("k"), `"to":{"groups":["g2"]}`)
	c.leave("c1")
	if got := must[contract.GroupChanged](t)(b.JoinGroup(t.Context(), "g2", "alice")); got.Sockets != 1 || len(got.Refused) != 0 {
		t.Errorf("after leaving: %+v", got)
	}
	rooms := must[*contract.ConnectionRooms](t)(b.ListRooms(t.Context(), c.id))
	if diff := cmp.Diff([]string{"group:g1", "group:g2"}, rooms.Rooms); diff != "" {
		t.Errorf("rooms: -want +got\n%s", diff)
	}
}

// Whoever is disconnected hears why, and may come back at once unless that is denied.
func TestDisconnectSockets(t *testing.T) {
	s := suite(t)
	b, alice, bob := s.backend(), unique("alice-"), unique("bob-")
	a, tab, other := s.connect(t, alice), s.connect(t, alice), s.connect(t, bob)
	second := s.connect(t, bob)
	got := must[contract.SocketsDisconnected](t)(b.DisconnectSockets(t.Context(), contract.DisconnectSockets{
		Users: []string{alice}, Connections: []string{other.id, unique("nobody")}, Reason: "signed_out", Message: "<Bye>",
	}))
	want := contract.SocketsDisconnected{Published: contract.Published{Event: "system:disconnect", Matched: 3, Delivered: 3}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
	for _, c := range []*client{a, tab, other} {
		f := c.await("why", is("system:disconnect"))
		if want := `{"reason":"signed_out","message":"\u003cBye\u003e"}`; string(f.data) != want {
			t.Errorf("%s got %s, want %s", c.user, f.data, want)
		}
		if closed := c.awaitClose(); closed != closedByServer {
			t.Errorf("%s was closed with %v", c.user, closed)
		}
	}
	second.none("why another left", is("system:disconnect"))
	s.connect(t, alice)
}

// A denied user cannot come back with a token that is still good, nobody hears that they were online, and the deny time can be lifted.
func TestDenied(t *testing.T) {
	s := suite(t)
	b, alice, never := s.backend(), unique("alice-"), unique("never-")
	observer, a := s.connect(t, unique("observer-")), s.connect(t, alice)
	before := time.Now()
	got := must[contract.SocketsDisconnected](t)(b.DisconnectSockets(t.Context(), contract.DisconnectSockets{
		Users: []string{never}, Connections: []string{a.id}, Reason: "banned", DenySeconds: new(3600),
	}))
	if want := []string{alice, never}; !slices.Equal(got.Denied, want) || got.Published.Delivered != 1 {
		t.Errorf("%+v, want %v denied", got, want)
	}
	if got.DeniedUntil == nil {
		t.Fatal("until when?")
	}
	until := time.UnixMilli(*got.DeniedUntil)
	if least := before.Add(time.Hour); until.Before(least) || until.After(least.Add(patience)) {
		t.Errorf("denied until %v, asked for an hour at %v", until, before)
	}
	a.await("why", is("system:disconnect"))
	if closed := a.awaitClose(); closed != closedByServer {
		t.Errorf("closed with %v", closed)
	}
	observer.presence("gone", alice, offline)
	for _, user := range []string{alice, never} {
		c, err := s.dial(t, s.token(user))
		if err != nil {
			t.Fatal(err)
		}
		c.user = user
		f := c.await("an error", is("error"))
		want := fmt.Sprintf(`{"code":"socket_error:forbidden","message":"this user has been disconnected and may connect again at %s"}`, until.UTC().Format(time.RFC3339))
		if string(f.data) != want {
			t.Errorf("%s got %s, want %s", user, f.data, want)
		}
		if closed := c.awaitClose(); closed != closedByServer {
			t.Errorf("%s was closed with %v", user, closed)
		}
	}
	listed := must[contract.UserConnections](t)(b.ListConnections(t.Context(), never))
	if want := (contract.UserConnections{UserID: never, DeniedUntil: got.DeniedUntil, Connections: []contract.Connection{}}); !cmp.Equal(want, listed) {
		t.Errorf("connections of the denied: %+v", listed)
	}
	must[contract.SocketsDisconnected](t)(b.DisconnectSockets(t.Context(), contract.DisconnectSockets{
		Users: []string{alice, never}, Reason: "allowed", DenySeconds: new(0),
	}))
	s.connect(t, alice)
	for _, f := range observer.takeAll(is("presence:update")) {
		var p presence
		decode(t, f.data, &p)
		if p.UserID == never || p.UserID == alice && !p.IsOnline {
			t.Errorf("heard of one who was kept out: %s", f)
		}
	}
	s.connect(t, never)
}

// What a backend reads is what is so.
func TestLooking(t *testing.T) {
	s := suite(t)
	b, conversation, group, alice, bob := s.backend(), unique("c-"), unique("g-"), unique("alice-"), unique("bob-")
	s.participants(t, "set", conversation, alice)
	a := s.connect(t, alice)
	a.join(conversation)
	must[contract.GroupChanged](t)(b.JoinGroup(t.Context(), group, alice))
	presence := must[[]contract.PresenceSnapshot](t)(b.ReadPresence(t.Context(), bob, alice, bob))
	nobody := contract.PresenceSnapshot{UserID: bob, Sockets: []contract.PresenceSocket{}}
	if len(presence) != 3 || !cmp.Equal(presence[0], nobody) || !cmp.Equal(presence[2], nobody) {
		t.Fatalf("presence: %+v", presence)
	}
	if p := presence[1]; p.UserID != alice || !p.IsOnline || len(p.Sockets) != 1 || p.Sockets[0].SocketID != a.id || p.Sockets[0].UserAgent == nil || *p.Sockets[0].UserAgent != a.agent || p.Sockets[0].IP == nil {
		t.Errorf("presence of alice: %+v", p)
	}
	list := must[contract.UserConnections](t)(b.ListConnections(t.Context(), alice))
	if len(list.Connections) != 1 {
		t.Fatalf("connections: %+v", list)
	}
	c := list.Connections[0]
	rooms := []string{"conversation:" + conversation, "group:" + group}
	want := contract.Connection{
		SocketID: a.id, Protocol: "json", ConnectedAt: *presence[1].Sockets[0].ConnectedAt, LastSeen: c.LastSeen, TokenExpiry: c.TokenExpiry,
		UserAgent: &a.agent, IP: presence[1].Sockets[0].IP, Rooms: rooms,
	}
	if diff := cmp.Diff(want, c); diff != "" || list.DeniedUntil != nil {
		t.Errorf("connection: -want +got\n%s, denied until %v", diff, list.DeniedUntil)
	}
	if left := time.Until(time.UnixMilli(*c.TokenExpiry)); left < 50*time.Minute || left > time.Hour {
		t.Errorf("the token is good for %v", left)
	}
	a.leave(conversation)
	got := must[*contract.ConnectionRooms](t)(b.ListRooms(t.Context(), a.id))
	wantRooms := &contract.ConnectionRooms{ConnectionID: a.id, UserID: alice, Protocol: "json", ConnectedAt: c.ConnectedAt, Rooms: rooms[1:]}
	if diff := cmp.Diff(wantRooms, got); diff != "" {
		t.Errorf("rooms: -want +got\n%s", diff)
	}
	if got := must[*contract.ConnectionRooms](t)(b.ListRooms(t.Context(), unique("nobody"))); got != nil {
		t.Errorf("rooms of nobody: %+v", got)
	}

	id := unique("id-")
	if got := must[*contract.PublishStatus](t)(b.ReadPublish(t.Context(), id)); got != nil {
		t.Errorf("before it was published: %+v", got)
	}
	s.delivers(t, 1, "notifications:new", notice("k"), to(alice)+`,"id":"`+id+`"`)
	status := must[*contract.PublishStatus](t)(b.ReadPublish(t.Context(), id))
	if want := (&contract.PublishStatus{ID: id, State: "done", Event: "notifications:new", Matched: 1, Delivered: 1}); !cmp.Equal(want, status) {
		t.Errorf("published: %+v, want %+v", status, want)
	}
}

// A backend in Go has the contract's errors, and its data arrives byte for byte.
func TestBackendClient(t *testing.T) {
	s := suite(t)
	b, alice := s.backend(), unique("alice-")
	a := s.connect(t, alice)
	const data = `{ "eventKey":"k" , "notification": {"html":"<b>&</b>", "n": 1.50e2, "u":"\u0041"} }`
	event := contract.Publish{ID: unique(`id "data":null <`), Event: contract.NotificationsNew, Data: []byte(data), To: &contract.Audience{Users: []string{alice}}}
	first := must[contract.Published](t)(b.Publish(t.Context(), event))
	if want := (contract.Published{ID: event.ID, Event: event.Event, Matched: 1, Delivered: 1}); first != want {
		t.Errorf("%+v, want %+v", first, want)
	}
	again := must[contract.Published](t)(b.Publish(t.Context(), event))
	if first.Duplicate = true; again != first {
		t.Errorf("again %+v, want %+v", again, first)
	}
	a.exactly("notifications:new", data)
	event.Except.Users = []string{alice}
	_, err := b.Publish(t.Context(), event)
	if refused, ok := errors.AsType[*contract.ValidationError](err); !ok || refused.Field != "id" {
		t.Errorf("the same id with another audience: %v", err)
	}
	if err := b.PublishAsync(t.Context(), contract.Publish{Event: contract.NotificationsNew, Data: []byte(notice("later")), To: event.To}); err != nil {
		t.Error(err)
	}
	a.await("what was not waited for", is("notifications:new"))
}
