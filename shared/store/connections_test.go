package store_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp/cmpopts"

	"example.org/realtime/shared/realtime"
	"example.org/realtime/shared/wire"
)

var anyOrder = cmpopts.SortSlices(strings.Compare)

func TestConnectionIsStoredAsDocumented(t *testing.T) {
	onEngines(t, func(t *testing.T, s *suite) {
		const id = "L0SM9cOFvHcCIhw=" // FNV-1a: 7ce0bd3d
		ok(t, s.Connections.Put(t.Context(), realtime.Connection{
			ID: id, UserID: "auth0|5f7c8ec7", Protocol: wire.JSON, ConnectedAt: start, TokenExpiry: start.Truncate(time.Second).Add(time.Hour),
		}))
		ok(t, s.Connections.AddRoom(t.Context(), id, time.Time{}, "conversation:c1", 100))
		equal(t, s.item(t, "ns#/ws/app#d", id), map[string]any{
			"pk":          "ns#/ws/app#d",
			"sk":          id,
			"user":        "auth0|5f7c8ec7",
			"protocol":    "json",
			"connectedAt": 1767323045678.0,
			"tokenExpiry": 1767326645.0,
			"rooms":       []string{"conversation:c1"},
			"exp":         1767409445.0,
		})
	})
}

func TestPut(t *testing.T) {
	onEngines(t, func(t *testing.T, s *suite) {
		t.Run("twice", func(t *testing.T) {
			c := connection("alice")
			ok(t, s.Connections.Put(t.Context(), c))
			again := c
			again.UserID = "bob"
			fails(t, s.Connections.Put(t.Context(), again), realtime.ErrExists)
			got, err := s.Connections.Get(t.Context(), c.ID)
			ok(t, err)
			equal(t, got, c)
		})
		t.Run("after its end", func(t *testing.T) {
			c := connection("alice")
			ended := c
			ended.Gone = start.Add(time.Second)
			ok(t, s.Connections.End(t.Context(), ended))
			fails(t, s.Connections.Put(t.Context(), c), realtime.ErrGone)
			got, err := s.Connections.Get(t.Context(), c.ID)
			ok(t, err)
			equal(t, got, ended)
		})
	})
}

func TestGet(t *testing.T) {
	onEngines(t, func(t *testing.T, s *suite) {
		t.Run("none", func(t *testing.T) {
			_, err := s.Connections.Get(t.Context(), newID())
			fails(t, err, realtime.ErrNotFound)
		})
		t.Run("without a user", func(t *testing.T) {
			c := connection("")
			ok(t, s.Connections.Put(t.Context(), c))
			got, err := s.Connections.Get(t.Context(), c.ID)
			ok(t, err)
			equal(t, got, c)
		})
		t.Run("with all there can be", func(t *testing.T) {
			c := connection("alice")
			c.TokenExpiry = start.Truncate(time.Second)
			c.Rooms = []string{"conversation:c1", "group:g1"}
			c.Gone = start.Add(time.Minute)
			ok(t, s.Connections.Put(t.Context(), c))
			got, err := s.Connections.Get(t.Context(), c.ID)
			ok(t, err)
			equal(t, got, c, anyOrder)
		})
		t.Run("expired", func(t *testing.T) {
			defer s.clock.Set(start)
			c := connection("alice")
			ok(t, s.Connections.Put(t.Context(), c))
			s.clock.Set(start.Add(24 * time.Hour))
			_, err := s.Connections.Get(t.Context(), c.ID)
			ok(t, err)
			s.clock.Set(start.Add(24*time.Hour + time.Second))
			_, err = s.Connections.Get(t.Context(), c.ID)
			fails(t, err, realtime.ErrNotFound)
		})
	})
}

func TestEndKeepsWhatIsThere(t *testing.T) {
	onEngines(t, func(t *testing.T, s *suite) {
		c := connection("alice")
		ok(t, s.Connections.Put(t.Context(), c))
		ok(t, s.Connections.AddRoom(t.Context(), c.ID, time.Time{}, "conversation:c1", 100))
		for _, gone := range []time.Time{start.Add(time.Minute), start.Add(time.Hour)} {
			ok(t, s.Connections.End(t.Context(), realtime.Connection{ID: c.ID, UserID: "bob", ConnectedAt: gone, Gone: gone}))
		}
		got, err := s.Connections.Get(t.Context(), c.ID)
		ok(t, err)
		c.Rooms, c.Gone = []string{"conversation:c1"}, start.Add(time.Minute)
		equal(t, got, c)
		equal(t, s.item(t, fmt.Sprintf("ns#/ws/app#%x", realtime.Shard(c.ID)), c.ID)["exp"], 1767409445.0)
	})
}

