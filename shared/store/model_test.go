package store_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"example.org/realtime/shared/realtime"
	"example.org/realtime/shared/wire"
)

// The models are what the ports promise, in a few lines over a map. Any sequence of calls has the same answers.

// presenceModel is one user.
type presenceModel struct {
	realtime.Presence
	heartbeats map[string]time.Time
}

func (m *presenceModel) find(id string) int {
	return slices.IndexFunc(m.Sockets, func(s realtime.PresenceSocket) bool { return s.ID == id })
}

func (m *presenceModel) add(s realtime.PresenceSocket, limit int) error {
	switch {
	case m.find(s.ID) >= 0:
		return realtime.ErrExists
	case len(m.Sockets) >= limit:
		return realtime.ErrFull
	}
	m.UserID = s.UserID
	m.Sockets = append(m.Sockets, s)
	m.Version++
	m.LastSeen = s.LastSeen
	return nil
}

func (m *presenceModel) remove(id string, at, connectedBefore time.Time) error {
	i := m.find(id)
	switch {
	case i < 0:
		return realtime.ErrNotFound
	case !connectedBefore.IsZero() && !m.Sockets[i].ConnectedAt.Before(connectedBefore):
		return realtime.ErrTooYoung
	}
	m.Sockets = slices.Delete(m.Sockets, i, i+1)
	delete(m.heartbeats, id)
	m.Version++
	m.LastSeen = at
	return nil
}

func (m *presenceModel) touch(id string, at time.Time, apart time.Duration) error {
	i := m.find(id)
	if i < 0 {
		return realtime.ErrNotFound
	}
	if last, touched := m.heartbeats[id]; touched && last.After(at.Add(-apart)) {
		return realtime.ErrTooSoon
	}
	m.heartbeats[id], m.Sockets[i].LastSeen, m.LastSeen = at, at, at
	return nil
}

var sameSockets = cmp.Options{
	cmpopts.EquateEmpty(),
	cmpopts.SortSlices(func(a, b realtime.PresenceSocket) bool { return a.ID < b.ID }),
}

func TestPresencesAreTheirModel(t *testing.T) {
	onEngines(t, func(t *testing.T, s *suite) {
		users := 0
		rapid.Check(t, func(r *rapid.T) {
			users++
			user := fmt.Sprintf("user-%d", users)
			const limit = 3
			m := &presenceModel{heartbeats: map[string]time.Time{}}
			id := rapid.SampledFrom([]string{"a=", "b=", "c=", "d=", "e="})
			when := rapid.Custom(func(r *rapid.T) time.Time { return at(rapid.IntRange(0, 20).Draw(r, "ms")) })
			check := func(r *rapid.T, got realtime.Presence, err, want error) {
				if !errors.Is(err, want) {
					r.Fatalf("got %v, want %v", err, want)
				}
				expected := m.Presence
				if want != nil && !errors.Is(want, realtime.ErrExists) {
					expected = realtime.Presence{}
				}
				if diff := cmp.Diff(expected, got, sameSockets); diff != "" {
					r.Fatalf("(-want +got)\n%s", diff)
				}
			}
			r.Repeat(map[string]func(*rapid.T){
				"add": func(r *rapid.T) {
					socket := realtime.PresenceSocket{
						Socket:    realtime.Socket{ID: id.Draw(r, "id"), UserID: user, Protocol: wire.JSON, ConnectedAt: when.Draw(r, "connectedAt")},
						LastSeen:  when.Draw(r, "lastSeen"),
						UserAgent: rapid.SampledFrom([]string{"", "test/1.0", "Ünïcödé 世界"}).Draw(r, "userAgent"),
					}
					want := m.add(socket, limit)
					got, err := s.Presences.Add(t.Context(), user, socket, limit)
					check(r, got, err, want)
				},
				"remove": func(r *rapid.T) {
					id, at := id.Draw(r, "id"), when.Draw(r, "at")
					var before time.Time
					if rapid.Bool().Draw(r, "guarded") {
						before = when.Draw(r, "connectedBefore")
					}
					want := m.remove(id, at, before)
					got, err := s.Presences.Remove(t.Context(), user, id, at, before)
					check(r, got, err, want)
				},
				"touch": func(r *rapid.T) {
					id, at := id.Draw(r, "id"), when.Draw(r, "at")
					apart := time.Duration(rapid.IntRange(0, 5).Draw(r, "apart")) * time.Millisecond
					want := m.touch(id, at, apart)
					got, err := s.Presences.Touch(t.Context(), user, id, at, apart)
					check(r, got, err, want)
				},
				"": func(r *rapid.T) {
					got, err := s.Presences.Read(t.Context(), user)
					check(r, got, err, nil)
				},
			})
		})
	})
}

