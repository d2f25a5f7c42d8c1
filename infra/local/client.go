package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/coder/websocket"

	"example.org/realtime/infra/local/stack"
	"example.org/realtime/shared/contract"
)

// lastAcks is how long a client whose input has ended waits for the acks of what it sent.
const lastAcks = 3 * time.Second

const clientHelp = `type: join c1 | leave c1 | heartbeat | an envelope, {"event": ...}; Ctrl-C ends`

// client connects a terminal: what arrives is printed, what is typed is sent.
func (c *command) client(ctx context.Context, args []string) error {
	port, err := c.port("WS_PORT", stack.WSPort)
	if err != nil {
		return err
	}
	flags := flag.NewFlagSet("client", flag.ContinueOnError)
	user := flags.String("user", "", "who connects")
	address := flags.String("url", fmt.Sprintf("ws://127.0.0.1:%d/%s", port, stack.Stage), "where to")
	if err := c.parse(flags, args); err != nil {
		return err
	}
	if u, err := url.Parse(*address); err != nil || (u.Scheme != "ws" && u.Scheme != "wss") || u.Host == "" {
		return fmt.Errorf("URL: %q is no WebSocket URL: give one as ws://127.0.0.1:3001/local, or a stage's WebSocketUrl", *address)
	}
	token, err := c.sign(*user, time.Hour)
	if err != nil {
		return err
	}
	socket, response, err := websocket.Dial(ctx, *address, &websocket.DialOptions{ //nolint:bodyclose // Dial has closed it
		HTTPHeader: http.Header{"Authorization": {"Bearer " + token}},
	})
	switch {
	case err != nil && ctx.Err() != nil:
		return nil // Ctrl-C while it connected
	case errors.Is(err, syscall.ECONNREFUSED):
		return fmt.Errorf("nothing answers at %s: start the stack with make run", *address)
	case err != nil && response != nil && response.StatusCode != http.StatusSwitchingProtocols:
		return fmt.Errorf("%s refused the handshake with status %d", *address, response.StatusCode)
	case err != nil:
		return fmt.Errorf("connect: %w", err)
	}
	defer socket.CloseNow()            //nolint:errcheck // closed properly before, or broken
	socket.SetReadLimit(2 * (1 << 17)) // API Gateway's largest message is 128 KB
	c.say("connected as %s; %s", *user, clientHelp)

	t := &terminal{command: c, socket: socket, acks: make(chan string, 16)}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	ended := make(chan error, 1)
	var reading sync.WaitGroup
	reading.Go(func() { ended <- t.receive(context.WithoutCancel(ctx)) })
	defer reading.Wait()
	typed := make(chan string)
	go c.readLines(ctx, typed) // ends with the input: nothing can interrupt the read of a terminal
	return t.loop(ctx, typed, ended)
}

// readLines hands on the lines of the input and closes typed at its end.
func (c *command) readLines(ctx context.Context, typed chan<- string) {
	defer close(typed)
	lines := bufio.NewScanner(c.stdin)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		select {
		case typed <- strings.TrimSpace(lines.Text()):
		case <-ctx.Done():
			return
		}
	}
}

// terminal is a connected client.
type terminal struct {
	*command
	socket *websocket.Conn
	acks   chan string // ids that were acknowledged
	sent   int         // commands, whose number is their id
	left   atomic.Bool // the user has ended it, not the server
}

// loop sends what is typed until the connection or the input ends, or ctx does.
func (t *terminal) loop(ctx context.Context, typed <-chan string, ended <-chan error) error {
	waiting := map[string]bool{}
	var giveUp <-chan time.Time
	for {
		select {
		case err := <-ended:
			return err
		case id := <-t.acks:
			delete(waiting, id)
		case <-giveUp:
			clear(waiting)
		case <-ctx.Done():
			return t.leave()
		case line, ok := <-typed:
			if !ok {
				typed, giveUp = nil, time.After(lastAcks)
				break
			}
			id, err := t.send(ctx, line)
			if err != nil {
				return t.leave()
			}
			if id != "" {
				waiting[id] = true
			}
		}
		if giveUp != nil && len(waiting) == 0 {
			return t.leave()
		}
	}
}

// leave closes the connection, which ends receive.
func (t *terminal) leave() error {
	t.left.Store(true)
	_ = t.socket.Close(websocket.StatusNormalClosure, "") // the connection may be gone already
	return nil
}

// receive prints what arrives until the connection ends. Code 1000 is no error.
func (t *terminal) receive(ctx context.Context) error {
	for {
		_, message, err := t.socket.Read(ctx)
		var closed websocket.CloseError
		switch {
		case err != nil && t.left.Load():
			return nil // whatever it is that has been read: the server's answer, or nothing, because Close took that
		case errors.As(err, &closed):
			t.say("closed with %d %s", closed.Code, closed.Reason)
			if closed.Code == websocket.StatusNormalClosure {
				return nil
			}
			return errors.New("the server closed the connection")
		case err != nil:
			return fmt.Errorf("connection lost: %w", err)
		}
		if _, err := fmt.Fprintf(t.stdout, "%s\n", message); err != nil {
			return err
		}
		var ack struct {
			Event string
			ID    any
		}
		if json.Unmarshal(message, &ack) == nil && ack.Event == "ack" {
			select {
			case t.acks <- fmt.Sprint(ack.ID):
			default: // nobody types any more
			}
		}
	}
}

// send turns a line into a message and returns the id whose ack is to come. Its error is a connection that has ended.
func (t *terminal) send(ctx context.Context, line string) (id string, err error) {
	words := strings.Fields(line)
	var event string
	var data any
	switch {
	case line == "":
		return "", nil
	case strings.HasPrefix(line, "{"):
		return "", t.socket.Write(ctx, websocket.MessageText, []byte(line))
	case len(words) == 2 && words[0] == "join":
		event, data = contract.ConversationsJoin, contract.Room{ConversationID: words[1]}
	case len(words) == 2 && words[0] == "leave":
		event, data = contract.ConversationsLeave, contract.Room{ConversationID: words[1]}
	case len(words) == 1 && words[0] == "heartbeat":
		event = contract.PresenceHeartbeat
	default:
		t.say("%s", clientHelp)
		return "", nil
	}
	t.sent++
	id = strconv.Itoa(t.sent)
	message, err := json.Marshal(struct {
		Event string `json:"event"`
		Data  any    `json:"data,omitempty"`
		ID    string `json:"id"`
	}{event, data, id})
	if err != nil {
		return "", err
	}
	return id, t.socket.Write(ctx, websocket.MessageText, message)
}