// TestEndRacesPut: whichever is first, the row tells the end, and whose connection it was.
func TestEndRacesPut(t *testing.T) {
	onEngines(t, func(t *testing.T, s *suite) {
		for range 50 {
			c := connection("alice")
			ended := c
			ended.Gone = start.Add(time.Second)
			var put, end error
			inParallel(
				func() { put = s.Connections.Put(t.Context(), c) },
				func() { end = s.Connections.End(t.Context(), ended) },
			)
			if end != nil || put != nil && !errors.Is(put, realtime.ErrGone) {
				t.Fatalf("Put: %v, End: %v", put, end)
			}
			got, err := s.Connections.Get(t.Context(), c.ID)
			ok(t, err)
			equal(t, got, ended)
		}
	})
}

func TestEndWithoutUser(t *testing.T) {
	onEngines(t, func(t *testing.T, s *suite) {
		c := connection("")
		c.Gone = start
		ok(t, s.Connections.End(t.Context(), c))
		got, err := s.Connections.Get(t.Context(), c.ID)
		ok(t, err)
		equal(t, got, c)
	})
}

func TestConnectionRooms(t *testing.T) {
	onEngines(t, func(t *testing.T, s *suite) {
		const limit = 100
		room := func(n int) string { return fmt.Sprintf("conversation:c%d", n) }
		rooms := func(t *testing.T, id string) []string {
			t.Helper()
			c, err := s.Connections.Get(t.Context(), id)
			ok(t, err)
			return c.Rooms
		}
		t.Run("no row", func(t *testing.T) {
			id := newID()
			fails(t, s.Connections.AddRoom(t.Context(), id, time.Time{}, room(1), limit), realtime.ErrNotFound)
			ok(t, s.Connections.DropRooms(t.Context(), id, []string{room(1)}))
			_, err := s.Connections.Get(t.Context(), id)
			fails(t, err, realtime.ErrNotFound)
		})
		t.Run("no user", func(t *testing.T) {
			c := connection("")
			ok(t, s.Connections.Put(t.Context(), c))
			fails(t, s.Connections.AddRoom(t.Context(), c.ID, time.Time{}, room(1), limit), realtime.ErrNotFound)
		})
		t.Run("limit", func(t *testing.T) {
			c := connection("alice")
			ok(t, s.Connections.Put(t.Context(), c))
			var want []string
			for n := range limit {
				ok(t, s.Connections.AddRoom(t.Context(), c.ID, time.Time{}, room(n), limit))
				want = append(want, room(n))
			}
			fails(t, s.Connections.AddRoom(t.Context(), c.ID, time.Time{}, room(limit), limit), realtime.ErrFull)
			ok(t, s.Connections.AddRoom(t.Context(), c.ID, time.Time{}, room(7), limit)) // recorded already
			equal(t, rooms(t, c.ID), want, anyOrder)

			ok(t, s.Connections.DropRooms(t.Context(), c.ID, []string{room(7), room(8), "conversation:never"}))
			ok(t, s.Connections.AddRoom(t.Context(), c.ID, time.Time{}, room(limit), limit))
			equal(t, rooms(t, c.ID), append(slices.Delete(want, 7, 9), room(limit)), anyOrder)
		})
		t.Run("limit, raced for", func(t *testing.T) {
			c := connection("alice")
			ok(t, s.Connections.Put(t.Context(), c))
			var recorded atomic.Int64
			var all []func()
			for n := range limit + 20 {
				all = append(all, func() {
					switch err := s.Connections.AddRoom(t.Context(), c.ID, time.Time{}, room(n), limit); {
					case err == nil:
						recorded.Add(1)
					case !errors.Is(err, realtime.ErrFull):
						t.Error(err)
					}
				})
			}
			inParallel(all...)
			if n := len(rooms(t, c.ID)); n != limit || recorded.Load() != limit {
				t.Errorf("%d rooms recorded, %d in the row, want %d", recorded.Load(), n, limit)
			}
		})
		t.Run("drop all", func(t *testing.T) {
			c := connection("alice")
			ok(t, s.Connections.Put(t.Context(), c))
			ok(t, s.Connections.DropRooms(t.Context(), c.ID, nil))
			ok(t, s.Connections.AddRoom(t.Context(), c.ID, time.Time{}, room(1), limit))
			ok(t, s.Connections.DropRooms(t.Context(), c.ID, []string{room(1)}))
			equal(t, rooms(t, c.ID), []string(nil))
			ok(t, s.Connections.DropRooms(t.Context(), c.ID, []string{room(1)}))
			ok(t, s.Connections.AddRoom(t.Context(), c.ID, time.Time{}, room(1), limit))
			equal(t, rooms(t, c.ID), []string{room(1)})
		})
	})
}

