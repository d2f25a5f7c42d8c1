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
		ok(t, s.Connections.AddRoom(t.Context(), id, "conversation:c1", 100))
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
		ok(t, s.Connections.AddRoom(t.Context(), c.ID, "conversation:c1", 100))
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
			fails(t, s.Connections.AddRoom(t.Context(), id, room(1), limit), realtime.ErrNotFound)
			ok(t, s.Connections.DropRooms(t.Context(), id, []string{room(1)}))
			_, err := s.Connections.Get(t.Context(), id)
			fails(t, err, realtime.ErrNotFound)
		})
		t.Run("no user", func(t *testing.T) {
			c := connection("")
			ok(t, s.Connections.Put(t.Context(), c))
			fails(t, s.Connections.AddRoom(t.Context(), c.ID, room(1), limit), realtime.ErrNotFound)
		})
		t.Run("limit", func(t *testing.T) {
			c := connection("alice")
			ok(t, s.Connections.Put(t.Context(), c))
			var want []string
			for n := range limit {
				ok(t, s.Connections.AddRoom(t.Context(), c.ID, room(n), limit))
				want = append(want, room(n))
			}
			fails(t, s.Connections.AddRoom(t.Context(), c.ID, room(limit), limit), realtime.ErrFull)
			ok(t, s.Connections.AddRoom(t.Context(), c.ID, room(7), limit)) // recorded already
			equal(t, rooms(t, c.ID), want, anyOrder)

			ok(t, s.Connections.DropRooms(t.Context(), c.ID, []string{room(7), room(8), "conversation:never"}))
			ok(t, s.Connections.AddRoom(t.Context(), c.ID, room(limit), limit))
			equal(t, rooms(t, c.ID), append(slices.Delete(want, 7, 9), room(limit)), anyOrder)
		})
		t.Run("limit, raced for", func(t *testing.T) {
			c := connection("alice")
			ok(t, s.Connections.Put(t.Context(), c))
			var recorded atomic.Int64
			var all []func()
			for n := range limit + 20 {
				all = append(all, func() {
					switch err := s.Connections.AddRoom(t.Context(), c.ID, room(n), limit); {
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
			ok(t, s.Connections.AddRoom(t.Context(), c.ID, room(1), limit))
			ok(t, s.Connections.DropRooms(t.Context(), c.ID, []string{room(1)}))
			equal(t, rooms(t, c.ID), []string(nil))
			ok(t, s.Connections.DropRooms(t.Context(), c.ID, []string{room(1)}))
			ok(t, s.Connections.AddRoom(t.Context(), c.ID, room(1), limit))
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
				func() { recorded = s.Connections.AddRoom(t.Context(), c.ID, "conversation:c1", 100) },
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

// inParallel runs them all at once and waits.
func inParallel(all ...func()) {
	var wg sync.WaitGroup
	begin := make(chan struct{})
	for _, do := range all {
		wg.Go(func() {
			<-begin
			do()
		})
	}
	close(begin)
	wg.Wait()
}

// putAll records them, several at a time.
func (s *suite) putAll(t *testing.T, all []realtime.Connection) {
	t.Helper()
	var wg sync.WaitGroup
	for chunk := range slices.Chunk(all, len(all)/8+1) {
		wg.Go(func() {
			for _, c := range chunk {
				if err := s.Connections.Put(t.Context(), c); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
}

func TestAll(t *testing.T) {
	onEngines(t, func(t *testing.T, s *suite) {
		var everybody []realtime.Connection
		for n := range 300 {
			everybody = append(everybody, connection(fmt.Sprintf("user-%d", n)))
		}
		ended, anonymous, expired := connection("ended"), connection(""), connection("expired")
		ended.Gone = start
		expired.ConnectedAt = start.Add(-24*time.Hour - time.Second)
		s.putAll(t, append(slices.Clone(everybody), ended, anonymous, expired))

		var want []string
		for _, c := range everybody {
			want = append(want, c.ID)
		}
		for _, limit := range []int{0, 1, 16, 200, 299, 300, 301, 10_000} {
			t.Run(fmt.Sprint(limit), func(t *testing.T) {
				got, err := s.Connections.All(t.Context(), limit)
				ok(t, err)
				if limit == 0 || limit >= len(everybody) {
					equal(t, ids(got), want, anyOrder)
					return
				}
				if len(got) <= limit {
					t.Errorf("%d of %d sockets look like all of them", len(got), len(everybody))
				}
				if soon := 2*limit + 8*16; len(got) > soon {
					t.Errorf("%d sockets, want at most %d", len(got), soon)
				}
				if len(subtract(ids(got), want)) > 0 {
					t.Errorf("sockets that are none: %v", subtract(ids(got), want))
				}
			})
		}
		got, err := s.Connections.All(t.Context(), 0)
		ok(t, err)
		for _, c := range everybody {
			if !slices.Contains(got, socketOf(c)) {
				t.Fatalf("no %+v", socketOf(c))
			}
		}
	})
}

// TestAllTellsMoreThanLimit: a list of limit sockets is whole, also where the shards read first have as many.
func TestAllTellsMoreThanLimit(t *testing.T) {
	onEngines(t, func(t *testing.T, s *suite) {
		for _, shard := range []int{0, realtime.Shards - 1} {
			c := connection("alice")
			c.ID = newIDs(1, shard)[0]
			ok(t, s.Connections.Put(t.Context(), c))
		}
		got, err := s.Connections.All(t.Context(), 1)
		ok(t, err)
		equal(t, len(got), 2)
	})
}

func ids(sockets []realtime.Socket) (ids []string) {
	for _, s := range sockets {
		ids = append(ids, s.ID)
	}
	return ids
}

func subtract(a, b []string) []string {
	return slices.DeleteFunc(slices.Clone(a), func(s string) bool { return slices.Contains(b, s) })
}

// TestPages reads a shard of more than 1 MB, DynamoDB's page.
func TestPages(t *testing.T) {
	onEngines(t, func(t *testing.T, s *suite) {
		const shard = 11
		var rooms []string
		for n := range 100 {
			rooms = append(rooms, fmt.Sprintf("conversation:%0128d", n))
		}
		var all []realtime.Connection
		for _, id := range newIDs(90, shard) {
			c := connection("alice")
			c.ID, c.Rooms = id, rooms
			all = append(all, c)
		}
		all[3].Gone, all[5].ConnectedAt, all[7].UserID = start, start.Add(-48*time.Hour), ""
		slices.SortFunc(all, func(a, b realtime.Connection) int { return strings.Compare(a.ID, b.ID) })
		s.putAll(t, all)

		t.Run("Walker", func(t *testing.T) {
			var got []realtime.Connection
			pages := 0
			for after := ""; pages == 0 || after != ""; pages++ {
				page, next, err := s.Connections.Page(t.Context(), shard, after)
				ok(t, err)
				if len(page) > 0 && next != "" && next != page[len(page)-1].ID {
					t.Errorf("next is %s, the page ends with %s", next, page[len(page)-1].ID)
				}
				got, after = append(got, page...), next
			}
			equal(t, got, all, anyOrder)
			if pages < 2 {
				t.Errorf("%d pages, want several", pages)
			}
		})
		t.Run("Walker, from a connection that is gone", func(t *testing.T) {
			after := all[40]
			ok(t, s.Connections.Delete(t.Context(), after))
			page, _, err := s.Connections.Page(t.Context(), shard, after.ID)
			ok(t, err)
			equal(t, page[0], all[41], anyOrder)
			ok(t, s.Connections.Put(t.Context(), after))
		})
		t.Run("Everyone", func(t *testing.T) {
			got, err := s.Connections.All(t.Context(), 0)
			ok(t, err)
			if len(got) != len(all)-3 {
				t.Errorf("%d sockets, want %d", len(got), len(all)-3)
			}
		})
		t.Run("another shard", func(t *testing.T) {
			page, next, err := s.Connections.Page(t.Context(), shard-1, "")
			ok(t, err)
			if len(page) > 0 || next != "" {
				t.Errorf("%d connections, next %q", len(page), next)
			}
		})
	})
}
