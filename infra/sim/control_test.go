package sim

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"example.org/realtime/shared/contract"
	"example.org/realtime/shared/wire"
)

// publishing is the publish function as control invokes it.
type publishing struct{ *world }

func (p publishing) Publish(_ context.Context, req contract.Publish) (answer contract.Published, err error) {
	raw, err := json.Marshal(req)
	if err != nil {
		return answer, err
	}
	parsed, err := contract.ParsePublish(raw)
	if err != nil {
		return answer, err
	}
	err = p.invoke("publish "+string(raw), 50*time.Second, true, func(ctx context.Context) (err error) {
		answer, err = p.publisher.Publish(ctx, parsed, raw)
		return err
	})
	return answer, err
}

// move is a request to bring a user's sockets into the group or out of it, from the request to its answer.
type move struct {
	user     string
	in       bool
	from, to time.Time
}

const group = "g0"

// warden is a backend that brings users into a group and out of it, sends them away, and keeps them out for a while. It
// repeats each request until it is answered.
func (h *history) warden() {
	r := h.rand("warden")
	for n := 0; time.Now().Before(h.end); n++ {
		h.awaitBeat(r)
		user := pick(r, h.users)
		name := fmt.Sprintf("control of %s %d", user, n)
		switch x := r.Float64(); {
		case x < 0.3:
			h.moves = append(h.moves, h.moveSockets(name, user, true))
		case x < 0.5:
			h.moves = append(h.moves, h.moveSockets(name, user, false))
		case x < 0.7:
			h.sendAway(name, user, 1+r.IntN(9))
		}
	}
}

func (w *world) moveSockets(name, user string, in bool) move {
	req := &contract.Group{Op: contract.GroupsLeave, GroupID: group, Users: []string{user}}
	if in {
		req.Op = contract.GroupsJoin
	}
	m := move{user: user, in: in, from: time.Now()}
	for {
		err := w.invoke(name, 55*time.Second, true, func(ctx context.Context) error {
			_, err := w.control.Do(ctx, req)
			return err
		})
		if err == nil {
			break
		}
		w.mu.Lock()
		w.cutShort[user] = w.cutShort[user] || in
		w.mu.Unlock()
	}
	m.to = time.Now()
	return m
}

// sendAway sends a user's sockets away and keeps the user out for so many seconds, then looks whether that is so.
func (w *world) sendAway(name, user string, seconds int) {
	req := &contract.DisconnectSockets{Users: []string{user}, Reason: "sim", DenySeconds: &seconds}
	var answer *contract.SocketsDisconnected
	for {
		err := w.invoke(name, 55*time.Second, true, func(ctx context.Context) error {
			got, err := w.control.Do(ctx, req)
			answer, _ = got.(*contract.SocketsDisconnected)
			return err
		})
		if err == nil && answer.Published.Failed == 0 {
			break
		}
	}
	told := time.Now()
	until := time.UnixMilli(*answer.DeniedUntil)
	if in := w.readySince(user, time.Time{}); len(in) > 0 && told.Before(until) {
		w.fail("%s was sent away at %s and is still there: %v", user, told, in)
	}
	time.Sleep(time.Until(until) - time.Millisecond)
	if in := w.readySince(user, told); len(in) > 0 {
		w.fail("%s is kept out from %s until %s and came in: %v", user, told, until, in)
	}
}

// readySince are the user's sockets that hear events and were told so after that time.
func (w *world) readySince(user string, after time.Time) (ids []string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for id, c := range w.conns {
		ready := func(f frame) bool {
			return f.Event == contract.NotificationsReady && !f.at.Before(c.since) && f.at.After(after)
		}
		if c.user == user && c.hearing() && slices.ContainsFunc(c.frames, ready) {
			ids = append(ids, id)
		}
	}
	return ids
}

// checkGroups: the sockets that were there when their user was last brought into the group are in it, and no others.
func (h *history) checkGroups() {
	last := map[string]move{}
	for _, m := range h.moves {
		last[m.user] = m
	}
	sockets, err := h.ports.rooms.Sockets(h.t.Context(), contract.GroupRoom(group), 0)
	if err != nil {
		h.breach("read the group: %v", err)
	}
	in := map[string]bool{}
	for _, s := range sockets {
		in[s.ID] = true
	}
	for _, c := range h.conns {
		m, moved := last[c.user]
		was := slices.ContainsFunc(c.frames, func(f frame) bool {
			return f.Event == contract.NotificationsReady && !f.at.Before(c.since) && f.at.Before(m.from)
		})
		came := c.since
		if c.identity.Protocol == wire.JSON {
			came = c.began // it is in the presence before its handshake is done
		}
		switch {
		case !c.hearing() || !moved:
		case in[c.id] && (!m.in || came.After(m.to)):
			h.breach("%s is in the group, and was not there when %s was last brought in (%t)", c.id, c.user, m.in)
		case !in[c.id] && m.in && was:
			h.breach("%s is not in the group, and was there when %s was brought in", c.id, c.user)
		}
	}
}

