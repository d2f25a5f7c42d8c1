package realtime

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"example.org/realtime/shared/contract"
	"example.org/realtime/shared/wire"
)

type fakeSessions struct {
	open  func(id string) error
	enter func(id, user string, expiry, at time.Time) error
	exit  func(c Connection, at time.Time) error
	pong  func(id string, at time.Time) error
}

func (f *fakeSessions) Open(_ context.Context, id string) error { return f.open(id) }
func (f *fakeSessions) Enter(_ context.Context, id, user string, expiry, at time.Time) error {
	return f.enter(id, user, expiry, at)
}

func (f *fakeSessions) Exit(_ context.Context, c Connection, at time.Time) error {
	return f.exit(c, at)
}

func (f *fakeSessions) Pong(_ context.Context, id string, at time.Time) error { return f.pong(id, at) }

type fakeTokens map[string]error

func (f fakeTokens) Verify(_ context.Context, token string) (Identity, error) {
	if err, ok := f[token]; ok {
		return Identity{}, err
	}
	return Identity{UserID: token, ExpiresAt: start.Add(time.Hour)}, nil
}

// lobby is a Receiver of one Socket.IO client, whose row is c and whose user is in the presence once entered.
func lobby(t *testing.T, c *Connection) (*Receiver, *fakePoster, *fakeAsker) {
	t.Helper()
	r, poster, asker, _ := newReceiver(t)
	r.Members = forbids
	r.Tokens = fakeTokens{
		"expired": &contract.Error{Code: contract.TokenExpired, Message: "expired"},
		"broken":  errors.New("JWKS: timeout"),
		"bad":     &contract.Error{Code: contract.Unauthorized, Message: "bad"},
	}
	var sockets []PresenceSocket
	r.Connections = &fakeConnections{get: func(string) (Connection, error) { return *c, nil }}
	r.Recorded = &fakeConnections{add: func(string, string) error { return nil }}
	r.Sessions = &fakeSessions{
		enter: func(_, user string, expiry, at time.Time) error {
			if c.UserID != "" {
				return ErrExists
			}
			c.UserID, c.TokenExpiry, c.Entered = user, expiry, at
			return nil
		},
		exit: func(_ Connection, at time.Time) error {
			*c = Connection{ID: c.ID, Protocol: c.Protocol, ConnectedAt: c.ConnectedAt, Idle: at}
			return nil
		},
		pong: func(string, time.Time) error { return nil },
	}
	r.Presences = &fakePresences{
		add: func(user string, s PresenceSocket) (Presence, error) {
			sockets = []PresenceSocket{s}
			return Presence{UserID: user, Version: 1, Sockets: sockets}, nil
		},
		remove: func(user, _ string, _, _ time.Time) (Presence, error) {
			if sockets == nil {
				return Presence{}, ErrNotFound
			}
			sockets = nil
			return Presence{UserID: user, Version: 2}, nil
		},
		read:  func(user string) (Presence, error) { return Presence{UserID: user, Sockets: sockets}, nil },
		touch: func(user, _ string, _ time.Time) (Presence, error) { return Presence{UserID: user, Version: 1}, nil },
	}
	r.Rooms = &fakeRooms{
		join:   func(string, Socket, time.Time) error { return nil },
		leave:  func(string, Socket, Left, time.Time) error { return nil },
		delete: func(string, string, time.Time) error { return nil },
	}
	return r, poster, asker
}

func outside() *Connection {
	return &Connection{ID: "s=", Protocol: wire.SocketIO, ConnectedAt: start.Add(-time.Minute)}
}

func inside() *Connection {
	c := outside()
	c.UserID, c.Entered = "alice", start.Add(-time.Minute)
	return c
}

func packet(body string) Message {
	return Message{
		ConnectionID: "s=", Identity: Identity{Protocol: wire.SocketIO}, ConnectedAt: start.Add(-time.Minute), At: start,
		UserAgent: "ua", IP: "192.0.2.1", Body: []byte(body),
	}
}

