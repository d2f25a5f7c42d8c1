package realtime

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"example.org/realtime/shared/contract"
	"example.org/realtime/shared/wire"
)

type fakeUsers struct {
	readAll func(users []string) ([]Presence, error)
	deny    func(user string, until time.Time) error
}

func (f *fakeUsers) ReadAll(_ context.Context, users []string) ([]Presence, error) {
	return f.readAll(users)
}

func (f *fakeUsers) Deny(_ context.Context, user string, until time.Time) error {
	return f.deny(user, until)
}

type fakePublishing func(req contract.Publish) (contract.Published, error)

func (f fakePublishing) Publish(_ context.Context, req contract.Publish) (contract.Published, error) {
	return f(req)
}

type fakePublishes func(id string) (contract.PublishStatus, error)

func (f fakePublishes) Read(_ context.Context, id string) (contract.PublishStatus, error) {
	return f(id)
}

// present are users with one old socket each, named after them: alice has alice=.
func present(there ...string) func(users []string) ([]Presence, error) {
	return func(users []string) (list []Presence, err error) {
		for _, user := range users {
			var p Presence
			for _, name := range there {
				if name == user {
					p = Presence{UserID: user, LastSeen: start, Sockets: []PresenceSocket{{Socket: old(user+"=", user), LastSeen: start}}}
				}
			}
			list = append(list, p)
		}
		return list, nil
	}
}

func newControl() *Control {
	return &Control{Now: func() time.Time { return start }, RoomsPerSocket: 2}
}

func at(ms int) time.Time { return start.Add(time.Duration(ms) * time.Millisecond) }

