package sim

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"example.org/realtime/shared/contract"
	"example.org/realtime/shared/realtime"
	"example.org/realtime/shared/wire"
)

// mustEnter is a Socket.IO client that is in the namespace.
func (w *world) mustEnter(user string) *conn {
	w.t.Helper()
	c := w.connect(user, time.Time{}, wire.SocketIO)
	w.running.Wait()
	if c == nil || !c.hearing() {
		w.t.Fatalf("%s could not enter the namespace", user)
	}
	return c
}

// TestCrashOfEnter kills the CONNECT of a Socket.IO client after each of its steps. Its client hears of the failure and closes;
// nothing of it stays.
func TestCrashOfEnter(t *testing.T) {
	const steps = 7 // CONN read, the answer, CONN, USER, ready, presence, the return
	for n := range steps + 1 {
		t.Run(fmt.Sprintf("after %d steps", n), func(t *testing.T) {
			inWorld(t, calm, func(t *testing.T, w *world) {
				w.mustConnect("observer")
				c := w.dial("alice", time.Time{}, wire.SocketIO)
				w.killing["CONNECT "+c.id] = n
				if err := w.handshake(c); err != nil {
					t.Fatal(err)
				}
				w.running.Wait()
				if c.hearing() != (n == steps) {
					t.Errorf("hears events: %v", c.hearing())
				}
				w.truth()
			})
		})
	}
}

// TestCrashOfExit kills the DISCONNECT of a Socket.IO client after each of its steps.
func TestCrashOfExit(t *testing.T) {
	const steps = 6 // CONN read, USER, presence, ROOM, CONN, the return
	for n := range steps + 1 {
		t.Run(fmt.Sprintf("after %d steps", n), func(t *testing.T) {
			inWorld(t, calm, func(t *testing.T, w *world) {
				w.mustConnect("observer")
				c := w.mustEnter("alice")
				w.takesPart("alice", "c1")
				w.joins(c, "c1")
				w.killing["DISCONNECT "+c.id] = n
				w.leave(c)
				w.running.Wait()
				if c.open() != (n == steps) {
					t.Errorf("open: %v", c.open())
				}
				w.truth("c1")
			})
		})
	}
}

// TestEnterAgain: DISCONNECT takes the socket out of its rooms and its presence, and CONNECT may follow on the same transport.
func TestEnterAgain(t *testing.T) {
	inWorld(t, calm, func(t *testing.T, w *world) {
		w.mustConnect("observer")
		c := w.mustEnter("alice")
		w.takesPart("alice", "c1")
		w.joins(c, "c1")
		w.leave(c)
		w.running.Wait()
		if in := (&history{world: w}).members("c1"); len(in) != 0 || !c.open() {
			t.Errorf("in the room after DISCONNECT: %v, open %v", in, c.open())
		}
		w.enter(c)
		w.running.Wait()
		if !c.hearing() {
			t.Error("not in the namespace again")
		}
		w.truth("c1")
	})
}

// TestOpenPacketOnce: however often its job runs, the open packet is posted once.
func TestOpenPacketOnce(t *testing.T) {
	inWorld(t, calm, func(t *testing.T, w *world) {
		c := w.mustEnter("alice")
		for range 2 {
			if err := w.publisher.Do(t.Context(), realtime.Job{Open: &realtime.Open{Connection: c.id}}); err != nil {
				t.Error(err)
			}
		}
		opens := 0
		for _, post := range c.posts {
			if strings.HasPrefix(post, "0{") {
				opens++
			}
		}
		if opens != 1 {
			t.Errorf("%d open packets", opens)
		}
		w.truth()
	})
}

// TestLobby: a Socket.IO client that does not come into the namespace is closed after 45 s, at sweep's next look.
func TestLobby(t *testing.T) {
	inWorld(t, calm, func(t *testing.T, w *world) {
		c := w.dial("alice", time.Time{}, wire.SocketIO)
		c.ready = true // its open packet would have it send CONNECT
		if err := w.handshake(c); err != nil {
			t.Fatal(err)
		}
		time.Sleep(44 * time.Second)
		if err := w.sweep(); err != nil || !c.open() {
			t.Errorf("after 44 s: %v, open %v", err, c.open())
		}
		time.Sleep(2 * time.Second)
		if err := w.sweep(); err != nil || c.open() {
			t.Errorf("after 46 s: %v, open %v", err, c.open())
		}
		w.running.Wait()
		w.broken = nil // the open packet came to a client that took it for a second
		w.truth()
	})
}

