package realtime

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"example.org/realtime/shared/contract"
	"example.org/realtime/shared/wire"
)

// Receiver is what happens when a client connects, speaks or leaves. A function sets the ports that its events use; each
// field says who needs it.
type Receiver struct {
	Connections Connections     // connect, disconnect, join, packets
	Sessions    Sessions        // packets
	Tokens      Tokens          // packets
	Recorded    ConnectionRooms // join
	Presences   Presences       // connect, disconnect, heartbeat, packets
	Rooms       Rooms           // disconnect, join, leave, packets
	Members     Members         // join
	Timers      Timers          // join, with PresenceGlobalMax
	Poster      Poster          // messages
	Asker       Asker           // connect, disconnect, heartbeat, join, packets
	Metrics     Metrics
	Log         *slog.Logger
	Now         func() time.Time

	Events            []string // inbound events this function takes; others are unknown
	MaxPayload        int      // bytes of a whole message
	HeartbeatMin      time.Duration
	SocketsPerUser    int
	RoomsPerSocket    int
	PresenceGlobalMax int // 0: presence is global at any number of connections

	crowd crowd
}

// Connected is a connection whose handshake is under way.
type Connected struct {
	ConnectionID string
	Identity     Identity
	ConnectedAt  time.Time
	At           time.Time // of the event
	UserAgent    string
	IP           string
}

// Disconnected is a connection that has ended.
type Disconnected struct {
	ConnectionID string
	Identity     Identity
	ConnectedAt  time.Time
	At           time.Time // of the event
}

// Message is a WebSocket message of a client.
type Message struct {
	ConnectionID string
	Identity     Identity
	ConnectedAt  time.Time
	At           time.Time // API Gateway's, by which joins and leaves are ordered
	UserAgent    string
	IP           string
	Body         []byte
	Entered      time.Time // of a Socket.IO client's event, with its user: when it came into the namespace; found in its row
}

func (m Message) socket() Socket {
	return Socket{ID: m.ConnectionID, UserID: m.Identity.UserID, Protocol: m.Identity.Protocol, ConnectedAt: m.ConnectedAt}
}

// Connect records a connection and asks publish to welcome or refuse it; nothing can be posted to it before the handshake
// is done. An error fails the handshake, and leaves nothing that sweep does not end.
func (r *Receiver) Connect(ctx context.Context, e Connected) error {
	socketIO := e.Identity.Protocol == wire.SocketIO // its user comes with its CONNECT, as does a refusal
	if code := e.Identity.Refused; code != "" && !socketIO {
		return r.refuse(ctx, e.ConnectionID, &contract.Error{Code: code, Message: refusal(code)})
	}
	c := Connection{ID: e.ConnectionID, Protocol: e.Identity.Protocol, ConnectedAt: e.ConnectedAt}
	if !socketIO {
		c.UserID, c.TokenExpiry = e.Identity.UserID, e.Identity.ExpiresAt
	}
	if err := r.Connections.Put(ctx, c); err != nil && !errors.Is(err, ErrExists) {
		return fmt.Errorf("connect %s: %w", c.ID, err)
	}
	job := Job{Open: &Open{Connection: c.ID}}
	if !socketIO {
		p, err := r.register(ctx, c, e.At, e.UserAgent, e.IP)
		if e := r.turnedAway(err); e != nil {
			return r.turnAway(ctx, c, e)
		}
		if err != nil {
			return fmt.Errorf("connect %s: %w", c.ID, errors.Join(err, r.undo(ctx, c)))
		}
		job = Job{Welcome: &Welcome{Connection: c.ID, User: c.UserID, Version: p.Version, AtMS: r.Now().UnixMilli()}}
	}
	if err := r.Asker.Ask(ctx, job); err != nil {
		return fmt.Errorf("connect %s: %w", c.ID, errors.Join(err, r.undo(ctx, c)))
	}
	return nil
}

// register adds the socket to its user's presence.
func (r *Receiver) register(ctx context.Context, c Connection, at time.Time, userAgent, ip string) (Presence, error) {
	p, err := r.Presences.Add(ctx, c.UserID, PresenceSocket{Socket: c.socket(), Entered: c.Entered, LastSeen: at, UserAgent: userAgent, IP: ip}, r.SocketsPerUser)
	if errors.Is(err, ErrExists) {
		return p, nil
	}
	return p, err
}

// turnedAway is what a client is told whose socket register did not take, because its user has too many or is kept out; nil
// for any other error.
func (r *Receiver) turnedAway(err error) *contract.Error {
	if errors.Is(err, ErrFull) {
		return &contract.Error{
			Code:    contract.TooManyConnections,
			Message: fmt.Sprintf("this user has %d open connections already; close one and try again", r.SocketsPerUser),
		}
	}
	if denied, ok := errors.AsType[*Denied](err); ok {
		return &contract.Error{
			Code:    contract.Forbidden,
			Message: "this user has been disconnected and may connect again at " + denied.Until.UTC().Format(time.RFC3339),
		}
	}
	return nil
}