// What a group's join and leave do about a row that has another operation, and about a connection that cannot take the room.
func TestGroupOfOneSocket(t *testing.T) {
	joined, left := func(ms int) error { return &RoomConflict{At: at(ms)} }, func(ms int) error { return &RoomConflict{At: at(ms), Left: LeftRoom} }
	broken := errors.New("the table does not answer")
	for _, tt := range []struct {
		name    string
		op      string
		row     []error // answers to the writes of the room's row; nil takes it
		record  []error // to those of the connection's
		wrote   []int   // times of the row's writes, in ms after start
		deleted []int   // of the row's deletions
		want    contract.Refusal
		err     error
	}{
		{"joins", contract.GroupsJoin, []error{nil}, []error{nil}, []int{0}, nil, "", nil},
		{"is in already, by a later request", contract.GroupsJoin, []error{joined(5)}, []error{nil}, []int{0}, nil, "", nil},
		{"has left by a later request", contract.GroupsJoin, []error{left(0)}, nil, []int{0}, nil, contract.RefusedOvertaken, nil},
		{"has left by a clock that is ahead", contract.GroupsJoin, []error{left(7), nil}, []error{nil}, []int{0, 8}, nil, "", nil},
		{"leaves again and again", contract.GroupsJoin, []error{left(7), left(17), left(27)}, nil, []int{0, 8, 18}, nil, contract.RefusedOvertaken, nil},
		{"row fails", contract.GroupsJoin, []error{broken}, nil, []int{0}, nil, "", broken},
		{"connection is full", contract.GroupsJoin, []error{nil}, []error{ErrFull, ErrFull, ErrFull, ErrFull}, []int{0}, []int{0}, contract.RefusedTooManyRooms, nil},
		{"connection makes room, and another join takes it", contract.GroupsJoin, []error{nil}, []error{ErrFull, ErrFull, nil}, []int{0}, nil, "", nil},
		{"connection makes room", contract.GroupsJoin, []error{nil}, []error{ErrFull, nil}, []int{0}, nil, "", nil},
		{"connection has ended", contract.GroupsJoin, []error{nil}, []error{ErrNotFound}, []int{0}, []int{0}, contract.RefusedGone, nil},
		{"connection has ended, joined twice", contract.GroupsJoin, []error{joined(5)}, []error{ErrNotFound}, []int{0}, []int{5}, contract.RefusedGone, nil},
		{"record fails", contract.GroupsJoin, []error{nil}, []error{broken}, []int{0}, []int{0}, "", broken},

		{"leaves", contract.GroupsLeave, []error{nil}, nil, []int{0}, nil, "", nil},
		{"has left already, by a later request", contract.GroupsLeave, []error{left(5)}, nil, []int{0}, nil, "", nil},
		{"has joined by a later request", contract.GroupsLeave, []error{joined(0)}, nil, []int{0}, nil, contract.RefusedOvertaken, nil},
		{"has joined by a clock that is ahead", contract.GroupsLeave, []error{joined(7), nil}, nil, []int{0, 7}, nil, "", nil},
		{"joins again and again", contract.GroupsLeave, []error{joined(7), joined(17), joined(27)}, nil, []int{0, 7, 17}, nil, contract.RefusedOvertaken, nil},
		{"leaving fails", contract.GroupsLeave, []error{broken}, nil, []int{0}, nil, "", broken},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := newControl()
			c.Users = &fakeUsers{readAll: present("alice")}
			var wrote, deleted []int
			answer := func(room string, s Socket, when time.Time) error {
				if room != "group:g1" || s.ID != "alice=" || s.UserID != "alice" {
					t.Errorf("%+v in %s", s, room)
				}
				wrote = append(wrote, int(when.Sub(start).Milliseconds()))
				return tt.row[len(wrote)-1]
			}
			c.Rooms = &fakeRooms{
				join: answer,
				leave: func(room string, s Socket, why Left, when time.Time) error {
					if why != LeftRoom {
						t.Errorf("left as %s", why)
					}
					return answer(room, s, when)
				},
				delete: func(_, _ string, when time.Time) error {
					deleted = append(deleted, int(when.Sub(start).Milliseconds()))
					return nil
				},
				without: func(_ string, rooms []string) ([]string, error) { return rooms[:1], nil },
			}
			records := 0
			connections := &fakeConnections{
				add: func(id, room string) error {
					records++
					return tt.record[records-1]
				},
				get:  func(id string) (Connection, error) { return Connection{ID: id, Rooms: []string{"a", "b"}}, nil },
				drop: func(string, []string) error { return nil },
			}
			c.Connections, c.Recorded = connections, connections
			got, err := c.Do(t.Context(), &contract.Group{Op: tt.op, GroupID: "g1", Users: []string{"alice", "bob"}})
			if !errors.Is(err, tt.err) {
				t.Fatalf("got error %v, want %v", err, tt.err)
			}
			if err == nil {
				want := &contract.GroupChanged{Sockets: 1, Refused: []contract.SocketRefused{}}
				if tt.want != "" {
					want = &contract.GroupChanged{Refused: []contract.SocketRefused{{SocketID: "alice=", UserID: "alice", Reason: tt.want}}}
				}
				if diff := cmp.Diff(want, got); diff != "" {
					t.Errorf("-want +got\n%s", diff)
				}
			} else if !strings.HasPrefix(err.Error(), tt.op+": g1: ") {
				t.Errorf("the error does not say what failed: %v", err)
			}
			if diff := cmp.Diff([][]int{tt.wrote, tt.deleted}, [][]int{wrote, deleted}, cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("times of the row's writes and deletions: -want +got\n%s", diff)
			}
		})
	}
}

