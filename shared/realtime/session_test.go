package realtime

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"example.org/realtime/shared/contract"
	"example.org/realtime/shared/wire"
)

// Clients emit from their connect handler, and messages of a connection run side by side.
func TestEventThatOvertakesItsConnect(t *testing.T) {
	for _, tt := range []struct {
		name   string
		in     time.Duration // when CONNECT is through
		stood  time.Duration // for how long the machine stands still in between
		body   string
		posted string
		closed bool
	}{
		{"heartbeat", time.Second, 0, `42/ws/app,1["presence:heartbeat"]`, `43/ws/app,1[{"success":true}]`, false},
		{"heartbeat on a machine that stands still", time.Second, 5 * time.Second, `42/ws/app,1["presence:heartbeat"]`, `43/ws/app,1[{"success":true}]`, false},
		{"join", time.Second, 0, `42/ws/app,1["conversations:join",{"conversationId":"c1"}]`, `43/ws/app,1[{"success":true}]`, false},
		{"no CONNECT comes", time.Hour, 0, `42/ws/app,1["presence:heartbeat"]`, "", true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				begin := time.Now()
				c := outside()
				r, poster, _ := lobby(t, c)
				r.Now = func() time.Time {
					if now := time.Now(); now.After(begin) {
						return now.Add(tt.stood)
					}
					return begin
				}
				present := func() bool { return time.Since(begin) > tt.in }
				r.Connections = &fakeConnections{get: func(string) (Connection, error) {
					if time.Since(begin) > tt.in/2 {
						c.UserID, c.Entered = "alice", begin
					}
					return *c, nil
				}}
				presences := r.Presences.(*fakePresences)
				presences.read = func(user string) (Presence, error) {
					p := Presence{UserID: user}
					if present() {
						p.Sockets = []PresenceSocket{{Socket: Socket{ID: "s="}}}
					}
					return p, nil
				}
				presences.touch = func(user, _ string, _ time.Time) (Presence, error) {
					if !present() {
						return Presence{}, ErrNotFound
					}
					return Presence{UserID: user}, nil
				}
				m := packet(tt.body)
				m.At = begin
				if err := r.Message(t.Context(), m); err != nil {
					t.Fatal(err)
				}
				if posted := strings.Join(poster.posted["s="], "\n"); posted != tt.posted || (len(poster.closed) == 1) != tt.closed {
					t.Errorf("posted %q, closed %v", posted, poster.closed)
				}
				if took := time.Since(begin); took > patience+patienceStep {
					t.Errorf("waited %v", took)
				}
			})
		})
	}
}

func TestEventFromBeforeTheLastConnect(t *testing.T) {
	c := inside()
	c.Entered = start.Add(time.Millisecond)
	r, poster, asker := lobby(t, c)
	for _, body := range []string{`42/ws/app,1["presence:heartbeat"]`, `41/ws/app,`} {
		if err := r.Message(t.Context(), packet(body)); err != nil {
			t.Fatal(err)
		}
	}
	if len(poster.posted)+len(poster.closed)+len(asker.jobs) != 0 || c.UserID == "" {
		t.Errorf("posted %v, closed %v, asked %v, user %q", poster.posted, poster.closed, asker.jobs, c.UserID)
	}
}

func TestConnectOfASocketIOClient(t *testing.T) {
	for _, id := range []Identity{{}, {UserID: "alice"}, {Refused: contract.Unauthorized}} {
		r, _, asker, _ := newReceiver(t)
		id.Protocol = wire.SocketIO
		var put Connection
		r.Connections = &fakeConnections{put: func(c Connection) error { put = c; return nil }}
		e := connected()
		e.Identity = id
		if err := r.Connect(t.Context(), e); err != nil {
			t.Fatal(err)
		}
		if put.ID != "a=" || put.UserID != "" || put.Protocol != wire.SocketIO {
			t.Errorf("recorded %+v", put)
		}
		if diff := cmp.Diff([]Job{{Open: &Open{Connection: "a="}}}, asker.jobs); diff != "" {
			t.Error(diff)
		}
	}
}