// roomModel is one room: the last operation of each socket that ever had one.
type roomModel map[string]operation

// do returns nil, or the operation that o was overtaken by.
func (m roomModel) do(id string, o operation) *realtime.RoomConflict {
	has, known := m[id]
	if known && has.later(o) && !o.later(has) {
		return &realtime.RoomConflict{At: at(has.at), Left: has.left}
	}
	m[id] = o
	return nil
}

func (m roomModel) delete(id string, at int) {
	if has := m[id]; at < 0 || has == (operation{at: at}) {
		delete(m, id)
	}
}

func (m roomModel) sockets() (ids []string) {
	for id, o := range m {
		if o.left == realtime.Joined {
			ids = append(ids, id)
		}
	}
	return ids
}

func TestRoomsAreTheirModel(t *testing.T) {
	onEngines(t, func(t *testing.T, s *suite) {
		rooms := 0
		rapid.Check(t, func(r *rapid.T) {
			rooms++
			room := fmt.Sprintf("conversation:%d", rooms)
			m := roomModel{}
			all := []string{"a=", "b=", "c="}
			id := rapid.SampledFrom(all)
			ms := rapid.IntRange(0, 6)
			socket := func(id string) realtime.Socket {
				return realtime.Socket{ID: id, UserID: "user of " + id, Protocol: wire.JSON, ConnectedAt: start}
			}
			check := func(r *rapid.T, err error, want *realtime.RoomConflict) {
				got, _ := errors.AsType[*realtime.RoomConflict](err)
				if diff := cmp.Diff(want, got); diff != "" || err != nil && got == nil {
					r.Fatalf("%v (-want +got)\n%s", err, diff)
				}
			}
			r.Repeat(map[string]func(*rapid.T){
				"join": func(r *rapid.T) {
					id, o := id.Draw(r, "id"), operation{at: ms.Draw(r, "at")}
					check(r, s.Rooms.Join(t.Context(), room, socket(id), at(o.at)), m.do(id, o))
				},
				"leave": func(r *rapid.T) {
					id, why := id.Draw(r, "id"), rapid.SampledFrom([]realtime.Left{realtime.LeftRoom, realtime.TakenOut}).Draw(r, "why")
					o := operation{left: why, at: ms.Draw(r, "at")}
					check(r, s.Rooms.Leave(t.Context(), room, socket(id), why, at(o.at)), m.do(id, o))
				},
				"delete": func(r *rapid.T) {
					id, n := id.Draw(r, "id"), rapid.IntRange(-1, 6).Draw(r, "at")
					var when time.Time
					if n >= 0 {
						when = at(n)
					}
					m.delete(id, n)
					if err := s.Rooms.Delete(t.Context(), room, id, when); err != nil {
						r.Fatal(err)
					}
				},
				"": func(r *rapid.T) {
					got, err := s.Rooms.Sockets(t.Context(), room, 0)
					if err != nil {
						r.Fatal(err)
					}
					if diff := cmp.Diff(m.sockets(), ids(got), anyOrder, cmpopts.EquateEmpty()); diff != "" {
						r.Fatalf("(-want +got)\n%s", diff)
					}
					id := id.Draw(r, "id")
					without, err := s.Rooms.Without(t.Context(), id, []string{room})
					if o, known := m[id]; err != nil || (len(without) == 0) != (known && o.left == realtime.Joined) {
						r.Fatalf("%s is not in %v, %v; its row: %v", id, without, err, o)
					}
				},
			})
		})
	})
}