func TestLooking(t *testing.T) {
	verified := at(5000)
	c := newControl()
	c.Users = &fakeUsers{readAll: func(users []string) ([]Presence, error) {
		list, err := present("alice")(users)
		for i := range list {
			if list[i].UserID == "alice" {
				list[i].DeniedUntil = start.Add(time.Hour)
			}
		}
		return list, err
	}}
	c.Timers = &fakeTimers{read: func() (Timer, error) {
		var timer Timer
		timer.Shards[Shard("alice=")].Verified = verified
		return timer, nil
	}}
	rows := map[string]Connection{
		"alice=": {ID: "alice=", UserID: "alice", Protocol: wire.JSON, ConnectedAt: start.Add(-time.Hour), TokenExpiry: start.Add(time.Minute), Rooms: []string{"group:g1", "conversation:c2", "conversation:c1"}},
		"lobby=": {ID: "lobby="},
		"ended=": {ID: "ended=", UserID: "bob", Gone: start},
	}
	c.Connections = &fakeConnections{get: func(id string) (Connection, error) {
		row, ok := rows[id]
		if !ok {
			return Connection{}, ErrNotFound
		}
		return row, nil
	}}
	c.Rooms = &fakeRooms{without: func(_ string, rooms []string) ([]string, error) { return []string{"conversation:c2"}, nil }}
	c.Publishes = fakePublishes(func(id string) (contract.PublishStatus, error) {
		if id != "p1" {
			return contract.PublishStatus{}, ErrNotFound
		}
		return contract.PublishStatus{ID: id, State: contract.PublishDone}, nil
	})
	ms := func(t time.Time) *int64 { return new(t.UnixMilli()) }
	hour := start.Add(-time.Hour)
	in := []string{"conversation:c1", "group:g1"}
	connection := contract.Connection{SocketID: "alice=", Protocol: "json", ConnectedAt: hour.UnixMilli(), LastSeen: ms(verified), TokenExpiry: ms(start.Add(time.Minute)), Rooms: in}
	ended := connection
	ended.TokenExpiry, ended.Rooms = nil, []string{}
	list := func(c contract.Connection) *contract.UserConnections {
		return &contract.UserConnections{UserID: "alice", DeniedUntil: ms(start.Add(time.Hour)), Connections: []contract.Connection{c}}
	}
	looks := func(t *testing.T, req contract.ControlRequest, want any) {
		t.Helper()
		got, err := c.Do(t.Context(), req)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: -want +got\n%s", req.Operation(), diff)
		}
	}
	looks(t, &contract.ReadPresence{Users: []string{"bob", "alice"}}, &contract.PresenceList{Presence: []contract.PresenceSnapshot{
		{UserID: "bob", Sockets: []contract.PresenceSocket{}},
		{UserID: "alice", IsOnline: true, LastSeen: ms(verified), Sockets: []contract.PresenceSocket{{SocketID: "alice=", ConnectedAt: ms(hour), LastSeen: ms(verified)}}},
	}})
	looks(t, &contract.ListConnections{UserID: "bob"}, &contract.UserConnections{UserID: "bob", Connections: []contract.Connection{}})
	looks(t, &contract.ListConnections{UserID: "alice"}, list(connection))
	looks(t, &contract.ListRooms{ConnectionID: "alice="}, &contract.ConnectionRooms{ConnectionID: "alice=", UserID: "alice", Protocol: "json", ConnectedAt: hour.UnixMilli(), Rooms: in})
	for _, id := range []string{"none=", "lobby=", "ended="} {
		looks(t, &contract.ListRooms{ConnectionID: id}, (*contract.ConnectionRooms)(nil))
	}
	looks(t, &contract.ReadPublish{ID: "p1"}, &contract.PublishStatus{ID: "p1", State: "done"})
	looks(t, &contract.ReadPublish{ID: "p2"}, (*contract.PublishStatus)(nil))
	delete(rows, "alice=") // it ends while it is looked at
	looks(t, &contract.ListConnections{UserID: "alice"}, list(ended))

	broken := errors.New("does not answer")
	c.Connections = &fakeConnections{get: func(string) (Connection, error) { return Connection{}, broken }}
	c.Publishes = fakePublishes(func(string) (contract.PublishStatus, error) { return contract.PublishStatus{}, broken })
	for _, req := range []contract.ControlRequest{&contract.ListConnections{UserID: "alice"}, &contract.ListRooms{ConnectionID: "alice="}, &contract.ReadPublish{ID: "p1"}} {
		if got, err := c.Do(t.Context(), req); got != nil || !errors.Is(err, broken) || !strings.HasPrefix(err.Error(), req.Operation()+": ") {
			t.Errorf("%s: %v, %v", req.Operation(), got, err)
		}
	}
}
