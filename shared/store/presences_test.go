package store_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"example.org/realtime/shared/realtime"
)

const maxSockets = 32

func TestPresenceIsStoredAsDocumented(t *testing.T) {
	onEngines(t, func(t *testing.T, s *suite) {
		socket := presenceSocket("alice@example.org")
		socket.ID, socket.LastSeen = "L0SM9cOFvHcCIhw=", start.Add(time.Second)
		_, err := s.Presences.Add(t.Context(), socket.UserID, socket, maxSockets)
		ok(t, err)
		entry := map[string]any{
			"connectedAt": 1767323045678.0,
			"lastSeen":    1767323046678.0,
			"userAgent":   "test/1.0",
			"ip":          "192.0.2.1",
			"protocol":    "json",
		}
		want := map[string]any{
			"pk":                 "user:alice@example.org",
			"sk":                 "#",
			"s#L0SM9cOFvHcCIhw=": entry,
			"sockets":            1.0,
			"v":                  1.0,
			"lastSeen":           1767323046678.0,
		}
		equal(t, s.item(t, "user:alice@example.org", "#"), want)

		_, err = s.Presences.Touch(t.Context(), socket.UserID, socket.ID, start.Add(2*time.Second), time.Second)
		ok(t, err)
		entry["lastSeen"], entry["heartbeat"], want["lastSeen"] = 1767323047678.0, 1767323047678.0, 1767323047678.0
		equal(t, s.item(t, "user:alice@example.org", "#"), want)

		_, err = s.Presences.Remove(t.Context(), socket.UserID, socket.ID, start.Add(3*time.Second), time.Time{})
		ok(t, err)
		equal(t, s.item(t, "user:alice@example.org", "#"), map[string]any{
			"pk":       "user:alice@example.org",
			"sk":       "#",
			"sockets":  0.0,
			"v":        2.0,
			"lastSeen": 1767323048678.0,
			"exp":      1767323048.0 + 90*24*3600,
		})

		_, err = s.Presences.Add(t.Context(), socket.UserID, presenceSocket(socket.UserID), maxSockets)
		ok(t, err)
		if exp := s.item(t, "user:alice@example.org", "#")["exp"]; exp != nil {
			t.Errorf("exp %v although a socket came", exp)
		}
	})
}

func TestAddAndRemove(t *testing.T) {
	onEngines(t, func(t *testing.T, s *suite) {
		const user = "alice"
		first, second := presenceSocket(user), presenceSocket(user)
		first.UserAgent, first.IP = "", ""
		second.ConnectedAt, second.LastSeen = start.Add(time.Second), start.Add(2*time.Second)
		both := []realtime.PresenceSocket{first, second} // in the order in which they connected

		got, err := s.Presences.Read(t.Context(), user)
		ok(t, err)
		equal(t, got, realtime.Presence{})

		got, err = s.Presences.Add(t.Context(), user, second, maxSockets)
		ok(t, err)
		equal(t, got, realtime.Presence{UserID: user, Version: 1, LastSeen: second.LastSeen, Sockets: both[1:]})

		got, err = s.Presences.Add(t.Context(), user, first, maxSockets)
		ok(t, err)
		equal(t, got, realtime.Presence{UserID: user, Version: 2, LastSeen: first.LastSeen, Sockets: both})

		again := first
		again.IP = "198.51.100.7"
		got, err = s.Presences.Add(t.Context(), user, again, maxSockets)
		fails(t, err, realtime.ErrExists)
		equal(t, got, realtime.Presence{UserID: user, Version: 2, LastSeen: first.LastSeen, Sockets: both})

		_, err = s.Presences.Remove(t.Context(), user, newID(), start, time.Time{})
		fails(t, err, realtime.ErrNotFound)

		at := start.Add(time.Minute)
		got, err = s.Presences.Remove(t.Context(), user, second.ID, at, time.Time{})
		ok(t, err)
		equal(t, got, realtime.Presence{UserID: user, Version: 3, LastSeen: at, Sockets: both[:1]})

		_, err = s.Presences.Remove(t.Context(), user, second.ID, at, time.Time{})
		fails(t, err, realtime.ErrNotFound)

		got, err = s.Presences.Remove(t.Context(), user, first.ID, at, time.Time{})
		ok(t, err)
		equal(t, got, realtime.Presence{UserID: user, Version: 4, LastSeen: at})

		got, err = s.Presences.Read(t.Context(), user)
		ok(t, err)
		equal(t, got, realtime.Presence{UserID: user, Version: 4, LastSeen: at})
	})
}

