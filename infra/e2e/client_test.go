package e2e

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"
)

// unique makes a name that nothing else has, here or on a deployed stage.
func unique(prefix string) string { return prefix + strings.ToLower(rand.Text()[:10]) }

// client is a WebSocket client. Every message that it gets must be a documented envelope.
type client struct {
	t     *testing.T
	user  string
	agent string // its User-Agent, which no other client has
	id    string // of its socket, once connect knows it
	conn  *websocket.Conn

	mu       sync.Mutex
	frames   []frame // that came and were not taken
	ended    error   // why nothing more comes
	changed  chan struct{}
	asked    int
	refusals int // of API Gateway itself, which are no envelopes
}

// connect connects a user, takes notifications:ready and waits for the presence that says so.
func (s *system) connect(t *testing.T, user string) *client {
	t.Helper()
	c := s.arrive(t, user)
	snapshot := c.presence("that I am here", user, func(p presence) bool { return p.socketOf(c) != nil })
	c.id = snapshot.socketOf(c).SocketID
	return c
}

// arrive connects a user and takes notifications:ready.
func (s *system) arrive(t *testing.T, user string) *client {
	t.Helper()
	c, err := s.dial(t, s.token(user))
	if err != nil {
		t.Fatal(err)
	}
	c.user = user
	c.await("notifications:ready", is("notifications:ready"))
	return c
}

// dial opens a connection with a token in the header, unless it is empty. The connection is closed when the test ends.
func (s *system) dial(t *testing.T, token string) (*client, error) {
	header := http.Header{}
	if token != "" {
		header.Set("Authorization", "Bearer "+token)
	}
	return dial(t, s.url, header)
}

func dial(t *testing.T, url string, header http.Header, subprotocols ...string) (*client, error) {
	c := &client{t: t, agent: unique("e2e/"), changed: make(chan struct{})}
	header.Set("User-Agent", c.agent)
	options := websocket.DialOptions{HTTPHeader: header, Subprotocols: subprotocols}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	conn, response, err := websocket.Dial(ctx, url, &options)
	if err != nil {
		refused := &refusedHandshake{err: err}
		if response != nil {
			refused.status = response.StatusCode
		}
		return nil, refused
	}
	conn.SetReadLimit(256 << 10)
	c.conn = conn
	reading := make(chan struct{})
	go func() {
		defer close(reading)
		c.read()
	}()
	t.Cleanup(func() {
		c.close()
		<-reading
	})
	return c, nil
}

// refusedHandshake is an error of dial.
type refusedHandshake struct {
	status int // 0: there was none
	err    error
}

func (e *refusedHandshake) Error() string { return e.err.Error() }

func (c *client) read() {
	for {
		kind, message, err := c.conn.Read(context.Background())
		if err != nil {
			c.note(func() { c.ended = err })
			return
		}
		f, err := parse(message)
		if kind != websocket.MessageText {
			err = errors.New("a binary message")
		}
		c.note(func() {
			switch {
			case err == nil:
				c.frames = append(c.frames, f)
			case c.refusals > 0 && strings.HasPrefix(f.raw, `{"message": "`):
				c.refusals--
				c.frames = append(c.frames, f)
			default:
				c.t.Errorf("%s got what is no documented envelope: %v: %s", c.user, err, message)
			}
		})
	}
}

func (c *client) note(change func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	change()
	close(c.changed)
	c.changed = make(chan struct{})
}

// close closes the connection as a client does.
func (c *client) close() { _ = c.conn.Close(websocket.StatusNormalClosure, "") } // it may be closed

// send sends a message as it is.
func (c *client) send(message string) {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := c.conn.Write(ctx, websocket.MessageText, []byte(message)); err != nil {
		c.t.Errorf("%s sends: %v", c.user, err)
	}
}

// ack is the answer to an event with an id.
type ack struct {
	Success       bool
	Code, Message string
}

// ask sends an event with an id and waits for its ack. data is JSON, "" for none.
func (c *client) ask(event, data string) ack {
	c.t.Helper()
	c.mu.Lock()
	c.asked++
	id := fmt.Sprintf(`"ask %d"`, c.asked)
	c.mu.Unlock()
	message := `{"event":"` + event + `","id":` + id
	if data != "" {
		message += `,"data":` + data
	}
	c.send(message + "}")
	return c.awaitAck(id)
}

// awaitAck waits for the ack of an id, as it travels.
func (c *client) awaitAck(id string) (a ack) {
	c.t.Helper()
	f := c.await("the ack of "+id, func(f frame) bool { return f.event == "ack" && f.id == id })
	decode(c.t, f.data, &a)
	return a
}

// succeed is ask for what has to succeed.
func (c *client) succeed(event, data string) {
	c.t.Helper()
	if a := c.ask(event, data); !a.Success {
		c.t.Fatalf("%s of %s: %+v", event, c.user, a)
	}
}

func (c *client) join(conversation string) {
	c.t.Helper()
	c.succeed("conversations:join", `{"conversationId":"`+conversation+`"}`)
}

func (c *client) leave(conversation string) {
	c.t.Helper()
	c.succeed("conversations:leave", `{"conversationId":"`+conversation+`"}`)
}

// is matches events by name.
func is(event string) func(frame) bool { return func(f frame) bool { return f.event == event } }

