package store_test

import (
	"slices"
	"testing"
	"time"

	"example.org/realtime/shared/realtime"
	"example.org/realtime/shared/wire"
)

// A Socket.IO client comes into the namespace, leaves it and comes again, each with every answer that it may get on the way.
func TestSession(t *testing.T) {
	onEngines(t, func(t *testing.T, s *suite) {
		sessions, id, at := s.Connections, newID(), start.Add(time.Second)
		enter := func(user string, expiry time.Time) error { return sessions.Enter(t.Context(), id, user, expiry, at) }
		exit := func(c realtime.Connection) error { return sessions.Exit(t.Context(), c, at) }
		is := func(want realtime.Connection) {
			t.Helper()
			got, err := sessions.Get(t.Context(), id)
			ok(t, err)
			equal(t, got, want)
		}
		alice := realtime.Connection{ID: id, UserID: "alice", Protocol: wire.SocketIO, ConnectedAt: start}

		fails(t, sessions.Open(t.Context(), id), realtime.ErrGone)
		fails(t, enter("alice", time.Time{}), realtime.ErrGone)
		fails(t, exit(alice), realtime.ErrGone)
		fails(t, sessions.Pong(t.Context(), id, at), realtime.ErrGone)

		ok(t, sessions.Put(t.Context(), realtime.Connection{ID: id, Protocol: wire.SocketIO, ConnectedAt: start}))
		ok(t, sessions.Open(t.Context(), id))
		fails(t, sessions.Open(t.Context(), id), realtime.ErrExists)
		fails(t, exit(alice), realtime.ErrChanged)

		expiry := start.Truncate(time.Second).Add(time.Hour)
		ok(t, enter("alice", expiry))
		alice.TokenExpiry, alice.Entered = expiry, at
		is(alice)
		fails(t, enter("alice", expiry), realtime.ErrExists)
		fails(t, enter("bob", expiry), realtime.ErrExists)
		for _, other := range []time.Time{{}, start} {
			fails(t, sessions.AddRoom(t.Context(), id, other, "conversation:c1", 100), realtime.ErrNotFound)
		}
		ok(t, sessions.AddRoom(t.Context(), id, at, "conversation:c1", 1))
		fails(t, sessions.AddRoom(t.Context(), id, at, "conversation:c2", 1), realtime.ErrFull)
		fails(t, exit(alice), realtime.ErrChanged)
		alice.Rooms = []string{"conversation:c1"}
		ok(t, exit(alice))
		is(realtime.Connection{ID: id, Protocol: wire.SocketIO, ConnectedAt: start, Was: "alice", Idle: at})
		inside := alice
		inside.Gone = at
		fails(t, sessions.End(t.Context(), inside), realtime.ErrChanged) // as it was read before
		is(realtime.Connection{ID: id, Protocol: wire.SocketIO, ConnectedAt: start, Was: "alice", Idle: at})
		fails(t, sessions.AddRoom(t.Context(), id, at, "conversation:c1", 100), realtime.ErrNotFound)

		fails(t, enter("bob", time.Time{}), realtime.ErrExists) // alice's rooms may be on their way still
		ok(t, sessions.Pong(t.Context(), id, at))
		ok(t, enter("alice", time.Time{}))
		again := realtime.Connection{ID: id, UserID: "alice", Protocol: wire.SocketIO, ConnectedAt: start, Was: "alice", Entered: at, Pong: at}
		is(again)

		ended := again
		ended.Gone = at
		ok(t, sessions.End(t.Context(), ended))
		fails(t, exit(again), realtime.ErrGone)
		fails(t, enter("alice", time.Time{}), realtime.ErrGone)
		fails(t, sessions.Pong(t.Context(), id, at), realtime.ErrGone)
	})
}

// The presence has what a room is recorded by.
func TestPresenceKnowsTheSession(t *testing.T) {
	onEngines(t, func(t *testing.T, s *suite) {
		user := newID()
		for id, entered := range map[string]time.Time{newID(): {}, newID(): start.Add(time.Second)} {
			socket := realtime.PresenceSocket{Socket: realtime.Socket{ID: id, UserID: user, ConnectedAt: start}, Entered: entered, LastSeen: start}
			_, err := s.Presences.Add(t.Context(), user, socket, 2)
			ok(t, err)
			after, err := s.Presences.Read(t.Context(), user)
			ok(t, err)
			if !slices.Contains(after.Sockets, socket) {
				t.Errorf("got %+v, want %+v among them", after.Sockets, socket)
			}
		}
	})
}
