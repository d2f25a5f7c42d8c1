package realtime

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"example.org/realtime/shared/contract"
	"example.org/realtime/shared/wire"
)

// fakeLedger calls the function of its field; split and finish are for publishes with workers.
type fakeLedger struct {
	begin   func(c Claim) (Record, error)
	split   func(id string, r Record) error
	end     func(id string, answer []byte) error
	release func(id string) error
	finish  func(id string) (contract.PublishStatus, error)
}

func (f *fakeLedger) Begin(_ context.Context, c Claim) (Record, error) { return f.begin(c) }

func (f *fakeLedger) Split(_ context.Context, id, _ string, r Record) error { return f.split(id, r) }

func (f *fakeLedger) End(_ context.Context, id, _ string, answer []byte) error {
	return f.end(id, answer)
}

func (f *fakeLedger) Release(_ context.Context, id, _ string) error { return f.release(id) }

func (f *fakeLedger) Finish(_ context.Context, id string, _ time.Time) (contract.PublishStatus, error) {
	return f.finish(id)
}

// old is a socket that is long past its handshake.
func old(id, user string) Socket {
	return Socket{ID: id, UserID: user, Protocol: wire.JSON, ConnectedAt: start.Add(-time.Hour)}
}

// house is a table in memory that nothing changes: who is connected, and who is in which room.
type house struct {
	users map[string][]Socket
	rooms map[string][]Socket
}

func (h house) everybody() (all []Socket) {
	for _, sockets := range h.users {
		all = append(all, sockets...)
	}
	return all
}

func newPublisher(t *testing.T, h house) (*Publisher, *fakePoster, *fakeAsker, *fakeMetrics) {
	t.Helper()
	poster, asker, metrics := &fakePoster{}, &fakeAsker{}, &fakeMetrics{}
	return &Publisher{
		Connections: &fakeConnections{
			get: func(id string) (Connection, error) {
				for _, s := range h.everybody() {
					if s.ID == id {
						return Connection{ID: id, UserID: s.UserID, Protocol: s.Protocol, ConnectedAt: s.ConnectedAt}, nil
					}
				}
				return Connection{}, ErrNotFound
			},
			delete: func(Connection) error { return nil },
		},
		Everyone: &fakeConnections{all: func(int) ([]Socket, error) { return h.everybody(), nil }},
		Presences: &fakePresences{
			read: func(user string) (Presence, error) {
				p := Presence{UserID: user, Version: 5, LastSeen: start}
				for _, s := range h.users[user] {
					p.Sockets = append(p.Sockets, PresenceSocket{Socket: s, LastSeen: start, UserAgent: "ua", IP: "192.0.2.1"})
				}
				return p, nil
			},
			remove: func(user, _ string, _, _ time.Time) (Presence, error) { return Presence{UserID: user, Version: 6}, nil },
		},
		Rooms: &fakeRooms{
			sockets: func(room string, _ int) ([]Socket, error) { return h.rooms[room], nil },
			delete:  func(string, string, time.Time) error { return nil },
		},
		Timers: &fakeTimers{read: func() (Timer, error) { return Timer{}, nil }},
		Poster: poster, Asker: asker, Metrics: metrics,
		Log: slog.New(slog.DiscardHandler), Now: func() time.Time { return start },
		FanoutRPS: contract.FanoutRPS, PresenceGlobalMax: contract.PresenceGlobalMax,
	}, poster, asker, metrics
}

func request(t *testing.T, raw string) *contract.Publish {
	t.Helper()
	req, err := contract.ParsePublish(json.RawMessage(raw))
	if err != nil {
		t.Fatal(err)
	}
	return req
}

const dto = `{"id":"m1",  "html":"<b>&amp;</b>","n":1.0}`

// chat is a conversation in which alice writes, bob sits in the room and is a recipient, and carol only watches the room.
func chat() house {
	a, b, c := old("a=", "alice"), old("b=", "bob"), old("c=", "carol")
	return house{
		users: map[string][]Socket{"alice": {a}, "bob": {b, old("b2=", "bob")}, "carol": {c}, "dave": {old("d=", "dave")}},
		rooms: map[string][]Socket{"conversation:c1": {b, c}, "group:g1": {c}},
	}
}

