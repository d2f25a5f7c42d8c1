package realtime

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
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
		{"connection is full", contract.GroupsJoin, []error{nil}, []error{ErrFull, ErrFull}, []int{0}, []int{0}, contract.RefusedTooManyRooms, nil},
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

// log is what happened, in order.
type log struct {
	mu    sync.Mutex
	lines []string
}

func (l *log) add(parts ...string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lines = append(l.lines, strings.Join(parts, " "))
}

// newDisconnecting has alice= and bob= in CONN, and answers publishes with those.
func newDisconnecting(l *log, published ...contract.Published) *Control {
	c := newControl()
	c.Users = &fakeUsers{
		readAll: present(),
		deny: func(user string, until time.Time) error {
			if until.IsZero() {
				l.add("allow", user)
			} else {
				l.add("deny", user, until.Format("05.000"))
			}
			return nil
		},
	}
	c.Connections = &fakeConnections{get: func(id string) (Connection, error) {
		switch id {
		case "alice=", "bob=":
			return Connection{ID: id, UserID: strings.TrimSuffix(id, "=")}, nil
		case "lobby=":
			return Connection{ID: id}, nil
		}
		return Connection{}, ErrNotFound
	}}
	c.Publishing = fakePublishing(func(req contract.Publish) (contract.Published, error) {
		line := "publish " + string(req.Data) + " to " + strings.Join(req.To.Users, ",") + ";" + strings.Join(req.To.Connections, ",")
		if req.Event != contract.SystemDisconnect || req.ID != "" {
			line = "publish something else"
		}
		if req.Reconnect {
			line += " reconnect"
		}
		l.add(line)
		answer := published[0]
		if len(published) > 1 {
			published = published[1:]
		}
		return answer, nil
	})
	return c
}

func TestDisconnectSockets(t *testing.T) {
	untilMS := start.Truncate(time.Second).Add(61 * time.Second).UnixMilli()
	all := contract.Published{Event: contract.SystemDisconnect, Matched: 2, Delivered: 2}
	for _, tt := range []struct {
		name string
		req  contract.DisconnectSockets
		did  []string // the last is always the publish, and what comes before it in any order
		want contract.SocketsDisconnected
	}{
		{
			"users",
			contract.DisconnectSockets{Users: []string{"alice"}, Reason: "r", Message: "m"},
			[]string{`publish {"reason":"r","message":"m"} to alice;`},
			contract.SocketsDisconnected{Published: all},
		},
		{
			"for maintenance",
			contract.DisconnectSockets{Users: []string{"alice"}, Connections: []string{"bob="}, Reason: "r", Reconnect: true},
			[]string{`publish {"reason":"r"} to alice;bob= reconnect`},
			contract.SocketsDisconnected{Published: all},
		},
		{
			"denied, rounded up",
			contract.DisconnectSockets{Users: []string{"alice", "carol", "alice"}, Reason: "r", DenySeconds: new(60)},
			[]string{"deny alice 02.000", "deny carol 02.000", `publish {"reason":"r"} to alice,carol,alice;`},
			contract.SocketsDisconnected{Published: all, Denied: []string{"alice", "carol"}, DeniedUntil: &untilMS},
		},
		{
			"denied, of connections",
			contract.DisconnectSockets{Connections: []string{"alice=", "lobby=", "bob=", "none="}, Reason: "r", DenySeconds: new(60)},
			[]string{"deny alice 02.000", "deny bob 02.000", `publish {"reason":"r"} to ;alice=,lobby=,bob=,none=`},
			contract.SocketsDisconnected{Published: all, Denied: []string{"alice", "bob"}, DeniedUntil: &untilMS},
		},
		{
			"denied, of nobody",
			contract.DisconnectSockets{Connections: []string{"none="}, Reason: "r", DenySeconds: new(60)},
			[]string{`publish {"reason":"r"} to ;none=`},
			contract.SocketsDisconnected{Published: all},
		},
		{
			"allowed",
			contract.DisconnectSockets{Users: []string{"alice"}, Reason: "r", DenySeconds: new(0)},
			[]string{"allow alice", `publish {"reason":"r"} to alice;`},
			contract.SocketsDisconnected{Published: all},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			did := &log{}
			got, err := newDisconnecting(did, all).Do(t.Context(), &tt.req)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(&tt.want, got); diff != "" {
				t.Errorf("-want +got\n%s", diff)
			}
			last := len(did.lines) - 1
			if diff := cmp.Diff(tt.did, did.lines, cmpopts.SortSlices(func(a, b string) bool { return a < b })); diff != "" || !strings.HasPrefix(did.lines[last], "publish") {
				t.Errorf("-want +got\n%s", diff)
			}
		})
	}
}