// TestPings: a live client is pinged once per interval, whatever the traffic, and a dead one is removed when no pong came for
// the interval and the timeout.
func TestPings(t *testing.T) {
	inWorld(t, calm, func(t *testing.T, w *world) {
		observer := w.mustConnect("observer")
		live, dead := w.mustEnter("live"), w.mustEnter("dead")
		dead.mute = true
		began := time.Now()
		for range 10 {
			w.say(live, contract.PresenceHeartbeat, "")
			w.settle(1)
			if dead.open() && time.Since(began) > pingInterval+pingTimeout+time.Minute {
				t.Errorf("a dead client is still there after %v", time.Since(began))
			}
		}
		pings := 0
		for _, post := range live.posts {
			if post == string(wire.PacketPing) {
				pings++
			}
		}
		if pings != 10 || !live.open() {
			t.Errorf("%d pings in 10 minutes, open %v", pings, live.open())
		}
		told := false
		for _, f := range observer.frames {
			told = told || f.Event == contract.PresenceUpdate && strings.Contains(string(f.Data), `"userId":"dead","isOnline":false`)
		}
		if !told {
			t.Error("nobody was told of the dead")
		}
		w.truth()
	})
}

// TestTooManySocketIOSockets: a full user's next socket hears why, then leaves the namespace; it may try again.
func TestTooManySocketIOSockets(t *testing.T) {
	l := calm
	l.socketsPerUser = 1
	inWorld(t, l, func(t *testing.T, w *world) {
		w.mustEnter("alice")
		c := w.connect("alice", time.Time{}, wire.SocketIO)
		w.running.Wait()
		if got := c.events(); len(got) != 1 || !strings.HasPrefix(got[0], `error {"code":"socket_error:too_many_connections"`) || c.hearing() || !c.open() {
			t.Errorf("received %q, hears %v, open %v", got, c.hearing(), c.open())
		}
		w.truth()
	})
}

// TestEnterAgainWhileJoining has a Socket.IO client leave the namespace and come back before each step of a join and of a
// groups.join, and its user be removed while it is away: what was joined before is not joined now.
func TestEnterAgainWhileJoining(t *testing.T) {
	away := func(t *testing.T, w *world, c *conn, remove contract.ControlRequest) func() {
		return func() {
			w.leave(c)
			time.Sleep(time.Second)
			if _, err := w.control.Do(t.Context(), remove); err != nil {
				t.Error(err)
			}
			w.enter(c)
			time.Sleep(time.Second)
		}
	}
	const joinSteps, groupSteps = 5, 4 // CONN read, PART, ROOM, CONN, the ack; USER, ROOM, CONN, the return
	for n := 1; n <= joinSteps; n++ {
		t.Run(fmt.Sprintf("join, before step %d", n), func(t *testing.T) {
			inWorld(t, calm, func(t *testing.T, w *world) {
				c := w.mustEnter("alice")
				w.takesPart("alice", "c1")
				time.Sleep(20 * time.Second) // its CONNECT is done
				w.between[fmt.Sprintf("%s %s c1 1 %d", contract.ConversationsJoin, c.id, n)] = away(t, w, c,
					&contract.Participants{Op: contract.ParticipantsRemove, ConversationID: "c1", Users: []string{"alice"}})
				w.say(c, contract.ConversationsJoin, "c1")
				w.running.Wait()
				if in := (&history{world: w}).members("c1"); len(in) != 0 || !c.hearing() {
					t.Errorf("in the room: %v, hears events: %v", in, c.hearing())
				}
			})
		})
	}
	for n := 1; n <= groupSteps; n++ {
		t.Run(fmt.Sprintf("groups.join, before step %d", n), func(t *testing.T) {
			inWorld(t, calm, func(t *testing.T, w *world) {
				c := w.mustEnter("alice")
				w.between[fmt.Sprintf("control %d", n)] = away(t, w, c, &contract.Group{Op: contract.GroupsLeave, GroupID: group, Users: []string{"alice"}})
				w.moveSockets("control", "alice", true)
				w.running.Wait()
				sockets, err := w.ports.rooms.Sockets(t.Context(), contract.GroupRoom(group), 0)
				if before := n == 1; err != nil || (len(sockets) != 0) != before || !c.hearing() { // it came back before anybody looked for it
					t.Errorf("in the group: %v, %v; hears events: %v", sockets, err, c.hearing())
				}
			})
		})
	}
}
