package console

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"example.org/realtime/infra/local/gateway"
	"example.org/realtime/shared/realtime"
	"example.org/realtime/shared/wire"
)

// connect records a connection as the functions do.
func (f *fixture) connect(t *testing.T, id, user string) realtime.Connection {
	t.Helper()
	c := realtime.Connection{ID: id, UserID: user, Protocol: wire.JSON, ConnectedAt: f.clock.now(), TokenExpiry: f.clock.now().Add(time.Hour).Truncate(time.Second)}
	if err := f.table.Connections.Put(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	s := realtime.PresenceSocket{
		Socket:   realtime.Socket{ID: id, UserID: user, Protocol: wire.JSON, ConnectedAt: f.clock.now()},
		LastSeen: f.clock.now(), UserAgent: "<b>agent</b>", IP: "127.0.0.9",
	}
	if _, err := f.table.Presences.Add(t.Context(), user, s, 32); err != nil {
		t.Fatal(err)
	}
	return c
}

func (f *fixture) join(t *testing.T, c realtime.Connection, room string) {
	t.Helper()
	s := realtime.Socket{ID: c.ID, UserID: c.UserID, Protocol: c.Protocol, ConnectedAt: c.ConnectedAt}
	if err := f.table.Rooms.Join(t.Context(), room, s, f.clock.now()); err != nil {
		t.Fatal(err)
	}
	if err := f.table.Connections.AddRoom(t.Context(), c.ID, c.Entered, room, 100); err != nil {
		t.Fatal(err)
	}
}

// What is shown follows the table through everything that the functions write.
func TestRowsFollowTheTable(t *testing.T) {
	f := attachedFixture(t, http.NotFoundHandler())
	alice, bob := f.connect(t, "a1=", "alice"), f.connect(t, "b1=", "bob")
	f.connect(t, "a2=", "alice")
	f.join(t, alice, "conversation:c1")
	f.join(t, bob, "conversation:c1")
	f.join(t, alice, "group:g1")
	for _, user := range []string{"alice", "bob", "carol"} {
		if _, err := f.table.Participants.Add(t.Context(), "c1", user); err != nil {
			t.Fatal(err)
		}
	}
	want := counts{Rows: 3, Rooms: 2, Online: 2, Users: 2}
	check := func(when string) {
		t.Helper()
		got := f.rows.counts()
		got.Version = 0
		if got != want {
			t.Errorf("%s: %+v, want %+v", when, got, want)
		}
	}
	check("connected and joined")
	now := f.clock.now().UnixMilli()

	var connections list[connection]
	f.get(t, "/connections?q=A1%3D", &connections)
	wantRow := connection{
		ID: "a1=", User: "alice", Protocol: "json", State: stateNoLine, IP: "127.0.0.9", UserAgent: "<b>agent</b>", ConnectedAt: now,
		LastSeen: now, TokenExpiry: now + 3_600_000, Rooms: []string{"conversation:c1", "group:g1"},
	}
	if diff := cmp.Diff(list[connection]{Total: 3, Matched: 1, Rows: []connection{wantRow}}, connections); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	var rooms list[roomRow]
	f.get(t, "/rooms", &rooms)
	if diff := cmp.Diff([]roomRow{{"conversation:c1", 2, 3}, {"group:g1", 1, 0}}, rooms.Rows); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	var page roomPage
	f.get(t, "/room?name=conversation:c1", &page)
	wantPage := roomPage{
		roomRow: roomRow{"conversation:c1", 2, 3}, In: []roomSocket{{"a1=", "alice", "json", now}, {"b1=", "bob", "json", now}},
		Users: []string{"alice", "bob", "carol"},
	}
	if diff := cmp.Diff(wantPage, page, cmp.AllowUnexported(roomPage{})); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}

	// bob leaves the room, alice's first socket its user, carol the conversation.
	f.clock.forward(time.Second)
	if err := f.table.Rooms.Leave(t.Context(), "conversation:c1", realtime.Socket{ID: "b1=", UserID: "bob"}, realtime.LeftRoom, f.clock.now()); err != nil {
		t.Fatal(err)
	}
	if _, err := f.table.Presences.Remove(t.Context(), "bob", "b1=", f.clock.now(), time.Time{}); err != nil {
		t.Fatal(err)
	}
	want.Online = 1
	check("bob has gone offline")
	var users list[user]
	f.get(t, "/presence", &users)
	if len(users.Rows) != 2 || users.Rows[0].User != "alice" || !users.Rows[0].Online || len(users.Rows[0].Sockets) != 2 || users.Rows[1].Online || users.Rows[1].LastSeen != now+1000 {
		t.Errorf("presence %+v", users.Rows)
	}
	f.get(t, "/connections?q=b1", &connections)
	if len(connections.Rows) != 1 || len(connections.Rows[0].Rooms) != 0 {
		t.Errorf("bob is shown in a room that he has left: %+v", connections.Rows)
	}
	for _, user := range []string{"alice", "bob", "carol"} {
		if _, err := f.table.Participants.Remove(t.Context(), "c1", user); err != nil {
			t.Fatal(err)
		}
	}
	for _, room := range []string{"conversation:c1", "group:g1"} {
		if err := f.table.Rooms.Delete(t.Context(), room, "a1=", time.Time{}); err != nil {
			t.Fatal(err)
		}
	}
	bob.Rooms = []string{"conversation:c1"}
	if err := f.table.Connections.Delete(t.Context(), bob); err != nil {
		t.Fatal(err)
	}
	want.Rooms, want.Rows = 0, 2
	check("everybody has left")
	if r := f.get(t, "/room?name=conversation:c1", nil); r.Field != "name" {
		t.Errorf("a room without anybody: %+v", r)
	}
}