// Nobody is closed where the deny time could not be written, and a publish that failed is told of.
func TestDisconnectFails(t *testing.T) {
	broken := errors.New("does not answer")
	did := &log{}
	req := &contract.DisconnectSockets{Users: []string{"alice"}, Reason: "r", DenySeconds: new(1)}
	c := newDisconnecting(did, contract.Published{})
	c.Users = &fakeUsers{deny: func(string, time.Time) error { return broken }}
	if got, err := c.Do(t.Context(), req); got != nil || !errors.Is(err, broken) || len(did.lines) > 0 {
		t.Errorf("%v, %v, did %v", got, err, did.lines)
	}
	c = newDisconnecting(did, contract.Published{})
	c.Publishing = fakePublishing(func(contract.Publish) (contract.Published, error) { return contract.Published{}, broken })
	if got, err := c.Do(t.Context(), req); got != nil || !errors.Is(err, broken) || !strings.HasPrefix(err.Error(), "sockets.disconnect: publish: ") {
		t.Errorf("%v, %v", got, err)
	}
}

// A socket in its handshake answers 410. It is sent away as soon as it can be, when its user is kept out.
func TestDisconnectRest(t *testing.T) {
	gone := contract.Published{Event: contract.SystemDisconnect, Matched: 3, Delivered: 1, Gone: 2}
	const all, first, both = `publish {"reason":"r"} to alice;bob=`, `publish {"reason":"r"} to ;a0=`, `publish {"reason":"r"} to ;a0=,bob=`
	for _, tt := range []struct {
		name  string
		deny  *int
		there [][]string // of the sockets a0=, bob= and b0=, at each look; the last is for all that follow
		then  []contract.Published
		did   []string
		want  contract.Published
		looks int
	}{
		{"not kept out", nil, nil, nil, []string{all}, gone, 0},
		{"gone meanwhile", new(90), [][]string{{}}, nil, []string{all}, gone, 1},
		{"not meant", new(90), [][]string{{"b0="}}, nil, []string{all}, gone, 1},
		{
			"opened at last", new(90),
			[][]string{{"a0="}, {}},
			[]contract.Published{{Matched: 1, Delivered: 1}},
			[]string{all, first},
			contract.Published{Event: contract.SystemDisconnect, Matched: 3, Delivered: 2, Gone: 1},
			2,
		},
		{
			"one after the other", new(90),
			[][]string{{"a0=", "bob="}, {"a0=", "b0="}, {}},
			[]contract.Published{{Matched: 2, Delivered: 1, Gone: 1}, {Matched: 1, Failed: 1}},
			[]string{all, both, first},
			contract.Published{Event: contract.SystemDisconnect, Matched: 3, Delivered: 2, Failed: 1},
			3,
		},
		{
			"never", new(90),
			[][]string{{"a0="}},
			[]contract.Published{{Matched: 1, Gone: 1}},
			append([]string{all}, slices.Repeat([]string{first}, 20)...),
			contract.Published{Event: contract.SystemDisconnect, Matched: 3, Delivered: 1, Gone: 1, Failed: 1},
			21,
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				did := &log{}
				c := newDisconnecting(did, append([]contract.Published{gone}, tt.then...)...)
				looks := 0
				c.Users.(*fakeUsers).readAll = func(users []string) ([]Presence, error) {
					if diff := cmp.Diff([]string{"alice", "bob"}, users); diff != "" {
						t.Errorf("looked at: -want +got\n%s", diff)
					}
					there := tt.there[min(looks, len(tt.there)-1)]
					looks++
					alice, bob := Presence{UserID: "alice"}, Presence{UserID: "bob"}
					for _, id := range there {
						p := &bob
						if id == "a0=" {
							p = &alice
						}
						p.Sockets = append(p.Sockets, PresenceSocket{Socket: Socket{ID: id, UserID: p.UserID, Protocol: wire.JSON}})
					}
					return []Presence{alice, bob}, nil
				}
				c.Users.(*fakeUsers).deny = func(string, time.Time) error { return nil }
				began := time.Now()
				got, err := c.Do(t.Context(), &contract.DisconnectSockets{Users: []string{"alice"}, Connections: []string{"bob="}, Reason: "r", DenySeconds: tt.deny})
				if err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(tt.want, got.(*contract.SocketsDisconnected).Published); diff != "" {
					t.Errorf("-want +got\n%s", diff)
				}
				if diff := cmp.Diff(tt.did, did.lines); diff != "" {
					t.Errorf("-want +got\n%s", diff)
				}
				if waited := time.Since(began); looks != tt.looks || waited != time.Duration(looks)*reachPause {
					t.Errorf("looked %d times in %v", looks, waited)
				}
			})
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
