package store_test

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"example.org/realtime/shared/realtime"
)

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