func TestStates(t *testing.T) {
	line := &gateway.Info{}
	tests := []struct {
		found found
		seen  bool
		want  string
	}{
		{found{line: line, row: &realtime.Connection{UserID: "a"}}, true, stateOpen},
		{found{line: line, row: &realtime.Connection{}}, true, stateNobody},
		{found{line: line}, true, stateNoRow},
		{found{line: line}, false, stateOpen}, // nobody knows
		{found{row: &realtime.Connection{UserID: "a"}}, true, stateNoLine},
	}
	for _, test := range tests {
		if got := test.found.state(test.seen); got != test.want {
			t.Errorf("%+v: %s, want %s", test.found, got, test.want)
		}
	}
}

// Windows of a list fit together, counts are those of the whole list, and no request gets more than a window.
func TestWindows(t *testing.T) {
	f := attachedFixture(t, http.NotFoundHandler())
	const n = 450
	for i := range n {
		f.connect(t, fmt.Sprintf("c%03d=", i), fmt.Sprintf("user-%03d", i))
		f.clock.forward(time.Millisecond)
	}
	var seen []string
	for offset := 0; offset < n; offset += maxWindow {
		var l list[connection]
		f.get(t, fmt.Sprintf("/connections?offset=%d&limit=100000", offset), &l)
		if l.Total != n || l.Matched != n || l.Offset != offset || len(l.Rows) > maxWindow {
			t.Errorf("at %d: %d of %d, %d rows at %d", offset, l.Matched, l.Total, len(l.Rows), l.Offset)
		}
		for _, c := range l.Rows {
			seen = append(seen, c.ID)
		}
	}
	if len(seen) != n || seen[0] != "c449=" || !slices.IsSortedFunc(seen, func(a, b string) int { return strings.Compare(b, a) }) {
		t.Errorf("%d connections, the first %s", len(seen), seen[0])
	}
	for query, want := range map[string]int{"?q=user-01": 10, "?q=nobody": 0, "?q=JSON": n, "?limit=-1&offset=x": n, "?offset=9999": n} {
		var l list[connection]
		f.get(t, "/connections"+query, &l)
		if l.Matched != want || l.Total != n || l.Offset > l.Matched || l.Rows == nil {
			t.Errorf("%s: %d, want %d", query, l.Matched, want)
		}
	}
}
