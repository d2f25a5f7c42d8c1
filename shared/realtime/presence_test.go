package realtime

import (
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"example.org/realtime/shared/wire"
)

func TestPublishedPresenceIsMaskedLikeOurs(t *testing.T) {
	const data = `{"userId":"alice","isOnline":true,"lastSeen":1,"sockets":[{"socketId":"a=","connectedAt":1,"lastSeen":1,"userAgent":"ua","ip":"192.0.2.1"}]}`
	for _, info := range []bool{false, true} {
		p, poster, _, _ := newPublisher(t, chat())
		p.ClientInfo = info
		if _, err := p.Publish(t.Context(), request(t, `{"event":"presence:update","data":`+data+`}`), nil); err != nil {
			t.Fatal(err)
		}
		if len(poster.posted) != 5 {
			t.Errorf("posted to %d sockets, want everybody", len(poster.posted))
		}
		for id, posted := range poster.posted {
			if shows := strings.Contains(posted[0], `"ip":"192.0.2.1"`); shows != (id == "a=" || info) {
				t.Errorf("client info %v: %s received %s", info, id, posted[0])
			}
		}
	}
}

func TestPresenceJobs(t *testing.T) {
	now := start.UnixMilli()
	for _, tt := range []struct {
		name string
		job  PresenceJob
		told bool
	}{
		{"of this version", PresenceJob{User: "alice", Version: 5, AtMS: now}, true},
		{"of an older version", PresenceJob{User: "alice", Version: 4, AtMS: now}, false},
		{"of an older version, just young enough", PresenceJob{User: "alice", Version: 4, AtMS: now - oldJob.Milliseconds()}, false},
		{"of an older version, retried", PresenceJob{User: "alice", Version: 4, AtMS: now - oldJob.Milliseconds() - 1}, true},
		{"of no version", PresenceJob{User: "alice", AtMS: now}, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p, poster, asker, _ := newPublisher(t, chat())
			if err := p.Do(t.Context(), Job{Presence: &tt.job}); err != nil {
				t.Fatal(err)
			}
			if told := len(poster.posted) == 5; told != tt.told || len(asker.jobs) != 0 {
				t.Errorf("told %d sockets, asked %v", len(poster.posted), asker.jobs)
			}
			for id, posted := range poster.posted {
				if len(posted) != 1 || strings.Contains(posted[0], "192.0.2.1") != (id == "a=") {
					t.Errorf("%s received %q", id, posted)
				}
			}
		})
	}
}

// A socket that has left its user's presence may be listed still: it is not told of its own end.
func TestPresenceIsNotPostedToTheSocketThatEnded(t *testing.T) {
	p, poster, _, _ := newPublisher(t, chat())
	p.Presences.(*fakePresences).read = func(user string) (Presence, error) { return Presence{UserID: user, Version: 6}, nil }
	if err := p.Do(t.Context(), Job{Presence: &PresenceJob{User: "alice", Version: 6, AtMS: start.UnixMilli()}}); err != nil {
		t.Fatal(err)
	}
	if len(poster.posted) != 4 || len(poster.posted["a="]) != 0 {
		t.Errorf("posted %q", poster.posted)
	}
}

func TestPresenceThatMovesIsToldAgain(t *testing.T) {
	for _, tt := range []struct{ moves, told, jobs int }{{0, 1, 0}, {1, 2, 0}, {2, 3, 0}, {9, 3, 1}} {
		p, poster, asker, _ := newPublisher(t, chat())
		read := p.Presences.(*fakePresences).read
		reads := 0
		p.Presences.(*fakePresences).read = func(user string) (Presence, error) {
			presence, err := read(user)
			presence.LastSeen = start.Add(time.Duration(min(reads, tt.moves)) * time.Second)
			reads++
			return presence, err
		}
		if err := p.Do(t.Context(), Job{Presence: &PresenceJob{User: "alice", Version: 5, AtMS: start.UnixMilli()}}); err != nil {
			t.Fatal(err)
		}
		if told := len(poster.posted["d="]); told != tt.told || len(asker.jobs) != tt.jobs {
			t.Errorf("moved %d times: told %d times, want %d; asked %v", tt.moves, told, tt.told, asker.jobs)
		}
		for _, job := range asker.jobs {
			if job.Presence.Version != 0 {
				t.Errorf("asked for version %d, want whatever is newest", job.Presence.Version)
			}
		}
	}
}

