package store_test

import (
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"example.org/realtime/shared/realtime"
	"example.org/realtime/shared/store"
)

// isDenied wants a *realtime.Denied until then.
func isDenied(t *testing.T, err error, until time.Time) {
	t.Helper()
	denied, is := errors.AsType[*realtime.Denied](err)
	if !is || !denied.Until.Equal(until) {
		t.Fatalf("got error %v, want denied until %v", err, until)
	}
}

// TestDeny keeps a user out who was never seen, until the second that was said.
func TestDeny(t *testing.T) {
	onEngines(t, func(t *testing.T, s *suite) {
		const user = "alice"
		until := start.Truncate(time.Second).Add(60 * time.Second)
		ok(t, s.Presences.Deny(t.Context(), user, until))
		item := map[string]any{
			"pk":     "user:alice",
			"sk":     "#",
			"denied": float64(until.Unix()),
			"exp":    float64(start.Unix() + 90*24*3600), // it was made by this, and does not stay for ever
		}
		equal(t, s.item(t, "user:alice", "#"), item)
		p, err := s.Presences.Read(t.Context(), user)
		ok(t, err)
		equal(t, p, realtime.Presence{UserID: user, DeniedUntil: until})

		socket := presenceSocket(user)
		for _, now := range []time.Time{start, until.Add(-time.Millisecond)} {
			s.clock.Set(now)
			p, err = s.Presences.Add(t.Context(), user, socket, maxSockets)
			isDenied(t, err, until)
			equal(t, p, realtime.Presence{})
			equal(t, s.item(t, "user:alice", "#"), item)
		}
		s.clock.Set(until)
		p, err = s.Presences.Add(t.Context(), user, socket, maxSockets)
		ok(t, err)
		equal(t, p, realtime.Presence{UserID: user, Version: 1, LastSeen: start, Sockets: []realtime.PresenceSocket{socket}})
		if item := s.item(t, "user:alice", "#"); item["denied"] != nil || item["exp"] != nil {
			t.Errorf("left behind: %v", item)
		}
	})
}

// TestDenyUserWithSockets: they stay where they are until somebody closes them, and their own retries are answered.
func TestDenyUserWithSockets(t *testing.T) {
	onEngines(t, func(t *testing.T, s *suite) {
		const user = "alice"
		socket := presenceSocket(user)
		_, err := s.Presences.Add(t.Context(), user, socket, 1)
		ok(t, err)
		until := start.Truncate(time.Second).Add(24 * time.Hour)
		ok(t, s.Presences.Deny(t.Context(), user, until))
		ok(t, s.Presences.Deny(t.Context(), user, until))
		there := realtime.Presence{UserID: user, Version: 1, LastSeen: start, DeniedUntil: until, Sockets: []realtime.PresenceSocket{socket}}
		p, err := s.Presences.Add(t.Context(), user, socket, 1)
		fails(t, err, realtime.ErrExists)
		equal(t, p, there)
		_, err = s.Presences.Add(t.Context(), user, presenceSocket(user), 1) // full as well
		isDenied(t, err, until)
		p, err = s.Presences.Touch(t.Context(), user, socket.ID, start, 0)
		ok(t, err)
		equal(t, p, there)
		p, err = s.Presences.Remove(t.Context(), user, socket.ID, start, time.Time{})
		ok(t, err)
		equal(t, p, realtime.Presence{UserID: user, Version: 2, LastSeen: start, DeniedUntil: until})

		ok(t, s.Presences.Deny(t.Context(), user, time.Time{}))
		p, err = s.Presences.Add(t.Context(), user, presenceSocket(user), 1)
		ok(t, err)
		equal(t, len(p.Sockets), 1)
		_, err = s.Presences.Add(t.Context(), user, presenceSocket(user), 1)
		fails(t, err, realtime.ErrFull)
	})
}

// TestDenyOutlivesTheItem: an item that would expire before the user may come again stays for longer.
func TestDenyOutlivesTheItem(t *testing.T) {
	onEngines(t, func(t *testing.T, s *suite) {
		const user = "alice"
		socket := presenceSocket(user)
		_, err := s.Presences.Add(t.Context(), user, socket, maxSockets)
		ok(t, err)
		_, err = s.Presences.Remove(t.Context(), user, socket.ID, start, time.Time{})
		ok(t, err)
		late := start.AddDate(0, 0, 90)
		s.clock.Set(late)
		until := late.Truncate(time.Second).Add(time.Hour)
		ok(t, s.Presences.Deny(t.Context(), user, until))
		s.clock.Set(late.Add(time.Minute))
		_, err = s.Presences.Add(t.Context(), user, socket, maxSockets)
		isDenied(t, err, until)
	})
}

func TestAllowCreatesNoItem(t *testing.T) {
	onEngines(t, func(t *testing.T, s *suite) {
		ok(t, s.Presences.Deny(t.Context(), "nobody", time.Time{}))
		equal(t, s.item(t, "user:nobody", "#"), map[string]any(nil))
	})
}

// TestRaceOfDenyAndAdd: a socket that is added was there before the user was denied, so that whoever reads the presence
// after the denial finds it.
func TestRaceOfDenyAndAdd(t *testing.T) {
	onEngines(t, func(t *testing.T, s *suite) {
		for n := range 20 {
			user := fmt.Sprintf("user-%d", n)
			var added atomic.Int64
			var found realtime.Presence
			add := func() {
				switch _, err := s.Presences.Add(t.Context(), user, presenceSocket(user), maxSockets); {
				case err == nil:
					added.Add(1)
				case errors.As(err, new(*realtime.Denied)):
				default:
					t.Error(err)
				}
			}
			inParallel(add, add, add, func() {
				if err := s.Presences.Deny(t.Context(), user, start.Add(time.Hour)); err != nil {
					t.Error(err)
				}
				var err error
				if found, err = s.Presences.Read(t.Context(), user); err != nil {
					t.Error(err)
				}
			}, add, add, add)
			if int64(len(found.Sockets)) != added.Load() {
				t.Errorf("%d added, %d found after the denial", added.Load(), len(found.Sockets))
			}
		}
	})
}

func TestReadAll(t *testing.T) {
	onEngines(t, func(t *testing.T, s *suite) {
		const many = 230 // three requests
		var users []string
		var want []realtime.Presence
		for n := range many {
			user := fmt.Sprintf("user-%03d", (n*7)%many)
			users = append(users, user)
			if n%3 == 0 {
				want = append(want, realtime.Presence{})
				continue
			}
			p, err := s.Presences.Add(t.Context(), user, presenceSocket(user), maxSockets)
			ok(t, err)
			want = append(want, p)
		}
		users, want = append(users, users[1], users[0]), append(want, want[1], want[0])
		s.meter.take()
		got, err := s.Presences.ReadAll(t.Context(), users)
		ok(t, err)
		equal(t, got, want)
		if _, calls := s.meter.take(); calls != 3 {
			t.Errorf("%d calls, want 3", calls)
		}
		got, err = s.Presences.ReadAll(t.Context(), nil)
		ok(t, err)
		equal(t, len(got), 0)

		api := &reluctant{API: s.client, keys: 40, then: func(int) {}}
		got, err = store.New(api, s.name, s.clock.Now).Presences.ReadAll(t.Context(), users)
		ok(t, err)
		equal(t, got, want)
		equal(t, api.calls, 3+3+1)
	})
}
