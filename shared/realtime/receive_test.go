package realtime

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"example.org/realtime/shared/contract"
	"example.org/realtime/shared/wire"
)

var alice = Identity{UserID: "alice", Protocol: wire.JSON}

func message(body string) Message {
	return Message{ConnectionID: "a=", Identity: alice, ConnectedAt: start.Add(-time.Minute), At: start, Body: []byte(body)}
}

// forbids is a table in which alice takes part in c1 only.
var forbids = fakeMembers(func(user, conversation string) error {
	if user == "alice" && conversation == "c1" {
		return nil
	}
	return &contract.Error{Code: contract.Forbidden, Message: "not a participant"}
})

func TestRefusedMessages(t *testing.T) {
	for _, tt := range []struct {
		name, body string
		code       contract.Code
	}{
		{"malformed JSON", `{"event":`, contract.BadRequest},
		{"scalar", `3`, contract.BadRequest},
		{"array", `["conversations:join"]`, contract.BadRequest},
		{"missing event", `{"data":{}}`, contract.BadRequest},
		{"event that is no string", `{"event":7}`, contract.BadRequest},
		{"Engine.IO ping", `2`, contract.BadRequest},
		{"Socket.IO event", `42/ws/app,["presence:heartbeat"]`, contract.BadRequest},
		{"invalid UTF-8", "{\"event\":\"\xc3\"}", contract.BadRequest},
		{"deep nesting", strings.Repeat("[", 5000), contract.BadRequest},
		{"unknown event", `{"event":"conversations:open"}`, contract.UnknownEvent},
		{"event of the server", `{"event":"messages:new","data":{}}`, contract.UnknownEvent},
		{"route of API Gateway", `{"event":"$connect"}`, contract.UnknownEvent},
		{"job", `{"event":"job","job":{"verify":{"user":"bob"}}}`, contract.UnknownEvent},
		{"data of a wrong type", `{"event":"conversations:join","data":"c1"}`, contract.BadRequest},
		{"no data", `{"event":"conversations:join"}`, contract.BadRequest},
		{"missing conversationId", `{"event":"conversations:leave","data":{}}`, contract.BadRequest},
		{"conversationId with #", `{"event":"conversations:join","data":{"conversationId":"a#b"}}`, contract.BadRequest},
		{"not a participant", `{"event":"conversations:join","data":{"conversationId":"c2"}}`, contract.Forbidden},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r, poster, asker, _ := newReceiver(t)
			r.Members = forbids
			if err := r.Message(t.Context(), message(tt.body)); err != nil {
				t.Fatalf("a client's mistake is a reply: %v", err)
			}
			if posted := poster.posted["a="]; len(posted) != 1 || !strings.HasPrefix(posted[0], `{"event":"error","data":{"code":"`+string(tt.code)+`","message":"`) {
				t.Errorf("posted %q, want one error event %s", posted, tt.code)
			}
			if len(poster.closed)+len(asker.jobs) != 0 {
				t.Errorf("closed %v, asked %v", poster.closed, asker.jobs)
			}
			if !strings.HasPrefix(tt.body, `{"event":"`) || !strings.HasSuffix(tt.body, "}") || strings.Contains(tt.body, "\xc3") {
				return
			}
			poster.posted = nil
			if err := r.Message(t.Context(), message(strings.TrimSuffix(tt.body, "}")+`,"id":7}`)); err != nil {
				t.Fatal(err)
			}
			if posted := poster.posted["a="]; len(posted) != 1 || !strings.HasPrefix(posted[0], `{"event":"ack","id":7,"data":{"success":false,"code":"`+string(tt.code)+`","message":"`) {
				t.Errorf("posted %q, want one ack with %s and nothing else", posted, tt.code)
			}
		})
	}
}

func TestEventsOfAnotherFunction(t *testing.T) {
	r, poster, _, _ := newReceiver(t)
	r.Events = []string{contract.PresenceHeartbeat}
	if err := r.Message(t.Context(), message(`{"event":"conversations:join","data":{"conversationId":"c1"}}`)); err != nil {
		t.Fatal(err)
	}
	if posted := poster.posted["a="]; len(posted) != 1 || !strings.Contains(posted[0], string(contract.UnknownEvent)) {
		t.Errorf("posted %q", posted)
	}
}

