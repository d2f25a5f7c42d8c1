package e2e

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/coder/websocket"

	"example.org/realtime/infra/local/gateway"
)

// What a player gives an answer before it tries again, as an app would. It is told that it is ready by an event that may have died twice:
// the third attempt comes 1.8 s after the first, and whatever a busy machine adds.
const (
	answerTime = 2 * time.Second
	readyTime  = 10 * time.Second
	tries      = 30
)

// player is a user with one connection at a time, who expects that things go wrong and tries again. It speaks JSON or Socket.IO, and
// remembers all that it ever got.
type player struct {
	system   *system
	user     string // also its User-Agent
	socketIO bool

	mu       sync.Mutex
	line     *line // the present connection; nil before the first
	lines    []*line
	asked    int
	problems []string
}

// line is one connection of a player.
type line struct {
	conn    *websocket.Conn
	reading chan struct{} // closed when nothing more comes

	// Guarded by player.mu.
	changed chan struct{}
	frames  []frame
	begun   time.Time
	ready   time.Time            // notifications:ready came; zero: not yet
	ended   time.Time            // the player let go of it, or it broke; zero: it is there
	gone    time.Time            // API Gateway certainly does not have it any more; zero: it may
	cut     bool                 // it broke
	joined  map[string]time.Time // conversations, by when the join was answered
}

// connect connects until the player is told that it is ready, or the connection is there and nobody tells. A Socket.IO client comes again
// when API Gateway says instead that a function died: to the stock client that is no packet.
func (p *player) connect() bool {
	for range tries {
		if p.dial() && (!p.socketIO || p.enter()) {
			died := false
			p.await(readyTime, func(l *line) bool {
				died = p.socketIO && l.ready.IsZero() && slices.ContainsFunc(l.frames, is("API Gateway"))
				return died || !l.ready.IsZero()
			})
			if !died {
				return true
			}
		}
		p.hangUp(true)
		time.Sleep(20 * time.Millisecond)
	}
	p.problem("cannot connect")
	return false
}

// dial tells whether the handshake went well.
func (p *player) dial() bool {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	url, header := p.system.url, http.Header{"User-Agent": {p.user}}
	if p.socketIO {
		url += "?EIO=4&transport=websocket"
	} else {
		header.Set("Authorization", "Bearer "+p.system.token(p.user))
	}
	l := &line{begun: time.Now(), reading: make(chan struct{}), changed: make(chan struct{}), joined: map[string]time.Time{}}
	conn, response, err := websocket.Dial(ctx, url, &websocket.DialOptions{HTTPHeader: header})
	if err != nil {
		if response != nil && response.StatusCode < http.StatusInternalServerError {
			p.problem("handshake refused with %d", response.StatusCode)
		}
		return false
	}
	conn.SetReadLimit(256 << 10)
	l.conn = conn
	p.mu.Lock()
	p.line = l
	p.lines = append(p.lines, l)
	p.mu.Unlock()
	go func() {
		defer close(l.reading)
		for {
			_, message, err := conn.Read(context.Background())
			if err != nil {
				p.note(l, func() {
					if l.cut = l.ended.IsZero(); l.cut { // by API Gateway
						l.end()
						l.gone = l.ended
					}
				})
				return
			}
			p.note(l, func() { p.take(l, message) })
		}
	}()
	return true
}

// enter goes into the namespace, as a Socket.IO client does.
func (p *player) enter() bool {
	open := func(l *line) bool { return slices.ContainsFunc(l.frames, is("0")) }
	inside := func(l *line) bool { return slices.ContainsFunc(l.frames, is("40")) }
	return p.await(answerTime, open) && p.write(`40/ws/app,{"token":"`+p.system.token(p.user)+`"}`) && p.await(answerTime, inside)
}

// end is called with mu held.
func (l *line) end() {
	if l.ended.IsZero() {
		l.ended = time.Now()
	}
}

func (p *player) note(l *line, change func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	change()
	close(l.changed)
	l.changed = make(chan struct{})
}

// take takes a message. API Gateway's own are no envelopes: a function that died, or took too long.
func (p *player) take(l *line, message []byte) {
	f, err := frame{raw: string(message)}, error(nil)
	switch {
	case strings.HasPrefix(f.raw, `{"message": "Internal server error"`), strings.HasPrefix(f.raw, `{"message": "Endpoint request timed out"`):
		f.event = "API Gateway"
	case p.socketIO:
		f, err = parsePacket(f.raw)
	default:
		f, err = parse(message)
	}
	if err != nil {
		p.problems = append(p.problems, fmt.Sprintf("what is no documented message: %v: %s", err, message))
	}
	if f.event == "notifications:ready" && l.ready.IsZero() {
		l.ready = time.Now()
	}
	l.frames = append(l.frames, f)
}