func TestAudiences(t *testing.T) {
	const msg = `"event":"messages:new","data":{"conversationId":"c1","message":` + dto + `,"senderId":"alice","recipients":["bob","alice"]}`
	const note = `"event":"notifications:new","data":{"eventKey":"k","notification":` + dto + `}`
	for _, tt := range []struct{ name, raw, want string }{
		{"room, recipients and sender, each once", `{` + msg + `}`, "a= b2= b= c="},
		{"except user", `{` + msg + `,"except":{"users":["bob"]}}`, "a= c="},
		{"except connection", `{` + msg + `,"except":{"connections":["b2=","a="]}}`, "b= c="},
		{"to replaces the audience", `{` + msg + `,"to":{"users":["dave"]}}`, "d="},
		{"union", `{` + note + `,"to":{"users":["dave","carol","nobody"],"groups":["g1"],"conversations":["c1"],"connections":["b=","gone="]}}`, "b= c= d="},
		{"all", `{` + note + `,"to":{"all":true}}`, "a= b2= b= c= d="},
		{"nobody there", `{` + note + `,"to":{"conversations":["empty"]}}`, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p, poster, _, metrics := newPublisher(t, chat())
			got, err := p.Publish(t.Context(), request(t, tt.raw), nil)
			if err != nil {
				t.Fatal(err)
			}
			var ids []string
			for id, posted := range poster.posted {
				ids = append(ids, id)
				if len(posted) != 1 || !strings.Contains(posted[0], dto) {
					t.Errorf("%s received %q: want it once, byte for byte", id, posted)
				}
			}
			slices.Sort(ids)
			if strings.Join(ids, " ") != tt.want {
				t.Errorf("posted to %v, want %s", ids, tt.want)
			}
			n := len(ids)
			if got.Matched != n || got.Delivered != n || got.Gone+got.Failed != 0 || got.Duplicate || metrics.sum["Delivered"] != float64(n) {
				t.Errorf("answer %+v, metrics %v", got, metrics.sum)
			}
		})
	}
}

func TestFailuresAreCountedAndEndNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, poster, asker, _ := newPublisher(t, chat())
		var erased []string
		p.Connections.(*fakeConnections).delete = func(c Connection) error { erased = append(erased, c.ID); return nil }
		poster.fail = func(_, id string) error {
			return map[string]error{"a=": ErrThrottled, "b=": ErrGone, "c=": errors.New("413"), "d=": context.DeadlineExceeded}[id]
		}
		got, err := p.Publish(t.Context(), request(t, `{"event":"notifications:new","data":{"eventKey":"k","notification":1},"to":{"all":true}}`), nil)
		want := contract.Published{Event: "notifications:new", Matched: 5, Delivered: 1, Gone: 1, Failed: 3}
		if err != nil || got != want {
			t.Errorf("got %+v, %v\nwant %+v", got, err, want)
		}
		if diff := cmp.Diff([]Job{{Presence: &PresenceJob{User: "bob", Version: 6, AtMS: start.UnixMilli()}}}, asker.jobs); diff != "" {
			t.Errorf("presence of the gone: %s", diff)
		}
		if diff := cmp.Diff([]string{"b="}, erased); diff != "" {
			t.Errorf("erased %s", diff)
		}
	})
}

func TestYoungSocketsAreTriedAgain(t *testing.T) {
	for _, tt := range []struct {
		name      string
		age       time.Duration
		opensIn   time.Duration
		delivered int
	}{
		{"in its handshake", 0, 300 * time.Millisecond, 1},
		{"handshake that takes too long", 0, 3 * time.Second, 0},
		{"too young to be taken for gone", handshakeGuard - time.Millisecond, 300 * time.Millisecond, 1},
		{"taken for gone", handshakeGuard, 300 * time.Millisecond, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				opens := time.Now().Add(tt.opensIn)
				s := Socket{ID: "a=", UserID: "alice", Protocol: wire.JSON, ConnectedAt: time.Now().Add(-tt.age)}
				p, poster, _, _ := newPublisher(t, house{users: map[string][]Socket{"alice": {s}}})
				p.Now = time.Now
				p.Presences.(*fakePresences).remove = func(string, string, time.Time, time.Time) (Presence, error) {
					return Presence{}, ErrTooYoung
				}
				poster.fail = func(string, string) error {
					if time.Now().Before(opens) {
						return ErrGone
					}
					return nil
				}
				got, err := p.Publish(t.Context(), request(t, `{"event":"notifications:new","data":{"eventKey":"k","notification":1},"to":{"users":["alice"]}}`), nil)
				if err != nil || got.Delivered != tt.delivered || got.Gone != 1-tt.delivered {
					t.Errorf("got %+v, %v", got, err)
				}
				if since := time.Since(opens.Add(-tt.opensIn)); since > youngWait+lastPause {
					t.Errorf("tried for %v", since)
				}
			})
		})
	}
}

func TestSystemDisconnect(t *testing.T) {
	p, poster, _, _ := newPublisher(t, chat())
	poster.fail = func(op, id string) error {
		if op == "close" && len(poster.posted[id]) == 0 {
			t.Errorf("%s closed before it was told", id)
		}
		return nil
	}
	got, err := p.Publish(t.Context(), request(t, `{"event":"system:disconnect","data":{"reason":"maintenance"},"to":{"users":["bob"]}}`), nil)
	if err != nil || got.Delivered != 2 {
		t.Errorf("got %+v, %v", got, err)
	}
	slices.Sort(poster.closed)
	if diff := cmp.Diff([]string{"b2=", "b="}, poster.closed); diff != "" {
		t.Errorf("closed %s", diff)
	}
	if want := `{"event":"system:disconnect","data":{"reason":"maintenance"}}`; poster.posted["b="][0] != want {
		t.Errorf("posted %s", poster.posted["b="])
	}
}

