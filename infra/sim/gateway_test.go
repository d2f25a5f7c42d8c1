package sim

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	"example.org/realtime/shared/contract"
	"example.org/realtime/shared/realtime"
	"example.org/realtime/shared/wire"
)

// conn is a connection as API Gateway and its client know it.
type conn struct {
	id       string
	user     string
	identity realtime.Identity
	began    time.Time // of the handshake
	opened   time.Time // of the 101; zero before
	since    time.Time // when it came to hear events: the 101, or a Socket.IO client's CONNECT; zero while it does not
	closed   time.Time // zero while open
	active   time.Time
	posts    []string // taken by API Gateway
	frames   []frame  // heard by the client
	words    []*word
	spoken   int // words ever, for their ids

	socketIO
}

func (c *conn) open() bool { return !c.opened.IsZero() && c.closed.IsZero() }

// frame is a message that a client received.
type frame struct {
	at    time.Time
	Event string          `json:"event"`
	ID    string          `json:"id"`
	Data  json.RawMessage `json:"data"`
}

// word is what a client said about a room.
type word struct {
	id    string
	room  string
	join  bool
	sent  time.Time
	acked time.Time // zero: no answer
	ack   contract.Ack
}

// Post is PostToConnection: 410 until the handshake is done, and after the end.
func (w *world) Post(ctx context.Context, id string, message []byte) error {
	return w.api(ctx, "post", id, func(c *conn) error {
		f := frame{at: time.Now()}
		c.active = f.at
		c.posts = append(c.posts, string(message))
		if c.identity.Protocol == wire.SocketIO {
			if !w.receivePacket(c, message, &f) {
				return nil
			}
		} else if err := json.Unmarshal(message, &f); err != nil {
			w.broken = append(w.broken, fmt.Sprintf("posted to %s what is not JSON: %q", id, message))
		}
		c.frames = append(c.frames, f)
		switch {
		case f.Event == contract.PresenceUpdate:
			w.told[f.at.Unix()]++
		case f.Event == contract.ErrorEvent && len(c.frames) == 1 && c.identity.Protocol == wire.JSON:
			c.since = time.Time{} // it is refused, and knows it; should its close be answered 410, idle time ends it
		}
		for _, word := range c.words {
			if f.Event == "ack" && word.id == f.ID {
				word.acked = f.at
				_ = json.Unmarshal(f.Data, &word.ack)
			}
		}
		return nil
	})
}

// Close is DeleteConnection.
func (w *world) Close(ctx context.Context, id string) error {
	return w.api(ctx, "close", id, func(c *conn) error {
		w.endLocked(c)
		return nil
	})
}

// LastActive is GetConnection.
func (w *world) LastActive(ctx context.Context, id string) (at time.Time, err error) {
	err = w.api(ctx, "get", id, func(c *conn) error {
		at = c.active
		return nil
	})
	return at, err
}

// connect is a client's handshake; nil when it failed.
func (w *world) connect(user string, expires time.Time, p wire.Protocol) *conn {
	c := w.dial(user, expires, p)
	if w.handshake(c) != nil {
		return nil
	}
	return c
}

// dial is the beginning of a handshake.
func (w *world) dial(user string, expires time.Time, p wire.Protocol) *conn {
	w.mu.Lock()
	defer w.mu.Unlock()
	c := &conn{
		id:       fmt.Sprintf("%s-%d=", user, len(w.conns)),
		user:     user,
		identity: realtime.Identity{UserID: user, Protocol: wire.JSON, ExpiresAt: expires},
		socketIO: socketIO{token: token(user, expires)},
		began:    time.Now(),
	}
	if p == wire.SocketIO {
		c.identity = realtime.Identity{Protocol: p} // the token comes with CONNECT
	}
	w.conns[c.id] = c
	return c
}

