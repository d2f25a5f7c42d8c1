package store_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"example.org/realtime/shared/realtime"
	"example.org/realtime/shared/wire"
)

const room = "conversation:c1"

// at is n milliseconds after the start.
func at(n int) time.Time { return start.Add(time.Duration(n) * time.Millisecond) }

func TestRoomRowIsStoredAsDocumented(t *testing.T) {
	onEngines(t, func(t *testing.T, s *suite) {
		socket := socketOf(connection("alice"))
		socket.ID = "L0SM9cOFvHcCIhw="
		row := func() map[string]any { return s.item(t, room, "c#d#L0SM9cOFvHcCIhw=") }

		ok(t, s.Rooms.Join(t.Context(), room, socket, at(5)))
		want := map[string]any{
			"pk":       room,
			"sk":       "c#d#L0SM9cOFvHcCIhw=",
			"user":     "alice",
			"protocol": "json",
			"t":        1767323045683.0,
			"exp":      1767323046.0 + 2*3600 + 10*60,
		}
		equal(t, row(), want)

		s.clock.Set(start.Add(time.Minute))
		ok(t, s.Rooms.Leave(t.Context(), room, socket, realtime.TakenOut, at(6)))
		want["t"], want["left"], want["exp"] = 1767323045684.0, "removed", 1767323105.0+10*60
		equal(t, row(), want)

		ok(t, s.Rooms.Leave(t.Context(), room, socket, realtime.LeftRoom, at(7)))
		want["t"], want["left"] = 1767323045685.0, "left"
		equal(t, row(), want)

		ok(t, s.Rooms.Join(t.Context(), room, socket, at(8)))
		delete(want, "left")
		want["t"], want["exp"] = 1767323045686.0, 1767323046.0+2*3600+10*60
		equal(t, row(), want)
	})
}

// operation is a join, or a leave with its reason.
type operation struct {
	left realtime.Left
	at   int // ms after the start
}

func (o operation) String() string {
	if o.left == realtime.Joined {
		return fmt.Sprintf("joined@%d", o.at)
	}
	return fmt.Sprintf("%s@%d", o.left, o.at)
}

// later tells whether o has the row when both were done: the later one, and at the same time a leave.
func (o operation) later(than operation) bool {
	return o.at > than.at || o.at == than.at && o.left != realtime.Joined
}

// do returns nil, or the conflict.
func (s *suite) do(t *testing.T, socket realtime.Socket, o operation) *realtime.RoomConflict {
	var err error
	if o.left == realtime.Joined {
		err = s.Rooms.Join(t.Context(), room, socket, at(o.at))
	} else {
		err = s.Rooms.Leave(t.Context(), room, socket, o.left, at(o.at))
	}
	conflict, overtaken := errors.AsType[*realtime.RoomConflict](err)
	if err != nil && !overtaken {
		t.Errorf("%v: %v", o, err)
	}
	return conflict
}

func (s *suite) in(t *testing.T, socket realtime.Socket) bool {
	t.Helper()
	sockets, err := s.Rooms.Sockets(t.Context(), room, 0)
	ok(t, err)
	return slices.ContainsFunc(sockets, func(other realtime.Socket) bool { return other.ID == socket.ID })
}

var operations = [][]operation{
	{{realtime.Joined, 1}, {realtime.LeftRoom, 2}},
	{{realtime.Joined, 1}, {realtime.LeftRoom, 2}, {realtime.Joined, 3}},
	{{realtime.Joined, 1}, {realtime.Joined, 2}, {realtime.LeftRoom, 2}},
	{{realtime.LeftRoom, 1}, {realtime.Joined, 2}, {realtime.Joined, 2}},
	{{realtime.Joined, 1}, {realtime.TakenOut, 1}, {realtime.Joined, 2}, {realtime.TakenOut, 3}},
	{{realtime.Joined, 1}, {realtime.LeftRoom, 2}, {realtime.Joined, 3}, {realtime.LeftRoom, 4}, {realtime.Joined, 5}},
}