func TestConnectToTheNamespace(t *testing.T) {
	const accepted = `40/ws/app,{"sid":"s="}`
	ready := string(readyFrame(wire.SocketIO, "alice"))
	refused := func(code contract.Code, message string) string {
		return `44/ws/app,{"message":"` + message + `","data":{"code":"` + string(code) + `","message":"` + message + `"}}`
	}
	for _, tt := range []struct {
		name, body string
		handshake  Identity
		want       []string
		asked      bool
	}{
		{name: "token in auth", body: `40/ws/app,{"token":"alice"}`, want: []string{accepted, ready}, asked: true},
		{name: "token in auth beats the handshake's", body: `40/ws/app,{"token":"alice"}`, handshake: Identity{Refused: contract.TokenExpired}, want: []string{accepted, ready}, asked: true},
		{name: "token of the handshake", body: `40/ws/app,`, handshake: Identity{UserID: "alice"}, want: []string{accepted, ready}, asked: true},
		{name: "empty token in auth", body: `40/ws/app,{"token":""}`, handshake: Identity{UserID: "alice"}, want: []string{accepted, ready}, asked: true},
		{name: "token of the handshake, expired since", body: `40/ws/app,`, handshake: Identity{UserID: "alice", ExpiresAt: start}, want: []string{refused(contract.TokenExpired, refusal(contract.TokenExpired))}},
		{name: "token of the handshake, refused there", body: `40/ws/app,`, handshake: Identity{Refused: contract.TokenExpired}, want: []string{refused(contract.TokenExpired, refusal(contract.TokenExpired))}},
		{name: "no token", body: `40/ws/app,`, want: []string{refused(contract.Unauthorized, refusal(contract.Unauthorized))}},
		{name: "token that is no string", body: `40/ws/app,{"token":7}`, want: []string{refused(contract.Unauthorized, "auth.token must be a string")}},
		{name: "bad token", body: `40/ws/app,{"token":"bad"}`, handshake: Identity{UserID: "alice"}, want: []string{refused(contract.Unauthorized, "bad")}},
		{name: "expired token", body: `40/ws/app,{"token":"expired"}`, want: []string{refused(contract.TokenExpired, "expired")}},
		{name: "keys out of reach", body: `40/ws/app,{"token":"broken"}`, want: []string{refused(contract.Internal, "internal error, please try again")}},
		{name: "main namespace", body: `40`, want: []string{`40{"sid":"s="}`}},
		{name: "main namespace with a token", body: `40{"token":"bad"}`, want: []string{`40{"sid":"s="}`}},
		{name: "another namespace", body: `40/other,{"token":"alice"}`, want: []string{`44/other,{"message":"Invalid namespace"}`}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := outside()
			r, poster, asker := lobby(t, c)
			m := packet(tt.body)
			m.Identity = tt.handshake
			m.Identity.Protocol = wire.SocketIO
			if err := r.Message(t.Context(), m); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, poster.posted["s="]); diff != "" {
				t.Error(diff)
			}
			var want []Job
			if tt.asked {
				want = []Job{{Presence: &PresenceJob{User: "alice", Version: 1, AtMS: start.UnixMilli()}}}
			}
			if diff := cmp.Diff(want, asker.jobs); diff != "" {
				t.Error(diff)
			}
			if in := c.UserID == "alice"; in != tt.asked || len(poster.closed) != 0 {
				t.Errorf("in the namespace: %v, closed %v", in, poster.closed)
			}
		})
	}
}