// TestDeniedWhileConnecting has a backend keep a user out before each step of a connect. Nobody is there after the answer,
// whether the connect saw that, or was seen.
func TestDeniedWhileConnecting(t *testing.T) {
	for protocol, steps := range map[wire.Protocol]struct {
		name string
		n    int
	}{
		wire.JSON:     {"connect ", 4},
		wire.SocketIO: {"CONNECT ", 7},
	} {
		for i := range 2 * steps.n {
			n, pause := 1+i/2, []time.Duration{200 * time.Millisecond, 3 * time.Second}[i%2] // publish waits for a handshake for a second
			t.Run(fmt.Sprintf("%s, before step %d, for %v", protocol, n, pause), func(t *testing.T) {
				inWorld(t, calm, func(t *testing.T, w *world) {
					observer := w.mustConnect("observer")
					c := w.dial("alice", time.Time{}, protocol)
					w.between[fmt.Sprintf("%s%s %d", steps.name, c.id, n)] = func() {
						w.running.Go(func() { w.sendAway("control", "alice", 30) })
						time.Sleep(pause)
					}
					_ = w.handshake(c) // refused or not
					time.Sleep(10 * time.Second)
					synctest.Wait()
					if in := w.readySince("alice", time.Time{}); len(in) > 0 {
						t.Errorf("in: %v, it received %v", in, c.events())
					}
					if protocol == wire.JSON && c.open() {
						t.Errorf("still open, it received %v", c.events())
					}
					again := w.connect("alice", time.Time{}, protocol)
					time.Sleep(time.Second)
					synctest.Wait()
					if got := again.events(); len(got) != 1 || !strings.HasPrefix(got[0], `error {"code":"socket_error:forbidden"`) {
						t.Errorf("connecting again received %v", got)
					}
					heard := len(observer.events())
					time.Sleep(30 * time.Second)
					synctest.Wait()
					if told := observer.events()[heard:]; slices.ContainsFunc(told, func(event string) bool { return strings.Contains(event, `"isOnline":true`) }) {
						t.Errorf("somebody heard of one who was kept out: %v", told)
					}
					w.mustConnect("alice")
					w.truth()
				})
			})
		}
	}
}

// TestCrashOfSendingAway kills control after each of its steps: asking again completes it.
func TestCrashOfSendingAway(t *testing.T) {
	const steps = 2 // USER, the return; publish has steps of its own
	for n := range steps + 1 {
		t.Run(fmt.Sprintf("after %d steps", n), func(t *testing.T) {
			inWorld(t, calm, func(t *testing.T, w *world) {
				w.mustConnect("observer")
				c, s := w.mustConnect("alice"), w.mustEnter("alice")
				w.killing["control"] = n
				w.sendAway("control", "alice", 30)
				if c.open() || s.open() || !strings.HasPrefix(c.events()[1], contract.SystemDisconnect) || !s.away {
					t.Errorf("open %v and %v, received %v", c.open(), s.open(), c.events())
				}
				w.truth()
			})
		})
	}
}

// TestCrashOfGroup kills a groups.join after each of its steps; the connection then ends, asked for again or not.
func TestCrashOfGroup(t *testing.T) {
	const steps = 4 // USER, ROOM, CONN, the return
	for n := range steps + 1 {
		t.Run(fmt.Sprintf("after %d steps", n), func(t *testing.T) {
			inWorld(t, calm, func(t *testing.T, w *world) {
				c := w.mustConnect("alice")
				w.killing["control"] = n
				h := &history{world: w, moves: []move{w.moveSockets("control", "alice", true)}}
				late := w.mustConnect("alice")
				h.check()
				h.moves = append(h.moves, w.moveSockets("control", "alice", false))
				h.check()
				h.moves = append(h.moves, w.moveSockets("control", "alice", true))
				h.check()
				if rooms, err := w.control.Do(t.Context(), &contract.ListRooms{ConnectionID: late.id}); err != nil || !slices.Equal(rooms.(*contract.ConnectionRooms).Rooms, []string{"group:" + group}) {
					t.Errorf("rooms of %s: %v, %v", late.id, rooms, err)
				}
				w.cutShort = map[string]bool{} // it was completed before anybody left
				w.end(c.id)
				w.truth()
			})
		})
	}
}

// TestUserChangesWhileBroughtIn has a Socket.IO client leave the namespace before each step of a groups.join, and come back as
// another user: who was not brought in does not hear the group.
func TestUserChangesWhileBroughtIn(t *testing.T) {
	for n := 1; n <= 4; n++ {
		t.Run(fmt.Sprintf("before step %d", n), func(t *testing.T) {
			inWorld(t, calm, func(t *testing.T, w *world) {
				c := w.mustEnter("alice")
				w.between[fmt.Sprintf("control %d", n)] = func() {
					w.leave(c)
					time.Sleep(time.Second)
					w.mu.Lock()
					c.user, c.token = "bob", token("bob", time.Time{})
					w.mu.Unlock()
					w.enter(c)
					time.Sleep(time.Second)
				}
				w.moveSockets("control", "alice", true)
				w.running.Wait()
				sockets, err := w.ports.rooms.Sockets(t.Context(), contract.GroupRoom(group), 0)
				if err != nil || len(sockets) != 0 || c.open() {
					t.Errorf("in the group: %v, %v; still open: %v", sockets, err, c.open())
				}
				if back := w.mustEnter("bob"); !back.open() {
					t.Error("cannot come back on another connection")
				}
				w.truth()
			})
		})
	}
}