// handshake runs $connect, and opens the connection if that goes well.
func (w *world) handshake(c *conn) error {
	err := w.invoke("connect "+c.id, 5*time.Second, true, func(ctx context.Context) error {
		return w.receiver.Connect(ctx, realtime.Connected{
			ConnectionID: c.id, Identity: c.identity, ConnectedAt: ms(c.began), At: ms(c.began), UserAgent: "sim", IP: "192.0.2.1",
		})
	})
	w.mu.Lock()
	defer w.mu.Unlock()
	if err != nil {
		c.closed = time.Now()
		return err
	}
	c.opened = time.Now()
	c.active = c.opened
	if c.identity.Protocol == wire.SocketIO {
		w.running.Go(func() { w.awaitOpen(c) })
	} else {
		c.since = c.opened
	}
	return nil
}

func ms(t time.Time) time.Time { return t.Truncate(time.Millisecond) }

// end closes a connection, whoever asked for it, and has $disconnect come once, twice, late or never.
func (w *world) end(id string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if c := w.conns[id]; c != nil && c.open() {
		w.endLocked(c)
	}
}

// endLocked is end of an open connection, for one that holds w.mu.
func (w *world) endLocked(c *conn) {
	c.closed = time.Now()
	w.running.Go(func() {
		w.note("closed %s", c.id)
		r := w.rand("end", c.id)
		if w.chance(r, w.faults.drop) {
			return
		}
		copies := 1
		if w.chance(r, w.faults.double) {
			copies = 2
		}
		late := 50 * time.Millisecond
		if w.chance(r, 0.2) {
			late = 20 * time.Second
		}
		for i := range copies {
			pause := between(r, 0, late)
			w.running.Go(func() {
				time.Sleep(pause)
				_ = w.disconnect(c, i, ms(c.closed))
			})
		}
	})
}

// disconnect is the nth $disconnect of a connection.
func (w *world) disconnect(c *conn, n int, at time.Time) error {
	return w.invoke(fmt.Sprintf("disconnect %s #%d", c.id, n), 10*time.Second, true, func(ctx context.Context) error {
		return w.receiver.Disconnect(ctx, realtime.Disconnected{
			ConnectionID: c.id, Identity: c.identity, ConnectedAt: ms(c.began), At: at,
		})
	})
}

// say has a client say an event; it is taken whenever Lambda comes to it.
func (w *world) say(c *conn, event, conversation string) {
	w.mu.Lock()
	c.spoken++
	id := strconv.Itoa(c.spoken)
	if event != contract.PresenceHeartbeat {
		c.words = append(c.words, &word{id: id, room: conversation, join: event == contract.ConversationsJoin, sent: time.Now()})
	}
	w.mu.Unlock()
	data := fmt.Sprintf(`{"conversationId":%q}`, conversation)
	body := fmt.Sprintf(`{"event":%q,"data":%s,"id":%q}`, event, data, id)
	if c.identity.Protocol == wire.SocketIO {
		body = fmt.Sprintf(`42/ws/app,%s[%q,%s]`, id, event, data)
	}
	w.send(c, fmt.Sprintf("%s %s %s %s", event, c.id, conversation, id), body)
}

// send sends a message of a client. Some overtake others.
func (w *world) send(c *conn, name, body string) {
	now := time.Now()
	r := w.rand("send", c.id)
	w.mu.Lock()
	c.active = now
	w.mu.Unlock()
	late := 20 * time.Millisecond
	if w.chance(r, 0.1) {
		late = 3 * time.Second
	}
	pause := between(r, 0, late)
	w.running.Go(func() {
		time.Sleep(pause)
		err := w.invoke(name, 15*time.Second, true, func(ctx context.Context) error {
			return w.receiver.Message(ctx, realtime.Message{
				ConnectionID: c.id, Identity: c.identity, ConnectedAt: ms(c.began), At: ms(now), Body: []byte(body),
				UserAgent: "sim", IP: "192.0.2.1",
			})
		})
		if err != nil && c.identity.Protocol == wire.SocketIO {
			w.end(c.id) // API Gateway answers "Internal server error", which such a client takes for a parse error
		}
	})
}
