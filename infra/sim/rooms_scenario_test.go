package sim

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"example.org/realtime/shared/contract"
)

// TestCrashOfJoin kills join after each of its steps, then ends the connection: no row of it stays.
func TestCrashOfJoin(t *testing.T) {
	const steps = 5 // PART, ROOM, CONN, the ack, the return
	for n := range steps + 1 {
		t.Run(fmt.Sprintf("after %d steps", n), func(t *testing.T) {
			inWorld(t, calm, func(t *testing.T, w *world) {
				c := w.mustConnect("alice")
				w.takesPart("alice", "c1")
				w.killing[fmt.Sprintf("%s %s c1 1", contract.ConversationsJoin, c.id)] = n
				w.say(c, contract.ConversationsJoin, "c1")
				w.running.Wait()
				w.truth("c1")
			})
		})
	}
}

func (w *world) takesPart(user string, conversations ...string) {
	for _, conversation := range conversations {
		req := &contract.Participants{Op: contract.ParticipantsAdd, ConversationID: conversation, Users: []string{user}}
		p := part{user: user, conversation: conversation, in: true, from: time.Now()}
		if _, err := w.roster.Do(w.t.Context(), req); err != nil {
			w.t.Fatal(err)
		}
		p.to = time.Now()
		w.parts = append(w.parts, p)
	}
}

func (w *world) joins(c *conn, conversation string) contract.Ack {
	return w.asks(c, contract.ConversationsJoin, conversation)
}

// asks says a word and returns its ack; a zero Ack where none came.
func (w *world) asks(c *conn, event, conversation string) contract.Ack {
	w.say(c, event, conversation)
	w.running.Wait()
	w.mu.Lock()
	defer w.mu.Unlock()
	return c.words[len(c.words)-1].ack
}

// TestTooManyRooms: leaving makes room for another, and a refused join leaves nothing behind.
func TestTooManyRooms(t *testing.T) {
	l := calm
	l.roomsPerSocket = 3
	inWorld(t, l, func(t *testing.T, w *world) {
		c := w.mustConnect("alice")
		w.takesPart("alice", "c1", "c2", "c3", "c4", "c5")
		for _, conversation := range []string{"c1", "c2", "c3", "c2"} {
			if ack := w.joins(c, conversation); !ack.Success {
				t.Errorf("join %s: %+v", conversation, ack)
			}
		}
		if ack := w.joins(c, "c4"); ack.Code != contract.TooManyRooms {
			t.Errorf("fourth room: %+v", ack)
		}
		w.asks(c, contract.ConversationsLeave, "c1")
		if ack := w.joins(c, "c4"); !ack.Success {
			t.Errorf("fourth room after leaving one: %+v", ack)
		}
		if ack := w.joins(c, "c5"); ack.Code != contract.TooManyRooms {
			t.Errorf("fifth room: %+v", ack)
		}
		w.truth("c1", "c2", "c3", "c4", "c5")
	})
}

// TestRemovedWhileJoining removes the participant before each step of a join: whoever is removed is not in the room.
func TestRemovedWhileJoining(t *testing.T) {
	for n := 1; n <= 4; n++ {
		t.Run(fmt.Sprintf("before step %d", n), func(t *testing.T) {
			inWorld(t, calm, func(t *testing.T, w *world) {
				c := w.mustConnect("alice")
				w.takesPart("alice", "c1")
				w.between[fmt.Sprintf("%s %s c1 1 %d", contract.ConversationsJoin, c.id, n)] = func() {
					req := &contract.Participants{Op: contract.ParticipantsRemove, ConversationID: "c1", Users: []string{"alice"}}
					if _, err := w.roster.Do(t.Context(), req); err != nil {
						t.Error(err)
					}
				}
				ack := w.joins(c, "c1")
				if in := (&history{world: w}).members("c1"); len(in) != 0 {
					t.Errorf("in the room: %v, ack %+v", in, ack)
				}
				w.takesPart("alice", "c1")
				if ack := w.joins(c, "c1"); !ack.Success {
					t.Errorf("join after taking part again: %+v", ack)
				}
				if in := (&history{world: w}).members("c1"); !slices.Equal(in, []string{c.id}) {
					t.Errorf("in the room: %v", in)
				}
				if ack := w.asks(c, contract.ConversationsLeave, "c1"); !ack.Success {
					t.Errorf("leave: %+v", ack)
				}
				if in := (&history{world: w}).members("c1"); len(in) != 0 {
					t.Errorf("in the room after leaving: %v", in)
				}
			})
		})
	}
}