func TestWelcomeInTheProtocol(t *testing.T) {
	for protocol, want := range map[wire.Protocol]wire.Protocol{"": wire.JSON, wire.JSON: wire.JSON, wire.SocketIO: wire.SocketIO} {
		p, poster, _, _ := newPublisher(t, house{})
		if err := p.Do(t.Context(), Job{Welcome: &Welcome{Connection: "s=", User: "alice", Protocol: protocol, Version: 5}}); err != nil {
			t.Errorf("%q: %v", protocol, err)
		}
		if diff := cmp.Diff([]string{string(readyFrame(want, "alice"))}, poster.posted["s="]); diff != "" {
			t.Errorf("%q: %s", protocol, diff)
		}
	}
}

func TestOpenPacket(t *testing.T) {
	for _, tt := range []struct {
		name   string
		marked error
		post   error
		posts  int
		closed int
	}{
		{name: "first", posts: 1},
		{name: "posted before", marked: ErrExists},
		{name: "ended", marked: ErrGone},
		{name: "throttled", post: ErrThrottled, closed: 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p, poster, _, _ := newPublisher(t, house{})
				p.Sessions = &fakeSessions{open: func(string) error { return tt.marked }}
				p.PingInterval, p.PingTimeout, p.MaxPayload = 300*time.Second, 120*time.Second, 5120
				poster.fail = func(op, _ string) error {
					if op == "post" {
						return tt.post
					}
					return nil
				}
				if err := p.Do(t.Context(), Job{Open: &Open{Connection: "s="}}); err != nil {
					t.Errorf("%s: %v", tt.name, err)
				}
				posted := poster.posted["s="]
				if len(posted) != tt.posts || len(poster.closed) != tt.closed {
					t.Errorf("%s: posted %q, closed %v", tt.name, posted, poster.closed)
				}
				if want := `0{"sid":"s=","upgrades":[],"pingInterval":300000,"pingTimeout":120000,"maxPayload":5120}`; tt.posts > 0 && posted[0] != want {
					t.Errorf("%s: posted %s", tt.name, posted[0])
				}
			})
		})
	}
}

// A client that leaves sends DISCONNECT and closes the transport. Whoever of the two is last leaves nothing behind: sweep would tell
// everybody once more.
func TestDisconnectBesideTheEnd(t *testing.T) {
	for _, during := range []string{"the DISCONNECT", "the end"} {
		t.Run(during, func(t *testing.T) {
			c := outside()
			r, poster, asker := lobby(t, c)
			do := func(body string) {
				if err := r.Message(t.Context(), packet(body)); err != nil {
					t.Error(err)
				}
			}
			do(`40/ws/app,{"token":"alice"}`)
			beside := func() {} // what happens in between, once
			once := func() {
				now := beside
				beside = func() {}
				now()
			}
			deleted := false
			r.Connections = &fakeConnections{
				get: func(string) (Connection, error) {
					if deleted {
						return Connection{}, ErrNotFound
					}
					read := *c
					if during == "the end" {
						once()
					}
					return read, nil
				},
				end: func(as Connection) error {
					if c.UserID == "" {
						return ErrChanged
					}
					c.Gone = as.Gone
					return nil
				},
				delete: func(as Connection) error {
					if c.UserID != as.UserID {
						return ErrChanged
					}
					deleted = true
					return nil
				},
			}
			sessions := r.Sessions.(*fakeSessions)
			exit := sessions.exit
			sessions.exit = func(as Connection, at time.Time) error {
				if during == "the DISCONNECT" {
					once()
				}
				if !c.Gone.IsZero() {
					return ErrGone
				}
				return exit(as, at)
			}
			end := func() {
				e := Disconnected{ConnectionID: c.ID, Identity: Identity{Protocol: wire.SocketIO}, ConnectedAt: c.ConnectedAt, At: start}
				if err := r.Disconnect(t.Context(), e); err != nil {
					t.Error(err)
				}
			}
			if during == "the end" {
				beside = func() { do(`41/ws/app,`) }
				end()
			} else {
				beside = end
				do(`41/ws/app,`)
			}
			if !deleted || len(asker.jobs) != 2 || len(poster.closed) != 0 { // of the coming, and of the leaving
				t.Errorf("deleted %t, asked %+v, closed %v", deleted, asker.jobs, poster.closed)
			}
		})
	}
}