// await takes the first frame that matches, or waits for it.
func (c *client) await(what string, match func(frame) bool) frame {
	c.t.Helper()
	f, err := c.take(match)
	if err != nil {
		c.t.Fatalf("%s waits for %s: %v", c.user, what, err)
	}
	return f
}

// take is await with an error instead of the end of the test.
func (c *client) take(match func(frame) bool) (frame, error) {
	timeout := time.NewTimer(patience)
	defer timeout.Stop()
	for {
		c.mu.Lock()
		if i := slices.IndexFunc(c.frames, match); i >= 0 {
			f := c.frames[i]
			c.frames = slices.Delete(c.frames, i, i+1)
			c.mu.Unlock()
			return f, nil
		}
		ended, changed, there := c.ended, c.changed, c.frames
		c.mu.Unlock()
		if ended != nil {
			return frame{}, fmt.Errorf("the connection ended (%w) after %v", ended, there)
		}
		select {
		case <-changed:
		case <-timeout.C:
			return frame{}, fmt.Errorf("in vain, there is only %v", there)
		}
	}
}

// takeAll takes every frame that matches of those that came before the answer to something that this asks.
func (c *client) takeAll(match func(frame) bool) (taken []frame) {
	c.t.Helper()
	c.ask("e2e:marker", "") // an unknown event touches nothing
	c.mu.Lock()
	defer c.mu.Unlock()
	c.frames = slices.DeleteFunc(c.frames, func(f frame) bool {
		if !match(f) {
			return false
		}
		taken = append(taken, f)
		return true
	})
	return taken
}

// none wants that no such frame came.
func (c *client) none(what string, match func(frame) bool) {
	c.t.Helper()
	if came := c.takeAll(match); len(came) > 0 {
		c.t.Errorf("%s got %s: %v", c.user, what, came)
	}
}

// exactly wants one such frame, with these bytes.
func (c *client) exactly(event, data string) {
	c.t.Helper()
	want := envelope(event, data)
	got := c.takeAll(is(event))
	if len(got) != 1 || got[0].raw != want {
		c.t.Errorf("%s got %d times %s\n got %v\nwant %s", c.user, len(got), event, got, want)
	}
}

// awaitError waits for an error event and returns its code.
func (c *client) awaitError() (code string) {
	c.t.Helper()
	var said struct{ Code string }
	decode(c.t, c.await("an error event", is("error")).data, &said)
	return said.Code
}

// awaitClose waits for the server to close the connection.
func (c *client) awaitClose() websocket.CloseError {
	c.t.Helper()
	_, err := c.take(func(frame) bool { return false })
	closed, ok := errors.AsType[websocket.CloseError](err)
	if !ok {
		c.t.Fatalf("%s waits for the end: %v", c.user, err)
	}
	return closed
}

func (c *client) hasEnded() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.ended != nil
}

// closedByServer is how a connection ends that DeleteConnection closes.
var closedByServer = websocket.CloseError{Code: websocket.StatusNormalClosure, Reason: "Connection Closed Normally"}

// awaitRefusal waits for the error event with this code and the close after it.
func (c *client) awaitRefusal(code string) {
	c.t.Helper()
	if got := c.awaitError(); got != code {
		c.t.Errorf("%s got error %s, want %s", c.user, got, code)
	}
	if got := c.awaitClose(); got != closedByServer {
		c.t.Errorf("%s was closed with %v, want %v", c.user, got, closedByServer)
	}
}

// presence is the payload of presence:update.
type presence struct {
	UserID   string
	IsOnline bool
	LastSeen *int64
	Sockets  []presenceSocket
}

type presenceSocket struct {
	SocketID              string
	ConnectedAt, LastSeen *int64
	UserAgent, IP         *string
}

// socketOf is a client's entry as its own user sees it.
func (p presence) socketOf(c *client) *presenceSocket {
	for i, s := range p.Sockets {
		if s.UserAgent != nil && *s.UserAgent == c.agent {
			return &p.Sockets[i]
		}
	}
	return nil
}

func (p presence) ids() []string {
	var ids []string
	for _, s := range p.Sockets {
		ids = append(ids, s.SocketID)
	}
	slices.Sort(ids)
	return ids
}

// presence takes the first presence:update of the user that holds.
func (c *client) presence(what, user string, holds func(presence) bool) (p presence) {
	c.t.Helper()
	c.await("the presence of "+user+": "+what, func(f frame) bool {
		if !isPresenceOf(user)(f) {
			return false
		}
		p = presence{}
		return json.Unmarshal(f.data, &p) == nil && holds(p)
	})
	return p
}

func isPresenceOf(user string) func(frame) bool {
	return func(f frame) bool {
		var p presence
		return f.event == "presence:update" && json.Unmarshal(f.data, &p) == nil && p.UserID == user
	}
}

func online(sockets int) func(presence) bool {
	return func(p presence) bool { return p.IsOnline && len(p.Sockets) == sockets }
}

func offline(p presence) bool { return !p.IsOnline && len(p.Sockets) == 0 }

// envelope is an event as it travels to a client.
func envelope(event, data string) string { return `{"event":"` + event + `","data":` + data + `}` }

func decode(t *testing.T, raw []byte, into any) {
	t.Helper()
	if err := json.Unmarshal(raw, into); err != nil {
		t.Fatalf("%s: %v", raw, err)
	}
}