// silentMembers is a table that does not answer.
type silentMembers struct{}

func (silentMembers) Allowed(ctx context.Context, _, _ string) error {
	<-ctx.Done()
	return ctx.Err()
}

func TestReplyInTime(t *testing.T) {
	for name, m := range map[string]Message{
		"JSON":      message(`{"event":"conversations:join","data":{"conversationId":"c1"},"id":7}`),
		"Socket.IO": packet(`42/ws/app,7["conversations:join",{"conversationId":"c1"}]`),
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r, poster, _ := lobby(t, inside())
				r.Members = silentMembers{}
				ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
				defer cancel()
				if err := r.Message(ctx, m); err != nil || ctx.Err() != nil {
					t.Errorf("%v, %v: no time left for the reply", err, ctx.Err())
				}
				if posted := poster.posted[m.ConnectionID]; len(posted) != 1 || !strings.Contains(posted[0], string(contract.Internal)) {
					t.Errorf("posted %q", posted)
				}
			})
		})
	}
}

func TestMessageSize(t *testing.T) {
	const head, tail = `{"event":"conversations:open","pad":"`, `"}`
	body := func(n int) string { return head + strings.Repeat("é", (n-len(head)-len(tail))/2) + tail }
	for _, tt := range []struct {
		bytes int
		code  contract.Code
		close []string
	}{
		{contract.MaxPayloadBytes - 1, contract.UnknownEvent, nil},
		{contract.MaxPayloadBytes + 1, contract.PayloadTooLarge, []string{"a="}},
	} {
		r, poster, _, _ := newReceiver(t)
		m := message(body(tt.bytes))
		if len(m.Body) != tt.bytes {
			t.Fatalf("the test's message has %d bytes, want %d", len(m.Body), tt.bytes)
		}
		if err := r.Message(t.Context(), m); err != nil {
			t.Fatal(err)
		}
		if posted := poster.posted["a="]; len(posted) != 1 || !strings.Contains(posted[0], string(tt.code)) {
			t.Errorf("%d bytes: posted %q, want %s", tt.bytes, posted, tt.code)
		}
		if diff := cmp.Diff(tt.close, poster.closed); diff != "" {
			t.Errorf("%d bytes: closed %s", tt.bytes, diff)
		}
	}
}

func TestRefusedConnectionMaySayNothing(t *testing.T) {
	for _, code := range []contract.Code{contract.Unauthorized, contract.TokenExpired} {
		r, poster, _, _ := newReceiver(t)
		m := message(`{"event":"conversations:join","data":{"conversationId":"c1"},"id":1}`)
		m.Identity = Identity{Protocol: wire.JSON, Refused: code}
		if err := r.Message(t.Context(), m); err != nil {
			t.Fatal(err)
		}
		if posted := poster.posted["a="]; len(posted) != 1 || !strings.HasPrefix(posted[0], `{"event":"error","data":{"code":"`+string(code)) {
			t.Errorf("posted %q", posted)
		}
		if diff := cmp.Diff([]string{"a="}, poster.closed); diff != "" {
			t.Errorf("closed %s", diff)
		}
	}
}

