package gateway

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"github.com/gobwas/ws"
)

// Limits, in bytes (WebSocket API quotas): what a client sends above them closes its connection with 1009.
const (
	maxFrame   = 32 << 10
	maxMessage = 128 << 10
)

// conn is one connection. An idle one costs a goroutine, which reads, and a deadline on its socket, which is both timers.
type conn struct {
	g           *Gateway
	id          string
	connectedAt time.Time
	domain      string
	sourceIP    string
	userAgent   string
	authorizer  json.RawMessage // the authorizer's context and principalId; nil without an authorizer
	socket      net.Conn        // set by open
	lastActive  atomic.Int64    // of the last message either way, ms

	mu      sync.Mutex
	state   state
	end     ending
	endBy   time.Time // when the closing handshake is given up
	queue   []*outgoing
	queued  int  // bytes in queue, and those being written
	writing bool // a goroutine runs write
	broken  error
}

// state is where a connection is in its life: only an open one exists for the management API.
type state int

const (
	statePending state = iota // until the 101 is written
	stateOpen
	stateClosing // a close frame was queued, or the socket is dead
)

// outgoing is one message, or one control frame, on its way to the client.
type outgoing struct {
	frames []byte
	done   chan struct{} // closed when the socket has taken frames, or never will
	err    error         // after done
}

// ending is why a connection ended.
type ending struct {
	code   int
	reason string
	cause  string
	frame  *outgoing // the close frame; nil when none was sent
	err    error     // what CauseInput or CauseDrop stands for
}

func goingAway(cause string) ending {
	return ending{code: int(ws.StatusGoingAway), reason: "Going away", cause: cause}
}

var (
	errGone = errors.New("the connection is gone")
	errFull = errors.New("the client does not read, and its buffer is full")
)

func (c *conn) info() Info {
	c.mu.Lock()
	defer c.mu.Unlock()
	return Info{
		ID: c.id, SourceIP: c.sourceIP, UserAgent: c.userAgent, ConnectedAt: c.connectedAt,
		LastActiveAt: time.UnixMilli(c.lastActive.Load()), Queued: c.queued,
	}
}

// send queues a text message for the client, in frames of at most 32 KB.
func (c *conn) send(text []byte) (*outgoing, error) {
	frames := textFrames(text)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.state != stateOpen {
		return nil, errGone
	}
	if c.queued > 0 && c.queued+len(frames) > c.g.cfg.Buffer {
		return nil, errFull
	}
	c.lastActive.Store(c.g.cfg.Now().UnixMilli())
	return c.push(frames), nil
}

// push queues frames; c.mu is held. The goroutine that writes lives only while there is something to write.
func (c *conn) push(frames []byte) *outgoing {
	o := &outgoing{frames: frames, done: make(chan struct{})}
	c.queue = append(c.queue, o)
	c.queued += len(frames)
	if !c.writing {
		c.writing = true
		c.g.running.Go(c.write)
	}
	return o
}

// write empties the queue in order. After an error nothing more is written.
func (c *conn) write() {
	for written := 0; ; {
		c.mu.Lock()
		c.queued -= written
		if len(c.queue) == 0 {
			c.queue, c.writing = nil, false
			c.mu.Unlock()
			return
		}
		o := c.queue[0]
		c.queue = c.queue[1:]
		c.mu.Unlock()

		if c.broken == nil {
			_, c.broken = c.socket.Write(o.frames)
		}
		o.err = c.broken
		close(o.done)
		written = len(o.frames)
	}
}

// shut begins the closing handshake: from here on the connection is gone for everybody but its own goroutine. It reports whether
// the connection was open.
func (c *conn) shut(e ending) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.shutLocked(e)
}

func (c *conn) shutLocked(e ending) bool {
	if c.state != stateOpen {
		return false
	}
	var body []byte
	if e.code != int(ws.StatusNoStatusRcvd) {
		body = ws.NewCloseFrameBody(ws.StatusCode(e.code), e.reason) //nolint:gosec // G115: a close code
	}
	c.state = stateClosing
	e.frame = c.push(frame(ws.OpClose, body))
	c.end = e
	c.endBy = time.Now().Add(c.g.cfg.Timers.Close)
	_ = c.socket.SetDeadline(c.endBy) // ends a read or a write that hangs
	c.g.forget(c)
	return true
}

// cut ends the connection without a closing handshake.
func (c *conn) cut() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.dropLocked(errors.New("cut by the gateway"))
	if c.socket != nil {
		_ = c.socket.Close()
	}
}

// dropLocked notes that the connection broke, unless it was closing anyway.
func (c *conn) dropLocked(err error) {
	if c.state == stateOpen {
		c.state = stateClosing
		c.end = ending{code: int(ws.StatusAbnormalClosure), cause: CauseDrop, err: err}
		c.g.forget(c)
	}
}

// serve reads until the connection has ended, then tells $disconnect. first is what came with the handshake.
func (c *conn) serve(first []byte) {
	reader := bufio.NewReaderSize(io.MultiReader(bytes.NewReader(first), c), 512)
	err := c.read(reader)

	c.mu.Lock()
	c.dropLocked(err)
	e := c.end
	c.mu.Unlock()
	if e.frame != nil {
		<-e.frame.done // bounded by the write deadline
	}
	_ = c.socket.Close()
	c.disconnected(e)
}

// Read is the socket's, with the timers: it returns an error only when nothing can be read any more.
func (c *conn) Read(p []byte) (int, error) {
	for {
		n, err := c.socket.Read(p)
		if n > 0 || !errors.Is(err, os.ErrDeadlineExceeded) || !c.rearm() {
			return n, err
		}
	}
}