func TestEventTooLarge(t *testing.T) {
	const head, tail = `{"eventKey":"k","notification":"`, `"}`
	raw := func(encoded int) string {
		pad := encoded - len(wire.EncodeJSONEvent(contract.NotificationsNew, json.RawMessage(head+tail)))
		return `{"event":"notifications:new","to":{"all":true},"data":` + head + strings.Repeat("x", pad) + tail + `}`
	}
	p, poster, _, _ := newPublisher(t, chat())
	if got, err := p.Publish(t.Context(), request(t, raw(contract.MaxEventBytes)), nil); err != nil || got.Delivered != 5 {
		t.Errorf("128 KB: %+v, %v", got, err)
	}
	poster.posted = nil
	_, err := p.Publish(t.Context(), request(t, raw(contract.MaxEventBytes+1)), nil)
	if e, ok := errors.AsType[*contract.ValidationError](err); !ok || !strings.HasPrefix(e.Error(), "data: 131072 bytes at most") || len(poster.posted) > 0 {
		t.Errorf("128 KB and a byte: %v, posted to %d", err, len(poster.posted))
	}
}

func TestPublishWithID(t *testing.T) {
	const raw = `{"id":"p1","event":"notifications:new","data":{"eventKey":"k","notification":1},"to":{"users":["alice"]}}`
	fault := errors.New("unreachable")
	answer := contract.Published{ID: "p1", Event: "notifications:new", Matched: 1, Delivered: 1}
	again := answer
	again.Duplicate = true
	for _, tt := range []struct {
		name     string
		stored   string
		begin    error
		end      error
		audience error
		want     contract.Published
		wantErr  string
		posts    int
		released bool
	}{
		{name: "first", want: answer, posts: 1},
		{name: "duplicate", stored: string(encode(answer)), want: again},
		{name: "under way", begin: ErrBusy, wantErr: "id: a publish with this id is still in progress"},
		{name: "another body", begin: ErrChanged, wantErr: "id: was used for another request"},
		{name: "table unreachable", begin: fault, wantErr: "unreachable"},
		{name: "audience unreadable", audience: fault, wantErr: "unreachable", released: true},
		{name: "answer not stored", end: fault, want: answer, posts: 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p, poster, _, _ := newPublisher(t, chat())
			if tt.audience != nil {
				p.Presences = &fakePresences{read: func(string) (Presence, error) { return Presence{}, tt.audience }}
			}
			released := false
			p.Ledger = &fakeLedger{
				begin: func(c Claim) (Record, error) {
					const hash = "b56efe79" // sha256 of raw
					if c.ID != "p1" || !strings.HasPrefix(c.Hash, hash) || c.Event != "notifications:new" || !c.Lease.Equal(start.Add(maxInvocation+leaseReserve)) {
						t.Errorf("begin %+v", c)
					}
					return Record{Done: tt.stored != "", Answer: []byte(tt.stored)}, tt.begin
				},
				end: func(_ string, result []byte) error {
					if string(result) != string(encode(answer)) {
						t.Errorf("stored %s", result)
					}
					return tt.end
				},
				release: func(string) error { released = true; return nil },
			}
			got, err := p.Publish(t.Context(), request(t, raw), json.RawMessage(raw))
			if got != tt.want || (err == nil) != (tt.wantErr == "") || err != nil && !strings.HasPrefix(err.Error(), tt.wantErr) {
				t.Errorf("got %+v, %v\nwant %+v, %s", got, err, tt.want, tt.wantErr)
			}
			if len(poster.posted["a="]) != tt.posts || released != tt.released {
				t.Errorf("posted %d, released %v", len(poster.posted["a="]), released)
			}
		})
	}
}

func TestRefuse(t *testing.T) {
	p, poster, _, _ := newPublisher(t, chat())
	job := Job{Refuse: &Refuse{Connection: "x=", Error: contract.SocketError{Code: contract.Unauthorized, Message: "no"}}}
	if err := p.Do(t.Context(), job); err != nil {
		t.Fatal(err)
	}
	if got, want := poster.posted["x="], `{"event":"error","data":{"code":"socket_error:unauthorized","message":"no"}}`; len(got) != 1 || got[0] != want || !slices.Equal(poster.closed, []string{"x="}) {
		t.Errorf("posted %q, closed %v", got, poster.closed)
	}
	poster.closed = nil
	poster.fail = func(op, _ string) error {
		if op == "post" {
			return ErrThrottled
		}
		return nil
	}
	synctest.Test(t, func(t *testing.T) {
		if err := p.Do(t.Context(), job); !errors.Is(err, ErrThrottled) || len(poster.closed) != 1 {
			t.Errorf("untold: %v, closed %v", err, poster.closed)
		}
	})
	poster.closed = nil
	poster.fail = func(op, _ string) error {
		if op == "post" {
			return ErrGone
		}
		return nil
	}
	synctest.Test(t, func(t *testing.T) {
		if err := p.Do(t.Context(), job); err != nil || len(poster.closed) != 1 {
			t.Errorf("said to be gone: %v, closed %v", err, poster.closed)
		}
	})
}

func TestEmptyJob(t *testing.T) {
	p, _, _, _ := newPublisher(t, chat())
	if err := p.Do(t.Context(), Job{}); err == nil || !strings.HasPrefix(err.Error(), "job: ") {
		t.Errorf("got %v", err)
	}
}