// parsePacket reads a packet as the frame that a JSON client would get; what it has no envelope for keeps its digits for an event.
func parsePacket(packet string) (frame, error) {
	f := frame{raw: packet}
	if strings.HasPrefix(packet, "0{") {
		f.event = "0"
		return f, nil
	}
	kind, rest, ok := strings.Cut(packet, "/ws/app,")
	if !ok {
		return f, errors.New("not of this namespace")
	}
	switch kind {
	case "40", "41":
		f.event = kind
		return f, nil
	case "44":
		var refusal struct{ Data json.RawMessage }
		if err := json.Unmarshal([]byte(rest), &refusal); err != nil {
			return f, err
		}
		_, err := parse([]byte(`{"event":"error","data":` + string(refusal.Data) + `}`))
		f.event = kind
		return f, err
	case "42":
		var event []json.RawMessage
		if err := json.Unmarshal([]byte(rest), &event); err != nil || len(event) != 2 {
			return f, fmt.Errorf("an event of %d arguments: %w", len(event), err)
		}
		raw := `{"event":` + string(event[0]) + `,"data":` + string(event[1]) + `}`
		return parse([]byte(raw))
	case "43":
		id, args, _ := strings.Cut(rest, "[")
		return parse([]byte(`{"event":"ack","id":` + id + `,"data":` + strings.TrimSuffix(args, "]") + `}`))
	}
	return f, errors.New("unknown")
}

// await waits until something holds of the present connection. It does not once the connection has ended.
func (p *player) await(patience time.Duration, holds func(*line) bool) bool {
	timeout := time.NewTimer(patience)
	defer timeout.Stop()
	for {
		p.mu.Lock()
		l := p.line
		ok, ended, changed := holds(l), !l.ended.IsZero(), l.changed
		p.mu.Unlock()
		if ok || ended {
			return ok
		}
		select {
		case <-changed:
		case <-timeout.C:
			return false
		}
	}
}

func (p *player) write(message string) bool {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	return p.line.conn.Write(ctx, websocket.MessageText, []byte(message)) == nil
}

// ask sends an event until its ack says that it succeeded, or the connection has ended.
func (p *player) ask(event, data string) bool {
	for range tries {
		p.mu.Lock()
		p.asked++
		id, from := fmt.Sprint(p.asked), len(p.line.frames)
		p.mu.Unlock()
		message := `{"event":"` + event + `","id":` + id + `,"data":` + data + `}`
		if p.socketIO {
			message = `42/ws/app,` + id + `["` + event + `",` + data + `]`
		}
		if !p.write(message) {
			return false
		}
		var a ack
		acked := func(f frame) bool { return f.event == "ack" && f.id == id && json.Unmarshal(f.data, &a) == nil }
		died := func(f frame) bool { return f.event == "API Gateway" }
		p.await(answerTime, func(l *line) bool {
			return slices.ContainsFunc(l.frames[from:], func(f frame) bool { return acked(f) || died(f) })
		})
		switch {
		case a.Success:
			return true
		case a.Code != "" && a.Code != "socket_error:internal":
			p.problem("%s is answered %s: %s", event, a.Code, a.Message)
			return false
		case !p.here():
			return false
		}
		time.Sleep(20 * time.Millisecond)
	}
	p.problem("%s never succeeds", event)
	return false
}

func (p *player) join(conversation string) {
	if p.ask("conversations:join", `{"conversationId":"`+conversation+`"}`) {
		p.note(p.line, func() { p.line.joined[conversation] = time.Now() })
	}
}

func (p *player) leave(conversation string) {
	p.note(p.line, func() { delete(p.line.joined, conversation) })
	p.ask("conversations:leave", `{"conversationId":"`+conversation+`"}`)
}

func (p *player) heartbeat() { p.ask("presence:heartbeat", "null") }

// here tells whether the player is connected.
func (p *player) here() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.line != nil && p.line.ended.IsZero()
}

// hangUp ends the connection, with a closing handshake or without. API Gateway takes posts to it until it notices.
func (p *player) hangUp(abruptly bool) {
	p.mu.Lock()
	l := p.line
	p.mu.Unlock()
	if l == nil {
		return
	}
	p.note(l, l.end)
	if abruptly {
		_ = l.conn.CloseNow() // it may be closed
	} else {
		_ = l.conn.Close(websocket.StatusNormalClosure, "")
	}
	<-l.reading
	has := func() bool {
		return slices.ContainsFunc(p.system.local.Gateway.Connections(), func(c gateway.Info) bool { return c.UserAgent == p.user })
	}
	for deadline := time.Now().Add(patience); has(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			p.problem("API Gateway does not notice that the connection has ended")
			return
		}
	}
	p.note(l, func() {
		if l.gone.IsZero() {
			l.gone = time.Now()
		}
	})
}

func (p *player) problem(format string, args ...any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.problems = append(p.problems, fmt.Sprintf(format, args...))
}

// copies says how often each connection of the player got a message that has this in it.
func (p *player) copies(mark string) (each []int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, l := range p.lines {
		n := 0
		for _, f := range l.frames {
			if strings.Contains(f.raw, mark) {
				n++
			}
		}
		each = append(each, n)
	}
	return each
}

// untold tells whether the player is connected and has not heard that it is ready.
func (p *player) untold() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.line != nil && p.line.ended.IsZero() && p.line.ready.IsZero()
}

// word is the last that the present connection heard of a user; ok is false when it heard nothing.
func (p *player) word(user string) (said presence, ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.line == nil {
		return said, false
	}
	about := isPresenceOf(user)
	for _, f := range slices.Backward(p.line.frames) {
		if about(f) {
			return said, json.Unmarshal(f.data, &said) == nil
		}
	}
	return said, false
}