// TestLatestOperationHasTheRow runs every order of every set, and says of each overtaken one by what.
func TestLatestOperationHasTheRow(t *testing.T) {
	onEngines(t, func(t *testing.T, s *suite) {
		for _, set := range operations {
			for order := range permutations(set) {
				socket := socketOf(connection("alice"))
				has := operation{at: -1}
				for _, o := range order {
					conflict := s.do(t, socket, o)
					switch overtaken := has.at >= 0 && has.later(o) && !o.later(has); {
					case overtaken && conflict == nil:
						t.Fatalf("%v: %v was not overtaken by %v", order, o, has)
					case overtaken:
						equal(t, conflict, &realtime.RoomConflict{At: at(has.at), Left: has.left})
					case conflict != nil:
						t.Fatalf("%v: %v: %v", order, o, conflict)
					default:
						has = o
					}
				}
				if got := s.in(t, socket); got != (has.left == realtime.Joined) {
					t.Fatalf("%v: in the room: %v", order, got)
				}
			}
		}
	})
}

// TestJoinAndLeaveRace runs each set at once.
func TestJoinAndLeaveRace(t *testing.T) {
	onEngines(t, func(t *testing.T, s *suite) {
		for _, set := range operations {
			for range 10 {
				socket := socketOf(connection("alice"))
				var all []func()
				has := set[0]
				for _, o := range set {
					do := func() { _ = s.do(t, socket, o) } // overtaken or not
					all = append(all, do, do)
					if o.later(has) {
						has = o
					}
				}
				inParallel(all...)
				if got := s.in(t, socket); got != (has.left == realtime.Joined) {
					t.Fatalf("%v: in the room: %v", set, got)
				}
			}
		}
	})
}

// permutations yields every order of set.
func permutations[T any](set []T) func(yield func([]T) bool) {
	return func(yield func([]T) bool) {
		var extend func(order, rest []T) bool
		extend = func(order, rest []T) bool {
			if len(rest) == 0 {
				return yield(order)
			}
			for i := range rest {
				next := append(slices.Clone(order), rest[i])
				if !extend(next, slices.Delete(slices.Clone(rest), i, i+1)) {
					return false
				}
			}
			return true
		}
		extend(nil, set)
	}
}

func TestDeleteRoomRow(t *testing.T) {
	tests := map[string]struct {
		has  []operation
		at   time.Time
		want []string // attribute left of the row, nil for no row
	}{
		"a join, whatever it is":       {[]operation{{realtime.Joined, 1}}, time.Time{}, nil},
		"a tombstone, whatever it is":  {[]operation{{realtime.LeftRoom, 1}}, time.Time{}, nil},
		"nothing":                      {nil, time.Time{}, nil},
		"nothing, of that time":        {nil, at(1), nil},
		"the join of that time":        {[]operation{{realtime.Joined, 1}}, at(1), nil},
		"a later join":                 {[]operation{{realtime.Joined, 1}, {realtime.Joined, 2}}, at(1), []string{""}},
		"a leave":                      {[]operation{{realtime.Joined, 1}, {realtime.LeftRoom, 2}}, at(1), []string{"left"}},
		"a leave at the same time":     {[]operation{{realtime.Joined, 1}, {realtime.LeftRoom, 1}}, at(1), []string{"left"}},
		"a removal after the join":     {[]operation{{realtime.Joined, 1}, {realtime.TakenOut, 2}}, at(1), []string{"removed"}},
		"an earlier join than at":      {[]operation{{realtime.Joined, 1}}, at(2), []string{""}},
		"the join after a leave":       {[]operation{{realtime.LeftRoom, 1}, {realtime.Joined, 2}}, at(2), nil},
		"the time of a tombstone only": {[]operation{{realtime.LeftRoom, 3}}, at(3), []string{"left"}},
	}
	onEngines(t, func(t *testing.T, s *suite) {
		for name, test := range tests {
			t.Run(name, func(t *testing.T) {
				socket := socketOf(connection("alice"))
				for _, o := range test.has {
					if conflict := s.do(t, socket, o); conflict != nil {
						t.Fatalf("%v: %v", o, conflict)
					}
				}
				for range 2 {
					ok(t, s.Rooms.Delete(t.Context(), room, socket.ID, test.at))
				}
				row := s.item(t, room, fmt.Sprintf("c#%x#%s", realtime.Shard(socket.ID), socket.ID))
				var got []string
				if row != nil {
					left, _ := row["left"].(string)
					got = []string{left}
				}
				equal(t, got, test.want)
			})
		}
	})
}