// The answer to CONNECT is posted before anything of the namespace can be, and a failure after it closes the transport.
func TestConnectToTheNamespaceFails(t *testing.T) {
	fault := errors.New("unreachable")
	for _, tt := range []struct {
		name  string
		spoil func(*Receiver, *fakePoster, *fakeAsker)
		want  error
		posts int
	}{
		{"answer not posted", func(_ *Receiver, p *fakePoster, _ *fakeAsker) {
			p.fail = func(op, _ string) error {
				if op == "post" {
					return fault
				}
				return nil
			}
		}, fault, 0},
		{"entered by another CONNECT meanwhile", func(r *Receiver, _ *fakePoster, _ *fakeAsker) {
			r.Sessions.(*fakeSessions).enter = func(string, string, time.Time, time.Time) error { return ErrExists }
		}, nil, 1},
		{"ended meanwhile", func(r *Receiver, _ *fakePoster, _ *fakeAsker) {
			r.Sessions.(*fakeSessions).enter = func(string, string, time.Time, time.Time) error { return ErrGone }
		}, nil, 1},
		{"presence unreachable", func(r *Receiver, _ *fakePoster, _ *fakeAsker) {
			r.Presences.(*fakePresences).add = func(string, PresenceSocket) (Presence, error) { return Presence{}, fault }
		}, fault, 1},
		{"publish unreachable", func(_ *Receiver, _ *fakePoster, a *fakeAsker) { a.fail = fault }, fault, 2},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r, poster, asker := lobby(t, outside())
			tt.spoil(r, poster, asker)
			if err := r.Message(t.Context(), packet(`40/ws/app,{"token":"alice"}`)); !errors.Is(err, tt.want) {
				t.Errorf("got %v, want %v", err, tt.want)
			}
			if !slices.Equal(poster.closed, []string{"s="}) || len(poster.posted["s="]) != tt.posts {
				t.Errorf("closed %v, posted %q", poster.closed, poster.posted)
			}
		})
	}
}

func TestConnectOfAFullUser(t *testing.T) {
	c := outside()
	r, poster, asker := lobby(t, c)
	r.Presences.(*fakePresences).add = func(string, PresenceSocket) (Presence, error) { return Presence{}, ErrFull }
	if err := r.Message(t.Context(), packet(`40/ws/app,{"token":"alice"}`)); err != nil {
		t.Fatal(err)
	}
	posted := poster.posted["s="]
	if len(posted) != 3 || !strings.HasPrefix(posted[1], `42/ws/app,["error",{"code":"socket_error:too_many_connections"`) || posted[2] != "41/ws/app," {
		t.Errorf("posted %q", posted)
	}
	if c.UserID != "" || len(asker.jobs) != 1 || asker.jobs[0].Verify == nil || len(poster.closed) != 0 {
		t.Errorf("user %q, asked %v, closed %v", c.UserID, asker.jobs, poster.closed)
	}
}

func TestPackets(t *testing.T) {
	const errorEvent = `42/ws/app,["error",{"code":"socket_error:`
	for _, tt := range []struct {
		name, body string
		c          *Connection
		want       string // the beginning of the one packet posted; "" for none
		closed     bool
	}{
		{"event with an ack", `42/ws/app,7["presence:heartbeat"]`, inside(), `43/ws/app,7[{"success":true}]`, false},
		{"event without", `42/ws/app,["presence:heartbeat",{"any":"thing"},2]`, inside(), "", false},
		{"join", `42/ws/app,12["conversations:join",{"conversationId":"c1"},"more"]`, inside(), `43/ws/app,12[{"success":true}]`, false},
		{"join of a stranger", `42/ws/app,12["conversations:join",{"conversationId":"c2"}]`, inside(), `43/ws/app,12[{"success":false,"code":"socket_error:forbidden"`, false},
		{"join without arguments", `42/ws/app,12["conversations:join"]`, inside(), `43/ws/app,12[{"success":false,"code":"socket_error:bad_request"`, false},
		{"leave", `42/ws/app,["conversations:leave",{"conversationId":"c1"}]`, inside(), "", false},
		{"unknown event", `42/ws/app,0["x"]`, inside(), `43/ws/app,0[{"success":false,"code":"socket_error:unknown_event"`, false},
		{"number for a name", `42/ws/app,[7]`, inside(), errorEvent + "unknown_event", false},
		{"event of the server", `42/ws/app,["messages:new",{}]`, inside(), errorEvent + "unknown_event", false},
		{"CONNECT while connected", `40/ws/app,{"token":"alice"}`, inside(), "", true},
		{"event to another namespace", `42/other,["presence:heartbeat"]`, inside(), "", true},
		{"event to the main namespace", `42["presence:heartbeat"]`, inside(), "", false},
		{"DISCONNECT from the main namespace", `41`, inside(), "", false},
		{"DISCONNECT before CONNECT", `41/ws/app,`, outside(), "", true},
		{"ack", `43/ws/app,1[]`, inside(), "", false},
		{"ack in another namespace", `43/other,1[]`, inside(), "", true},
		{"close", `1`, inside(), "", true},
		{"ping", `2`, inside(), "", false},
		{"pong", `3`, inside(), "", false},
		{"pong before CONNECT", `3`, outside(), "", false},
		{"too large", `42/ws/app,["` + strings.Repeat("x", contract.MaxPayloadBytes) + `"]`, inside(), errorEvent + "payload_too_large", true},
		{"too large before CONNECT", strings.Repeat("3", contract.MaxPayloadBytes+1), outside(), "", true},
		{"envelope", `{"event":"presence:heartbeat"}`, inside(), errorEvent + "bad_request", true},
		{"malformed", `42/ws/app,{}`, inside(), errorEvent + "bad_request", true},
		{"malformed before CONNECT", `4abc`, outside(), "", true},
		{"CONNECT_ERROR", `44/ws/app,{}`, inside(), errorEvent + "bad_request", true},
		{"binary event", `451-["x",{"_placeholder":true,"num":0}]`, inside(), errorEvent + "bad_request", true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r, poster, _ := lobby(t, tt.c)
			if err := r.Message(t.Context(), packet(tt.body)); err != nil {
				t.Fatal(err)
			}
			if posted := strings.Join(poster.posted["s="], "\n"); !strings.HasPrefix(posted, tt.want) || (posted == "") != (tt.want == "") || len(poster.posted["s="]) > 1 {
				t.Errorf("posted %q, want %s...", poster.posted["s="], tt.want)
			}
			if closed := len(poster.closed) == 1; closed != tt.closed {
				t.Errorf("closed %v, want %v", poster.closed, tt.closed)
			}
		})
	}
}