// rearm sets the deadline of the next read to the next timer, closing the connection when one has run out. It reports whether to
// read on: not when the closing handshake takes too long.
func (c *conn) rearm() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.state != stateOpen {
		return time.Now().Before(c.endBy)
	}
	now, timers := c.g.cfg.Now(), c.g.cfg.Timers
	idle := time.UnixMilli(c.lastActive.Load()).Add(timers.Idle).Sub(now)
	life := c.connectedAt.Add(timers.Life).Sub(now)
	switch {
	case life <= 0:
		return c.shutLocked(goingAway(CauseLife))
	case idle <= 0:
		return c.shutLocked(goingAway(CauseIdle))
	}
	_ = c.socket.SetReadDeadline(time.Now().Add(min(idle, life)))
	return true
}

// read takes the client's frames until it closes, breaks a rule or is gone. What still comes while the connection closes is
// read and dropped.
func (c *conn) read(r io.Reader) error {
	if !c.rearm() {
		return os.ErrDeadlineExceeded
	}
	var message []byte
	var buffer [ws.MaxHeaderSize]byte
	fragmented := ws.StateServerSide
	for {
		h, err := ws.ReadHeaderBuffer(r, buffer[:])
		if errors.Is(err, ws.ErrHeaderLengthMSB) {
			return c.refuse(r, 0, ws.StatusProtocolError, err)
		}
		if err != nil {
			return err
		}
		if err := ws.CheckHeader(h, fragmented); err != nil {
			return c.refuse(r, h.Length, ws.StatusProtocolError, err)
		}
		if h.OpCode.IsControl() {
			if ended, err := c.control(r, h); ended || err != nil {
				return err
			}
			continue
		}
		if code, err := limits(h, len(message)); err != nil {
			return c.refuse(r, h.Length, code, err)
		}
		before := len(message)
		message = slices.Grow(message, int(h.Length))[:before+int(h.Length)]
		if _, err := io.ReadFull(r, message[before:]); err != nil {
			return err
		}
		ws.Cipher(message[before:], h.Mask, 0)
		if !h.Fin {
			fragmented = fragmented.Set(ws.StateFragmented)
			continue
		}
		if !utf8.Valid(message) {
			return c.refuse(r, 0, ws.StatusInvalidFramePayloadData, errors.New("text that is not UTF-8"))
		}
		c.received(message)
		message, fragmented = nil, ws.StateServerSide
	}
}

// limits checks a data frame that follows a part of before bytes.
func limits(h ws.Header, before int) (ws.StatusCode, error) {
	switch {
	case h.OpCode == ws.OpBinary:
		return ws.StatusUnsupportedData, errors.New("a binary frame")
	case h.Length > maxFrame:
		return ws.StatusMessageTooBig, fmt.Errorf("a frame of %d bytes, %d at most", h.Length, maxFrame)
	case before+int(h.Length) > maxMessage:
		return ws.StatusMessageTooBig, fmt.Errorf("a message above %d bytes", maxMessage)
	}
	return 0, nil
}

// control answers a ping and serves a close frame, after which ended is true. Neither is activity, and functions see neither.
func (c *conn) control(r io.Reader, h ws.Header) (ended bool, err error) {
	payload := make([]byte, h.Length)
	if _, err := io.ReadFull(r, payload); err != nil {
		return false, err
	}
	ws.Cipher(payload, h.Mask, 0)
	switch h.OpCode {
	case ws.OpPing:
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.state == stateOpen && c.queued < c.g.cfg.Buffer {
			c.push(frame(ws.OpPong, payload))
		}
	case ws.OpClose:
		c.closed(payload)
		return true, nil
	}
	return false, nil
}

// closed answers the client's close frame.
func (c *conn) closed(payload []byte) {
	code, reason := ws.StatusNoStatusRcvd, "Client-side close frame status not set"
	if len(payload) > 0 {
		code, reason = ws.ParseCloseFrameData(payload)
		if err := ws.CheckCloseFrameData(code, reason); err != nil {
			c.shut(ending{code: int(ws.StatusProtocolError), cause: CauseInput, err: err})
			return
		}
	}
	c.shut(ending{code: int(code), reason: reason, cause: CauseClient})
}

// refuse closes the connection because of what the client sent, and reads on until the client has closed too: a socket closed
// with unread input would take the close frame down with it. unread is the rest of the current frame, in bytes.
func (c *conn) refuse(r io.Reader, unread int64, code ws.StatusCode, cause error) error {
	c.shut(ending{code: int(code), cause: CauseInput, err: cause})
	for closed := false; ; {
		if _, err := io.CopyN(io.Discard, r, unread); err != nil || closed {
			return err
		}
		h, err := ws.ReadHeader(r)
		if err != nil {
			return err
		}
		unread, closed = h.Length, h.OpCode == ws.OpClose
	}
}

// textFrames encodes a message as a text frame and, above 32 KB, continuations.
func textFrames(text []byte) []byte {
	var b bytes.Buffer
	b.Grow(len(text) + 4*(len(text)/maxFrame+1)) // a header of such a frame has 4 bytes at most
	op := ws.OpText
	for {
		n := min(len(text), maxFrame)
		_ = ws.WriteHeader(&b, ws.Header{Fin: n == len(text), OpCode: op, Length: int64(n)})
		b.Write(text[:n])
		text, op = text[n:], ws.OpContinuation
		if len(text) == 0 {
			return b.Bytes()
		}
	}
}

// frame encodes a control frame.
func frame(op ws.OpCode, payload []byte) []byte {
	var b bytes.Buffer
	_ = ws.WriteFrame(&b, ws.NewFrame(op, true, payload))
	return b.Bytes()
}