// turnAway refuses a connection that is recorded already.
func (r *Receiver) turnAway(ctx context.Context, c Connection, e *contract.Error) error {
	if err := r.Connections.Delete(ctx, c); err != nil {
		return fmt.Errorf("refuse %s: %w", c.ID, err)
	}
	return errors.Join(r.refuse(ctx, c.ID, e), r.verifyFull(ctx, c.UserID, e))
}

// verifyFull has the sockets of a user verified who has too many, so that the next try finds the dead ones gone.
func (r *Receiver) verifyFull(ctx context.Context, user string, e *contract.Error) error {
	if e.Code != contract.TooManyConnections {
		return nil
	}
	return r.Asker.Ask(ctx, Job{Verify: &Verify{User: user}})
}

func (r *Receiver) refuse(ctx context.Context, id string, e *contract.Error) error {
	return r.Asker.Ask(ctx, Job{Refuse: &Refuse{Connection: id, Error: contract.SocketError{Code: e.Code, Message: e.Message}}})
}

func refusal(code contract.Code) string {
	if code == contract.TokenExpired {
		return "the authentication token has expired; connect again with a fresh one"
	}
	return "the authentication token is missing or invalid"
}

// undo takes back a connection whose handshake fails. The row stays, marked as ended: somebody may have been told of the
// socket meanwhile, and sweep tells them of its end.
func (r *Receiver) undo(ctx context.Context, c Connection) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	c.Gone = r.Now()
	if c.UserID == "" {
		return r.Connections.End(ctx, c)
	}
	_, err := r.Presences.Remove(ctx, c.UserID, c.ID, c.Gone, time.Time{})
	if errors.Is(err, ErrNotFound) {
		err = nil
	}
	return errors.Join(err, r.Connections.End(ctx, c))
}

// Disconnect removes a connection. It may come twice, late, before Connect is done, or never. An error leaves the rest to
// sweep.
func (r *Receiver) Disconnect(ctx context.Context, e Disconnected) error {
	socketIO := e.Identity.Protocol == wire.SocketIO
	if e.Identity.Refused != "" && !socketIO {
		return nil // nothing of it is in the table
	}
	for {
		c, err := r.Connections.Get(ctx, e.ConnectionID)
		switch {
		case errors.Is(err, ErrNotFound):
			c = Connection{ID: e.ConnectionID, Protocol: e.Identity.Protocol, ConnectedAt: e.ConnectedAt}
			if !socketIO {
				c.UserID = e.Identity.UserID
			}
			err = r.depart(ctx, c, e.At)
		case err == nil && c.UserID == "" && c.Gone.IsZero():
			err = r.Connections.Delete(ctx, c) // a Socket.IO client outside the namespace: there is no more of it
		case err == nil:
			err = r.depart(ctx, c, e.At)
		}
		if errors.Is(err, ErrChanged) {
			continue // it came into the namespace meanwhile, or left it
		}
		if err != nil {
			return fmt.Errorf("disconnect %s: %w", e.ConnectionID, err)
		}
		return nil
	}
}

// depart ends a connection: out of its user's presence, telling so, then its rows.
func (r *Receiver) depart(ctx context.Context, c Connection, at time.Time) error {
	remover := r.remover()
	found := false
	if c.UserID != "" {
		var err error
		if found, err = r.leavePresence(ctx, remover, c, at); err != nil {
			return err
		}
	}
	if !found { // its connect is not done yet, or another disconnect was here: sweep looks again
		c.Gone = r.Now()
		return r.Connections.End(ctx, c)
	}
	return remover.erase(ctx, c)
}

func (r *Receiver) remover() *Remover {
	return &Remover{Connections: r.Connections, Presences: r.Presences, Rooms: r.Rooms, Now: r.Now}
}

// leavePresence takes a connection out of its user's presence and has everybody told; found is false where it was not in it.
func (r *Receiver) leavePresence(ctx context.Context, remover *Remover, c Connection, at time.Time) (found bool, err error) {
	p, err := remover.presence(ctx, c.UserID, c.ID, at, time.Time{})
	if errors.Is(err, ErrNotFound) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	return true, r.Asker.Ask(ctx, Job{Presence: &PresenceJob{
		User: c.UserID, Version: p.Version, Rooms: conversations(c.Rooms), AtMS: r.Now().UnixMilli(),
	}})
}

// errDeaf closes a connection that the table does not know any more, so that its client comes back.
var errDeaf = errors.New("the table does not know this connection")