func TestPongOfAConnectionThatEnded(t *testing.T) {
	for want, err := range map[bool]error{true: ErrGone, false: errors.New("throttled")} {
		r, poster, _ := lobby(t, inside())
		r.Sessions.(*fakeSessions).pong = func(string, time.Time) error { return err }
		if err := r.Message(t.Context(), packet("3")); err != nil {
			t.Errorf("a client whose pong is not noted has done nothing wrong: %v", err)
		}
		if closed := len(poster.closed) == 1; closed != want {
			t.Errorf("%v: closed %v", err, closed)
		}
	}
}

func TestDisconnectFromTheNamespace(t *testing.T) {
	c := outside()
	r, poster, asker := lobby(t, c)
	for _, body := range []string{`40/ws/app,{"token":"alice"}`, `41/ws/app,`, `40/ws/app,{"token":"bob"}`} {
		if err := r.Message(t.Context(), packet(body)); err != nil {
			t.Fatal(err)
		}
	}
	if c.UserID != "bob" || len(poster.closed) != 0 {
		t.Errorf("user %q, closed %v", c.UserID, poster.closed)
	}
	var versions []int64
	for _, job := range asker.jobs {
		versions = append(versions, job.Presence.Version)
	}
	if diff := cmp.Diff([]int64{1, 2, 1}, versions); diff != "" {
		t.Errorf("told of: %s", diff)
	}
}

// Clients emit from their connect handler, and messages of a connection run side by side.
func TestEventThatOvertakesItsConnect(t *testing.T) {
	for _, tt := range []struct {
		name   string
		in     time.Duration // when CONNECT is through
		body   string
		posted string
		closed bool
	}{
		{"heartbeat", time.Second, `42/ws/app,1["presence:heartbeat"]`, `43/ws/app,1[{"success":true}]`, false},
		{"join", time.Second, `42/ws/app,1["conversations:join",{"conversationId":"c1"}]`, `43/ws/app,1[{"success":true}]`, false},
		{"no CONNECT comes", time.Hour, `42/ws/app,1["presence:heartbeat"]`, "", true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				begin := time.Now()
				c := outside()
				r, poster, _ := lobby(t, c)
				r.Now = time.Now
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

func TestFunctionsOfOneEventTakeNoPackets(t *testing.T) {
	r, poster, _, _ := newReceiver(t)
	if err := r.Message(t.Context(), packet(`{"event":"presence:heartbeat"}`)); err != nil {
		t.Fatal(err)
	}
	if len(poster.closed) != 1 {
		t.Errorf("closed %v", poster.closed)
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