func TestSockets(t *testing.T) {
	onEngines(t, func(t *testing.T, s *suite) {
		var want []realtime.Socket
		for n := range 60 {
			socket := socketOf(connection(fmt.Sprintf("user-%d", n)))
			socket.ConnectedAt = start.Truncate(time.Second)
			ok(t, s.Rooms.Join(t.Context(), room, socket, at(n)))
			want = append(want, socket)
			if n%2 == 0 { // as many that left, and some of another kind
				gone := socketOf(connection("gone"))
				ok(t, s.Rooms.Join(t.Context(), room, gone, at(n)))
				ok(t, s.Rooms.Leave(t.Context(), room, gone, realtime.LeftRoom, at(n)))
				ok(t, s.Rooms.Leave(t.Context(), room, socketOf(connection("never")), realtime.TakenOut, at(n)))
				_, err := s.Participants.Add(t.Context(), "c1", fmt.Sprintf("user-%d", n))
				ok(t, err)
			}
		}
		old := socketOf(connection("expired"))
		old.ConnectedAt = start.Add(-2*time.Hour - 11*time.Minute)
		ok(t, s.Rooms.Join(t.Context(), room, old, at(1)))
		ok(t, s.Rooms.Join(t.Context(), "conversation:c11", socketOf(connection("elsewhere")), at(1)))
		ok(t, s.Rooms.Join(t.Context(), "group:c1", socketOf(connection("elsewhere")), at(1)))

		byID := func(a, b realtime.Socket) int { return strings.Compare(a.ID, b.ID) }
		slices.SortFunc(want, byID)
		for _, limit := range []int{0, 1, 20, 59, 60, 61, 1000} {
			got, err := s.Rooms.Sockets(t.Context(), room, limit)
			ok(t, err)
			switch {
			case limit == 0 || limit >= len(want):
				slices.SortFunc(got, byID)
				equal(t, got, want)
			case len(got) <= limit:
				t.Errorf("limit %d: %d of %d sockets look like all of them", limit, len(got), len(want))
			case len(got) > 2*limit+1:
				t.Errorf("limit %d: %d sockets", limit, len(got))
			}
		}
		got, err := s.Rooms.Sockets(t.Context(), "conversation:nobody", 0)
		ok(t, err)
		equal(t, got, []realtime.Socket(nil))
	})
}