// Message takes one message of a client. With an id, the outcome is the ack and nothing else; without, success is silent
// and a failure is one error event. An error is one that the client could not be told of.
func (r *Receiver) Message(ctx context.Context, m Message) error {
	if m.Identity.Protocol == wire.SocketIO {
		return r.packet(ctx, m)
	}
	if code := m.Identity.Refused; code != "" {
		return r.end(ctx, m, &contract.Error{Code: code, Message: refusal(code)})
	}
	if err := r.checkSize(m); err != nil {
		return r.end(ctx, m, err)
	}
	work, cancel := inTime(ctx)
	defer cancel()
	in, err := wire.DecodeJSON(m.Body)
	if err != nil {
		err = &contract.Error{Code: contract.BadRequest, Message: err.Error()}
	} else {
		err = r.handle(work, m, in)
	}
	if errors.Is(err, errDeaf) {
		return r.close(ctx, m)
	}
	return r.reply(ctx, m, in, err)
}

// replyReserve is what a function keeps of its time to tell its client the outcome: a table that does not answer would use it up.
const replyReserve = 2 * time.Second

// inTime is ctx, but ends early enough for a reply.
func inTime(ctx context.Context) (context.Context, context.CancelFunc) {
	if deadline, ok := ctx.Deadline(); ok {
		return context.WithDeadline(ctx, deadline.Add(-replyReserve))
	}
	return context.WithCancel(ctx)
}

func (r *Receiver) checkSize(m Message) *contract.Error {
	if len(m.Body) <= r.MaxPayload {
		return nil
	}
	return &contract.Error{
		Code:    contract.PayloadTooLarge,
		Message: fmt.Sprintf("the message has %d bytes, %d at most", len(m.Body), r.MaxPayload),
	}
}

func (r *Receiver) handle(ctx context.Context, m Message, in wire.Inbound) error {
	if !slices.Contains(r.Events, in.Event) {
		return &contract.Error{Code: contract.UnknownEvent, Message: "not an event that clients send here"}
	}
	switch in.Event {
	case contract.PresenceHeartbeat:
		return r.heartbeat(ctx, m)
	case contract.ConversationsJoin:
		return r.join(ctx, m, in)
	case contract.ConversationsLeave:
		return r.leave(ctx, m, in)
	}
	return fmt.Errorf("no rule for event %q", in.Event)
}

// heartbeat refreshes the presence of the socket and tells it. Its data is never looked at.
func (r *Receiver) heartbeat(ctx context.Context, m Message) error {
	p, err := r.Presences.Touch(ctx, m.Identity.UserID, m.ConnectionID, m.At, r.HeartbeatMin)
	switch {
	case errors.Is(err, ErrTooSoon):
		return nil
	case errors.Is(err, ErrNotFound):
		return errDeaf
	case err != nil:
		return err
	}
	return r.Asker.Ask(ctx, Job{Presence: &PresenceJob{User: m.Identity.UserID, Version: p.Version, AtMS: r.Now().UnixMilli()}})
}

// reply tells the client the outcome of its event.
func (r *Receiver) reply(ctx context.Context, m Message, in wire.Inbound, err error) error {
	if err == nil && in.ID == nil {
		return nil
	}
	ack := contract.Ack{Success: err == nil}
	if err != nil {
		e := contract.ErrorOf(err)
		r.reportInternal(ctx, m, e, err)
		ack.Code, ack.Message = e.Code, e.Message
	}
	message := ackFrame(m.Identity.Protocol, in.ID, ack)
	if in.ID == nil {
		message = errorFrame(m.Identity.Protocol, ack.Code, ack.Message)
	}
	return ignoreGone(r.Poster.Post(ctx, m.ConnectionID, message))
}

// reportInternal logs what the client is not told.
func (r *Receiver) reportInternal(ctx context.Context, m Message, e *contract.Error, err error) {
	if e.Code == contract.Internal {
		r.Log.ErrorContext(ctx, "message failed", "connection_id", m.ConnectionID, "error", err)
		r.Metrics.Put(map[string]float64{"InternalErrors": 1})
	}
}

// end tells the client why, and closes the connection.
func (r *Receiver) end(ctx context.Context, m Message, e *contract.Error) error {
	err := r.Poster.Post(ctx, m.ConnectionID, errorFrame(m.Identity.Protocol, e.Code, e.Message))
	return errors.Join(ignoreGone(err), r.close(ctx, m))
}

// close ends the transport; its client comes back by itself. It may be deaf where it stays.
func (r *Receiver) close(ctx context.Context, m Message) error {
	return ignoreGone(hangUpRetries.again(ctx, m.ConnectionID, func(int) error { return r.Poster.Close(ctx, m.ConnectionID) }))
}

// ignoreGone drops what only says that the client has left.
func ignoreGone(err error) error {
	if errors.Is(err, ErrGone) {
		return nil
	}
	return err
}
