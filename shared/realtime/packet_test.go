package realtime

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
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

// A connection is one user's for life: what is still at work for the one before it would reach the next.
func TestConnectAgain(t *testing.T) {
	for user, posts := range map[string]int{"alice": 2, "bob": 0} {
		c := outside()
		c.Was = "alice"
		r, poster, asker := lobby(t, c)
		if err := r.Message(t.Context(), packet(`40/ws/app,{"token":"`+user+`"}`)); err != nil {
			t.Fatal(err)
		}
		closed := posts == 0
		if len(poster.posted["s="]) != posts || (len(poster.closed) == 1) != closed || (len(asker.jobs) == 0) != closed || (c.UserID == "") != closed {
			t.Errorf("%s: posted %q, closed %v, asked %v, in the namespace as %q", user, poster.posted, poster.closed, asker.jobs, c.UserID)
		}
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

// Its user is online by then, and everybody has to hear so: publish tries for longer than a client's CONNECT can wait.
func TestReadyThatIsNotPosted(t *testing.T) {
	welcome := []Job{{Welcome: &Welcome{Connection: "s=", User: "alice", Protocol: wire.SocketIO, Version: 1, AtMS: start.UnixMilli()}}}
	departed := []Job{{Presence: &PresenceJob{User: "alice", Version: 2, AtMS: start.UnixMilli()}}}
	for _, tt := range []struct {
		name  string
		fault error
		ended bool // $disconnect came before the socket was in the presence
		asked []Job
		erase bool
	}{
		{name: "throttled", fault: ErrThrottled, asked: welcome},
		{name: "not sent", fault: ErrNotSent, asked: welcome},
		{name: "may have been posted", fault: errors.New("500"), asked: welcome},
		{name: "gone, as it seems", fault: ErrGone, asked: welcome},
		{name: "gone", fault: ErrGone, ended: true, asked: departed, erase: true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c, erased := outside(), false
			r, poster, asker := lobby(t, c)
			r.Connections = &fakeConnections{
				get: func(string) (Connection, error) {
					now := *c
					if tt.ended && len(poster.posted) > 0 {
						now.Gone = start
					}
					return now, nil
				},
				delete: func(Connection) error {
					erased = true
					return nil
				},
			}
			poster.fail = func(op, id string) error {
				if op == "post" && len(poster.posted[id]) == 1 {
					return tt.fault
				}
				return nil
			}
			if err := r.Message(t.Context(), packet(`40/ws/app,{"token":"alice"}`)); err != nil {
				t.Error(err)
			}
			if diff := cmp.Diff(tt.asked, asker.jobs); diff != "" {
				t.Errorf("asked: -want +got\n%s", diff)
			}
			if len(poster.closed) != 0 || erased != tt.erase {
				t.Errorf("closed %v, erased %v", poster.closed, erased)
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

func TestConnectOfADeniedUser(t *testing.T) {
	c := outside()
	r, poster, asker := lobby(t, c)
	r.Presences.(*fakePresences).add = func(string, PresenceSocket) (Presence, error) {
		return Presence{}, &Denied{Until: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)}
	}
	if err := r.Message(t.Context(), packet(`40/ws/app,{"token":"alice"}`)); err != nil {
		t.Fatal(err)
	}
	want := `42/ws/app,["error",{"code":"socket_error:forbidden","message":"this user has been disconnected and may connect again at 2026-01-02T03:04:05Z"}]`
	posted := poster.posted["s="]
	if len(posted) != 3 || posted[1] != want || posted[2] != "41/ws/app," {
		t.Errorf("posted %q", posted)
	}
	if c.UserID != "" || len(asker.jobs) != 0 || len(poster.closed) != 0 {
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

func TestFunctionsOfOneEventTakeNoPackets(t *testing.T) {
	r, poster, _, _ := newReceiver(t)
	if err := r.Message(t.Context(), packet(`{"event":"presence:heartbeat"}`)); err != nil {
		t.Fatal(err)
	}
	if len(poster.closed) != 1 {
		t.Errorf("closed %v", poster.closed)
	}
}
