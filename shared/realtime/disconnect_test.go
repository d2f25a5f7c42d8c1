package realtime

import (
	"context"
	"errors"
	"fmt"
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
			[]contract.Published{{Matched: 2, Delivered: 1, Gone: 1}, {Matched: 1, Delivered: 1}},
			[]string{all, both, first},
			contract.Published{Event: contract.SystemDisconnect, Matched: 3, Delivered: 3},
			3,
		},
		{
			"opened when it was tried again", new(90),
			[][]string{{"a0="}, {"a0="}, {}},
			[]contract.Published{{Matched: 1, Failed: 1}, {Matched: 1, Delivered: 1}},
			[]string{all, first, first},
			contract.Published{Event: contract.SystemDisconnect, Matched: 3, Delivered: 2, Gone: 1},
			3,
		},
		{
			"with one that was closed before, and is slow to leave", new(90),
			[][]string{{"a0=", "bob="}, {}},
			[]contract.Published{{Matched: 2, Delivered: 2}, {}},
			[]string{all, both},
			contract.Published{Event: contract.SystemDisconnect, Matched: 3, Delivered: 3},
			2,
		},
		{
			"fails until the end", new(90),
			[][]string{{"a0="}},
			[]contract.Published{{Matched: 1, Failed: 1}},
			append([]string{all}, slices.Repeat([]string{first}, 20)...),
			contract.Published{Event: contract.SystemDisconnect, Matched: 3, Delivered: 1, Gone: 1, Failed: 1},
			21,
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

// A publish that took most of the time leaves the answer to be given, with what is not known to be closed as failed.
func TestDisconnectRestInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		gone := contract.Published{Matched: 1, Gone: 1}
		c := newDisconnecting(&log{}, gone)
		c.Users.(*fakeUsers).readAll = present("alice")
		began := time.Now()
		got, err := c.Do(ctx, &contract.DisconnectSockets{Users: []string{"alice"}, Reason: "r", DenySeconds: new(60)})
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(contract.Published{Matched: 1, Failed: 1}, got.(*contract.SocketsDisconnected).Published); diff != "" {
			t.Errorf("-want +got\n%s", diff)
		}
		if took := time.Since(began); took > 9*time.Second {
			t.Errorf("answered after %v of 10 s", took)
		}
	})
}

// More sockets than a publish may name are sent away by several.
func TestDisconnectRestOfMany(t *testing.T) {
	const users, each = 200, 6
	synctest.Test(t, func(t *testing.T) {
		c := newDisconnecting(&log{}, contract.Published{})
		looks, named := 0, []int{}
		c.Users.(*fakeUsers).readAll = func(ids []string) (list []Presence, err error) {
			looks++
			for _, id := range ids {
				p := Presence{UserID: id}
				for i := range each {
					if looks == 1 {
						p.Sockets = append(p.Sockets, PresenceSocket{Socket: Socket{ID: fmt.Sprintf("%s-%d=", id, i), UserID: id}})
					}
				}
				list = append(list, p)
			}
			return list, nil
		}
		c.Publishing = fakePublishing(func(req contract.Publish) (contract.Published, error) {
			if len(req.To.Users) > 0 {
				return contract.Published{Matched: users * each, Gone: users * each}, nil
			}
			named = append(named, len(req.To.Connections))
			return contract.Published{Matched: len(req.To.Connections), Delivered: len(req.To.Connections)}, nil
		})
		req := &contract.DisconnectSockets{Reason: "r", DenySeconds: new(1)}
		for i := range users {
			req.Users = append(req.Users, fmt.Sprintf("u%d", i))
		}
		got, err := c.Do(t.Context(), req)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(contract.Published{Matched: users * each, Delivered: users * each}, got.(*contract.SocketsDisconnected).Published); diff != "" {
			t.Errorf("-want +got\n%s", diff)
		}
		if diff := cmp.Diff([]int{contract.MaxAudience, users*each - contract.MaxAudience}, named); diff != "" {
			t.Errorf("sockets that publishes name: -want +got\n%s", diff)
		}
	})
}
