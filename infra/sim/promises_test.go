package sim

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"example.org/realtime/shared/contract"
)

// hearing tells whether events reach the client.
func (c *conn) hearing() bool { return c.open() && !c.since.IsZero() && !c.mute }

// check holds the settled world to its promises.
func (h *history) check() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.checkPresence()
	h.checkRooms()
	h.checkRemoved()
	h.checkPublishes()
	h.checkGroups()
}

func (h *history) breach(format string, args ...any) {
	h.mu.Unlock()
	h.fail(format, args...)
	h.mu.Lock()
}

// checkPresence: every observer's last word on a user is the truth, and nobody who is there came unheard.
func (h *history) checkPresence() {
	truth := map[string][]string{}
	came := map[string]time.Time{}
	for _, c := range h.conns {
		truth[c.user] = append(truth[c.user], "")[:len(truth[c.user])]
		if !c.hearing() {
			continue
		}
		truth[c.user] = append(truth[c.user], c.id)
		if c.since.After(came[c.user]) {
			came[c.user] = c.since
		}
	}
	for _, observer := range h.conns {
		if !observer.hearing() {
			continue
		}
		last := map[string]contract.PresenceSnapshot{}
		for _, f := range observer.frames {
			if f.Event != contract.PresenceUpdate || f.at.Before(observer.since) {
				continue
			}
			var s contract.PresenceSnapshot
			if err := json.Unmarshal(f.Data, &s); err != nil {
				h.breach("%s heard a presence that is none: %s", observer.id, f.Data)
			}
			h.checkSeen(observer, s)
			last[s.UserID] = s
		}
		for user, sockets := range truth {
			s, heard := last[user]
			if !heard {
				if came[user].After(observer.since) {
					h.breach("%s never heard that %s came", observer.id, user)
				}
				continue
			}
			var told []string
			for _, socket := range s.Sockets {
				told = append(told, socket.SocketID)
			}
			slices.Sort(told)
			slices.Sort(sockets)
			if !slices.Equal(told, sockets) || s.IsOnline != (len(sockets) > 0) {
				h.breach("%s heard last that %s has %v, online %v; it has %v", observer.id, user, told, s.IsOnline, sockets)
			}
		}
	}
}

// checkSeen: nobody was seen after the end, but one that died within the handshake guard, which is not removed yet.
func (h *history) checkSeen(observer *conn, s contract.PresenceSnapshot) {
	const handshakeGuard = 15 * time.Second
	for _, socket := range s.Sockets {
		c := h.conns[socket.SocketID]
		if c == nil || c.closed.IsZero() || socket.LastSeen == nil {
			continue
		}
		if late := time.UnixMilli(*socket.LastSeen).Sub(c.closed); late > handshakeGuard {
			h.breach("%s heard that %s was seen %v after its end", observer.id, c.id, late)
		}
	}
}

// checkRooms: a socket is in a room if and only if its last accepted word was join and its user takes part. Where the word
// or the removal was not answered in order, either is right.
func (h *history) checkRooms() {
	for _, c := range h.conns {
		if !c.hearing() {
			continue
		}
		for _, conversation := range h.conversations {
			in := slices.Contains(h.members(conversation), c.id)
			want, sure := h.shouldBeIn(c, conversation)
			if sure && in != want {
				h.breach("%s in %s: %v, want %v", c.id, conversation, in, want)
			}
		}
	}
}

func (h *history) members(conversation string) (ids []string) {
	sockets, err := h.ports.rooms.Sockets(h.t.Context(), contract.ConversationRoom(conversation), 0)
	if err != nil {
		h.breach("read room %s: %v", conversation, err)
	}
	for _, s := range sockets {
		ids = append(ids, s.ID)
	}
	return ids
}

func (h *history) shouldBeIn(c *conn, conversation string) (in, sure bool) {
	var removed part
	takesPart := false
	for _, p := range h.parts {
		if p.user == c.user && p.conversation == conversation {
			takesPart = p.in
			if !p.in {
				removed = p
			}
		}
	}
	if !takesPart {
		return false, true
	}
	var last *word
	sure = true
	for _, word := range h.wordsByTime(c, conversation) {
		switch {
		case word.acked.IsZero():
			sure = false // it may have been heard or not
		case word.ack.Success:
			last, sure = word, true
		}
	}
	switch {
	case last == nil:
		return false, sure
	case !last.join:
		return false, sure
	case !removed.to.IsZero() && last.acked.Before(removed.from):
		return false, sure
	case !removed.to.IsZero() && !last.sent.After(removed.to):
		return false, false
	}
	return true, sure
}