func TestRemoveCreatesNoItem(t *testing.T) {
	onEngines(t, func(t *testing.T, s *suite) {
		for _, before := range []time.Time{{}, start} {
			_, err := s.Presences.Remove(t.Context(), "nobody", newID(), start, before)
			fails(t, err, realtime.ErrNotFound)
		}
		_, err := s.Presences.Touch(t.Context(), "nobody", newID(), start, 0)
		fails(t, err, realtime.ErrNotFound)
		equal(t, s.item(t, "user:nobody", "#"), map[string]any(nil))
	})
}

func TestUserIsFull(t *testing.T) {
	onEngines(t, func(t *testing.T, s *suite) {
		const user = "alice"
		var last realtime.PresenceSocket
		for n := range maxSockets {
			last = presenceSocket(user)
			p, err := s.Presences.Add(t.Context(), user, last, maxSockets)
			ok(t, err)
			if len(p.Sockets) != n+1 {
				t.Fatalf("%d sockets, want %d", len(p.Sockets), n+1)
			}
		}
		_, err := s.Presences.Add(t.Context(), user, presenceSocket(user), maxSockets)
		fails(t, err, realtime.ErrFull)
		_, err = s.Presences.Add(t.Context(), user, last, maxSockets)
		fails(t, err, realtime.ErrExists)
		_, err = s.Presences.Remove(t.Context(), user, last.ID, start, time.Time{})
		ok(t, err)
		_, err = s.Presences.Add(t.Context(), user, presenceSocket(user), maxSockets)
		ok(t, err)
	})
}

func TestRaceForTheLastSocket(t *testing.T) {
	onEngines(t, func(t *testing.T, s *suite) {
		var added atomic.Int64
		var all []func()
		for range maxSockets + 8 {
			all = append(all, func() {
				switch p, err := s.Presences.Add(t.Context(), "alice", presenceSocket("alice"), maxSockets); {
				case err == nil:
					added.Add(1)
				case !errors.Is(err, realtime.ErrFull) || p.Version != 0:
					t.Errorf("%+v, %v", p, err)
				}
			})
		}
		inParallel(all...)
		p, err := s.Presences.Read(t.Context(), "alice")
		ok(t, err)
		if added.Load() != maxSockets || len(p.Sockets) != maxSockets || p.Version != maxSockets {
			t.Errorf("%d added, %d sockets, version %d, want %d", added.Load(), len(p.Sockets), p.Version, maxSockets)
		}
	})
}

func TestRemoveSparesTheYoung(t *testing.T) {
	onEngines(t, func(t *testing.T, s *suite) {
		const user = "alice"
		socket := presenceSocket(user)
		_, err := s.Presences.Add(t.Context(), user, socket, maxSockets)
		ok(t, err)
		for _, before := range []time.Time{start.Add(-time.Second), start} {
			_, err = s.Presences.Remove(t.Context(), user, socket.ID, start, before)
			fails(t, err, realtime.ErrTooYoung)
		}
		_, err = s.Presences.Remove(t.Context(), user, socket.ID, start, start.Add(time.Millisecond))
		ok(t, err)
		_, err = s.Presences.Remove(t.Context(), user, socket.ID, start, start.Add(-time.Second))
		fails(t, err, realtime.ErrNotFound)
	})
}

func TestTouch(t *testing.T) {
	const apart = 10 * time.Second
	onEngines(t, func(t *testing.T, s *suite) {
		const user = "alice"
		socket, other := presenceSocket(user), presenceSocket(user)
		other.ConnectedAt = start.Add(time.Second)
		for _, s2 := range []realtime.PresenceSocket{socket, other} {
			_, err := s.Presences.Add(t.Context(), user, s2, maxSockets)
			ok(t, err)
		}
		steps := []struct {
			after time.Duration
			apart time.Duration
			want  error
		}{
			{time.Millisecond, apart, nil}, // the first one counts at once
			{time.Millisecond, apart, realtime.ErrTooSoon},
			{apart, apart, realtime.ErrTooSoon},
			{apart + time.Millisecond, apart, nil},
			{time.Second, apart, realtime.ErrTooSoon}, // overtaken
			{apart + time.Millisecond, 0, nil},
			{apart, 0, realtime.ErrTooSoon}, // overtaken
			{apart + 2*time.Millisecond, 0, nil},
		}
		for i, step := range steps {
			at := start.Add(step.after)
			got, err := s.Presences.Touch(t.Context(), user, socket.ID, at, step.apart)
			if !errors.Is(err, step.want) {
				t.Fatalf("step %d: %v, want %v", i, err, step.want)
			}
			if err == nil {
				socket.LastSeen = at
				equal(t, got, realtime.Presence{UserID: user, Version: 2, LastSeen: at, Sockets: []realtime.PresenceSocket{socket, other}})
			}
		}
		_, err := s.Presences.Remove(t.Context(), user, socket.ID, start, time.Time{})
		ok(t, err)
		_, err = s.Presences.Touch(t.Context(), user, socket.ID, start.Add(time.Hour), apart)
		fails(t, err, realtime.ErrNotFound)
		got, err := s.Presences.Read(t.Context(), user)
		ok(t, err)
		equal(t, got, realtime.Presence{UserID: user, Version: 3, LastSeen: start, Sockets: []realtime.PresenceSocket{other}})
	})
}