func TestDeleteConnection(t *testing.T) {
	tests := map[string]struct {
		stored, deleted realtime.Connection // without id
		want            error
	}{
		"as it is":                   {realtime.Connection{UserID: "alice"}, realtime.Connection{UserID: "alice"}, nil},
		"without a user":             {realtime.Connection{}, realtime.Connection{}, nil},
		"rooms in another order":     {realtime.Connection{UserID: "alice", Rooms: []string{"a", "b", "c"}}, realtime.Connection{UserID: "alice", Rooms: []string{"c", "a", "b"}}, nil},
		"it ended meanwhile":         {realtime.Connection{UserID: "alice", Gone: start}, realtime.Connection{UserID: "alice"}, nil},
		"it has a user meanwhile":    {realtime.Connection{UserID: "alice"}, realtime.Connection{}, realtime.ErrChanged},
		"its user left meanwhile":    {realtime.Connection{}, realtime.Connection{UserID: "alice"}, realtime.ErrChanged},
		"another user":               {realtime.Connection{UserID: "bob"}, realtime.Connection{UserID: "alice"}, realtime.ErrChanged},
		"its first room meanwhile":   {realtime.Connection{UserID: "alice", Rooms: []string{"a"}}, realtime.Connection{UserID: "alice"}, realtime.ErrChanged},
		"a further room meanwhile":   {realtime.Connection{UserID: "alice", Rooms: []string{"a", "b"}}, realtime.Connection{UserID: "alice", Rooms: []string{"a"}}, realtime.ErrChanged},
		"a room dropped meanwhile":   {realtime.Connection{UserID: "alice", Rooms: []string{"a"}}, realtime.Connection{UserID: "alice", Rooms: []string{"a", "b"}}, realtime.ErrChanged},
		"all rooms dropped since":    {realtime.Connection{UserID: "alice"}, realtime.Connection{UserID: "alice", Rooms: []string{"a"}}, realtime.ErrChanged},
		"another room in its place":  {realtime.Connection{UserID: "alice", Rooms: []string{"b"}}, realtime.Connection{UserID: "alice", Rooms: []string{"a"}}, realtime.ErrChanged},
		"rooms, but without a user":  {realtime.Connection{Rooms: []string{"a"}}, realtime.Connection{Rooms: []string{"a"}}, nil},
		"a room whose name contains": {realtime.Connection{UserID: "alice", Rooms: []string{"ab"}}, realtime.Connection{UserID: "alice", Rooms: []string{"a"}}, realtime.ErrChanged},
	}
	onEngines(t, func(t *testing.T, s *suite) {
		for name, test := range tests {
			t.Run(name, func(t *testing.T) {
				id := newID()
				test.stored.ID, test.deleted.ID = id, id
				test.stored.ConnectedAt = start
				ok(t, s.Connections.Put(t.Context(), test.stored))
				for range 2 { // it may happen twice
					if err := s.Connections.Delete(t.Context(), test.deleted); !errors.Is(err, test.want) {
						t.Fatalf("got %v, want %v", err, test.want)
					}
					got, err := s.Connections.Get(t.Context(), id)
					if test.want == nil {
						fails(t, err, realtime.ErrNotFound)
						continue
					}
					ok(t, err)
					equal(t, got, test.stored, anyOrder)
				}
			})
		}
	})
}

// TestDeleteRacesAddRoom: no room is ever recorded in a row that is deleted without its deleter knowing of the room.
func TestDeleteRacesAddRoom(t *testing.T) {
	onEngines(t, func(t *testing.T, s *suite) {
		outcomes := map[string]int{}
		for range 100 {
			c := connection("alice")
			ok(t, s.Connections.Put(t.Context(), c))
			var recorded, deleted error
			inParallel(
				func() { recorded = s.Connections.AddRoom(t.Context(), c.ID, time.Time{}, "conversation:c1", 100) },
				func() { deleted = s.Connections.Delete(t.Context(), c) },
			)
			_, err := s.Connections.Get(t.Context(), c.ID)
			switch {
			case recorded == nil && errors.Is(deleted, realtime.ErrChanged) && err == nil:
				outcomes["recorded"]++
			case deleted == nil && errors.Is(recorded, realtime.ErrNotFound) && errors.Is(err, realtime.ErrNotFound):
				outcomes["deleted"]++
			default:
				t.Fatalf("AddRoom: %v, Delete: %v, then Get: %v", recorded, deleted, err)
			}
		}
		t.Log(outcomes)
	})
}