// wordsByTime orders as API Gateway's clock does, to the millisecond; of the same one, leave comes last.
func (h *history) wordsByTime(c *conn, conversation string) (words []*word) {
	for _, word := range c.words {
		if word.room == conversation {
			words = append(words, word)
		}
	}
	slices.SortStableFunc(words, func(a, b *word) int {
		if d := ms(a.sent).Compare(ms(b.sent)); d != 0 {
			return d
		}
		if a.join == b.join {
			return 0
		}
		if a.join {
			return -1
		}
		return 1
	})
	return words
}

// checkRemoved: nobody who was removed hears what is published to the room after the removal was answered.
func (h *history) checkRemoved() {
	for _, p := range h.publishes {
		if p.conversation == "" {
			continue
		}
		for _, c := range h.conns {
			if slices.Contains(p.users, c.user) || h.mayHear(c.user, p) || h.received(c, p.id) == 0 {
				continue
			}
			h.breach("%s heard %s in %s, which %s takes no part in", c.id, p.id, p.conversation, c.user)
		}
	}
}

// mayHear tells whether the user took part at some moment of the publish.
func (h *history) mayHear(user string, p *published) bool {
	takesPart := false
	for _, part := range h.parts {
		if part.user != user || part.conversation != p.conversation {
			continue
		}
		switch {
		case part.to.Before(p.from):
			takesPart = part.in
		case part.from.Before(p.to):
			return true
		}
	}
	return takesPart
}

func (h *history) received(c *conn, id string) (n int) {
	for _, f := range c.frames {
		var data struct {
			EventKey string `json:"eventKey"`
		}
		if f.Event == contract.NotificationsNew && json.Unmarshal(f.Data, &data) == nil && data.EventKey == id {
			n++
		}
	}
	return n
}

// checkPublishes: the counts add up and are true, nobody hears it twice without a crash, and whoever was told that it is
// ready, or that it has joined, hears it.
func (h *history) checkPublishes() {
	for _, p := range h.publishes {
		a := p.answer
		if a.Matched != a.Delivered+a.Gone+a.Failed || a.Failed != 0 && h.faults.failed+h.faults.lost == 0 {
			h.breach("%s: the counts do not add up: %+v", p.id, a)
		}
		if want := a; p.again != nil {
			want.Duplicate = true
			if *p.again != want {
				h.breach("%s again: %+v, want %+v", p.id, *p.again, want)
			}
		}
		total := 0
		for _, c := range h.conns {
			n := h.received(c, p.id)
			for _, post := range c.posts {
				total += strings.Count(post, fmt.Sprintf(`"eventKey":%q`, p.id))
			}
			if n > 1 && !p.crashed {
				h.breach("%s heard %s %d times", c.id, p.id, n)
			}
			if n == 0 && c.hearing() && h.reachable(c, p) && a.Failed == 0 {
				h.breach("%s was ready and did not hear %s", c.id, p.id)
			}
		}
		if !p.crashed && (total < a.Delivered || total > a.Delivered+a.Failed) { // of what failed nobody knows
			h.breach("%s: delivered %d, failed %d, posted to %d", p.id, a.Delivered, a.Failed, total)
		}
	}
}

// reachable tells whether the socket had been told, before the publish, that it is in one of its rooms, and nothing has
// taken it out since.
func (h *history) reachable(c *conn, p *published) bool {
	if slices.Contains(p.users, c.user) {
		for _, f := range c.frames {
			if f.Event == contract.NotificationsReady && f.at.Before(p.from) && !f.at.Before(c.since) {
				return true
			}
		}
	}
	if p.conversation == "" {
		return false
	}
	var joined time.Time
	for _, word := range h.wordsByTime(c, p.conversation) {
		switch {
		case word.sent.After(p.to):
		case word.join && word.ack.Success && word.acked.Before(p.from):
			joined = word.sent
		default:
			joined = time.Time{} // under way, unanswered, or a leave
		}
	}
	if joined.IsZero() {
		return false
	}
	for _, part := range h.parts {
		if part.user == c.user && part.conversation == p.conversation && !part.in && part.to.After(joined) && part.from.Before(p.to) {
			return false
		}
	}
	return true
}