func TestPresenceExpires(t *testing.T) {
	onEngines(t, func(t *testing.T, s *suite) {
		const user = "alice"
		socket := presenceSocket(user)
		_, err := s.Presences.Add(t.Context(), user, socket, maxSockets)
		ok(t, err)
		gone, err := s.Presences.Remove(t.Context(), user, socket.ID, start, time.Time{})
		ok(t, err)

		s.clock.Set(start.AddDate(0, 0, 90))
		got, err := s.Presences.Read(t.Context(), user)
		ok(t, err)
		equal(t, got, gone)

		s.clock.Set(start.AddDate(0, 0, 90).Add(time.Second))
		got, err = s.Presences.Read(t.Context(), user)
		ok(t, err)
		equal(t, got, realtime.Presence{})

		// Garbage that was not collected is used again, and its version goes on.
		got, err = s.Presences.Add(t.Context(), user, socket, maxSockets)
		ok(t, err)
		equal(t, got, realtime.Presence{UserID: user, Version: 3, LastSeen: start, Sockets: []realtime.PresenceSocket{socket}})
	})
}

// TestTransitionsAreExact has many sockets of one user come and go at once, each of them removed twice. The versions put
// every write into one order; along it, a socket that comes is the first one exactly when nobody was there, and one that
// goes is the last exactly when nobody is left.
func TestTransitionsAreExact(t *testing.T) {
	const sockets, rounds = 8, 12
	onEngines(t, func(t *testing.T, s *suite) {
		const user = "alice"
		type write struct {
			id    string
			came  bool
			after realtime.Presence
		}
		var (
			mu     sync.Mutex
			writes []write
		)
		done := func(id string, came bool, after realtime.Presence) {
			mu.Lock()
			defer mu.Unlock()
			writes = append(writes, write{id, came, after})
		}
		var wg sync.WaitGroup
		for range sockets {
			wg.Go(func() {
				for range rounds {
					socket := presenceSocket(user)
					p, err := s.Presences.Add(t.Context(), user, socket, maxSockets)
					if err != nil {
						t.Error(err)
						return
					}
					done(socket.ID, true, p)
					var removed [2]error
					remove := func(n int) func() {
						return func() {
							p, err := s.Presences.Remove(t.Context(), user, socket.ID, start, time.Time{})
							if removed[n] = err; err == nil {
								done(socket.ID, false, p)
							}
						}
					}
					inParallel(remove(0), remove(1))
					if (removed[0] == nil) == (removed[1] == nil) || !errors.Is(errors.Join(removed[:]...), realtime.ErrNotFound) {
						t.Errorf("two removals: %v", removed)
					}
				}
			})
		}
		wg.Wait()

		slices.SortFunc(writes, func(a, b write) int { return int(a.after.Version - b.after.Version) })
		if len(writes) != 2*sockets*rounds {
			t.Fatalf("%d writes, want %d", len(writes), 2*sockets*rounds)
		}
		var present []string
		for i, w := range writes {
			if w.after.Version != int64(i+1) {
				t.Fatalf("write %d has version %d", i+1, w.after.Version)
			}
			if w.came {
				present = append(present, w.id)
			} else {
				present = slices.DeleteFunc(present, func(id string) bool { return id == w.id })
			}
			var got []string
			for _, socket := range w.after.Sockets {
				got = append(got, socket.ID)
			}
			equal(t, got, present, anyOrder)
		}
		if n := s.item(t, "user:alice", "#")["sockets"]; n != 0.0 {
			t.Errorf("%v sockets in the end", n)
		}
	})
}

// TestUsersAreApart uses ids that would meet if keys were not prefixed or paths not aliased.
func TestUsersAreApart(t *testing.T) {
	onEngines(t, func(t *testing.T, s *suite) {
		users := []string{"a", "a.b", "a:b", "user:a", "auth0|a", "a@example.org", "A", strings.Repeat("a", 128)}
		for i, user := range users {
			for n := range i + 1 {
				socket := presenceSocket(user)
				socket.ID = fmt.Sprintf("-_%d.x=", n)
				_, err := s.Presences.Add(t.Context(), user, socket, maxSockets)
				ok(t, err)
			}
		}
		for i, user := range users {
			p, err := s.Presences.Touch(t.Context(), user, "-_0.x=", start, 0)
			ok(t, err)
			if p.UserID != user || len(p.Sockets) != i+1 {
				t.Errorf("%s: %d sockets of %s, want %d", user, len(p.Sockets), p.UserID, i+1)
			}
		}
	})
}
