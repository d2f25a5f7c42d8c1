package sim

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"example.org/realtime/shared/contract"
	"example.org/realtime/shared/wire"
)

// play has users with devices, and a backend, do what they like for a while.
func (w *world) play(users, devices, conversations int, length time.Duration) *history {
	h := &history{world: w, end: time.Now().Add(length)}
	for c := range conversations {
		h.conversations = append(h.conversations, fmt.Sprintf("c%d", c))
	}
	for u := range users {
		h.users = append(h.users, fmt.Sprintf("u%d", u))
	}
	for _, user := range h.users {
		for d := range devices {
			w.running.Go(func() { h.device(user, d) })
		}
	}
	for _, c := range h.conversations {
		w.running.Go(func() { h.moderator(c) })
	}
	for i := range 2 {
		w.running.Go(func() { h.sender(i) })
	}
	w.running.Go(h.warden)
	w.running.Go(func() {
		for time.Now().Before(h.end) {
			_ = w.sweep() // one that dies is followed by another
			time.Sleep(time.Minute)
		}
	})
	time.Sleep(length)
	return h
}

// history is what the actors did, as far as the promises speak of it.
type history struct {
	*world
	end           time.Time
	users         []string
	conversations []string
	publishes     []*published
	moves         []move
}

// part is a user's taking part in a conversation, from the answer to add to the request to remove.
type part struct {
	user, conversation string
	in                 bool
	from, to           time.Time // of the request and its answer
}

// published is a publish and what came of it.
type published struct {
	id           string
	users        []string // audience
	conversation string   // audience; "" is none
	from, to     time.Time
	crashed      bool // some attempt died half-way
	answer       contract.Published
	again        *contract.Published // the answer to the same id later
}

func pick[T any](r *rand.Rand, list []T) T { return list[r.IntN(len(list))] }

// beat is when devices act: all of them at about the same moment, so that their calls meet.
const beat = 4 * time.Second

func (h *history) awaitBeat(r *rand.Rand) {
	next := time.Now().Truncate(beat).Add(beat * time.Duration(1+r.IntN(2)))
	time.Sleep(time.Until(next) + between(r, 0, 30*time.Millisecond))
}

// device is one of a user's clients: it comes, speaks and goes.
func (h *history) device(user string, d int) {
	r := h.rand("device", user, fmt.Sprint(d))
	for h.awaitBeat(r); time.Now().Before(h.end); h.awaitBeat(r) {
		var expires time.Time
		if r.Float64() < 0.1 {
			expires = time.Now().Add(between(r, time.Minute, 3*time.Minute)).Truncate(time.Second)
		}
		protocol := pick(r, wire.Protocols)
		c := h.connect(user, expires, protocol)
		if c == nil {
			continue
		}
		for lives := r.IntN(12); lives > 0 && time.Now().Before(h.end); lives-- {
			h.awaitBeat(r)
			if !h.isOpen(c) {
				break
			}
			if protocol == wire.SocketIO && r.Float64() < 0.1 {
				h.leave(c)
				time.Sleep(between(r, 0, time.Second))
				h.enter(c)
				continue
			}
			if !h.hears(c) {
				continue
			}
			conversation := pick(r, h.conversations)
			for words := 1 + r.IntN(3); words > 0; words-- {
				h.say(c, pick(r, vocabulary), conversation)
				time.Sleep(between(r, 0, 20*time.Millisecond))
			}
		}
		switch x := r.Float64(); {
		case x < 0.7:
			h.world.end(c.id)
		case x < 0.8:
			h.mu.Lock()
			c.mute = protocol == wire.SocketIO
			h.mu.Unlock()
		}
	}
}

var vocabulary = []string{
	contract.ConversationsJoin, contract.ConversationsJoin, contract.ConversationsJoin,
	contract.ConversationsLeave, contract.PresenceHeartbeat,
}

// hears tells whether events reach it: a Socket.IO client is in the namespace.
func (w *world) hears(c *conn) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return c.open() && !c.since.IsZero()
}

func (w *world) isOpen(c *conn) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return c.open()
}

// moderator is the backend's keeper of one conversation: one request after another, each repeated until it is answered.
func (h *history) moderator(conversation string) {
	r := h.rand("moderator", conversation)
	for n := 0; time.Now().Before(h.end); n++ {
		user := pick(r, h.users)
		op := contract.ParticipantsAdd
		if r.Float64() < 0.4 {
			op = contract.ParticipantsRemove
		}
		p := part{user: user, conversation: conversation, in: op == contract.ParticipantsAdd, from: time.Now()}
		for {
			err := h.invoke(fmt.Sprintf("control %s %s %s %d", op, conversation, user, n), 10*time.Second, true, func(ctx context.Context) error {
				_, err := h.roster.Do(ctx, &contract.Participants{Op: op, ConversationID: conversation, Users: []string{user}})
				return err
			})
			if err == nil {
				break
			}
		}
		p.to = time.Now()
		h.mu.Lock()
		h.parts = append(h.parts, p)
		h.mu.Unlock()
		h.awaitBeat(r)
	}
}

// sender is a backend that publishes, and retries under the same id when its call dies.
func (h *history) sender(i int) {
	r := h.rand("sender", fmt.Sprint(i))
	for n := 0; time.Now().Before(h.end); n++ {
		p := &published{id: fmt.Sprintf("p%d-%d", i, n), from: time.Now()}
		to := map[string]any{}
		switch r.IntN(3) {
		case 0:
			p.users = []string{pick(r, h.users)}
			to["users"] = p.users
		case 1:
			p.conversation = pick(r, h.conversations)
			to["conversations"] = []string{p.conversation}
		default:
			p.users, p.conversation = []string{pick(r, h.users), pick(r, h.users)}, pick(r, h.conversations)
			to["users"], to["conversations"] = p.users, []string{p.conversation}
		}
		raw, _ := json.Marshal(map[string]any{
			"id": p.id, "event": contract.NotificationsNew, "to": to,
			"data": map[string]any{"eventKey": p.id, "notification": map[string]any{"n": n}},
		})
		req, err := contract.ParsePublish(raw)
		if err != nil {
			h.fail("publish %s: %v", raw, err)
			return
		}
		publish := func(mayKill bool) (answer contract.Published, err error) {
			err = h.invoke("publish "+p.id, 50*time.Second, mayKill, func(ctx context.Context) (err error) {
				answer, err = h.publisher.Publish(ctx, req, raw)
				return err
			})
			return answer, err
		}
		for {
			p.answer, err = publish(true)
			if err == nil {
				break
			}
			p.crashed = p.crashed || !strings.Contains(err.Error(), "in progress")
			time.Sleep(30 * time.Second)
		}
		p.to = time.Now()
		if r.Float64() < 0.2 {
			if again, err := publish(false); err == nil {
				p.again = &again
			}
		}
		h.mu.Lock()
		h.publishes = append(h.publishes, p)
		h.mu.Unlock()
		time.Sleep(between(r, 0, 6*time.Second))
	}
}