func TestHeartbeat(t *testing.T) {
	for _, tt := range []struct {
		name, body string
		touch      error
		posted     string
		closed     bool
		asked      bool
	}{
		{name: "silent", body: `{"event":"presence:heartbeat"}`, asked: true},
		{name: "data is never looked at", body: `{"event":"presence:heartbeat","data":[{"x":"#"}],"id":"h"}`, posted: `{"event":"ack","id":"h","data":{"success":true}}`, asked: true},
		{name: "too soon", body: `{"event":"presence:heartbeat","id":1}`, touch: ErrTooSoon, posted: `{"event":"ack","id":1,"data":{"success":true}}`},
		{name: "gone from the table", body: `{"event":"presence:heartbeat","id":1}`, touch: ErrNotFound, closed: true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r, poster, asker, _ := newReceiver(t)
			r.Presences = &fakePresences{touch: func(user, id string, at time.Time) (Presence, error) {
				if user != "alice" || id != "a=" || !at.Equal(start) {
					t.Errorf("touched %s %s at %v", user, id, at)
				}
				return Presence{UserID: user, Version: 7}, tt.touch
			}}
			if err := r.Message(t.Context(), message(tt.body)); err != nil {
				t.Fatal(err)
			}
			if got := strings.Join(poster.posted["a="], "\n"); got != tt.posted {
				t.Errorf("posted %s, want %s", got, tt.posted)
			}
			if (len(poster.closed) == 1) != tt.closed {
				t.Errorf("closed %v", poster.closed)
			}
			var want []Job
			if tt.asked {
				want = []Job{{Presence: &PresenceJob{User: "alice", Version: 7, AtMS: start.UnixMilli()}}}
			}
			if diff := cmp.Diff(want, asker.jobs); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestInternalFailuresStayInside(t *testing.T) {
	secret := errors.New("store: touch (user:alice): throttled by partition 7")
	r, poster, _, metrics := newReceiver(t)
	r.Presences = &fakePresences{touch: func(string, string, time.Time) (Presence, error) { return Presence{}, secret }}
	if err := r.Message(t.Context(), message(`{"event":"presence:heartbeat","id":1}`)); err != nil {
		t.Fatal(err)
	}
	if got, want := poster.posted["a="], `{"event":"ack","id":1,"data":{"success":false,"code":"socket_error:internal","message":"internal error, please try again"}}`; len(got) != 1 || got[0] != want {
		t.Errorf("posted %q\nwant %s", got, want)
	}
	if metrics.sum["InternalErrors"] != 1 {
		t.Errorf("metrics %v", metrics.sum)
	}
}

func TestReplyToAClientThatLeft(t *testing.T) {
	for want, postErr := range map[bool]error{false: ErrGone, true: errors.New("403")} {
		r, poster, _, _ := newReceiver(t)
		poster.fail = func(string, string) error { return postErr }
		if err := r.Message(t.Context(), message(`{"event":"x"}`)); (err != nil) != want {
			t.Errorf("post says %v: got %v", postErr, err)
		}
	}
}

func connected() Connected {
	return Connected{ConnectionID: "a=", Identity: alice, ConnectedAt: start, At: start, UserAgent: "ua", IP: "192.0.2.1"}
}

func TestConnect(t *testing.T) {
	fault := errors.New("unreachable")
	for _, tt := range []struct {
		name     string
		put, add error
		ask      error
		want     error
		undone   bool
	}{
		{name: "welcome"},
		{name: "our own retry", put: ErrExists, add: ErrExists},
		{name: "its end came first", put: ErrGone, want: ErrGone},
		{name: "table unreachable", put: fault, want: fault},
		{name: "presence unknown", add: fault, want: fault, undone: true},
		{name: "publish unreachable", ask: fault, want: fault, undone: true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r, _, asker, _ := newReceiver(t)
			asker.fail = tt.ask
			var removed, ended bool
			r.Connections = &fakeConnections{
				put: func(Connection) error { return tt.put },
				end: func(c Connection) error {
					ended = c.ID == "a=" && c.UserID == "alice" && c.Gone.Equal(start)
					return nil
				},
			}
			r.Presences = &fakePresences{
				add: func(user string, s PresenceSocket) (Presence, error) {
					want := PresenceSocket{Socket: Socket{ID: "a=", UserID: "alice", Protocol: wire.JSON, ConnectedAt: start}, LastSeen: start, UserAgent: "ua", IP: "192.0.2.1"}
					if diff := cmp.Diff(want, s); diff != "" {
						t.Error(diff)
					}
					return Presence{UserID: user, Version: 3}, tt.add
				},
				remove: func(string, string, time.Time, time.Time) (Presence, error) {
					removed = true
					return Presence{}, ErrNotFound
				},
			}
			if err := r.Connect(t.Context(), connected()); !errors.Is(err, tt.want) {
				t.Errorf("got %v, want %v", err, tt.want)
			}
			if removed != tt.undone || ended != tt.undone {
				t.Errorf("removed %v, ended %v, want %v", removed, ended, tt.undone)
			}
			if tt.want != nil {
				return
			}
			if diff := cmp.Diff([]Job{{Welcome: &Welcome{Connection: "a=", User: "alice", Version: 3, AtMS: start.UnixMilli()}}}, asker.jobs); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestConnectRefused(t *testing.T) {
	r, _, asker, _ := newReceiver(t)
	e := connected()
	e.Identity = Identity{Protocol: wire.JSON, Refused: contract.TokenExpired}
	if err := r.Connect(t.Context(), e); err != nil { // the nil table would panic: a refused connection has no row
		t.Fatal(err)
	}
	if len(asker.jobs) != 1 || asker.jobs[0].Refuse == nil || asker.jobs[0].Refuse.Error.Code != contract.TokenExpired {
		t.Errorf("asked %+v", asker.jobs)
	}
}

func TestConnectFull(t *testing.T) {
	r, _, asker, _ := newReceiver(t)
	deleted := ""
	r.Connections = &fakeConnections{
		put:    func(Connection) error { return nil },
		delete: func(c Connection) error { deleted = c.ID; return nil },
	}
	r.Presences = &fakePresences{add: func(string, PresenceSocket) (Presence, error) { return Presence{}, ErrFull }}
	if err := r.Connect(t.Context(), connected()); err != nil {
		t.Fatal(err)
	}
	if deleted != "a=" || len(asker.jobs) != 2 || asker.jobs[0].Refuse.Error.Code != contract.TooManyConnections || asker.jobs[1].Verify.User != "alice" {
		t.Errorf("deleted %q, asked %+v", deleted, asker.jobs)
	}
}

func TestConnectDenied(t *testing.T) {
	r, _, asker, _ := newReceiver(t)
	deleted := ""
	r.Connections = &fakeConnections{
		put:    func(Connection) error { return nil },
		delete: func(c Connection) error { deleted = c.ID; return nil },
	}
	until := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	r.Presences = &fakePresences{add: func(string, PresenceSocket) (Presence, error) { return Presence{}, &Denied{Until: until} }}
	if err := r.Connect(t.Context(), connected()); err != nil {
		t.Fatal(err)
	}
	want := []Job{{Refuse: &Refuse{Connection: "a=", Error: contract.SocketError{
		Code: contract.Forbidden, Message: "this user has been disconnected and may connect again at 2026-01-02T03:04:05Z",
	}}}}
	if diff := cmp.Diff(want, asker.jobs); diff != "" || deleted != "a=" {
		t.Errorf("deleted %q, asked -want +got\n%s", deleted, diff)
	}
}

func TestDisconnectOfARefusedConnection(t *testing.T) {
	r, _, asker, _ := newReceiver(t)
	err := r.Disconnect(t.Context(), Disconnected{ConnectionID: "a=", Identity: Identity{Refused: contract.Unauthorized}})
	if err != nil || len(asker.jobs) != 0 { // the nil table would panic
		t.Errorf("%v, asked %v", err, asker.jobs)
	}
}

// A client that stays where it is not known would be deaf: closing it is tried again, in the time that is kept for the end.
func TestCloseThatFails(t *testing.T) {
	for _, tt := range []struct {
		name  string
		fault error
		fails int
		want  error
	}{
		{"throttled for a while", ErrThrottled, 3, nil},
		{"throttled for ever", ErrThrottled, 1 << 30, ErrThrottled},
		{"failed once", errors.ErrUnsupported, 1, nil},
		{"ended meanwhile", ErrGone, 1 << 30, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r, poster, _, _ := newReceiver(t)
				r.Presences = &fakePresences{touch: func(string, string, time.Time) (Presence, error) { return Presence{}, ErrNotFound }}
				tries := 0
				poster.fail = func(op, _ string) error {
					if op != "close" {
						t.Errorf("%s", op)
					}
					if tries++; tries <= tt.fails {
						return tt.fault
					}
					return nil
				}
				begin := time.Now()
				err := r.Message(t.Context(), message(`{"event":"presence:heartbeat","id":1}`))
				if !errors.Is(err, tt.want) || (err == nil) != (tt.want == nil) {
					t.Errorf("got %v, want %v", err, tt.want)
				}
				if closed := len(poster.closed) == 1; closed != (!errors.Is(tt.fault, ErrGone) && tt.want == nil) {
					t.Errorf("closed %v after %d tries", poster.closed, tries)
				}
				if took := time.Since(begin); took > replyReserve {
					t.Errorf("took %v", took)
				}
			})
		})
	}
}
