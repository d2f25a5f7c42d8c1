package sim

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"example.org/realtime/shared/contract"
	"example.org/realtime/shared/realtime"
)

// The shortest pings that a deployment may have, so that much of them happens.
const (
	pingInterval = time.Minute
	pingTimeout  = 90 * time.Second
)

// openTimeout is how long the stock client waits for the open packet.
const openTimeout = 20 * time.Second

// socketIO is what the stock client knows of its connection.
type socketIO struct {
	token string
	ready bool // the open packet has come
	mute  bool // it is dead, but nobody has noticed: no pong comes
	away  bool // it was sent away, or has left the namespace
	again bool // it was in the namespace before; what was on its way then may still come
}

// tokens are a user and an expiry, and always good.
type tokens struct{}

func token(user string, expires time.Time) string {
	if expires.IsZero() {
		return user + " 0"
	}
	return fmt.Sprintf("%s %d", user, expires.Unix())
}

func (tokens) Verify(_ context.Context, token string) (realtime.Identity, error) {
	user, expiry, _ := strings.Cut(token, " ")
	seconds, err := strconv.ParseInt(expiry, 10, 64)
	if err != nil {
		return realtime.Identity{}, &contract.Error{Code: contract.Unauthorized}
	}
	id := realtime.Identity{UserID: user}
	if seconds > 0 {
		id.ExpiresAt = time.Unix(seconds, 0)
		if !time.Now().Before(id.ExpiresAt) {
			return realtime.Identity{}, &contract.Error{Code: contract.TokenExpired}
		}
	}
	return id, nil
}

// awaitOpen is the stock client's patience.
func (w *world) awaitOpen(c *conn) {
	time.Sleep(openTimeout)
	w.mu.Lock()
	ready := c.ready
	w.mu.Unlock()
	if !ready {
		w.end(c.id)
	}
}

// enter sends CONNECT.
func (w *world) enter(c *conn) {
	w.mu.Lock()
	c.away = false
	w.mu.Unlock()
	w.send(c, "CONNECT "+c.id, fmt.Sprintf(`40/ws/app,{"token":%q}`, c.token))
}

// leave sends DISCONNECT: whatever was joined is left, and nothing is heard any more.
func (w *world) leave(c *conn) {
	w.mu.Lock()
	c.since, c.words, c.away, c.again = time.Time{}, nil, true, true
	w.mu.Unlock()
	w.send(c, "DISCONNECT "+c.id, "41/ws/app,")
}

// receivePacket is what the stock client does with a packet; an event, or an ack, is left in f. w.mu is held.
func (w *world) receivePacket(c *conn, message []byte, f *frame) (heard bool) {
	if c.mute {
		return false
	}
	packet, broken := string(message), ""
	switch {
	case packet[0] == '0' && !c.ready:
		c.ready = true
		w.running.Go(func() { w.enter(c) })
	case packet == "2":
		w.running.Go(func() { w.send(c, "pong "+c.id, "3") })
	case strings.HasPrefix(packet, "40/ws/app,{"):
		if c.away {
			break // it has left again meanwhile
		}
		c.since = f.at
	case packet == "41/ws/app,":
		c.since, c.away = time.Time{}, true
	case strings.HasPrefix(packet, "42/ws/app,["):
		var event []json.RawMessage
		if json.Unmarshal([]byte(packet[len("42/ws/app,"):]), &event) != nil || len(event) != 2 {
			broken = "an event that is none"
			break
		}
		_ = json.Unmarshal(event[0], &f.Event)
		f.Data = event[1]
		if c.since.IsZero() && !c.away && !c.again {
			broken = "an event before the answer to CONNECT"
		}
		heard = !c.away
	case strings.HasPrefix(packet, "43/ws/app,"):
		id, ack, ok := strings.Cut(packet[len("43/ws/app,"):], "[")
		if !ok {
			broken = "an ack that is none"
			break
		}
		f.Event, f.ID, f.Data = "ack", id, json.RawMessage(strings.TrimSuffix(ack, "]"))
		heard = true
	default:
		broken = "an unexpected packet"
	}
	if broken != "" {
		w.broken = append(w.broken, fmt.Sprintf("%s received %s: %q", c.id, broken, packet))
	}
	return heard
}