// fill has n sockets join a room, several at a time. Their rows are about 450 bytes.
func (s *suite) fill(t *testing.T, room string, n int) (all []realtime.Socket) {
	t.Helper()
	for i := range n {
		socket := socketOf(connection(fmt.Sprintf("%0128d", i)))
		socket.ConnectedAt = start.Truncate(time.Second)
		all = append(all, socket)
	}
	var wg sync.WaitGroup
	for chunk := range slices.Chunk(all, n/8+1) {
		wg.Go(func() {
			for _, socket := range chunk {
				if err := s.Rooms.Join(t.Context(), room, socket, at(1)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	return all
}

// TestLargeRoom: one of several pages is listed whole, and in its shards; each socket is in its own.
func TestLargeRoom(t *testing.T) {
	onEngines(t, func(t *testing.T, s *suite) {
		large := fmt.Sprintf("conversation:%0128d", 1)
		want := s.fill(t, large, 4000)
		s.fill(t, large+"0", 20)
		byID := func(a, b realtime.Socket) int { return strings.Compare(a.ID, b.ID) }
		slices.SortFunc(want, byID)

		s.meter.take()
		got, err := s.Rooms.Sockets(t.Context(), large, 0)
		ok(t, err)
		spent, calls := s.meter.take()
		slices.SortFunc(got, byID)
		equal(t, got, want)
		if calls < 3 || calls > 17 { // the first page, then the shards that it has left, of less than a page each
			t.Errorf("%d queries", calls)
		}

		var inShards []realtime.Socket
		for shard := range realtime.Shards {
			in, err := s.Rooms.SocketsIn(t.Context(), large, shard)
			ok(t, err)
			for _, socket := range in {
				if realtime.Shard(socket.ID) != shard {
					t.Errorf("%s is in shard %d", socket.ID, shard)
				}
			}
			inShards = append(inShards, in...)
		}
		slices.SortFunc(inShards, byID)
		equal(t, inShards, want)
		inRanges, calls := s.meter.take()
		t.Logf("%d sockets: %v RRU at once, %v in 16 ranges", len(want), spent.Read, inRanges.Read)
		if calls != realtime.Shards || inRanges.Read < spent.Read-realtime.Shards || inRanges.Read > spent.Read+realtime.Shards {
			t.Errorf("in shards: %+v in %d calls, at once %+v", inRanges, calls, spent)
		}
		in, err := s.Rooms.SocketsIn(t.Context(), "conversation:nobody", 0)
		ok(t, err)
		equal(t, len(in), 0)
	})
}

// TestSocketSeemsNoOlder: a room's row tells in whole seconds when its socket connected, never too early.
func TestSocketSeemsNoOlder(t *testing.T) {
	onEngines(t, func(t *testing.T, s *suite) {
		for _, ms := range []int{0, 1, 500, 999} {
			socket := realtime.Socket{ID: newID(), UserID: "alice", Protocol: wire.JSON, ConnectedAt: start.Truncate(time.Second).Add(time.Duration(ms) * time.Millisecond)}
			own := fmt.Sprintf("conversation:%d", ms)
			ok(t, s.Rooms.Join(t.Context(), own, socket, at(1)))
			got, err := s.Rooms.Sockets(t.Context(), own, 0)
			ok(t, err)
			if late := got[0].ConnectedAt.Sub(socket.ConnectedAt); late < 0 || late >= time.Second {
				t.Errorf("connected at .%03d seems %v later", ms, late)
			}
		}
	})
}

func TestRoomRowsExpire(t *testing.T) {
	onEngines(t, func(t *testing.T, s *suite) {
		socket := socketOf(connection("alice"))
		socket.ConnectedAt = start.Truncate(time.Second)
		ok(t, s.Rooms.Join(t.Context(), room, socket, at(1)))
		s.clock.Set(socket.ConnectedAt.Add(2*time.Hour + 10*time.Minute))
		if !s.in(t, socket) {
			t.Error("not in the room any more")
		}
		without, err := s.Rooms.Without(t.Context(), socket.ID, []string{room})
		ok(t, err)
		equal(t, without, []string(nil))

		s.clock.Set(socket.ConnectedAt.Add(2*time.Hour + 10*time.Minute + time.Second))
		if s.in(t, socket) {
			t.Error("still in the room")
		}
		without, err = s.Rooms.Without(t.Context(), socket.ID, []string{room})
		ok(t, err)
		equal(t, without, []string{room})
	})
}

func TestWithout(t *testing.T) {
	onEngines(t, func(t *testing.T, s *suite) {
		socket, other := socketOf(connection("alice")), socketOf(connection("bob"))
		var rooms, want []string
		for n := range 100 {
			r := fmt.Sprintf("conversation:c%d", n)
			rooms = append(rooms, r)
			ok(t, s.Rooms.Join(t.Context(), r, other, at(1)))
			switch n % 4 {
			case 0:
				want = append(want, r)
			case 1:
				want = append(want, r)
				ok(t, s.Rooms.Join(t.Context(), r, socket, at(1)))
				ok(t, s.Rooms.Leave(t.Context(), r, socket, realtime.LeftRoom, at(2)))
			default:
				ok(t, s.Rooms.Join(t.Context(), r, socket, at(1)))
			}
		}
		got, err := s.Rooms.Without(t.Context(), socket.ID, rooms)
		ok(t, err)
		equal(t, got, want)
		got, err = s.Rooms.Without(t.Context(), socket.ID, nil)
		ok(t, err)
		equal(t, got, []string(nil))
	})
}