// Who is said to be gone when somebody else's end is told is closed, should it live after all: it has not heard of that end. One that
// may be in its handshake is tried for longer, and stays.
func TestGoneWhileTellingOfTheGone(t *testing.T) {
	for _, tt := range []struct {
		name   string
		age    time.Duration // of carol's socket
		closed []string
	}{
		{"old enough", handshakeGuard, []string{"d=", "c="}},
		{"too young", 0, []string{"d="}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := chat()
				h.users["carol"] = []Socket{{ID: "c=", UserID: "carol", Protocol: wire.JSON, ConnectedAt: start.Add(-tt.age)}}
				p, poster, asker, _ := newPublisher(t, h)
				var removed []string
				p.Presences.(*fakePresences).remove = func(user, id string, _, _ time.Time) (Presence, error) {
					removed = append(removed, id)
					return Presence{UserID: user, Version: 5}, nil
				}
				posts := map[string]int{}
				poster.fail = func(op, id string) error {
					if op == "post" {
						posts[id]++
					}
					if op == "post" && (id == "d=" || id == "c=" && len(poster.posted[id]) == 1) {
						return ErrGone
					}
					return nil
				}
				if err := p.Do(t.Context(), Job{Presence: &PresenceJob{User: "alice", Version: 5, AtMS: start.UnixMilli()}}); err != nil {
					t.Fatal(err)
				}
				if !slices.Equal(poster.closed, tt.closed) || !slices.Equal(removed, []string{"d="}) || len(asker.jobs) != 0 {
					t.Errorf("closed %v, want %v; removed %v, asked %v", poster.closed, tt.closed, removed, asker.jobs)
				}
				if posts["d="] != 1 {
					t.Errorf("%d posts to one that was gone at the first", posts["d="])
				}
			})
		})
	}
}

func TestGoneWhileTellingPresence(t *testing.T) {
	p, poster, asker, _ := newPublisher(t, chat())
	p.Presences.(*fakePresences).remove = func(user, _ string, _, _ time.Time) (Presence, error) {
		return Presence{UserID: user, Version: 5}, nil
	}
	poster.fail = func(_, id string) error {
		if id == "b=" || id == "b2=" || id == "d=" {
			return ErrGone
		}
		return nil
	}
	if err := p.Do(t.Context(), Job{Presence: &PresenceJob{User: "alice", Version: 5, AtMS: start.UnixMilli()}}); err != nil {
		t.Fatal(err)
	}
	if len(asker.jobs) != 0 {
		t.Errorf("asked %v: Lambda ends recursive invocations", asker.jobs)
	}
	about := map[string]int{}
	for _, posted := range poster.posted["c="] {
		for _, user := range []string{"alice", "bob", "dave"} {
			if strings.Contains(posted, `"userId":"`+user+`"`) {
				about[user]++
			}
		}
	}
	if diff := cmp.Diff(map[string]int{"alice": 1, "bob": 1, "dave": 1}, about); diff != "" {
		t.Errorf("each user is told of once: %s", diff)
	}
}

// What counts is how old a socket was when API Gateway said that it is gone: its handshake may have been under way. It is closed
// before it is removed, should it live after all.
func TestGoneIsJudgedAtOnce(t *testing.T) {
	for _, tt := range []struct {
		name    string
		age     time.Duration // of bob's socket, at its 410
		removed bool
	}{
		{"in its handshake", handshakeGuard - time.Millisecond, false},
		{"just out of it", handshakeGuard, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h := chat()
			h.users["bob"] = []Socket{{ID: "b=", UserID: "bob", Protocol: wire.JSON, ConnectedAt: start.Add(-tt.age)}}
			p, poster, _, _ := newPublisher(t, h)
			var late atomic.Int64
			p.Now = func() time.Time { return start.Add(time.Duration(late.Load())) }
			poster.fail = func(op, id string) error {
				if id == "b=" {
					return ErrGone
				}
				return nil
			}
			read := p.Presences.(*fakePresences).read
			reads := 0
			p.Presences.(*fakePresences).read = func(user string) (Presence, error) {
				if reads++; reads == 2 { // it has been told: a minute passes
					late.Store(int64(time.Minute))
				}
				return read(user)
			}
			var removed []string
			p.Presences.(*fakePresences).remove = func(user, id string, _, before time.Time) (Presence, error) {
				removed = append(removed, id)
				if want := start.Add(-handshakeGuard); !before.Equal(want) {
					t.Errorf("removed if connected before %v, want %v", before, want)
				}
				return Presence{UserID: user, Version: 6}, nil
			}
			if err := p.Do(t.Context(), Job{Presence: &PresenceJob{User: "alice", Version: 5, AtMS: start.UnixMilli()}}); err != nil {
				t.Fatal(err)
			}
			if got := len(removed) == 1; got != tt.removed {
				t.Errorf("removed %v", removed)
			}
		})
	}
}

func TestVerify(t *testing.T) {
	p, poster, _, _ := newPublisher(t, chat())
	poster.active = func(id string) (time.Time, error) {
		if id == "b2=" {
			return time.Time{}, ErrGone
		}
		return start, nil
	}
	var removed []string
	p.Presences.(*fakePresences).remove = func(user, id string, at, before time.Time) (Presence, error) {
		removed = append(removed, id)
		if !before.Equal(start.Add(-handshakeGuard)) {
			t.Errorf("removed without the handshake guard: %v", before)
		}
		return Presence{UserID: user, Version: 5}, nil
	}
	if err := p.Do(t.Context(), Job{Verify: &Verify{User: "bob"}}); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(removed, []string{"b2="}) || len(poster.posted) != 4 {
		t.Errorf("removed %v, told %d", removed, len(poster.posted))
	}
}
